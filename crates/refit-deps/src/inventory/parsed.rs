//! Dockerfiles by their text: two states of a repository have most of them in common.

use std::{
    hash::BuildHasher as _,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use refit_dockerfile::{Dockerfile, SyntaxError};

/// What texts were parsed to.
#[derive(Debug, Default)]
pub struct Parsed(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hashes: DefaultHashBuilder,
    all: HashTable<Once>,
}

#[derive(Debug)]
enum Once {
    Good(Arc<Dockerfile>),
    Broken(String, SyntaxError),
}

impl Once {
    fn text(&self) -> &str {
        match self {
            Self::Good(file) => &file.text,
            Self::Broken(text, _) => text,
        }
    }
}

impl Parsed {
    /// Parses a text, unless that was done before.
    pub(super) fn parse(&self, text: &str) -> Result<Arc<Dockerfile>, SyntaxError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { hashes, all } = &mut *known;
        let hash = |text: &str| hashes.hash_one(text);
        let same = |once: &Once| once.text() == text;
        let once = match all.entry(hash(text), same, |once| hash(once.text())) {
            Entry::Occupied(once) => once.into_mut(),
            Entry::Vacant(vacant) => {
                let once = match refit_dockerfile::parse(text) {
                    Ok(file) => Once::Good(Arc::new(file)),
                    Err(error) => Once::Broken(text.to_owned(), error),
                };
                vacant.insert(once).into_mut()
            }
        };
        match once {
            Once::Good(file) => Ok(Arc::clone(file)),
            Once::Broken(_, error) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parsed_once_whatever_comes_of_it() {
        let parsed = Parsed::default();
        let [one, two] = ["FROM one\n", "FROM two\n"].map(|text| parsed.parse(text).unwrap());
        assert!(Arc::ptr_eq(&one, &parsed.parse("FROM one\n").unwrap()));
        assert!(!Arc::ptr_eq(&one, &two));
        let error = parsed.parse("FROM\n").unwrap_err();
        assert_eq!(parsed.parse("FROM\n").unwrap_err(), error);
    }
}
