//! One ignore pattern, compiled as moby's `patternmatcher` compiles it, quirks included.

use super::pattern::{Part, Pattern};
use crate::glob::{Glob, Token};

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
    Pattern(Pattern),
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
            Matcher::Pattern(pattern) => pattern.matches(path),
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
        Pattern,
    }
    let mut kind = Kind::Exact;
    let mut parts = Vec::new();
    // The text of the pattern is not what it matches.
    let escapes = pattern.contains('\\');
    if escapes {
        kind = Kind::Pattern;
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
                    parts.push(Part::Folders);
                    kind = Kind::Pattern;
                } else if kind == Kind::Exact {
                    kind = Kind::Prefix;
                } else {
                    parts.push(Part::Everything);
                    kind = Kind::Pattern;
                }
                if is_first {
                    kind = Kind::Suffix;
                }
            }
            Token::AnyChars => {
                parts.push(Part::Name);
                kind = Kind::Pattern;
            }
            Token::AnyChar => {
                parts.push(Part::One(Token::AnyChar));
                kind = Kind::Pattern;
            }
            Token::Class { ranges, .. } => {
                // Go's matcher takes such a range for empty, moby's regex refuses it, and so does every build.
                if let Some((low, high)) = ranges.iter().find(|(low, high)| low > high) {
                    return Err(format!("the range `{low}-{high}` is backwards"));
                }
                parts.push(Part::One(token.clone()));
                kind = Kind::Pattern;
            }
            Token::Literal(_) => parts.push(Part::One(token.clone())),
        }
    }
    if escapes {
        kind = Kind::Pattern;
    }
    Ok(match kind {
        Kind::Exact => Matcher::Exact(pattern.to_owned()),
        Kind::Prefix => Matcher::Prefix(pattern[..pattern.len() - 2].to_owned()),
        Kind::Suffix => Matcher::Suffix(pattern[2..].to_owned()),
        Kind::Pattern => Matcher::Pattern(Pattern::new(parts)),
    })
}
