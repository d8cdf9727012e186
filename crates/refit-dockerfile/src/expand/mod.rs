//! Word expansion: quotes, escapes and `${…}` with every operator of BuildKit's shell lexer.
//!
//! ```
//! use refit_dockerfile::expand::word;
//!
//! let lookup = |name: &str| (name == "V").then(|| "12-slim".to_owned());
//! assert_eq!(word("debian:${V%-*}", '\\', &lookup)?, "debian:12");
//! assert_eq!(word("'debian:$V'", '\\', &lookup)?, "debian:$V");
//! # Ok::<(), refit_dockerfile::expand::ExpandError>(())
//! ```

mod lexer;
mod pattern;

pub(crate) use lexer::Lexer;

/// How many bytes an expanded word may have: what doubles itself line by line must not fill the memory.
const MAX_BYTES: usize = 1 << 20;

/// How many bytes of variables the words of one file may take in, all together.
pub(crate) const MAX_TOTAL: usize = 64 << 20;

/// How deep `${a:-${b:-…}}` may nest.
const MAX_DEPTH: usize = 64;

/// Why a word cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A quote without its partner.
    #[error("`{word}` has an unmatched {quote} quote")]
    Quote {
        /// The whole word.
        word: String,
        /// `single` or `double`.
        quote: &'static str,
    },
    /// A substitution that does not end.
    #[error("`{word}` has a substitution without `{missing}`")]
    Unterminated {
        /// The whole word.
        word: String,
        /// What is missing.
        missing: char,
    },
    /// `${}`, `${{`, `${:…`.
    #[error("`{0}` has a bad substitution")]
    BadSubstitution(String),
    /// An operator that BuildKit does not have, such as `:=`.
    #[error("`{word}` has an unsupported modifier `{modifier}` in a substitution")]
    Modifier {
        /// The whole word.
        word: String,
        /// The operator.
        modifier: String,
    },
    /// A pattern with an escape that means nothing.
    #[error("`{word}` has an invalid pattern `{pattern}` in a substitution")]
    Pattern {
        /// The whole word.
        word: String,
        /// The pattern.
        pattern: String,
    },
    /// `${name?message}` and `${name:?message}`.
    #[error("`{name}`: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The word's own message, or a default.
        message: String,
    },
    /// More than refit is ready to handle; BuildKit has no limit.
    #[error("a word expands to more than 1 MiB")]
    TooLong,
    /// More than refit is ready to handle; BuildKit has no limit.
    #[error("the file's variables expand to more than 64 MiB")]
    TooMuch,
    /// More than refit is ready to handle; BuildKit has no limit.
    #[error("`{0}` nests substitutions too deeply")]
    TooDeep(String),
}

/// Expands one word: what `ENV`, `COPY`, `FROM` and the like do with each of theirs.
///
/// `escape` is the file's escape character; `lookup` gives the value of a variable that is set.
pub fn word(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    // Most words are plain: nothing in them stands for anything else.
    if !word.contains(['$', '\'', '"', escape]) {
        return if word.len() > MAX_BYTES {
            Err(ExpandError::TooLong)
        } else {
            Ok(word.to_owned())
        };
    }
    let (text, _) = Lexer::new(escape, lookup).process(word)?;
    Ok(text)
}

