//! The engine `docker` against real Docker Engines, bases and results in a real registry.

mod builds;
mod dockerfiles;
mod refusals;
mod support;
