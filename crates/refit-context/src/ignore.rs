//! Ignore rules, as moby's `patternmatcher` reads and applies them; they are not git's.

mod rule;

use crate::go_path::clean;
use rule::Rule;

/// The rules of an ignore file. Paths are slash-separated and relative to the context's root.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    /// Begins with `!`: what it matches is kept.
    keeps: bool,
    rule: Rule,
}

/// A line that is no rule. Docker refuses to build with such a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{pattern}` is no ignore rule: {why}")]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// The rule as written, without the white space around it.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Ignore {
    /// Reads an ignore file; lines that are no rules are reported and have no effect.
    pub fn parse(text: &str) -> (Self, Vec<Problem>) {
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            // Only at the very start of the line: ` # x` is a rule.
            if line.starts_with('#') {
                continue;
            }
            let written = line.trim();
            if written.is_empty() {
                continue;
            }
            let (keeps, pattern) = match written.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, written),
            };
            match parse_rule(pattern) {
                Ok(rule) => lines.push(Line { keeps, rule }),
                Err(why) => problems.push(Problem {
                    line: index + 1,
                    pattern: written.to_owned(),
                    why,
                }),
            }
        }
        (Self { lines }, problems)
    }

    /// Whether the last rule that matches the path, or a folder it lies in, leaves it out.
    ///
    /// This is moby's `MatchesOrParentMatches`.
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for line in &self.lines {
            // A rule that would change nothing is not asked.
            if line.keeps == excluded && with_parents(path).any(|p| line.rule.matches(p)) {
                excluded = !line.keeps;
            }
        }
        excluded
    }

    /// Whether a folder is left out and no rule could bring back something below it.
    pub fn may_skip_dir(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let may_keep = |line: &Line| line.keeps && line.rule.may_match_below(&below);
        self.excludes(path) && !self.lines.iter().any(may_keep)
    }
}

fn parse_rule(pattern: &str) -> Result<Rule, String> {
    if pattern.is_empty() {
        return Err("there is nothing behind the `!`".to_owned());
    }
    let cleaned = clean(pattern);
    // Rules are anchored at the context's root with and without a slash; `/` alone stays, and matches nothing.
    let relative = match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &cleaned,
    };
    Rule::parse(relative)
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.match_indices('/').map(|(at, _)| &path[..at]);
    slashes.chain([path])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Glob;
    use proptest::prelude::*;

    proptest! {
        /// Two implementations, a regex and a matcher, of one language.
        #[test]
        fn without_two_stars_a_rule_is_gos_match_on_the_path_or_a_folder_of_it(
            pattern in "[ab*?.+/]([ab?.+/]|\\*[ab?]|\\[\\^?[ab-]{1,2}\\]){0,6}",
            path in "[ab.+]{1,3}(/[ab.+-]{1,3}){0,2}",
        ) {
            prop_assume!(!pattern.contains("**") && path == clean(&path));
            let cleaned = clean(&format!("/{pattern}"));
            let relative = &cleaned[1..];
            // A pattern that climbs is kept as it is, and matches nothing.
            prop_assume!(!relative.is_empty() && !clean(&pattern).starts_with(".."));
            let (ignore, problems) = Ignore::parse(&pattern);
            if let Ok(glob) = Glob::parse(relative) && problems.is_empty() {
                let expect = with_parents(&path).any(|p| glob.matches(p));
                prop_assert_eq!(ignore.excludes(&path), expect);
            }
        }
    }
}
