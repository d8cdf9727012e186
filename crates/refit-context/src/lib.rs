//! refit-context
