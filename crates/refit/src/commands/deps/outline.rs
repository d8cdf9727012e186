//! Answers as an outline: what is said of something hangs below it.

use std::fmt::Write as _;

use anstyle::Style;

use crate::ui::DIM;

/// A line, and what hangs below it.
pub(super) struct Outline {
    name: String,
    style: Style,
    details: Vec<String>,
    below: Vec<Outline>,
}

impl Outline {
    /// A line without more.
    pub(super) fn new(name: impl Into<String>, style: Style) -> Self {
        Self {
            name: name.into(),
            style,
            details: Vec::new(),
            below: Vec::new(),
        }
    }

    /// The same with what stands beside the name.
    pub(super) fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details
            .extend(details.into_iter().filter(|d| !d.is_empty()));
        self
    }

    /// The same with what hangs below.
    pub(super) fn over(mut self, below: impl IntoIterator<Item = Outline>) -> Self {
        self.below.extend(below);
        self
    }

    /// The lines. Details that would pass `width` go on below the name.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        self.write(&mut text, ("", ""), width.unwrap_or(usize::MAX));
        text
    }

    fn write(&self, text: &mut String, (knot, indent): (&str, &str), width: usize) {
        let mut used = knot.chars().count() + self.name.chars().count();
        let style = self.style;
        write!(text, "{DIM}{knot}{DIM:#}{style}{}{style:#}", self.name)
            .expect("writing to a string");
        let guide = if self.below.is_empty() { "  " } else { "│ " };
        for detail in &self.details {
            let n = detail.chars().count();
            if used + 2 + n > width {
                write!(text, "\n{DIM}{indent}{guide}  {detail}{DIM:#}")
                    .expect("writing to a string");
                used = indent.chars().count() + 4 + n;
            } else {
                write!(text, "  {DIM}{detail}{DIM:#}").expect("writing to a string");
                used += 2 + n;
            }
        }
        text.push('\n');
        for (i, below) in self.below.iter().enumerate() {
            let (knot, under) = if i + 1 == self.below.len() {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            let (knot, under) = (format!("{indent}{knot}"), format!("{indent}{under}"));
            below.write(text, (&knot, &under), width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_go_on_below_the_name_where_the_terminal_ends() {
        let leaf = |name: &str| Outline::new(name, Style::new());
        let outline = leaf("web is stale").over([
            leaf("base")
                .with(["is rebuilt".to_owned()])
                .over([leaf("debian").with([
                    "1f3c → 9ab0".to_owned(),
                    String::new(),
                    "FROM at base/Dockerfile:1".to_owned(),
                ])]),
            leaf("forced"),
        ]);
        let plain = |width| anstream::adapter::strip_str(&outline.render(width)).to_string();
        assert_eq!(
            plain(None),
            "web is stale\n├── base  is rebuilt\n│   └── debian  1f3c → 9ab0  FROM at base/Dockerfile:1\n└── forced\n"
        );
        assert_eq!(
            plain(Some(36)),
            "web is stale\n├── base  is rebuilt\n│   └── debian  1f3c → 9ab0\n│           FROM at base/Dockerfile:1\n└── forced\n"
        );
    }
}
