//! Wildcards in the sources of COPY and ADD: Go's `filepath.Match`.

/// Whether a text has a character that makes it a pattern (`\` escapes the next one).
pub(crate) fn is_pattern(text: &str) -> bool {
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

/// Whether `pattern` matches the whole of `name`. `*` and `?` stop at slashes. A malformed pattern matches nothing,
/// as in BuildKit, which drops Go's `ErrBadPattern`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    // Where the last `*` was, and how far it reached: it is the only element that may have to be tried again.
    let mut retry: Option<(&str, &str)> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        let step = step(pattern, name);
        match step {
            Step::End => return true,
            Step::Malformed => return false,
            Step::Star(rest) => {
                retry = Some((rest, name));
                pattern = rest;
                continue;
            }
            Step::One(pattern_rest, name_rest) => {
                (pattern, name) = (pattern_rest, name_rest);
                continue;
            }
            Step::Mismatch => {}
        }
        let Some((after_star, reached)) = retry else {
            return false;
        };
        let mut chars = reached.chars();
        if chars.next().is_none_or(|c| c == '/') {
            return false;
        }
        retry = Some((after_star, chars.as_str()));
        (pattern, name) = (after_star, chars.as_str());
    }
}

/// What the next element of a pattern makes of the next character of a name; both rests where they go on.
enum Step<'p, 'n> {
    Star(&'p str),
    One(&'p str, &'n str),
    End,
    Mismatch,
    Malformed,
}

fn step<'p, 'n>(pattern: &'p str, name: &'n str) -> Step<'p, 'n> {
    let (mut pattern_rest, mut name_rest) = (pattern.chars(), name.chars());
    let next = name_rest.next();
    let wanted = match pattern_rest.next() {
        None if next.is_none() => return Step::End,
        Some('*') => return Step::Star(pattern_rest.as_str()),
        Some('[') => return class(pattern_rest.as_str(), name),
        Some('?') if next.is_some_and(|c| c != '/') => next,
        None | Some('?') => return Step::Mismatch,
        Some('\\') => match pattern_rest.next() {
            None => return Step::Malformed,
            escaped => escaped,
        },
        literal => literal,
    };
    if wanted == next {
        Step::One(pattern_rest.as_str(), name_rest.as_str())
    } else {
        Step::Mismatch
    }
}

/// `[a-z]`, `[^a-z]`; `pattern` begins behind the bracket.
fn class<'p, 'n>(pattern: &'p str, name: &'n str) -> Step<'p, 'n> {
    let (negated, mut rest) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut name_rest = name.chars();
    let next = name_rest.next();
    let mut hit = false;
    let mut n_ranges = 0;
    loop {
        if n_ranges > 0
            && let Some(after) = rest.strip_prefix(']')
        {
            return match next {
                Some(_) if hit != negated => Step::One(after, name_rest.as_str()),
                _ => Step::Mismatch,
            };
        }
        let Some((low, after)) = class_char(rest) else {
            return Step::Malformed;
        };
        let (high, after) = match after.strip_prefix('-').map(class_char) {
            Some(None) => return Step::Malformed,
            Some(Some(end)) => end,
            None => (low, after),
        };
        hit |= next.is_some_and(|c| (low..=high).contains(&c));
        rest = after;
        n_ranges += 1;
    }
}

fn class_char(pattern: &str) -> Option<(char, &str)> {
    let mut chars = pattern.chars();
    match chars.next()? {
        '-' | ']' => None,
        '\\' => Some((chars.next()?, chars.as_str())),
        c => Some((c, chars.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of Go's own `path/filepath/match_test.go`.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expect) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "x", true),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[x-]", "x", false),
            ("[a-b-c]", "a", false),
            ("[", "a", false),
            ("[^", "a", false),
            ("[^bc", "a", false),
            ("a[", "a", false),
            ("a[", "ab", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let name = "a".repeat(5_000);
        let pattern = format!("{}b", "a*".repeat(200));
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn an_escaped_star_is_no_pattern() {
        assert!(is_pattern("a*"));
        assert!(!is_pattern("a\\*"));
        assert!(!is_pattern("a/b"));
    }
}
