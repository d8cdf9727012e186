//! One image's line of a tree, and how it is made to fit.

use std::fmt::Write as _;

use anstyle::Style;

use crate::ui::{DIM, WARNING, cut, cut_in_the_middle, width};

/// A name is not cut to less than this, however deep it hangs.
const SHORTEST_NAME: usize = 12;
/// No indentation is wider than this, even where nothing limits a line.
const WIDEST_INDENT: usize = 240;

/// The lines that lead down to an image.
pub(super) struct Guides {
    /// For each level, whether more follows on it.
    goes_on: Vec<bool>,
    is_narrow: bool,
    width: Option<usize>,
}

impl Guides {
    /// Guides for a tree of that depth: narrow ones where wide ones would take most of a line.
    pub(super) fn new(deepest: usize, width: Option<usize>) -> Self {
        Self {
            goes_on: Vec::new(),
            is_narrow: width.is_some_and(|width| deepest * 4 > width / 2),
            width,
        }
    }

    /// Goes on with an image at that depth; roots are at 0.
    pub(super) fn enter(&mut self, depth: usize, is_last: bool) {
        self.goes_on.truncate(depth.saturating_sub(1));
        if depth > 0 {
            self.goes_on.push(!is_last);
        }
    }

    /// What stands before the image.
    fn before(&self) -> String {
        let Some((goes_on, above)) = self.goes_on.split_last() else {
            return String::new();
        };
        let knot = match (goes_on, self.is_narrow) {
            (true, false) => "├── ",
            (false, false) => "└── ",
            (true, true) => "├ ",
            (false, true) => "└ ",
        };
        self.fit(self.levels(above) + knot)
    }

    /// What stands before a further line of the same image.
    fn under(&self, has_children: bool) -> String {
        let mut under = self.levels(&self.goes_on);
        if has_children {
            under.push('│');
        } else {
            under.push(' ');
        }
        self.fit(under)
    }

    fn levels(&self, levels: &[bool]) -> String {
        let level = |goes_on: &bool| match (goes_on, self.is_narrow) {
            (true, false) => "│   ",
            (false, false) => "    ",
            (true, true) => "│ ",
            (false, true) => "  ",
        };
        levels.iter().map(level).collect()
    }

    /// The end of it, where it is deeper than a line is wide.
    fn fit(&self, guides: String) -> String {
        let room = self.width.map_or(WIDEST_INDENT, |width| width / 2);
        let n = guides.chars().count();
        if n <= room {
            return guides;
        }
        let end = guides.chars().skip(n - room.saturating_sub(1));
        ['…'].into_iter().chain(end).take(room).collect()
    }
}

/// One line before it is styled and cut.
pub(super) struct Line {
    name: String,
    style: Style,
    /// How the image stands, if that is to be said: `stale on linux/arm64`.
    pub(super) word: String,
    /// Why.
    pub(super) why: Vec<String>,
    /// What else is said, each with blanks before it, what can be cut last.
    pub(super) marks: Vec<String>,
}

impl Line {
    pub(super) fn new(name: &str, style: Style) -> Self {
        Self {
            name: name.to_owned(),
            style,
            word: String::new(),
            why: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Writes the line. Reasons that do not fit on it follow on lines of their own; what still does not fit is cut.
    pub(super) fn write(&self, text: &mut String, guides: &Guides, has_children: bool) {
        let before = guides.before();
        let room = guides.width.map(|all| all.saturating_sub(width(&before)));
        let marks = plain(&self.marks.concat());
        let word = if self.word.is_empty() {
            String::new()
        } else {
            format!("  {}", self.word)
        };
        let why = plain(&self.why.join("; "));
        let reasons = if why.is_empty() {
            String::new()
        } else {
            format!(": {why}")
        };
        let all = width(&self.name) + width(&word) + width(&reasons) + width(&marks);
        let is_short = room.is_none_or(|room| all <= room);
        let reasons = if is_short { reasons } else { String::new() };
        let (name, word, marks) = match room {
            Some(room) if !is_short => fit(&self.name, &word, &marks, room),
            _ => (self.name.clone(), word, marks),
        };
        let mut line = styled(&before, DIM) + &styled(&name, self.style);
        line += &styled(&format!("{word}{reasons}"), WARNING);
        line += &styled(&marks, DIM);
        let _ = writeln!(text, "{line}");
        if !is_short {
            let all = guides.width.unwrap_or(usize::MAX);
            let under = cut(&format!("{}   ", guides.under(has_children)), all);
            for why in &self.why {
                let why = cut(&plain(why), all.saturating_sub(width(&under)));
                let line = styled(&under, DIM) + &styled(&why, WARNING);
                let _ = writeln!(text, "{line}");
            }
        }
    }
}

/// The three parts in `room` columns: the marks give way first, then the name, as the word says what matters.
fn fit(name: &str, word: &str, marks: &str, room: usize) -> (String, String, String) {
    let for_name = room
        .saturating_sub(width(word))
        .max(SHORTEST_NAME)
        .min(room);
    let name = cut_in_the_middle(name, for_name);
    let word = cut(word, room - width(&name));
    let left = room - width(&name) - width(&word);
    // A mark that would be cut to nothing but its blanks is left out.
    let marks = if left > 4 || width(marks) <= left {
        cut(marks, left)
    } else {
        String::new()
    };
    (name, word, marks)
}

/// What registries and files say moves no cursor.
fn plain(text: &str) -> String {
    let chars = text.chars();
    chars
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn styled(text: &str, style: Style) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(all: usize, depth: usize) -> String {
        let mut guides = Guides::new(depth, Some(all));
        for level in 0..=depth {
            guides.enter(level, level % 2 == 0);
        }
        let line = Line {
            word: "stale on linux/arm64".to_owned(),
            why: vec!["debian:12-slim 1f3c09aa71c2 → 9ab0d4417e55".to_owned()],
            marks: vec![
                " (inferred)".to_owned(),
                "  + golang:1.25 (stage)".to_owned(),
            ],
            ..Line::new("registry-of-notebooks-with-spark", Style::new())
        };
        let mut text = String::new();
        line.write(&mut text, &guides, true);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_line_that_fits_is_one_line() {
        assert_eq!(
            line(160, 1),
            "├── registry-of-notebooks-with-spark  stale on linux/arm64: debian:12-slim 1f3c09aa71c2 → 9ab0d4417e55 \
             (inferred)  + golang:1.25 (stage)\n"
        );
    }

    #[test]
    fn reasons_move_below_and_the_rest_is_cut() {
        assert_eq!(
            line(80, 1),
            "├── registry-of-notebooks-with-spark  stale on linux/arm64 (inferred)  + golang…\n\
             │   │   debian:12-slim 1f3c09aa71c2 → 9ab0d4417e55\n"
        );
        assert_eq!(
            line(50, 2),
            "│   └── registry-o…ith-spark  stale on linux/arm64\n\
             │       │   debian:12-slim 1f3c09aa71c2 → 9ab0d44…\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for all in 0..120 {
            for depth in [0, 1, 2, 7, 30, 400] {
                for line in line(all, depth).lines() {
                    assert!(width(line) <= all, "{all} {depth} {line}");
                }
            }
        }
    }
}
