//! A pattern on a whole path, without trying one way after the other: a hostile one costs the square of the path's length.

use crate::glob::Token;

/// What a pattern is made of, from left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One character.
    One(Token),
    /// `*`: any number of characters but slashes.
    Name,
    /// `**/`: any number of folders.
    Folders,
    /// `**` at the end: any number of characters. Like moby's `.*` it stops at the end of a line, as does `Folders`.
    Everything,
}

/// Parts, and what can be told of a path without them.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// How many characters a path must have.
    n_chars: usize,
    /// What it must begin and end with.
    prefix: String,
    suffix: String,
}

impl Pattern {
    pub(super) fn new(mut parts: Vec<Part>) -> Self {
        // Once is as good as twice.
        parts.dedup_by(|b, a| a == b && !matches!(a, Part::One(_)));
        let literal = |part: &Part| match part {
            Part::One(Token::Literal(c)) => Some(*c),
            _ => None,
        };
        let suffix: Vec<char> = parts.iter().rev().map_while(literal).collect();
        Self {
            n_chars: parts.iter().filter(|p| matches!(p, Part::One(_))).count(),
            prefix: parts.iter().map_while(literal).collect(),
            suffix: suffix.into_iter().rev().collect(),
            parts,
        }
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        let text: Vec<char> = path.chars().collect();
        if text.len() < self.n_chars {
            return false;
        }
        // How many characters of the path the parts so far may have taken.
        let mut taken = vec![false; text.len() + 1];
        taken[0] = true;
        for part in &self.parts {
            part.take(&text, &mut taken);
        }
        taken[text.len()]
    }
}

impl Part {
    fn take(&self, text: &[char], taken: &mut [bool]) {
        match self {
            Self::One(one) => {
                for (at, c) in text.iter().enumerate().rev() {
                    taken[at + 1] = taken[at] && one.takes(*c);
                }
                taken[0] = false;
            }
            Self::Name => spread(text, taken, '/'),
            Self::Everything => spread(text, taken, '\n'),
            Self::Folders => {
                let mut begun = false;
                for (at, c) in text.iter().enumerate() {
                    begun |= taken[at];
                    taken[at + 1] |= begun && *c == '/';
                    begun &= *c != '\n';
                }
            }
        }
    }
}

fn spread(text: &[char], taken: &mut [bool], end: char) {
    for (at, c) in text.iter().enumerate() {
        taken[at + 1] |= taken[at] && *c != end;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::glob::Glob;

    /// The regex that moby would use.
    fn regex(parts: &[Part]) -> Regex {
        let mut regex = String::from("^");
        for part in parts {
            match part {
                Part::One(Token::Literal(c)) => regex.push_str(&regex::escape(&c.to_string())),
                Part::One(Token::Class { negated, ranges }) => {
                    regex.push_str(if *negated { "[^" } else { "[" });
                    for (low, high) in ranges {
                        let (low, high) = (u32::from(*low), u32::from(*high));
                        write!(regex, "\\x{{{low:x}}}-\\x{{{high:x}}}").unwrap();
                    }
                    regex.push(']');
                }
                Part::One(_) => regex.push_str("[^/]"),
                Part::Name => regex.push_str("[^/]*"),
                Part::Folders => regex.push_str("(?:.*/)?"),
                Part::Everything => regex.push_str(".*"),
            }
        }
        Regex::new(&(regex + "$")).unwrap()
    }

    fn part() -> impl Strategy<Value = Part> {
        let one = "[ab/]|\\?|\\[\\^?[a/]\\]".prop_map(|text| {
            let mut glob = Glob::parse(&text).unwrap();
            Part::One(glob.0.remove(0))
        });
        let many = [Part::Name, Part::Folders, Part::Everything];
        prop_oneof![3 => one, 1 => Just(Part::One(Token::Literal('/'))), 2 => prop::sample::select(many.to_vec())]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_pattern_matches_what_mobys_regex_matches(
            parts in prop::collection::vec(part(), 0..7),
            paths in prop::collection::vec("[ab/\n]{0,8}", 1..8),
        ) {
            let (regex, pattern) = (regex(&parts), Pattern::new(parts));
            for path in paths {
                prop_assert_eq!(pattern.matches(&path), regex.is_match(&path), "{} {:?}", regex, path);
            }
        }
    }
}
