//! Aligned columns without borders.

use anstyle::Style;
use comfy_table::ContentArrangement;

use super::DIM;

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

    /// The lines, without trailing blanks. Empty without rows.
    pub(crate) fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = comfy_table::Table::new();
        table
            .load_preset(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        // Laid out without styles, as their codes would count as text.
        table.add_rows(
            self.header
                .iter()
                .chain(self.rows.iter().map(|(cells, _)| cells)),
        );
        table
            .column_iter_mut()
            .for_each(|column| _ = column.set_padding((0, 2)));
        let mut lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let body = if self.header.is_some() {
            lines[0] = format!("{DIM}{}{DIM:#}", lines[0]);
            &mut lines[1..]
        } else {
            &mut lines[..]
        };
        for (line, (cells, style)) in body.iter_mut().zip(&self.rows) {
            if let Some(rest) = cells
                .first()
                .and_then(|first| line.strip_prefix(first.as_str()))
            {
                *line = format!("{style}{}{style:#}{rest}", cells[0]);
            }
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table) -> String {
        anstream::adapter::strip_str(&table.render()).to_string()
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
    fn no_rows_no_text() {
        assert_eq!(Table::with_header(&["A"]).render(), "");
    }
}
