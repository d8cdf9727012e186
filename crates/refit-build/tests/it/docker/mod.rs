//! The engine `docker` against real Docker Engines, bases and results in a real registry.

mod builds;
mod refusals;
mod support;
