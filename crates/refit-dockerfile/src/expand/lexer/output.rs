//! What the lexer has read so far.

/// The result so far, as one text and as words.
#[derive(Default)]
pub(super) struct Output {
    pub(super) text: String,
    words: Vec<String>,
    word: String,
}

impl Output {
    /// Blanks end a word.
    pub(super) fn push(&mut self, c: char) {
        self.text.push(c);
        self.split(c);
    }

    /// Part of a word whatever it is.
    pub(super) fn push_raw(&mut self, c: char) {
        self.text.push(c);
        self.word.push(c);
    }

    /// The value of a variable: its blanks end words too.
    pub(super) fn push_value(&mut self, value: &str) {
        self.text.push_str(value);
        value.chars().for_each(|c| self.split(c));
    }

    pub(super) fn push_quoted(&mut self, value: &str) {
        self.text.push_str(value);
        self.word.push_str(value);
    }

    fn split(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    pub(super) fn finish(mut self) -> (String, Vec<String>) {
        if !self.word.is_empty() {
            self.words.push(self.word);
        }
        (self.text, self.words)
    }
}
