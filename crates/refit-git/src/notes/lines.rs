//! The lines of a note, and how they are united; bytes, so that what others wrote survives.

use std::collections::BTreeSet;

use super::{
    compacted,
    table::{Keys, Line},
};

/// How the notes of a ref take new lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The union, sorted and unique (git's `cat_sort_uniq`), without what was compacted.
    SortUnique,
    /// What is there stays as it is; lines that are absent follow.
    Append,
}

/// The lines of a note, without blank ones (`concatenate` inserts them).
pub(crate) fn of(note: &[u8]) -> impl Iterator<Item = &[u8]> {
    note.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// The note with the lines added; `None` if that changes nothing.
pub(crate) fn add<'a>(
    rule: Rule,
    note: &'a [u8],
    new: impl Iterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let united = match rule {
        Rule::SortUnique => {
            let mut lines: BTreeSet<&[u8]> = of(note).chain(new).collect();
            compacted::filter(&mut lines);
            let mut united = Vec::with_capacity(note.len());
            for line in lines {
                push_line(&mut united, line);
            }
            united
        }
        Rule::Append => {
            let mut there: BTreeSet<&[u8]> = of(note).collect();
            let mut united = note.to_owned();
            for line in new {
                if there.insert(line) {
                    if united.last().is_some_and(|&last| last != b'\n') {
                        united.push(b'\n');
                    }
                    push_line(&mut united, line);
                }
            }
            united
        }
    };
    (united != note).then_some(united)
}

/// A note's text, and where in it its lines lie.
pub(super) struct Located {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
}

impl Located {
    /// A line's text.
    pub(super) fn line(&self, line: &Line) -> &str {
        let start = usize::try_from(line.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(line.length as usize);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Finds a note's lines. One that isn't UTF-8 is no record; what matters is that writers keep it.
pub(super) fn located(note: Vec<u8>, keys: Keys) -> Located {
    let text = String::from_utf8(note);
    let text = text.unwrap_or_else(|note| String::from_utf8_lossy(note.as_bytes()).into_owned());
    let mut start = 0;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if !line.is_empty() {
            lines.push(Line {
                start,
                length: u32::try_from(line.len()).unwrap_or(u32::MAX),
                checksum: crc32fast::hash(line.as_bytes()),
                key: (keys.of)(line),
            });
        }
        start += line.len() as u64 + 1;
    }
    Located { text, lines }
}

fn push_line(note: &mut Vec<u8>, line: &[u8]) {
    note.extend_from_slice(line);
    note.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::{Rule, add, of};

    fn check(rule: Rule, note: &str, new: &str, want: Option<&str>) {
        let united = add(rule, note.as_bytes(), of(new.as_bytes()));
        let united = united.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(united.as_deref(), want, "{rule:?} {note:?} + {new:?}");
    }

    #[test]
    fn records_are_a_sorted_set() {
        check(Rule::SortUnique, "", "b\na", Some("a\nb\n"));
        check(Rule::SortUnique, "a\nc\n", "b", Some("a\nb\nc\n"));
        check(Rule::SortUnique, "a\nb\n", "b\na", None);
        check(Rule::SortUnique, "b\n\na", "", Some("a\nb\n"));
    }

    #[test]
    fn sentences_keep_their_order_and_whatever_people_wrote() {
        check(Rule::Append, "", "b\na\nb", Some("b\na\n"));
        check(
            Rule::Append,
            "z\n\na by hand",
            "a\nz",
            Some("z\n\na by hand\na\n"),
        );
        check(Rule::Append, "b\na\n", "a", None);
        check(Rule::Append, "no line end", "no line end", None);
    }

    #[test]
    fn bytes_that_are_no_utf8_survive() {
        let united = add(Rule::SortUnique, b"\xff\n", of(b"a")).unwrap();
        assert_eq!(united, b"a\n\xff\n");
    }
}
