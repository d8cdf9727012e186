//! The notes of a ref, whose lines are read as they are asked for.

use std::{
    borrow::Cow,
    fmt,
    ops::{Range, RangeInclusive},
    sync::{Arc, Mutex, PoisonError},
};

use refit_oci::ObjectId;

use super::{
    Damage, Key,
    cache::{Files, Texts},
    lines,
    table::{Keys, Table},
};
use crate::{Repo, handles::Pool, id, tree};

/// The notes of a ref.
#[derive(Default)]
pub struct Notes {
    table: Table,
    texts: Texts,
    damaged: Vec<Damage>,
    git: Option<(Arc<Pool>, Files)>,
    /// The note that was last read from git because its texts have rotted, and its lines.
    again: Mutex<Option<(usize, Vec<String>)>>,
}

impl Notes {
    pub(super) fn new(
        repo: &Repo,
        files: Files,
        (table, texts): (Table, Texts),
        damaged: Vec<Damage>,
    ) -> Self {
        Self {
            table,
            texts,
            damaged,
            git: Some((repo.pool(), files)),
            again: Mutex::default(),
        }
    }

    /// Each note's object and lines, in the order of the objects; an object whose note a writer split comes twice.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, impl Iterator<Item = Cow<'_, str>>)> {
        self.texts.read_all();
        let notes = self.table.notes.iter().enumerate();
        notes.map(|(at, note)| {
            let lines = self.table.lines_of(at).map(|line| self.line(line));
            (id::ours(note.annotated), lines)
        })
    }

    /// What could not be read.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// How many lines there are.
    pub fn n_lines(&self) -> usize {
        self.table.lines.len()
    }

    /// The lines of all notes.
    pub fn lines(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.texts.read_all();
        (0..self.n_lines()).map(|line| self.line(line))
    }

    /// Reads every line at once, where one after the other would be asked for.
    pub fn read_all(&self) {
        self.texts.read_all();
    }

    /// The places of the lines whose keys are in a range, where all lines are put in the order of their keys.
    pub fn about(&self, range: RangeInclusive<Key>) -> Range<usize> {
        self.table.about(range)
    }

    /// The number of the line at a place in that order.
    pub fn at(&self, place: usize) -> usize {
        self.table
            .order
            .get(place)
            .map_or(usize::MAX, |line| *line as usize)
    }

    /// A line by its number. One whose text has rotted where it was cached is read from git; empty if it is not there
    /// either.
    pub fn line(&self, number: usize) -> Cow<'_, str> {
        let Some(line) = self.table.lines.get(number) else {
            return Cow::Borrowed("");
        };
        let text = self.texts.get(line);
        text.unwrap_or_else(|| Cow::Owned(self.again(number).unwrap_or_default()))
    }

    fn again(&self, number: usize) -> Option<String> {
        let (pool, files) = self.git.as_ref()?;
        let notes = &self.table.notes;
        let note = notes.partition_point(|note| note.end as usize <= number);
        let range: Range<usize> = self.table.lines_of(note);
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        if again.as_ref().is_none_or(|(last, _)| *last != note) {
            files.remove();
            let blob = tree::blob(&pool.handle(), &id::ours(notes.get(note)?.blob)).ok()?;
            let located = lines::located(blob, Keys::NONE);
            let lines = located
                .lines
                .iter()
                .map(|line| located.line(line).to_owned());
            *again = Some((note, lines.collect()));
        }
        let (_, lines) = again.as_ref()?;
        lines.get(number.checked_sub(range.start)?).cloned()
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes")
            .field("n_lines", &self.n_lines())
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}
