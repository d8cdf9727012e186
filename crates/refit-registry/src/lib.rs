//! refit-registry
