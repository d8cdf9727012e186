//! refit-logs
