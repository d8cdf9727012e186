//! refit-platform
