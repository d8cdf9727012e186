//! refit-git
