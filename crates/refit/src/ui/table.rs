//! Aligned columns without borders.

use anstyle::Style;
use comfy_table::ContentArrangement;

use super::DIM;

/// Blanks between columns.
const GAP: u16 = 2;
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

    /// The cells, those of the last column with line breaks where they would pass `width`.
    fn wrapped(&self, width: Option<usize>) -> Vec<Vec<String>> {
        let mut rows: Vec<Vec<String>> = self.rows.iter().map(|(cells, _)| cells.clone()).collect();
        let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let Some(last) = n_columns.checked_sub(1) else {
            return rows;
        };
        let all = || {
            self.header
                .iter()
                .chain(self.rows.iter().map(|(cells, _)| cells))
        };
        let widest = |column: usize| {
            let cells = all().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let start: usize = (0..last)
            .map(|column| widest(column) + usize::from(GAP))
            .sum();
        let room = width.and_then(|width| width.checked_sub(start));
        if let Some(room) = room.filter(|room| *room >= NARROW) {
            let cells = rows.iter_mut().filter_map(|cells| cells.get_mut(last));
            cells.for_each(|cell| *cell = wrap(cell, room));
        }
        rows
    }
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
        let n = word.chars().count();
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
        let narrow = within(&table, Some(18));
        assert_eq!(narrow, plain(&table), "too narrow for columns");
    }

    #[test]
    fn no_rows_no_text() {
        assert_eq!(Table::with_header(&["A"]).render(None), "");
    }
}
