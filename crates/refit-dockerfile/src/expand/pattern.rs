//! Shell patterns of `#`, `%` and `/`: `*` and `?`, without bracket expressions.

use regex::Regex;

use super::MAX_BYTES;

/// The result has more than a word's [`MAX_BYTES`].
pub(super) struct TooLong;

/// Which of several matches a `*` takes.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    Shortest,
    Longest,
}

/// `value` without the prefix that matches.
pub(super) fn trim_prefix(pattern: &str, value: &str, reach: Reach) -> Option<String> {
    let regex = compile(pattern, reach, "^")?;
    let end = regex.find(value).map_or(0, |found| found.end());
    Some(value[end..].to_owned())
}

/// `value` without the suffix that matches. Both are reversed, for a regular expression finds the leftmost match only.
pub(super) fn trim_suffix(pattern: &str, value: &str, reach: Reach) -> Option<String> {
    let value: String = value.chars().rev().collect();
    let rest = trim_prefix(&reverse(pattern), &value, reach)?;
    Some(rest.chars().rev().collect())
}

/// `value` with the first match replaced.
pub(super) fn replace_first(pattern: &str, value: &str, replacement: &str) -> Option<String> {
    let regex = compile(pattern, Reach::Longest, "")?;
    Some(match regex.find(value) {
        Some(found) => [&value[..found.start()], replacement, &value[found.end()..]].concat(),
        None => value.to_owned(),
    })
}

/// `value` with every match replaced; `$name` in the replacement is an (always empty) group, as in Go. What would get
/// longer than the bound is no string any more.
pub(super) fn replace_all(
    pattern: &str,
    value: &str,
    replacement: &str,
) -> Option<Result<String, TooLong>> {
    let regex = compile(pattern, Reach::Longest, "")?;
    let (mut out, mut at) = (String::new(), 0);
    let n_groups = replacement.matches('$').count();
    for captures in regex.captures_iter(value) {
        let found = captures.get_match();
        out.push_str(&value[at..found.start()]);
        at = found.end();
        // `$0` is the match itself, however often it is written.
        let longest = replacement.len() + n_groups.saturating_mul(found.len());
        if out.len().saturating_add(longest) > 2 * MAX_BYTES {
            return Some(Err(TooLong));
        }
        captures.expand(replacement, &mut out);
    }
    out.push_str(&value[at..]);
    Some(Ok(out))
}

/// The longest pattern: matching costs its length times that of the value.
const MAX_PATTERN: usize = 1024;

/// None for an escape of anything but `*`, `?`, `\`, `}` and `/`, or a pattern beyond all measure.
fn compile(pattern: &str, reach: Reach, anchor: &str) -> Option<Regex> {
    if pattern.len() > MAX_PATTERN {
        return None;
    }
    let mut out = anchor.to_owned();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(match reach {
                Reach::Shortest => ".*?",
                Reach::Longest => ".*",
            }),
            '?' => out.push('.'),
            // `}` and `/` had to be escaped inside `${}`; the escape is no part of the pattern.
            '\\' if matches!(chars.peek(), Some('}' | '/')) => {}
            '\\' => match chars.next() {
                Some(escaped @ ('*' | '?' | '\\')) => push_literal(&mut out, escaped),
                _ => return None,
            },
            literal => push_literal(&mut out, literal),
        }
    }
    Regex::new(&out).ok()
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

/// The pattern from its end, escapes still before what they escape.
fn reverse(pattern: &str) -> String {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some(escaped)) => format!("\\{escaped}"),
            _ => c.to_string(),
        });
    }
    parts.reverse();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_reverse_without_their_escapes() {
        for (pattern, expect) in [
            (r"a\*c", r"c\*a"),
            (r"\\\ab", r"b\a\\"),
            (r"ab\", r"\ba"),
            (r"👽\🚀🖖", r"🖖\🚀👽"),
        ] {
            assert_eq!(reverse(pattern), expect, "{pattern}");
        }
    }

    #[test]
    fn only_wildcards_and_backslashes_can_be_escaped() {
        for pattern in [r"\", r"\x", r"\\\"] {
            assert!(compile(pattern, Reach::Longest, "^").is_none(), "{pattern}");
        }
    }
}
