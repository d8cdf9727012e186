//! Questions about what images are, and were, built on.

pub mod causes;
pub mod diff;
pub mod place;
pub mod users;

#[cfg(test)]
mod tests;
