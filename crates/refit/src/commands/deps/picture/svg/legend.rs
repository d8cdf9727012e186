//! What shapes and strokes mean; only what the picture has.

use std::fmt::Write as _;

use super::super::{
    model::{Picture, Stroke, Tone},
    text,
};

/// The width of a sample.
const SAMPLE: f64 = 34.0;
/// The space behind an entry.
const GAP: f64 = 22.0;

/// Something that is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Entry {
    Image,
    External,
    Stale,
    Moved,
    Line(Stroke),
    Inferred,
}

impl Entry {
    /// In words.
    pub(in super::super) fn words(self) -> &'static str {
        match self {
            Self::Image => "image of this repository",
            Self::External => "external base",
            Self::Stale => "stale: built on something else than its base is now",
            Self::Moved => "moved: the base is another one now",
            Self::Line(Stroke::Base) => "base",
            Self::Line(Stroke::Build) => "base of a build stage, or a frontend",
            Self::Line(Stroke::Files) => "files are taken from it",
            Self::Inferred => "inferred from the name",
        }
    }
}

/// The entries of a picture.
pub(in super::super) fn entries(picture: &Picture) -> Vec<Entry> {
    let mut entries = Vec::new();
    if picture.n_images() > 0 {
        entries.push(Entry::Image);
    }
    if picture.n_externals() > 0 {
        entries.push(Entry::External);
    }
    for (tone, entry) in [(Tone::Stale, Entry::Stale), (Tone::Moved, Entry::Moved)] {
        if picture.nodes.iter().any(|node| node.tone() == Some(tone)) {
            entries.push(entry);
        }
    }
    let has = |stroke: &Stroke| picture.links.iter().any(|link| link.stroke() == *stroke);
    entries.extend(Stroke::ALL.into_iter().filter(has).map(Entry::Line));
    if picture.links.iter().any(|link| link.inferred) {
        entries.push(Entry::Inferred);
    }
    entries
}

/// The sample of an entry, 34 pixels wide and 16 high.
pub(in super::super) fn sample(entry: Entry) -> String {
    let line = |class: &str| {
        format!(
            "<g class=\"line {class}\"><path class=\"way\" d=\"M2,8H25\"/><path class=\"head\" d=\"M25,4L32,8L25,12Z\"/></g>"
        )
    };
    match entry {
        Entry::Image => "<g class=\"node image\"><rect class=\"box\" x=\"3\" y=\"1\" width=\"28\" height=\"14\" rx=\"4\"/>\
                         <path class=\"bar\" d=\"M8,5V11\"/></g>"
            .to_owned(),
        Entry::External => "<g class=\"node external\"><path class=\"box\" d=\"M8,1H26L31,8L26,15H8L3,8Z\"/></g>".to_owned(),
        Entry::Stale => "<g class=\"node image stale\"><rect class=\"ring\" x=\"1\" y=\"0.5\" width=\"32\" height=\"15\" rx=\"5\"/>\
                         <rect class=\"box\" x=\"4\" y=\"3\" width=\"26\" height=\"10\" rx=\"3\"/></g>"
            .to_owned(),
        Entry::Moved => {
            "<g class=\"node external moved\"><path class=\"box\" d=\"M8,1H26L31,8L26,15H8L3,8Z\"/></g>"
                .to_owned()
        }
        Entry::Line(stroke) => line(stroke.as_str()),
        Entry::Inferred => line("base inferred"),
    }
}

/// The entries in rows that fit.
pub(super) fn rows(entries: &[Entry], width: f64) -> Vec<Vec<(f64, Entry)>> {
    let mut rows: Vec<Vec<(f64, Entry)>> = Vec::new();
    let mut x = 0.0;
    for entry in entries {
        let own = SAMPLE + 8.0 + text::small_width(entry.words());
        if rows.is_empty() || x + own > width {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, *entry));
        }
        x += own + GAP;
    }
    rows
}

/// How many there are, as a measure.
#[expect(clippy::cast_precision_loss, reason = "there are eight entries")]
pub(super) fn n_rows(rows: &[Vec<(f64, Entry)>]) -> f64 {
    rows.len() as f64
}

/// Draws them from an upper left corner on.
pub(super) fn draw(svg: &mut String, rows: &[Vec<(f64, Entry)>], corner: (f64, f64)) {
    let mut y = corner.1;
    for row in rows {
        for (x, entry) in row {
            let x = corner.0 + x;
            let _ = writeln!(
                svg,
                "<g transform=\"translate({x},{y})\">{}<text class=\"below\" x=\"{}\" y=\"12\">{}</text></g>",
                sample(*entry),
                SAMPLE + 8.0,
                entry.words()
            );
        }
        y += super::ROW;
    }
}
