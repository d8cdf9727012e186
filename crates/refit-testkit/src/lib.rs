//! refit-testkit
