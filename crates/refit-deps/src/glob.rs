//! Globs over repository paths: `*` and `?` stop at `/`, `**` does not.

/// A parsed glob.
pub(crate) struct Glob {
    /// What a path must begin with, up to the first part that is no literal; all of the glob if none is.
    prefix: String,
    /// What is between it and the suffix. None: it is the whole path.
    between: Option<Between>,
}

struct Between {
    parts: Vec<Part>,
    /// How many characters it must have.
    n_chars: usize,
    /// What a path must end with, behind the last part that is no literal.
    suffix: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Literal(char),
    /// `?`: any character but the slash.
    AnyChar,
    /// `*`: any number of those.
    Name,
    /// `**/`: any number of folders.
    Folders,
    /// `**`: any number of characters.
    Everything,
}

impl Glob {
    /// Every text is a glob; what is not special is literal.
    pub(crate) fn new(glob: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = glob.strip_prefix("./").unwrap_or(glob);
        while let Some(c) = rest.chars().next() {
            let (taken, part) = match c {
                '*' if rest.starts_with("**/") => (3, Part::Folders),
                '*' if rest.starts_with("**") => (2, Part::Everything),
                '*' => (1, Part::Name),
                '?' => (1, Part::AnyChar),
                literal => (literal.len_utf8(), Part::Literal(literal)),
            };
            // Any number of any number is any number.
            if part.is_one() || parts.last() != Some(&part) {
                parts.push(part);
            }
            rest = &rest[taken..];
        }
        let literal = |part: &Part| match part {
            Part::Literal(c) => Some(*c),
            _ => None,
        };
        let prefix: String = parts.iter().map_while(literal).collect();
        let begin = parts.iter().position(|part| literal(part).is_none());
        let between = begin.map(|begin| {
            let last = parts.iter().rposition(|part| literal(part).is_none());
            let end = last.unwrap_or(begin) + 1;
            let suffix = parts[end..].iter().filter_map(literal).collect();
            let parts = parts[begin..end].to_vec();
            Between {
                n_chars: parts.iter().filter(|part| part.is_one()).count(),
                parts,
                suffix,
            }
        });
        Self { prefix, between }
    }

    /// Whether the whole path matches. No way is tried after another: it takes at most the square of the path's length.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let Some(between) = &self.between else {
            return path == self.prefix;
        };
        // Most paths do not end so.
        let Some(rest) = path.strip_suffix(&between.suffix) else {
            return false;
        };
        rest.strip_prefix(&self.prefix)
            .is_some_and(|rest| between.matches(rest))
    }
}

impl Between {
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        if text.len() < self.n_chars {
            return false;
        }
        // How many characters of the text the parts so far may have taken.
        let mut taken = vec![false; text.len() + 1];
        taken[0] = true;
        for part in &self.parts {
            part.take(&text, &mut taken);
        }
        taken[text.len()]
    }
}

impl Part {
    fn is_one(self) -> bool {
        matches!(self, Self::Literal(_) | Self::AnyChar)
    }

    fn take(self, text: &[char], taken: &mut [bool]) {
        if self.is_one() {
            for (at, c) in text.iter().enumerate().rev() {
                let fits = match self {
                    Self::Literal(literal) => *c == literal,
                    _ => *c != '/',
                };
                taken[at + 1] = taken[at] && fits;
            }
            taken[0] = false;
            return;
        }
        let mut begun = false;
        for (at, c) in text.iter().enumerate() {
            begun |= taken[at];
            taken[at + 1] |= match self {
                Self::Name => taken[at] && *c != '/',
                Self::Folders => begun && *c == '/',
                _ => begun,
            };
        }
    }
}

/// Whether a path or a branch's name matches a glob, as in `[[images]] files` and `[sweep] branches`.
pub fn glob_matches(glob: &str, path: &str) -> bool {
    Glob::new(glob).matches(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        for (glob, path, expect) in [
            ("services/*/Dockerfile", "services/web/Dockerfile", true),
            ("services/*/Dockerfile", "services/a/b/Dockerfile", false),
            ("**/Dockerfile", "Dockerfile", true),
            ("**/Dockerfile", "a/b/Dockerfile", true),
            ("a/**", "a/b/c", true),
            ("a.b", "axb", false),
            ("Dockerfile.?", "Dockerfile.a", true),
        ] {
            assert_eq!(Glob::new(glob).matches(path), expect, "{glob} {path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_glob_matches_what_its_regex_matches(
            glob in "([ab/?]|\\*|\\*\\*|\\*\\*/){0,6}",
            paths in prop::collection::vec("[ab/*]{0,8}", 1..8),
        ) {
            let mut regex = String::new();
            let mut rest = glob.as_str();
            while let Some(c) = rest.chars().next() {
                let (written, meant) = match c {
                    '*' if rest.starts_with("**/") => ("**/", "(.*/)?"),
                    '*' if rest.starts_with("**") => ("**", ".*"),
                    '*' => ("*", "[^/]*"),
                    '?' => ("?", "[^/]"),
                    _ => (&rest[..1], &rest[..1]),
                };
                regex.push_str(meant);
                rest = &rest[written.len()..];
            }
            let regex = Regex::new(&format!("^{regex}$")).unwrap();
            for path in paths {
                prop_assert_eq!(Glob::new(&glob).matches(&path), regex.is_match(&path), "{} {}", glob, path);
            }
        }
    }
}
