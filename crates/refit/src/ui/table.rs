//! Aligned columns without borders.

use anstyle::Style;
use comfy_table::ContentArrangement;

use super::{DIM, words::width as columns};

/// Blanks between columns.
const GAP: u16 = 2;
/// How far what does not fit beside the first columns is moved in below them.
const INDENT: usize = 4;
/// A last column that is narrower than this is left to the terminal.
const NARROW: usize = 12;

/// Rows of text; columns are as wide as their widest cell.
pub(crate) struct Table {
    header: Option<Vec<String>>,
    rows: Vec<(Vec<String>, Style)>,
}

impl Table {
    /// A table without a header.
    pub(crate) fn new() -> Self {
        Self {
            header: None,
            rows: Vec::new(),
        }
    }

    /// A table with a header line.
    pub(crate) fn with_header(titles: &[&str]) -> Self {
        Self {
            header: Some(titles.iter().map(ToString::to_string).collect()),
            ..Self::new()
        }
    }

    /// Adds a row; `style` is that of its first cell.
    pub(crate) fn row(&mut self, cells: Vec<String>, style: Style) {
        self.rows.push((cells, style));
    }

    /// The lines, without trailing blanks. Empty without rows. Where a width is given, words of the last column that
    /// do not fit go on below each other.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        if let Some(folded) = width.and_then(|width| self.folded(width)) {
            return folded;
        }
        let rows = self.wrapped(width);
        let mut table = comfy_table::Table::new();
        table
            .load_preset(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        // Laid out without styles, as their codes would count as text.
        table.add_rows(self.header.iter().chain(&rows));
        table
            .column_iter_mut()
            .for_each(|column| _ = column.set_padding((0, GAP)));
        let mut laid_out = table.lines().map(|line| line.trim_end().to_owned());
        let mut lines = Vec::new();
        if self.header.is_some() {
            lines.extend(laid_out.next().map(|line| format!("{DIM}{line}{DIM:#}")));
        }
        for ((_, style), cells) in self.rows.iter().zip(&rows) {
            let first = cells.first().map_or("", String::as_str);
            for (i, line) in laid_out.by_ref().take(height(cells)).enumerate() {
                lines.push(match line.strip_prefix(first).filter(|_| i == 0) {
                    Some(rest) => format!("{style}{first}{style:#}{rest}"),
                    None => line,
                });
            }
        }
        lines.join("\n") + "\n"
    }

    /// The widest cell of each column.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        let rows = self.rows.iter().map(|(cells, _)| cells);
        for cells in self.header.iter().chain(rows) {
            for (at, cell) in cells.iter().enumerate() {
                let n = columns(cell);
                match widths.get_mut(at) {
                    Some(width) => *width = n.max(*width),
                    None => widths.push(n),
                }
            }
        }
        widths
    }

    /// The rows of a table whose columns do not fit side by side: as many of them as do, and the other cells below them.
    /// Columns that say nothing are left out first.
    fn folded(&self, width: usize) -> Option<String> {
        let gap = usize::from(GAP);
        let fits = |widths: &[usize]| {
            let before: usize = widths.iter().rev().skip(1).map(|width| width + gap).sum();
            before + widths.last().map_or(0, |last| NARROW.min(*last)) <= width
        };
        let widths = self.widths();
        if fits(&widths) {
            return None;
        }
        let says = |at: usize| {
            let mut cells = self.rows.iter().filter_map(|(cells, _)| cells.get(at));
            cells.any(|cell| !cell.is_empty())
        };
        if (0..widths.len()).any(|at| !says(at)) {
            let kept = |cells: &[String]| {
                let cells = cells.iter().enumerate().filter(|(at, _)| says(*at));
                cells.map(|(_, cell)| cell.clone()).collect::<Vec<_>>()
            };
            let rows = self.rows.iter();
            let rows = rows.map(|(cells, style)| (kept(cells), *style)).collect();
            let header = self.header.as_deref().map(kept);
            return Some(Self { header, rows }.render(Some(width)));
        }
        let mut n_beside = widths.len();
        while n_beside > 1
            && widths[..n_beside].iter().map(|w| w + gap).sum::<usize>() > width + gap
        {
            n_beside -= 1;
        }
        let mut lines = Vec::new();
        if let Some(header) = &self.header {
            let folded = fold(header, &widths[..n_beside], width).into_iter();
            lines.extend(folded.map(|line| format!("{DIM}{line}{DIM:#}")));
        }
        for (cells, style) in &self.rows {
            let first = cells.first().map_or("", String::as_str);
            for (at, line) in fold(cells, &widths[..n_beside], width)
                .into_iter()
                .enumerate()
            {
                lines.push(match line.strip_prefix(first).filter(|_| at == 0) {
                    Some(rest) => format!("{style}{first}{style:#}{rest}"),
                    None => line,
                });
            }
        }
        Some(lines.join("\n") + "\n")
    }

    /// The cells, those of the last column with line breaks where they would pass `width`.
    fn wrapped(&self, width: Option<usize>) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(|(cells, _)| cells.clone()).collect();
        let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let Some(last) = n_columns.checked_sub(1) else {
            return rows;
        };
        let start: usize = self.widths()[..last]
            .iter()
            .map(|width| width + usize::from(GAP))
            .sum();
        let room = width.and_then(|width| width.checked_sub(start));
        if let Some(room) = room.filter(|room| *room >= NARROW) {
            let cells = rows.iter_mut().filter_map(|cells| cells.get_mut(last));
            cells.for_each(|cell| *cell = wrap(cell, room));
        }
        rows
    }
}

