//! A forest as lines of text.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};

use super::{
    Branch, Forest, Root,
    line::{Guides, Line},
};

const ROOT: Style = AnsiColor::Cyan.on_default();
const FOCUS: Style = Style::new().bold();

/// A line before it is known how far it is indented.
struct Row {
    depth: usize,
    is_last: bool,
    has_children: bool,
    line: Line,
}

impl<'a> Forest<'a> {
    /// The text, no line wider than `width`.
    pub(in crate::commands::deps) fn render(&self, width: Option<usize>) -> String {
        let rows = self.rows();
        let deepest = rows.iter().map(|row| row.depth).max().unwrap_or(0);
        let mut guides = Guides::new(deepest, width);
        let mut text = String::new();
        for row in &rows {
            guides.enter(row.depth, row.is_last);
            row.line.write(&mut text, &guides, row.has_children);
        }
        text
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut drawn = BTreeSet::new();
        for (root, branches) in &self.roots {
            let name = match root {
                Root::External(reference) => reference,
                Root::Scratch => "scratch",
                Root::Unreadable => "unreadable",
                Root::Cycle(_) => "a cycle",
            };
            rows.push(Row {
                depth: 0,
                is_last: true,
                has_children: true,
                line: Line::new(name, ROOT),
            });
            self.walk(branches, &mut drawn, &mut rows);
        }
        rows
    }

    /// The branches and all below them. A stack, not a recursion: a chain of images may be as long as it likes.
    fn walk(&self, branches: &[Branch<'a>], drawn: &mut BTreeSet<&'a str>, rows: &mut Vec<Row>) {
        let mut open = vec![branches.iter()];
        while let Some(level) = open.last_mut() {
            let Some(branch) = level.next() else {
                open.pop();
                continue;
            };
            let is_last = level.len() == 0;
            let below = self.below.get(branch.image).map_or(&[][..], Vec::as_slice);
            // What was drawn once is not drawn again: two ways to one image, or a cycle.
            let again = !drawn.insert(branch.image) && !below.is_empty();
            rows.push(Row {
                depth: open.len(),
                is_last,
                has_children: !again && !below.is_empty(),
                line: self.line(branch, again),
            });
            if !again {
                open.push(below.iter());
            }
        }
    }

    fn line(&self, branch: &Branch<'_>, again: bool) -> Line {
        let style = if self.focus == Some(branch.image) {
            FOCUS
        } else {
            Style::new()
        };
        let mut line = Line::new(branch.image, style);
        if let Some(mark) = self.stale.mark(branch.image) {
            line.word = mark.word;
            line.why = mark.why;
        }
        if branch.inferred {
            line.marks.push(" (inferred)".to_owned());
        }
        if self.common.as_ref() != Some(&branch.platforms) {
            let platforms: Vec<String> = branch.platforms.iter().map(ToString::to_string).collect();
            line.marks.push(format!("  {}", platforms.join(", ")));
        }
        if again {
            line.marks.push("  (see above)".to_owned());
        }
        if let Some(beside) = self.beside.get(branch.image) {
            line.marks.push(format!("  + {}", beside.join(", ")));
        }
        line
    }
}