/// Expands a text and splits it at unquoted blanks, those that came out of variables included.
pub fn words(
    text: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, ExpandError> {
    let (_, words) = Lexer::new(escape, lookup).process(text)?;
    Ok(words)
}

/// Expands the content of a here-document of COPY and ADD: quotes stay as they are, and `\` escapes whatever the file's
/// escape character is.
pub fn heredoc(
    content: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let mut lexer = Lexer::new('\\', lookup);
    lexer.keep_quotes_unread();
    let (text, _) = lexer.process(content)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "PWD" => "/home",
            "SHELL" => "bash",
            "EMPTY" => "",
            "SPACE" => "abc  def",
            "LEADING" => "  ab c",
            "TRAILING" => "ab c   ",
            "FILE" => "a/b/c.tar.gz",
            "STARS" => "a*b?c",
            "BRACES" => "()[]{}^$.*?|\\x",
            "ÉTÉ" => "summer",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let result = word(text, '\\', &lookup);
        assert_eq!(
            result.as_deref().ok(),
            expect,
            "{text}: {:?}",
            result.as_ref().err()
        );
    }

    #[test]
    fn quotes_and_escapes() {
        for (text, expect) in [
            ("hello", Some("hello")),
            ("he'll'o", Some("hello")),
            ("he'llo", None),
            (r"he\'llo", Some("he'llo")),
            (r"he\\'llo", None),
            (r"abc\tdef", Some("abctdef")),
            (r#""abc\tdef""#, Some(r"abc\tdef")),
            (r#""abc\\tdef""#, Some(r"abc\tdef")),
            (r"'abc\tdef'", Some(r"abc\tdef")),
            (r"hello\", Some("hello")),
            (r"hello\\", Some(r"hello\")),
            (r#""hello"#, None),
            (r#""hello\""#, None),
            (r#""hel'lo""#, Some("hel'lo")),
            (r"'hello\'", Some(r"hello\")),
            (r#""''""#, Some("''")),
            (r#"'"hello"'"#, Some(r#""hello""#)),
            (r#""he\$PWD""#, Some("he$PWD")),
            (r#""he\\$PWD""#, Some(r"he\/home")),
            (r#""he'$PWD'""#, Some("he'/home'")),
            (r"'\$PWD'", Some(r"\$PWD")),
            ("안'녕'하세요", Some("안녕하세요")),
            ("", Some("")),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn names() {
        for (text, expect) in [
            ("$", Some("$")),
            ("$.", Some("$.")),
            ("he$1x", Some("hex")),
            ("$999aaa", Some("aaa")),
            ("$@@@", Some("@@")),
            ("$$PWD", Some("PWD")),
            ("he$pwd.", Some("he.")),
            ("he$PWD", Some("he/home")),
            (r"he\$PWD", Some("he$PWD")),
            (r"\${}", Some("${}")),
            ("$ÉTÉ!", Some("summer!")),
            ("${}", None),
            ("${.}", None),
            ("${{PWD}", None),
            ("${PWD}}", Some("/home}")),
            ("${PWD", None),
            ("${", None),
            ("${:}", None),
            ("${#}", Some("")),
            ("${@:-x}", Some("x")),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn defaults_alternatives_and_demands() {
        for (text, expect) in [
            ("${XXX:-000}x", Some("000x")),
            ("${EMPTY:-000}", Some("000")),
            ("${EMPTY-000}", Some("")),
            ("${XXX-000}", Some("000")),
            ("${XXX:-$PWD}", Some("/home")),
            ("${XXX:-${YYY:-yyy}}", Some("yyy")),
            ("${XXX:-\\$PWD:}x", Some("$PWD:x")),
            ("${XXX:-'a}b'}", Some("a}b")),
            ("${XXX:-bbb {foo}", Some("bbb {foo")),
            ("${XXX:-bbb ${foo}", None),
            ("${PWD:+000}", Some("000")),
            ("${EMPTY:+000}", Some("")),
            ("${EMPTY+000}", Some("000")),
            ("${XXX+000}", Some("")),
            ("${PWD:+${PWD}:}x", Some("/home:x")),
            ("${PWD?}", Some("/home")),
            ("${EMPTY?}", Some("")),
            ("${EMPTY:?}", None),
            ("${XXX?why}", None),
            ("${PWD:=000}", None),
            ("${XXX=000}", None),
            ("${XXX:YYY}", None),
            ("${PWD:#a}", None),
        ] {
            check(text, expect);
        }
        let error = word("${XXX:?tell me $PWD}", '\\', &lookup).unwrap_err();
        assert_eq!(error.to_string(), "`XXX`: tell me /home");
        let error = word("${EMPTY:?}", '\\', &lookup).unwrap_err();
        assert_eq!(error.to_string(), "`EMPTY`: is not allowed to be empty");
    }

    #[test]
    fn patterns() {
        for (text, expect) in [
            ("${FILE#*/}", Some("b/c.tar.gz")),
            ("${FILE##*/}", Some("c.tar.gz")),
            ("${FILE%.*}", Some("a/b/c.tar")),
            ("${FILE%%.*}", Some("a/b/c")),
            ("${FILE#?}", Some("/b/c.tar.gz")),
            ("${FILE#b}", Some("a/b/c.tar.gz")),
            ("${FILE%}", Some("a/b/c.tar.gz")),
            (r"${FILE/\//-}", Some("a-b/c.tar.gz")),
            (r"${FILE//\//-}", Some("a-b-c.tar.gz")),
            ("${FILE//[bc]/x}", Some("a/b/c.tar.gz")),
            ("${FILE/b*/x}", Some("a/x")),
            ("${FILE/zz/x}", Some("a/b/c.tar.gz")),
            ("${FILE/b", None),
            ("${FILE/b/x", None),
            (r"${STARS#a\*}", Some("b?c")),
            (r"${STARS%\?c}", Some("a*b")),
            (r"${STARS#\q}", None),
            (r"${BRACES#()[]{\}^$.\*\?|\\}", Some("x")),
            ("${XXX#a}", Some("")),
            ("${PWD/ho/${SHELL}}", Some("/bashme")),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn words_split_after_expansion_and_quotes_hold_together() {
        for (text, expect) in [
            ("hello${hi}bye", Some(&["hellobye"][..])),
            ("hello${SPACE}bye", Some(&["helloabc", "defbye"])),
            (r#"hello"${SPACE}"bye"#, Some(&["helloabc  defbye"])),
            (r#"hello "${SPACE}"bye"#, Some(&["hello", "abc  defbye"])),
            ("hello${LEADING}def", Some(&["hello", "ab", "cdef"])),
            ("hello${TRAILING}d", Some(&["helloab", "c", "d"])),
            (r#"hello" there  ""#, Some(&["hello there  "])),
            ("hello     there", Some(&["hello", "there"])),
            (r"hello\ there", Some(&["hello there"])),
            (r#"hello" there"#, None),
            ("a${XXX:-b}c", Some(&["abc"])),
            ("", Some(&[])),
        ] {
            let result = words(text, '\\', &lookup).ok();
            let expect =
                expect.map(|words| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
            assert_eq!(result, expect, "{text}");
        }
    }

    #[test]
    fn the_backtick_escapes_where_the_file_says_so() {
        assert_eq!(word(r"C:\`$PWD", '`', &lookup).unwrap(), r"C:\$PWD");
        assert_eq!(word("`'x", '`', &lookup).unwrap(), "'x");
    }

    #[test]
    fn here_documents_keep_their_quotes() {
        let content = "\"$PWD\" 'it' \\$PWD ${XXX:-y}\n";
        assert_eq!(
            heredoc(content, &lookup).unwrap(),
            "\"/home\" 'it' $PWD y\n"
        );
    }

    #[test]
    fn neither_depth_nor_length_is_without_limit() {
        let deep = "${a:-".repeat(100_000);
        assert!(matches!(
            word(&deep, '\\', &lookup),
            Err(ExpandError::TooDeep(_))
        ));
        let long = |_: &str| Some("x".repeat(1 << 19));
        assert_eq!(word("$a$a$a", '\\', &long), Err(ExpandError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"([$'"\\{}:+?#%/* a-c<-]|\PC){0,40}"#) {
            for escape in ['\\', '`'] {
                let _ = word(&text, escape, &lookup);
                let _ = words(&text, escape, &lookup);
                let _ = heredoc(&text, &lookup);
            }
        }

        #[test]
        fn plain_text_expands_to_itself(text in "[a-zA-Z0-9./:@_-]{0,40}") {
            prop_assert_eq!(word(&text, '\\', &lookup).unwrap(), text);
        }
    }
}
