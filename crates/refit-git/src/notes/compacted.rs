//! The one kind of line that is read here: it takes others of its note back, for good and on every replica.
//!
//! It names each line that is gone by the beginning of the line's SHA-256. So the union of two notes, and then without
//! what either names, is the same whatever was united first; a line that whoever compacted did not know is never named.

use std::collections::{BTreeSet, HashSet};

use refit_oci::Digest;

/// How such a line begins: as the tool's other records do.
const BEGINNING: &str = "{\"v\":1,\"type\":\"compacted\",\"dropped\":\"";
const END: &str = "\"}";
/// Hexadecimal digits that name a line: among a million lines, two of the same name are one in ten million.
const NAME: usize = 16;

/// The line that takes others of a note back, and with them what earlier such lines of it took back.
pub fn compacted<'l>(note: &[String], dropped: impl IntoIterator<Item = &'l str>) -> String {
    let mut names: BTreeSet<String> = dropped.into_iter().map(|l| name(l.as_bytes())).collect();
    for earlier in note
        .iter()
        .filter(|line| names_of(line.as_bytes()).is_some())
    {
        names.extend(
            names_of(earlier.as_bytes())
                .into_iter()
                .flatten()
                .map(str::to_owned),
        );
        names.insert(name(earlier.as_bytes()));
    }
    let names: String = names.into_iter().collect();
    format!("{BEGINNING}{names}{END}")
}

/// Without the lines that are taken back. A line that takes others back goes only where another one does all it does.
pub(super) fn filter(lines: &mut BTreeSet<&[u8]>) {
    let taking: Vec<(&[u8], HashSet<&str>)> = lines
        .iter()
        .filter_map(|line| Some((*line, names_of(line)?)))
        .collect();
    if taking.is_empty() {
        return;
    }
    lines.retain(|line| {
        let own = names_of(line);
        let name = name(line);
        !taking.iter().any(|(_, names)| {
            names.contains(name.as_str()) && own.as_ref().is_none_or(|own| own.is_subset(names))
        })
    });
}

/// The lines that a line takes back; none if it is of another kind.
fn names_of(line: &[u8]) -> Option<HashSet<&str>> {
    let names = line.strip_prefix(BEGINNING.as_bytes())?;
    let names = names.strip_suffix(END.as_bytes())?;
    let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    if names.len() % NAME != 0 || !names.iter().all(is_hex) {
        return None;
    }
    let names = names.chunks_exact(NAME);
    Some(
        names
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect(),
    )
}

fn name(line: &[u8]) -> String {
    Digest::sha256(line).hex()[..NAME].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::notes::lines::{Rule, add, of};

    /// A note as its owner's writes leave it.
    fn write(note: &mut Vec<u8>, new: &[&[u8]]) {
        if let Some(united) = add(Rule::SortUnique, note, new.iter().copied()) {
            *note = united;
        }
    }

    fn text(note: &[u8]) -> Vec<String> {
        of(note)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect()
    }

    fn compact(note: &mut Vec<u8>, dropped: &[Index]) {
        let lines = text(note);
        let droppable: Vec<&String> = lines
            .iter()
            .filter(|l| names_of(l.as_bytes()).is_none())
            .collect();
        if droppable.is_empty() {
            return;
        }
        let dropped = dropped.iter().map(|index| index.get(&droppable).as_str());
        let line = compacted(&lines, dropped);
        write(note, &[line.as_bytes()]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, u8),
        Compact(usize, Vec<Index>),
        Unite(usize, usize),
    }

    const REPLICAS: usize = 4;

    fn step() -> impl Strategy<Value = Step> {
        let replica = 0..REPLICAS;
        prop_oneof![
            3 => (replica.clone(), 0..40_u8).prop_map(|(at, line)| Step::Write(at, line)),
            1 => (replica.clone(), vec(any::<Index>(), 1..5)).prop_map(|(at, d)| Step::Compact(at, d)),
            2 => (replica.clone(), replica).prop_map(|(to, from)| Step::Unite(to, from)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn replicas_converge_whatever_the_order(
            steps in vec(step(), 0..60),
            order in Just((0..REPLICAS).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut notes = vec![Vec::new(); REPLICAS];
            let mut written: BTreeSet<String> = BTreeSet::new();
            let mut taken: BTreeSet<String> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Write(at, line) => {
                        let line = format!("line {line}");
                        write(&mut notes[at], &[line.as_bytes()]);
                        written.insert(line);
                    }
                    Step::Compact(at, dropped) => {
                        let before: BTreeSet<String> = text(&notes[at]).into_iter().collect();
                        compact(&mut notes[at], &dropped);
                        let after: BTreeSet<String> = text(&notes[at]).into_iter().collect();
                        taken.extend(before.difference(&after).cloned());
                    }
                    Step::Unite(to, from) => {
                        let theirs = notes[from].clone();
                        write(&mut notes[to], &of(&theirs).collect::<Vec<_>>());
                    }
                }
            }
            // One after the other, in two orders.
            let unite = |order: &mut dyn Iterator<Item = usize>| {
                let mut note = Vec::new();
                order.for_each(|at| write(&mut note, &of(&notes[at]).collect::<Vec<_>>()));
                note
            };
            let one = unite(&mut order.iter().copied());
            let other = unite(&mut (0..REPLICAS).rev());
            prop_assert_eq!(text(&one), text(&other));
            // What nobody took back is there, and of what was taken back nothing.
            let left: BTreeSet<String> =
                text(&one).into_iter().filter(|l| names_of(l.as_bytes()).is_none()).collect();
            let want: BTreeSet<String> = written.difference(&taken).cloned().collect();
            prop_assert_eq!(left, want);
        }
    }

    #[test]
    fn only_one_line_that_takes_back_is_left_of_several() {
        let mut note = b"a\nb\nc\n".to_vec();
        let first = compacted(&text(&note), ["a"]);
        write(&mut note, &[first.as_bytes()]);
        let second = compacted(&text(&note), ["b"]);
        write(&mut note, &[second.as_bytes()]);
        assert_eq!(text(&note), ["c", second.as_str()]);
        write(&mut note, &[b"a", first.as_bytes()]);
        assert_eq!(text(&note), ["c", second.as_str()], "it does not come back");
    }

    #[test]
    fn what_is_no_such_line_takes_nothing_back() {
        let known = name(b"a");
        for odd in [
            format!("{BEGINNING}{known}"),
            format!("{BEGINNING}{}{END}", &known[1..]),
            format!(
                "{BEGINNING}{}{END}",
                known.to_uppercase() + "GHIJKLMNOPQRSTUV"
            ),
            format!(" {BEGINNING}{known}{END}"),
        ] {
            let mut note = b"a\n".to_vec();
            write(&mut note, &[odd.as_bytes()]);
            assert!(text(&note).contains(&"a".to_owned()), "{odd}");
        }
        // One that names another without doing what it does leaves it be.
        let mut note = Vec::new();
        let first = compacted(&[], ["a"]);
        let forged = compacted(&[], [first.as_str()]);
        write(&mut note, &[b"a", first.as_bytes(), forged.as_bytes()]);
        let mut want = vec![first, forged];
        want.sort();
        assert_eq!(text(&note), want);
    }
}