/// A row's cells: those of the first columns side by side, the rest below, as many to a line as there is room for.
fn fold(cells: &[String], beside: &[usize], width: usize) -> Vec<String> {
    let gap = usize::from(GAP);
    let mut first = String::new();
    for (at, (cell, width)) in cells.iter().zip(beside).enumerate() {
        let gap = if at == 0 { 0 } else { gap };
        first.push_str(&" ".repeat(gap));
        first.push_str(cell);
        first.push_str(&" ".repeat(width.saturating_sub(columns(cell))));
    }
    let mut lines = vec![first.trim_end().to_owned()];
    let room = width.saturating_sub(INDENT).max(1);
    let mut open = String::new();
    let mut close = |open: &mut String| {
        let text = std::mem::take(open);
        let wrapped = wrap(&text, room);
        let below = wrapped.split('\n').filter(|line| !line.is_empty());
        lines.extend(below.map(|line| format!("{}{line}", " ".repeat(INDENT))));
    };
    for cell in cells
        .iter()
        .skip(beside.len())
        .filter(|cell| !cell.is_empty())
    {
        let n = columns(&open) + gap + columns(cell);
        if open.is_empty() {
            open.clone_from(cell);
        } else if n <= room {
            open.push_str("  ");
            open.push_str(cell);
        } else {
            close(&mut open);
            open.clone_from(cell);
        }
    }
    close(&mut open);
    lines
}

fn height(cells: &[String]) -> usize {
    cells
        .iter()
        .map(|cell| cell.split('\n').count())
        .max()
        .unwrap_or(1)
}

/// Breaks lines at blanks; a word that is wider than `room` stays whole, as it may be meant to be copied.
fn wrap(text: &str, room: usize) -> String {
    let mut wrapped = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let n = columns(word);
        if used > 0 && used + 1 + n > room {
            wrapped.push('\n');
            used = 0;
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += n;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table) -> String {
        within(table, None)
    }

    fn within(table: &Table, width: Option<usize>) -> String {
        anstream::adapter::strip_str(&table.render(width)).to_string()
    }

    #[test]
    fn columns_align_and_lines_have_no_trailing_blanks() {
        let mut table = Table::with_header(&["NAME", "N", "WHAT"]);
        table.row(vec!["a".into(), "1".into(), "x".into()], Style::new());
        table.row(
            vec!["long".into(), "10".into(), String::new()],
            super::super::ERROR,
        );
        assert_eq!(plain(&table), "NAME  N   WHAT\na     1   x\nlong  10\n");
    }

    #[test]
    fn the_last_column_goes_on_below_itself_where_the_terminal_ends() {
        let mut table = Table::new();
        table.row(
            vec!["stale".into(), "the base is another one now".into()],
            Style::new(),
        );
        table.row(
            vec!["ok".into(), "a-word-that-is-wider-than-the-terminal".into()],
            Style::new(),
        );
        table.row(vec!["ok".into(), String::new()], Style::new());
        assert_eq!(
            within(&table, Some(32)),
            "stale  the base is another one\n       now\nok     a-word-that-is-wider-than-the-terminal\nok\n"
        );
    }

    #[test]
    fn columns_that_do_not_fit_side_by_side_go_on_below() {
        let mut table = Table::with_header(&["IMAGE", "REFERENCE", "NOTHING", "DIGEST", "WHEN"]);
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let digest = "1f3c09aa71c2";
        table.row(
            row(["web", "debian:12-slim", "", digest, "since May"]),
            Style::new(),
        );
        table.row(
            row([
                "worker",
                "debian",
                "",
                digest,
                "from May until the next one came",
            ]),
            Style::new(),
        );
        assert_eq!(
            within(&table, Some(26)),
            "IMAGE   REFERENCE\n    DIGEST  WHEN\n\
             web     debian:12-slim\n    1f3c09aa71c2\n    since May\n\
             worker  debian\n    1f3c09aa71c2\n    from May until the\n    next one came\n"
        );
        // Without the column that says nothing it fits.
        assert!(within(&table, Some(56)).starts_with("IMAGE   REFERENCE       DIGEST"));
    }

    #[test]
    fn no_rows_no_text() {
        assert_eq!(Table::with_header(&["A"]).render(None), "");
    }
}
