//! The engine `docker` against real Docker Engines, bases and results in a real registry.

pub(crate) mod builds;
mod classic;
pub(crate) mod dockerfiles;
pub(crate) mod refusals;
pub(crate) mod support;
