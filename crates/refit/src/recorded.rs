//! Lines of git notes as records that are read when something asks for them.

use std::{
    borrow::Cow,
    ops::{Range, RangeInclusive},
};

use refit_deps::record::{About, Lines, about};
use refit_git::notes::{Key, Keys, Notes};

/// What the lines of notes are about, as what is cached of them keeps it.
pub(crate) const KEYS: Keys = Keys {
    version: About::VERSION,
    of: |line| key(about(line)),
};

/// The lines of notes that were read with [`KEYS`].
pub(crate) struct Recorded(pub(crate) Notes);

impl Lines for Recorded {
    fn n_lines(&self) -> usize {
        self.0.n_lines()
    }

    fn line(&self, number: usize) -> Cow<'_, str> {
        self.0.line(number)
    }

    fn about(&self, range: RangeInclusive<About>) -> Range<usize> {
        self.0.about(key(*range.start())..=key(*range.end()))
    }

    fn at(&self, place: usize) -> usize {
        self.0.at(place)
    }

    fn read_all(&self) {
        self.0.read_all();
    }
}

fn key(about: About) -> Key {
    Key {
        kind: about.kind,
        about: about.hash,
    }
}
