//! refit-deps
