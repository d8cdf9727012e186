//! Edits of a Dockerfile's text by the bytes they replace.

use std::ops::Range;

use crate::{
    model::{Dockerfile, Stage},
    mount::Mount,
    resolve::{Source, StageView},
};

/// Replacements of spans of one text, in any order.
pub(super) struct Edits<'a> {
    text: &'a str,
    escape: char,
    list: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    /// None yet.
    pub(super) fn of(file: &'a Dockerfile) -> Self {
        Self {
            text: &file.text,
            escape: file.escape,
            list: Vec::new(),
        }
    }

    fn newlines(&self, range: &Range<usize>) -> String {
        "\n".repeat(self.text[range.clone()].matches('\n').count())
    }

    /// An empty line behind the directives makes up for the one that is gone; before them it would close the block.
    pub(super) fn drop_syntax(&mut self, file: &Dockerfile) {
        if let Some(line) = &file.syntax_line {
            let after = file.directives_end.max(line.end);
            let newline = self.newlines(line);
            if after == line.end {
                self.list.push((line.clone(), newline));
            } else {
                self.list.push((line.clone(), String::new()));
                self.list.push((after..after, newline));
            }
        }
    }

    pub(super) fn remove_stage(&mut self, stage: &Stage, keep_number: bool) {
        let stub = if keep_number { "FROM scratch" } else { "" };
        let text = stub.to_owned() + &self.newlines(&stage.span);
        self.list.push((stage.span.clone(), text));
    }

    pub(super) fn replace_stage(&mut self, stage: &Stage, view: &StageView) {
        if matches!(view.from, Source::Files(_) | Source::Scratch) {
            let image = stage.from.image.span.clone();
            self.list.push((image, "scratch".to_owned()));
        }
        let body = stage.from.span.end..stage.span.end;
        let newlines = self.newlines(&body);
        self.list.push((body, newlines));
    }

    /// Replaces the reference at `span`. Where its flag has quotes or continuations in it, the flag is written anew.
    pub(super) fn replace_reference(
        &mut self,
        stage: &Stage,
        span: &Range<usize>,
        written: &str,
        new: &str,
    ) {
        // Instructions and their flags are in the order of the text.
        let instruction = last_before(&stage.instructions, span.start, |i| i.span.start);
        let flag = instruction.and_then(|instruction| {
            let flag = last_before(&instruction.flags, span.start, |flag| flag.span.start)?;
            (span.end <= flag.span.end).then_some((instruction, flag))
        });
        let Some((instruction, flag)) = flag else {
            self.list.push((span.clone(), new.to_owned()));
            return;
        };
        if flag.is_plain(self.text) && self.text.get(span.clone()) == Some(written) {
            self.list.push((span.clone(), new.to_owned()));
            return;
        }
        let mount = last_before(&instruction.mounts, span.start, |mount| mount.span.start)
            .filter(|mount| mount.span == flag.span);
        let value = match mount {
            Some(mount) => mount_record(mount, new),
            None => new.to_owned(),
        };
        let word = format!("--{}={}", flag.name, quoted(&value, self.escape));
        self.list.push((flag.span.clone(), word));
    }

    pub(super) fn apply(mut self) -> String {
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = String::new();
        let mut at = 0;
        for (range, text) in &self.list {
            // Edits within what an earlier one took away are void.
            if range.start < at {
                continue;
            }
            out.push_str(&self.text[at..range.start]);
            out.push_str(text);
            at = range.end;
        }
        out.push_str(&self.text[at..]);
        out
    }
}

/// The last of `list`, which is in the order of the text, that starts at `offset` or before it.
fn last_before<T>(list: &[T], offset: usize, start: impl Fn(&T) -> usize) -> Option<&T> {
    let after = list.partition_point(|item| start(item) <= offset);
    list.get(after.checked_sub(1)?)
}

/// The mount as a CSV record, with another `from`.
fn mount_record(mount: &Mount, from: &str) -> String {
    let last = mount.fields.iter().rposition(|field| field.key == "from");
    let fields = mount.fields.iter().enumerate().map(|(i, field)| {
        let value = field.value.as_ref().map(|value| value.value.as_str());
        let text = match (value, Some(i) == last) {
            (_, true) => format!("from={from}"),
            (Some(value), false) => format!("{}={value}", field.key),
            (None, false) => field.key.clone(),
        };
        if text.contains(['"', ',']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    });
    fields.collect::<Vec<_>>().join(",")
}

/// A flag's value that its reader takes for this text.
fn quoted(value: &str, escape: char) -> String {
    let plain = |c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape;
    if value.chars().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from('"');
    for c in value.chars() {
        if c == '"' || c == escape {
            out.push(escape);
        }
        out.push(c);
    }
    out.push('"');
    out
}
