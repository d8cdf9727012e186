//! Parser directives: `# syntax=`, `# escape=` and `# check=` at the very top.

use std::ops::Range;

use crate::{
    SyntaxError,
    lines::{Line, Lines},
    model::Spanned,
};

/// What the top of a file says about the rest.
#[derive(Debug)]
pub(crate) struct Directives {
    pub(crate) syntax: Option<Spanned<String>>,
    pub(crate) syntax_line: Option<Range<usize>>,
    pub(crate) escape: char,
    /// The start of the first line that is no directive.
    pub(crate) end: usize,
    /// The frontend is named in the manner of other languages: the file is no Dockerfile.
    pub(crate) foreign: bool,
}

/// Reads the directives of `text`. The first line that is none closes the block.
pub(crate) fn read(text: &str) -> Result<Directives, SyntaxError> {
    let mut directives = Directives {
        syntax: None,
        syntax_line: None,
        escape: '\\',
        end: 0,
        foreign: false,
    };
    let mut lines = Lines::new(text);
    let mut seen = Vec::new();
    directives.end = lines.offset();
    while let Some(line) = lines.physical()? {
        let Some((name, value)) = directive(line, "#") else {
            break;
        };
        if seen.contains(&name) {
            let message = format!("only one `{name}` directive can be used");
            return Err(SyntaxError::new(text, line.start..line.end, message));
        }
        match name.as_str() {
            "escape" => directives.escape = escape(text, &value)?,
            "syntax" => directives.set_syntax(&value, &line),
            _ => {}
        }
        directives.end = lines.offset();
        seen.push(name);
    }
    if directives.syntax.is_none() {
        directives.detect_elsewhere(text)?;
    }
    Ok(directives)
}

impl Directives {
    /// A frontend's reference is the value's first word; what follows are its arguments.
    fn set_syntax(&mut self, value: &Spanned<String>, line: &Line<'_>) {
        let reference = value.value.split(' ').next().unwrap_or_default();
        self.syntax = Some(Spanned {
            value: reference.to_owned(),
            span: value.span.start..value.span.start + reference.len(),
        });
        self.syntax_line = Some(line.start..line.start + line.raw.len());
    }

    /// BuildKit also looks behind a shebang, for `// syntax=`, and into JSON.
    fn detect_elsewhere(&mut self, text: &str) -> Result<(), SyntaxError> {
        let mut lines = Lines::new(text);
        let mut start = lines.offset();
        if text[start..].starts_with("#!") {
            lines.physical()?;
            start = lines.offset();
        }
        for comment in ["#", "//"] {
            let mut lines = Lines::new(text);
            while lines.offset() < start {
                lines.physical()?;
            }
            while let Some(line) = lines.physical()? {
                let Some((name, value)) = directive(line, comment) else {
                    break;
                };
                if name == "syntax" {
                    self.set_syntax(&value, &line);
                    self.foreign = comment == "//";
                    return Ok(());
                }
            }
        }
        let json = text[start..].trim_start().starts_with('{');
        let parsed = json.then(|| serde_json::from_str::<serde_json::Value>(&text[start..]));
        if let Some(Ok(value)) = parsed
            && let Some(syntax) = value.get("syntax").and_then(|v| v.as_str())
        {
            // Where in the document it is said matters to nobody: JSON is not edited.
            let at = text[start..].find(syntax).map_or(start, |at| start + at);
            let end = (at + syntax.len()).min(text.len());
            self.foreign = true;
            self.syntax = Some(Spanned {
                value: syntax.to_owned(),
                span: at..end,
            });
        }
        Ok(())
    }
}

fn escape(text: &str, value: &Spanned<String>) -> Result<char, SyntaxError> {
    match value.value.as_str() {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        other => {
            let message = format!("`{other}` is no escape character, only `\\` and ` are");
            Err(SyntaxError::new(text, value.span.clone(), message))
        }
    }
}

/// `^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$`, of a name that BuildKit knows; the name in lower case.
fn directive(line: Line<'_>, comment: &str) -> Option<(String, Spanned<String>)> {
    let body = line.content().trim_start().strip_prefix(comment)?;
    let (name, value) = body.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    if !matches!(name.as_str(), "syntax" | "escape" | "check") {
        return None;
    }
    let start = line.end - value.trim_start().len();
    let value = value.trim();
    let value = Spanned {
        value: value.to_owned(),
        span: start..start + value.len(),
    };
    (!value.value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, syntax: Option<&str>, escape: char) {
        let read = read(text).unwrap();
        let found = read.syntax.as_ref().map(|s| s.value.as_str());
        assert_eq!((found, read.escape), (syntax, escape), "{text:?}");
        if let Some(syntax) = &read.syntax {
            assert_eq!(&text[syntax.span.clone()], syntax.value, "{text:?}");
        }
    }

    #[test]
    fn directives_count_only_at_the_very_top() {
        check("# syntax=a/b:1\nFROM x", Some("a/b:1"), '\\');
        check(
            "#syntax = a/b:1 --opt x\n# ESCAPE=`\nFROM x",
            Some("a/b:1"),
            '`',
        );
        check("  # syntax=a\n", Some("a"), '\\');
        check("\u{feff}# escape=`\r\n# syntax=a\r\n", Some("a"), '`');
        check("# check=skip=all\n# escape=`\n# syntax=a", Some("a"), '`');
        check("\n# syntax=a\n", None, '\\');
        check("# hello\n# syntax=a\n", None, '\\');
        check("# other=1\n# syntax=a\n", None, '\\');
        check("FROM x\n# escape=`\n", None, '\\');
        check(
            "#!/usr/bin/env x\n# syntax=a\n# escape=`\n",
            Some("a"),
            '\\',
        );
        check("# syntax=\nFROM x", None, '\\');
        check("", None, '\\');
    }

    #[test]
    fn other_languages_name_their_frontend_in_their_own_way() {
        for (text, expect) in [
            ("// syntax=a/b\nconst x = 1", Some("a/b")),
            ("#!/usr/bin/x\n// syntax=a/b\n", Some("a/b")),
            ("{\"x\": 1, \"syntax\": \"a/b\"}", Some("a/b")),
            ("{\"x\": 1}", None),
            ("x\n// syntax=a/b\n", None),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.foreign, expect.is_some(), "{text}");
            assert_eq!(read.syntax.map(|s| s.value).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn wrong_directives_are_refused_where_they_stand() {
        for (text, line, message) in [
            (
                "# escape=x\n",
                1,
                "`x` is no escape character, only `\\` and ` are",
            ),
            (
                "# escape=`\n# Escape=\\\n",
                2,
                "only one `escape` directive can be used",
            ),
            (
                "# syntax=a\n# syntax=b\n",
                2,
                "only one `syntax` directive can be used",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (line, message));
        }
    }
}
