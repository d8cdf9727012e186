//! `RUN --mount=…`: a CSV record of `key=value` fields.

mod rules;

use std::ops::Range;

use crate::{SyntaxError, lines::Logical, model::Spanned, words::Word};

/// One `--mount` flag, its values unexpanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The fields, in order; of one key the last counts.
    pub fields: Vec<MountField>,
    /// The whole flag.
    pub span: Range<usize>,
}

/// One field of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountField {
    /// The key, in lower case.
    pub key: String,
    /// What follows the `=`, if there is one.
    pub value: Option<Spanned<String>>,
    /// The whole field.
    pub span: Range<usize>,
}

impl Mount {
    /// The value of the last field with one of `keys`.
    fn last(&self, keys: &[&str]) -> Option<&Spanned<String>> {
        let field = |field: &&MountField| keys.contains(&field.key.as_str());
        let mut fields = self.fields.iter().rev().filter(field);
        fields.find_map(|field| field.value.as_ref())
    }

    /// The stage or image that `from=` names; an empty one counts as none.
    pub fn from(&self) -> Option<&Spanned<String>> {
        self.last(&["from"]).filter(|from| !from.value.is_empty())
    }

    /// `type=`, unexpanded; none means `bind`.
    pub fn kind(&self) -> Option<&Spanned<String>> {
        self.last(&["type"])
    }

    /// `source=` or `src=`, unexpanded; none means the root.
    pub fn source(&self) -> Option<&Spanned<String>> {
        self.last(&["source", "src"])
    }

    /// Reads a flag's value, which starts at `start` of `word`.
    pub(crate) fn parse(
        text: &str,
        line: &Logical,
        word: &Word,
        start: usize,
    ) -> Result<Self, SyntaxError> {
        let span = line.span(word.range.clone());
        let record = fields(&word.text, start)
            .map_err(|message| SyntaxError::new(text, span.clone(), message))?;
        let mut fields = Vec::new();
        for (field, offsets) in record {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value)),
                None => (field.to_lowercase(), None),
            };
            // The bytes from `at` to the end, whatever quotes are in between.
            let span = |at: usize| {
                let end = offsets.last().map_or(start, |last| last + 1);
                let first = offsets.get(at).copied().unwrap_or(end);
                word.span(line, first..end)
            };
            let value = value.map(|value| Spanned {
                value: value.to_owned(),
                span: span(field.len() - value.len()),
            });
            let span = span(0);
            fields.push(MountField { key, value, span });
        }
        let mount = Self { fields, span };
        mount.check_from(text)?;
        Ok(mount)
    }

    /// BuildKit looks at nothing else of a stage that is not reached.
    fn check_from(&self, text: &str) -> Result<(), SyntaxError> {
        let froms = self.fields.iter().filter(|field| field.key == "from");
        for from in froms.filter_map(|field| field.value.as_ref()) {
            let variable = from.value.find('$');
            if variable.is_some_and(|at| at + 1 != from.value.len()) {
                let message = "a mount's `from` does not expand variables";
                let error = SyntaxError::new(text, from.span.clone(), message);
                return Err(error.hint(ALIAS));
            }
        }
        Ok(())
    }
}

/// What helps where BuildKit expands nothing.
pub(crate) const ALIAS: &str = "give the image a stage, `FROM image:$TAG AS name` with a global `ARG`, and write its name here";

/// The fields of a CSV record that starts at `start`, each with the offsets of its bytes.
fn fields(record: &str, start: usize) -> Result<Vec<(String, Vec<usize>)>, &'static str> {
    let mut fields = Vec::new();
    let mut at = start;
    if record.len() == start {
        return Ok(fields);
    }
    loop {
        let mut field = (String::new(), Vec::new());
        let mut push = |range: Range<usize>| {
            field.0.push_str(&record[range.clone()]);
            field.1.extend(range);
        };
        if record[at..].starts_with('"') {
            at += 1;
            loop {
                let Some(quote) = record[at..].find('"') else {
                    return Err("a quoted mount field does not end");
                };
                push(at..at + quote);
                at += quote + 1;
                if !record[at..].starts_with('"') {
                    break;
                }
                push(at..at + 1);
                at += 1;
            }
        } else {
            let end = record[at..].find(',').map_or(record.len(), |end| at + end);
            if record[at..end].contains('"') {
                return Err("a mount field that is not quoted as a whole has a quote");
            }
            push(at..end);
            at = end;
        }
        fields.push(field);
        match record[at..].strip_prefix(',') {
            Some(_) => at += 1,
            None if at == record.len() => return Ok(fields),
            None => return Err("a mount field goes on behind its closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lines::Lines, words};

    fn mount(flag: &str) -> Result<Mount, SyntaxError> {
        let text = format!("RUN {flag} true");
        let line = Lines::new(&text).logical('\\').unwrap().unwrap();
        let (flags, _) = words::flags(&line.text, 4..line.text.len(), '\\');
        let start = "--mount=".len();
        Mount::parse(&text, &line, &flags[0], start)
    }

    #[test]
    fn fields_come_in_any_order_and_quoting() {
        for (flag, from, kind, source) in [
            (
                "--mount=type=bind,from=a,src=b",
                Some("a"),
                Some("bind"),
                Some("b"),
            ),
            (
                "--mount=target=/x,FROM=a:1,source=b",
                Some("a:1"),
                None,
                Some("b"),
            ),
            (
                "--mount='\"from=a,b\",type=cache'",
                Some("a,b"),
                Some("cache"),
                None,
            ),
            ("--mount=from=a,from=b", Some("b"), None, None),
            ("--mount=from=,ro,type=bind", None, Some("bind"), None),
            ("--mount=type=$T,src=$S", None, Some("$T"), Some("$S")),
            ("--mount=", None, None, None),
            ("--mount='\"src=a\"\"b\"'", None, None, Some("a\"b")),
        ] {
            let mount = mount(flag).unwrap();
            let value = |v: Option<&Spanned<String>>| v.map(|v| v.value.clone());
            assert_eq!(value(mount.from()).as_deref(), from, "{flag}");
            assert_eq!(value(mount.kind()).as_deref(), kind, "{flag}");
            assert_eq!(value(mount.source()).as_deref(), source, "{flag}");
        }
    }

    #[test]
    fn the_span_of_from_is_its_value() {
        let flag = "--mount=type=bind,from=alpine:3,target=/x";
        let text = format!("RUN {flag} true");
        let from = mount(flag).unwrap().from().unwrap().clone();
        assert_eq!(&text[from.span], "alpine:3");
    }

    #[test]
    fn wrong_mounts_are_refused() {
        for (flag, expect) in [
            (
                "--mount=from=$X",
                "a mount's `from` does not expand variables",
            ),
            ("--mount='\"from=a'", "a quoted mount field does not end"),
            ("--mount='\"from=a\"b'", "goes on behind its closing quote"),
            ("--mount='from=\"a'", "has a quote"),
        ] {
            let error = mount(flag).unwrap_err();
            assert!(error.message.contains(expect), "{flag}: {error}");
        }
    }
}
