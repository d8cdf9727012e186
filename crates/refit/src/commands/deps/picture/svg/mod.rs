//! The picture as SVG: in a page of its own, or inside of an HTML page.

mod boxes;
mod legend;
mod lines;

use std::fmt::Write as _;

use super::{
    figure::{Figure, MARGIN},
    model::Picture,
    text::{self, escape},
};

pub(super) use boxes::tooltip;
pub(super) use legend::{entries, sample};

/// Colours and strokes of both pages.
pub(super) const STYLE: &str = include_str!("../page/picture.css");

/// The height of the title and the line below it.
const HEADER: f64 = 76.0;
/// The height of a row of the legend.
const ROW: f64 = 24.0;

/// A whole document, with its own style, title and legend.
pub(super) fn document(picture: &Picture, figure: &Figure) -> String {
    let entries = entries(picture);
    let legend = legend::rows(&entries, figure.width.max(MINIMUM) - 2.0 * MARGIN);
    let width = figure.width.max(MINIMUM);
    let top = HEADER + ROW * legend::n_rows(&legend);
    let height = top + figure.height;
    let mut svg = String::new();
    let title = escape(&title(picture));
    let facts = escape(&picture.facts().join(" · "));
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"refit\" role=\"img\" aria-labelledby=\"title facts\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"facts\">{facts}</desc>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"38\">{title}</text>\n\
         <text class=\"facts\" x=\"{MARGIN}\" y=\"60\">{facts}</text>\n"
    );
    legend::draw(&mut svg, &legend, (MARGIN, HEADER));
    let _ = writeln!(svg, "<g transform=\"translate(0,{top})\">");
    drawing(&mut svg, picture, figure);
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Room for the title and the legend.
const MINIMUM: f64 = 480.0;

/// Groups, lines and boxes; the lines below the boxes.
pub(super) fn drawing(svg: &mut String, picture: &Picture, figure: &Figure) {
    if picture.nodes.is_empty() {
        let _ = writeln!(
            svg,
            "<text class=\"facts\" x=\"{MARGIN}\" y=\"40\">there is no image in this repository</text>"
        );
    }
    for (number, group) in figure.groups.iter().enumerate() {
        boxes::group(svg, number, group, picture);
    }
    for (number, drawn) in figure.strokes.iter().enumerate() {
        lines::line(svg, number, drawn, picture);
    }
    for number in 0..figure.nodes.len() {
        boxes::node(svg, picture, number, figure.nodes[number]);
    }
}

/// What the picture is called.
pub(super) fn title(picture: &Picture) -> String {
    match &picture.focus {
        Some(image) => format!(
            "{}: what {image} is built on, and what is built on it",
            picture.name
        ),
        None => format!("{}: what is built on what", picture.name),
    }
}

/// A badge whose right end and upper edge are given.
fn badge(svg: &mut String, word: &str, tone: &str, right_top: (f64, f64)) {
    let width = text::badge_width(word);
    // What is fresh has no frame, so its word ends where frames do.
    let right = if tone == "fresh" {
        right_top.0 + 5.0
    } else {
        right_top.0
    };
    let (x, y) = (right - width, right_top.1);
    let (middle, base) = (x + width / 2.0, y + 11.5);
    let _ = write!(
        svg,
        "<g class=\"badge {tone}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"16\" rx=\"8\"/>\
         <text x=\"{middle}\" y=\"{base}\">{}</text></g>",
        escape(word)
    );
}
