//! Ignore rules, as moby's `patternmatcher` reads and applies them; they are not git's.

mod pattern;
mod rule;
mod walk;

use crate::go_path::{clean, with_parents};
use rule::Rule;

pub(crate) use walk::{Step, Walk};

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
            let Some(normal) = normalise(line) else {
                continue;
            };
            match Line::parse(&normal) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(why) => problems.push(Problem {
                    line: index + 1,
                    pattern: line.trim().to_owned(),
                    why,
                }),
            }
        }
        (Self { lines }, problems)
    }

    /// Whether the rules leave a path out.
    ///
    /// The last rule that matches the path, or a folder it lies in, wins; but, as in BuildKit's walk (moby's
    /// `MatchesUsingParentResults`), a rule reaches below a folder only if it changed what becomes of that folder:
    /// after `**/*.log` and `!web`, `web/a.log` is still left out.
    pub fn excludes(&self, path: &str) -> bool {
        let mut verdict = Verdict::default();
        for path in with_parents(path) {
            verdict = self.below(&verdict, path);
        }
        verdict.excluded
    }

    /// Whether a folder is left out and no rule could bring back something below it.
    pub fn may_skip_dir(&self, path: &str) -> bool {
        self.excludes(path) && !self.may_keep_below(path)
    }

    fn may_keep_below(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        let mut lines = self.lines.iter();
        lines.any(|line| line.keeps && line.rule.may_match_below(&below))
    }

    /// The verdict on a path, given that on the folder it lies in.
    fn below(&self, folder: &Verdict, path: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for (index, line) in self.lines.iter().enumerate() {
            let inherited = folder.matched.get(index).is_some_and(|matched| *matched);
            // A rule that would change nothing is not asked, and leaves no trace.
            let matches = inherited || (line.keeps == verdict.excluded && line.rule.matches(path));
            if matches {
                verdict.excluded = !line.keeps;
            }
            verdict.matched.push(matches);
        }
        verdict
    }
}

/// What becomes of a path, and which rules said so.
#[derive(Default)]
struct Verdict {
    excluded: bool,
    /// One for each rule; none above the root.
    matched: Vec<bool>,
}

/// A line as moby's `ignorefile.ReadAll` hands it on; none for comments and empty lines.
fn normalise(line: &str) -> Option<String> {
    let written = line.trim();
    // A comment starts its line: ` # x` is a rule.
    if line.starts_with('#') || written.is_empty() {
        return None;
    }
    let (bang, pattern) = match written.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", written),
    };
    let cleaned = match pattern {
        "" => String::new(),
        pattern => clean(pattern),
    };
    // Anchored at the context's root with and without a slash; `/` alone stays, and matches nothing.
    let relative = match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &cleaned,
    };
    Some(format!("{bang}{relative}"))
}

impl Line {
    /// A normalised line as moby's `patternmatcher.New` reads it: trimmed and cleaned once more.
    fn parse(normal: &str) -> Result<Option<Self>, String> {
        let trimmed = normal.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let cleaned = clean(trimmed);
        let (keeps, pattern) = match cleaned.strip_prefix('!') {
            Some("") => return Err("there is nothing to keep behind the `!`".to_owned()),
            Some(pattern) => (true, pattern),
            None => (false, cleaned.as_str()),
        };
        let rule = Rule::parse(pattern)?;
        Ok(Some(Self { keeps, rule }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Glob;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_walk_says_what_the_rules_say(
            text in "(!?[ab*?/]{1,6}\n){1,6}",
            paths in prop::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,3}", 1..9),
        ) {
            let (ignore, _) = Ignore::parse(&text);
            let mut walk = Walk::new(&ignore);
            for path in &paths {
                prop_assert_eq!(walk.excludes(path), ignore.excludes(path), "{}", path);
                prop_assert_eq!(walk.may_skip_dir(path), ignore.may_skip_dir(path), "{}", path);
                match walk.step(path) {
                    Step::Keep => prop_assert!(!ignore.excludes(path), "{}", path),
                    Step::Drop => prop_assert!(ignore.excludes(path), "{}", path),
                    Step::SkipFolder(folder) => {
                        prop_assert!(ignore.may_skip_dir(folder) && path.starts_with(folder));
                    }
                }
            }
        }

        /// Two implementations of one language, but for a negated class that takes a slash: Go's matcher does not go back
        /// to an earlier `*` for its sake, as it needs not for anything else, and the regex of ignore rules does. Hence `[^/…]`.
        #[test]
        fn without_two_stars_a_rule_is_gos_match_on_the_path_or_a_folder_of_it(
            pattern in "[ab*?.+/]([ab?.+/]|\\*[ab?]|\\[(\\^/)?[ab-]{1,2}\\]){0,6}"
                .prop_filter("two stars", |pattern| !pattern.contains("**")),
            path in "[ab.+]{1,3}(/[ab.+-]{1,3}){0,2}"
                .prop_filter("a path of a tree", |path| *path == clean(path)),
        ) {
            let cleaned = clean(&format!("/{pattern}"));
            let relative = &cleaned[1..];
            // A pattern that climbs is kept as it is, and matches nothing.
            if relative.is_empty() || clean(&pattern).starts_with("..") {
                return Ok(());
            }
            let (ignore, problems) = Ignore::parse(&pattern);
            if let Ok(glob) = Glob::parse(relative) && problems.is_empty() {
                let expect = with_parents(&path).any(|p| glob.matches(p));
                prop_assert_eq!(ignore.excludes(&path), expect);
            }
        }
    }
}
