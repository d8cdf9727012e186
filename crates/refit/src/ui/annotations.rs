//! Errors and warnings at lines of files, as CI shows them beside the code.

use std::fmt::Write as _;

/// Whose commands are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Annotations {
    /// GitHub Actions: `::error file=…::…`.
    Github,
    /// Azure Pipelines: `##vso[task.logissue …]…`.
    Azure,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It failed.
    Error,
    /// It wants attention.
    Warning,
}

/// A place in a file of the repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    pub(crate) file: &'p str,
    /// 1-based line and column.
    pub(crate) position: Option<(usize, usize)>,
}

impl Annotations {
    /// The command for one remark.
    pub(crate) fn command(self, severity: Severity, place: Place<'_>, message: &str) -> String {
        let word = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        match self {
            Self::Github => {
                let mut properties = format!("file={}", property(place.file, &[':', ',']));
                if let Some((line, column)) = place.position {
                    let _ = write!(properties, ",line={line},col={column}");
                }
                format!("::{word} {properties}::{}", property(message, &[]))
            }
            Self::Azure => {
                let mut properties = format!("type={word};sourcepath={}", azure(place.file));
                if let Some((line, column)) = place.position {
                    let _ = write!(properties, ";linenumber={line};columnnumber={column}");
                }
                format!("##vso[task.logissue {properties};]{}", azure(message))
            }
        }
    }
}

/// What may stand in a command of GitHub's: no line break, and in a property none of its marks.
fn property(text: &str, marks: &[char]) -> String {
    escaped(text, |c| {
        matches!(c, '%' | '\r' | '\n') || marks.contains(&c)
    })
}

fn azure(text: &str) -> String {
    let percent = text.replace('%', "%AZP25");
    escaped(&percent, |c| matches!(c, '\r' | '\n' | ';' | ']'))
}

fn escaped(text: &str, is_mark: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if is_mark(c) {
            let _ = write!(escaped, "%{:02X}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_its_place_and_no_other_command_in_it() {
        let place = Place {
            file: "a,b:c/Dockerfile",
            position: Some((3, 6)),
        };
        let message = "100% wrong\n::set-env name=x::y; ]";
        assert_eq!(
            Annotations::Github.command(Severity::Error, place, message),
            "::error file=a%2Cb%3Ac/Dockerfile,line=3,col=6::100%25 wrong%0A::set-env name=x::y; ]"
        );
        assert_eq!(
            Annotations::Azure.command(Severity::Warning, place, message),
            "##vso[task.logissue type=warning;sourcepath=a,b:c/Dockerfile;linenumber=3;columnnumber=6;]\
             100%AZP25 wrong%0A::set-env name=x::y%3B %5D"
        );
    }
}
