//! Splitting a logical line: flags, words at blanks, and words that quotes hold together.

use std::ops::Range;

use crate::{
    lines::Logical,
    model::{Flag, Spanned},
};

/// A word read through quotes and escapes, and where each of its bytes comes from in the logical line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    offsets: Vec<usize>,
    /// The whole word in the logical line, quotes included.
    pub(crate) range: Range<usize>,
}

impl Word {
    fn push(&mut self, c: char, at: usize) {
        self.text.push(c);
        self.offsets.extend(at..at + c.len_utf8());
    }

    /// The bytes of the logical line that `range` of the text comes from.
    fn logical(&self, range: Range<usize>) -> Range<usize> {
        match (self.offsets.get(range.start), range.is_empty()) {
            (Some(start), true) => *start..*start,
            (Some(start), false) => *start..self.offsets[range.end - 1] + 1,
            (None, _) => self.range.end..self.range.end,
        }
    }

    /// The bytes of the Dockerfile that `range` of the text comes from.
    pub(crate) fn span(&self, line: &Logical, range: Range<usize>) -> Range<usize> {
        let logical = self.logical(range);
        if logical.start == line.text.len() {
            let end = line.span(self.range.clone()).end;
            return end..end;
        }
        line.span(logical)
    }

    /// The word as `--name[=value]`.
    pub(crate) fn flag(&self, line: &Logical) -> Flag {
        let body = self.text.strip_prefix("--").unwrap_or(&self.text);
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (body, None),
        };
        let start = self.text.len() - value.map_or(0, str::len);
        Flag {
            name: name.to_owned(),
            value: value.map(|value| Spanned {
                value: value.to_owned(),
                span: self.span(line, start..self.text.len()),
            }),
            span: line.span(self.range.clone()),
        }
    }
}

/// What BuildKit's line parsers split at; other blanks of Unicode are part of a word.
pub(crate) fn is_separator(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// `range` without blanks around it.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..(start + part.trim().len())
}

/// The words of `range`, split at blanks whatever the quotes.
pub(crate) fn fields(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut fields = Vec::new();
    let mut at = range.start;
    for part in text[range].split(is_separator) {
        if !part.is_empty() {
            fields.push(at..at + part.len());
        }
        // Every separator is one byte long.
        at += part.len() + 1;
    }
    fields
}

/// The flags at the start of `range`, and where they end. `--` ends them, and is dropped.
pub(crate) fn flags(text: &str, range: Range<usize>, escape: char) -> (Vec<Word>, usize) {
    let mut flags = Vec::new();
    let end = range.end;
    let mut at = range.start;
    loop {
        at += text[at..end].len() - text[at..end].trim_start().len();
        if !text[at..end].starts_with("--") {
            return (flags, at);
        }
        let word = flag_word(text, at..end, escape);
        at = word.range.end;
        if word.text == "--" {
            return (flags, at);
        }
        flags.push(word);
    }
}

/// One word, its quotes removed and its escapes resolved.
fn flag_word(text: &str, range: Range<usize>, escape: char) -> Word {
    let mut word = Word::default();
    let mut quote = None;
    let mut chars = text[range.clone()].char_indices();
    word.range = range.clone();
    while let Some((at, c)) = chars.next() {
        let at = range.start + at;
        if Some(c) == quote {
            quote = None;
        } else if quote.is_none() && c.is_whitespace() {
            word.range.end = at;
            break;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        } else if c == escape {
            if let Some((at, escaped)) = chars.next() {
                word.push(escaped, range.start + at);
            }
        } else {
            word.push(c, at);
        }
    }
    word
}

/// Words that quotes hold together; quotes and escapes stay as written.
pub(crate) fn quoted_words(text: &str, range: Range<usize>, escape: char) -> Vec<Spanned<String>> {
    let mut words: Vec<Spanned<String>> = Vec::new();
    let mut word: Option<Spanned<String>> = None;
    let mut quote = None;
    let mut chars = text[range.clone()].char_indices();
    while let Some((at, c)) = chars.next() {
        let at = range.start + at;
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Spanned {
            value: String::new(),
            span: at..at,
        });
        word.span.end = at + c.len_utf8();
        if Some(c) == quote {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        }
        // Nothing can be escaped between single quotes; a last escape character is dropped.
        if c == escape && quote != Some('\'') {
            if let Some((next, escaped)) = chars.next() {
                word.value.push(c);
                word.value.push(escaped);
                word.span.end = range.start + next + escaped.len_utf8();
            }
        } else {
            word.value.push(c);
        }
    }
    words.extend(word.filter(|word| !word.value.is_empty()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Lines;

    #[test]
    fn flags_end_at_the_first_other_word() {
        for (text, expect, rest) in [
            ("--a --b=c d", &["--a", "--b=c"][..], "d"),
            ("a --b", &[], "a --b"),
            ("--a=\"b c\" d", &["--a=b c"], "d"),
            ("--a='b\"' d", &["--a=b\""], "d"),
            ("--a=b\\ c d", &["--a=b c"], "d"),
            ("--a -- --b c", &["--a"], " --b c"),
            ("--a", &["--a"], ""),
            ("", &[], ""),
            ("-a", &[], "-a"),
        ] {
            let (flags, end) = flags(text, 0..text.len(), '\\');
            let flags: Vec<_> = flags.into_iter().map(|word| word.text).collect();
            assert_eq!(
                (&flags[..], &text[end..]),
                (&expect.map_strings()[..], rest)
            );
        }
    }

    trait Strings {
        fn map_strings(&self) -> Vec<String>;
    }

    impl Strings for &[&str] {
        fn map_strings(&self) -> Vec<String> {
            self.iter().map(|s| (*s).to_owned()).collect()
        }
    }

    #[test]
    fn flag_values_know_their_bytes() {
        let text = "RUN --a=\"x,\\\n y=zé\" b";
        let line = Lines::new(text).logical('\\').unwrap().unwrap();
        let (flags, _) = flags(&line.text, 4..line.text.len(), '\\');
        let flag = flags[0].flag(&line);
        let value = flag.value.unwrap();
        assert_eq!(value.value, "x, y=zé");
        assert_eq!(&text[value.span], "x,\\\n y=zé");
        assert_eq!(&text[flag.span], "--a=\"x,\\\n y=zé\"");
        let at = flags[0].text.find("zé").unwrap();
        assert_eq!(&text[flags[0].span(&line, at..at + 3)], "zé");
    }

    #[test]
    fn quotes_hold_words_together() {
        for (text, expect) in [
            ("a=b c=d", &["a=b", "c=d"][..]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("a='b \\' c'", &["a='b \\'", "c'"]),
            ("a=b\\ c d", &["a=b\\ c", "d"]),
            ("a=\"\\\"b\" c", &["a=\"\\\"b\"", "c"]),
            ("a=b\\", &["a=b"]),
            ("\"\"", &["\"\""]),
            ("", &[]),
            ("\\", &[]),
        ] {
            let words = quoted_words(text, 0..text.len(), '\\');
            let words: Vec<_> = words.into_iter().map(|w| w.value).collect();
            assert_eq!(words, expect, "{text}");
        }
    }
}
