//! One ignore pattern, compiled as moby's `patternmatcher` compiles it, quirks included.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

use crate::glob::{Glob, Token};

/// More than any file that a person wrote; keeps a hostile one from taking the memory.
const MAX_COMPILED: usize = 4 << 20;

/// A pattern that is matched against a whole path.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    matcher: Matcher,
    /// What every matching path begins with.
    literal_prefix: String,
}

/// moby's match types. Where it avoids a regex its answers differ from the regex's: `**foo` matches `xfoo`, `**f?o` does
/// not match `xfoo`.
#[derive(Clone, Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Regex(Regex),
}

impl Rule {
    /// Compiles a cleaned pattern without its `!`.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let glob = Glob::parse(pattern).map_err(|e| e.to_string())?;
        let literal_prefix = literal_prefix(&glob.0);
        let matcher = compile(pattern, &glob.0)?;
        Ok(Self {
            matcher,
            literal_prefix,
        })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => path == exact,
            Matcher::Prefix(prefix) => path.starts_with(prefix),
            // `**/foo` matches `foo` too.
            Matcher::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Matcher::Regex(regex) => regex.is_match(path),
        }
    }

    /// Whether a path that begins with `below` may match; when in doubt it may.
    pub(super) fn may_match_below(&self, below: &str) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => exact.starts_with(below),
            _ => self.literal_prefix.starts_with(below) || below.starts_with(&self.literal_prefix),
        }
    }
}

fn literal_prefix(tokens: &[Token]) -> String {
    let literals = tokens.iter().map_while(|token| match token {
        Token::Literal(c) => Some(*c),
        _ => None,
    });
    literals.collect()
}

/// moby's `compile`, with its decisions in its order. Only what a regex, not a pattern, gives a meaning to differs:
/// `\d` is a `d`, and `*` in a class is a `*`.
fn compile(pattern: &str, tokens: &[Token]) -> Result<Matcher, String> {
    #[derive(PartialEq)]
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Regex,
    }
    let mut kind = Kind::Exact;
    let mut regex = String::from("^");
    // The text of the pattern is not what it matches.
    let escapes = pattern.contains('\\');
    if escapes {
        kind = Kind::Regex;
    }
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_first = at == 0;
        at += 1;
        match token {
            Token::AnyChars if tokens.get(at) == Some(&Token::AnyChars) => {
                at += 1;
                // `**/` is `**`.
                if tokens.get(at) == Some(&Token::Literal('/')) {
                    at += 1;
                }
                if tokens.get(at).is_some() {
                    regex.push_str("(?:.*/)?");
                    kind = Kind::Regex;
                } else if kind == Kind::Exact {
                    kind = Kind::Prefix;
                } else {
                    regex.push_str(".*");
                    kind = Kind::Regex;
                }
                if is_first {
                    kind = Kind::Suffix;
                }
            }
            Token::AnyChars => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            Token::AnyChar => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            Token::Class { negated, ranges } => {
                push_class(&mut regex, *negated, ranges)?;
                kind = Kind::Regex;
            }
            Token::Literal(c) => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    if escapes {
        kind = Kind::Regex;
    }
    Ok(match kind {
        Kind::Exact => Matcher::Exact(pattern.to_owned()),
        Kind::Prefix => Matcher::Prefix(pattern[..pattern.len() - 2].to_owned()),
        Kind::Suffix => Matcher::Suffix(pattern[2..].to_owned()),
        Kind::Regex => Matcher::Regex(
            RegexBuilder::new(&regex)
                .size_limit(MAX_COMPILED)
                .build()
                .map_err(|_| "it is too large".to_owned())?,
        ),
    })
}

fn push_class(regex: &mut String, negated: bool, ranges: &[(char, char)]) -> Result<(), String> {
    regex.push_str(if negated { "[^" } else { "[" });
    for (low, high) in ranges {
        // Go's matcher takes such a range for empty, moby's regex refuses it, and so does every build.
        if low > high {
            return Err(format!("the range `{low}-{high}` is backwards"));
        }
        write!(
            regex,
            "\\x{{{:x}}}-\\x{{{:x}}}",
            u32::from(*low),
            u32::from(*high)
        )
        .expect("writing to a string does not fail");
    }
    regex.push(']');
    Ok(())
}
