//! A forest as lines of text.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};

use super::{Branch, Forest, Root};
use crate::ui::{DIM, WARNING};

const ROOT: Style = AnsiColor::Cyan.on_default();
const FOCUS: Style = Style::new().bold();

impl<'a> Forest<'a> {
    /// The text, no line wider than `width`.
    pub(in crate::commands::deps) fn render(&self, width: Option<usize>) -> String {
        let mut lines = Vec::new();
        let mut drawn = BTreeSet::new();
        for (root, branches) in &self.roots {
            match root {
                Root::External(reference) => lines.push(Line::new("", reference, ROOT)),
                Root::Scratch => lines.push(Line::new("", "scratch", ROOT)),
                Root::Unreadable => lines.push(Line::new("", "unreadable", ROOT)),
                Root::Cycle(_) => lines.push(Line::new("", "a cycle", ROOT)),
            }
            self.branches(branches, "", &mut drawn, &mut lines);
        }
        let text = lines.iter().map(|line| line.fit(width) + "\n");
        text.collect()
    }

    fn branches(
        &self,
        branches: &[Branch<'a>],
        indent: &str,
        drawn: &mut BTreeSet<&'a str>,
        lines: &mut Vec<Line>,
    ) {
        for (i, branch) in branches.iter().enumerate() {
            let is_last = i + 1 == branches.len();
            let (knot, under) = if is_last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            let style = if self.focus == Some(branch.image) {
                FOCUS
            } else {
                Style::new()
            };
            let mut line = Line::new(&format!("{indent}{knot}"), branch.image, style);
            if let Some(mark) = self.stale.mark(branch.image) {
                line.warning = format!("  {mark}");
            }
            line.marks = self.marks(branch);
            let below = self.below.get(branch.image).map_or(&[][..], Vec::as_slice);
            // What was drawn once is not drawn again: two ways to one image, or a cycle.
            let again = !drawn.insert(branch.image) && !below.is_empty();
            if again {
                line.marks.push_str("  (see above)");
            }
            lines.push(line);
            if !again {
                self.branches(below, &format!("{indent}{under}"), drawn, lines);
            }
        }
    }

    fn marks(&self, branch: &Branch<'_>) -> String {
        let mut marks = String::new();
        if branch.inferred {
            marks.push_str(" (inferred)");
        }
        if self.common.as_ref() != Some(&branch.platforms) {
            let platforms: Vec<String> = branch.platforms.iter().map(ToString::to_string).collect();
            marks.push_str("  ");
            marks.push_str(&platforms.join(", "));
        }
        if let Some(beside) = self.beside.get(branch.image) {
            marks.push_str("  + ");
            marks.push_str(&beside.join(", "));
        }
        marks
    }
}

/// One line before it is styled and cut.
struct Line {
    indent: String,
    name: String,
    style: Style,
    /// That it is stale, and why.
    warning: String,
    marks: String,
}

impl Line {
    fn new(indent: &str, name: &str, style: Style) -> Self {
        Self {
            indent: indent.to_owned(),
            name: name.to_owned(),
            style,
            warning: String::new(),
            marks: String::new(),
        }
    }

    /// The styled line; what does not fit is cut from its end.
    fn fit(&self, width: Option<usize>) -> String {
        let width = width.unwrap_or(usize::MAX);
        let mut room = width;
        let mut take = |text: &str| {
            let n = text.chars().count();
            let taken = if n <= room {
                text.to_owned()
            } else if room == 0 {
                String::new()
            } else {
                text.chars().take(room - 1).chain(['…']).collect()
            };
            room -= taken.chars().count();
            taken
        };
        let parts = [
            (&self.indent, DIM),
            (&self.name, self.style),
            (&self.warning, WARNING),
            (&self.marks, DIM),
        ];
        let styled = parts.map(|(text, style)| match take(text) {
            taken if taken.is_empty() => taken,
            taken => format!("{style}{taken}{style:#}"),
        });
        styled.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(width: usize) -> String {
        let line = Line {
            marks: " (inferred)".to_owned(),
            ..Line::new("└── ", "base-notebook", Style::new())
        };
        anstream::adapter::strip_str(&line.fit(Some(width))).to_string()
    }

    #[test]
    fn a_line_is_cut_at_the_terminals_edge() {
        assert_eq!(fit(80), "└── base-notebook (inferred)");
        assert_eq!(fit(20), "└── base-notebook (…");
        assert_eq!(fit(10), "└── base-…");
        assert_eq!(fit(0), "");
        for width in 0..40 {
            assert!(fit(width).chars().count() <= width);
        }
    }
}
