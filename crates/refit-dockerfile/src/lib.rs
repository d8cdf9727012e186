//! refit-dockerfile
