//! Go's `filepath.Match`: the pattern language of `COPY` sources and of a component of an ignore rule.
//!
//! ```
//! use refit_context::glob::Glob;
//!
//! let glob = Glob::parse("conf/*.[ch]")?;
//! assert!(glob.matches("conf/a.c"));
//! assert!(!glob.matches("conf/deep/a.c"));
//! # Ok::<(), refit_context::glob::BadPattern>(())
//! ```

use std::{iter::Peekable, str::Chars};

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(pub(crate) Vec<Token>);

/// What a pattern is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// This character and no other.
    Literal(char),
    /// `?`: any one character but the slash.
    AnyChar,
    /// `*`: any number of characters but slashes.
    AnyChars,
    /// `[a-z]` or `[^a-z]`: one character; a negated class takes a slash too, as in Go.
    Class {
        /// Whether it began with `^`.
        negated: bool,
        /// First and last character of each range; empty if the last is before the first.
        ranges: Vec<(char, char)>,
    },
}

/// Why Go would answer `ErrBadPattern`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// `a\`.
    #[error("it ends with a `\\` that escapes nothing")]
    TrailingEscape,
    /// `[]`, `[-]`, `[a`.
    #[error("it has a `[` whose class is empty, malformed or not closed")]
    Class,
}

impl Glob {
    /// Reads a pattern; `\` escapes the character behind it.
    pub fn parse(pattern: &str) -> Result<Self, BadPattern> {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::AnyChars,
                '?' => Token::AnyChar,
                '[' => class(&mut chars)?,
                '\\' => Token::Literal(chars.next().ok_or(BadPattern::TrailingEscape)?),
                literal => Token::Literal(literal),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether the whole of `text` matches. `*` and `?` stop at slashes.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut token, mut at) = (0, 0);
        // Where the last `*` stands, and how far it reaches: only it need ever be reconsidered.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(token), text.get(at)) {
                (None, None) => return true,
                (Some(Token::AnyChars), _) => {
                    star = Some((token, at));
                    token += 1;
                    continue;
                }
                (Some(single), Some(c)) if single.takes(*c) => {
                    (token, at) = (token + 1, at + 1);
                    continue;
                }
                _ => {}
            }
            match star {
                Some((stands, reaches)) if text.get(reaches).is_some_and(|c| *c != '/') => {
                    star = Some((stands, reaches + 1));
                    (token, at) = (stands + 1, reaches + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    pub(crate) fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::AnyChar | Self::AnyChars => c != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// Whether a text has a character that makes it more than a plain path; `\` escapes the next one. A malformed pattern may
/// have one too.
pub fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// The part of a class behind its `[`.
fn class(chars: &mut Peekable<Chars>) -> Result<Token, BadPattern> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = match chars.next_if_eq(&'-') {
            Some(_) => class_char(chars)?,
            None => low,
        };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut Peekable<Chars>) -> Result<char, BadPattern> {
    match chars.next() {
        None | Some('-' | ']') => Err(BadPattern::Class),
        Some('\\') => chars.next().ok_or(BadPattern::Class),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cases of Go's own `path/filepath/match_test.go`.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expect) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^b-d]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("a[^a][^a][^a]b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("a?b", "a/b", Some(false)),
            ("a*b", "a/b", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-]", "-", Some(true)),
            ("[x\\-]", "x", Some(true)),
            ("[x\\-]", "-", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[\\-x]", "x", Some(true)),
            ("[\\-x]", "-", Some(true)),
            ("[\\-x]", "a", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "x", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^", "a", None),
            ("[^bc", "a", None),
            ("a[", "a", None),
            ("a[", "ab", None),
            ("*x", "xxx", Some(true)),
            ("", "", Some(true)),
            ("", "a", Some(false)),
        ] {
            let found = Glob::parse(pattern).ok().map(|glob| glob.matches(text));
            assert_eq!(found, expect, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let text = "a".repeat(5_000);
        let pattern = format!("{}b", "a*".repeat(200));
        assert!(!Glob::parse(&pattern).unwrap().matches(&text));
    }

    #[test]
    fn an_escaped_star_is_no_wildcard() {
        assert!(has_wildcard("a*"));
        assert!(!has_wildcard("a\\*"));
        assert!(!has_wildcard("a/b"));
    }

    proptest! {
        #[test]
        fn any_pattern_on_any_text_ends(pattern in "[a*?\\[\\]^\\\\/-]{0,24}", text in "[a/b]{0,24}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                glob.matches(&text);
            }
        }
    }
}
