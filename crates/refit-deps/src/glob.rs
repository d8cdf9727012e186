//! Globs over repository paths: `*` and `?` stop at `/`, `**` does not.

use regex::Regex;

/// A compiled glob.
pub(crate) struct Glob(Option<Regex>);

impl Glob {
    /// Every text is a glob; what is not special is literal.
    pub(crate) fn new(glob: &str) -> Self {
        let mut regex = String::from("^");
        let mut rest = glob.strip_prefix("./").unwrap_or(glob);
        while let Some(c) = rest.chars().next() {
            let (taken, translated) = match c {
                '*' if rest.starts_with("**/") => (3, "(.*/)?".to_owned()),
                '*' if rest.starts_with("**") => (2, ".*".to_owned()),
                '*' => (1, "[^/]*".to_owned()),
                '?' => (1, "[^/]".to_owned()),
                other => (other.len_utf8(), regex::escape(&other.to_string())),
            };
            regex.push_str(&translated);
            rest = &rest[taken..];
        }
        regex.push('$');
        Self(Regex::new(&regex).ok())
    }

    /// Whether the whole path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(path))
    }
}

/// Whether a path or a branch's name matches a glob, as in `[[images]] files` and `[sweep] branches`.
pub fn glob_matches(glob: &str, path: &str) -> bool {
    Glob::new(glob).matches(path)
}

#[cfg(test)]
mod tests {
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
}
