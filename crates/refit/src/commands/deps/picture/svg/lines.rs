//! Lines with their heads: level where they pass boxes, curved between the columns.

use std::fmt::Write as _;

use super::super::{
    figure::Drawn,
    layout::Run,
    model::{Picture, short},
    text::escape,
};

/// The length of a head.
const HEAD: f64 = 7.0;

pub(super) fn line(svg: &mut String, number: usize, drawn: &Drawn, picture: &Picture) {
    let inferred = if drawn.inferred { " inferred" } else { "" };
    let _ = writeln!(
        svg,
        "<g class=\"line {}{inferred}\" id=\"e{number}\"><title>{}</title>{}</g>",
        drawn.stroke.as_str(),
        escape(&tooltip(drawn, picture)),
        shape(&drawn.route),
    );
}

/// The line and its head. The script of the page draws the same when boxes move.
pub(super) fn shape(route: &[Run]) -> String {
    let (Some(first), Some(last)) = (route.first(), route.last()) else {
        return String::new();
    };
    // To the right, unless it closes a cycle.
    let to_right = first.x <= last.x;
    let ends = |run: &Run| {
        if to_right {
            (run.x, run.end)
        } else {
            (run.end, run.x)
        }
    };
    let sign = if to_right { 1.0 } else { -1.0 };
    let tip = ends(last).0 - sign;
    let neck = tip - sign * HEAD;
    let mut path = String::new();
    let mut at = (0.0, 0.0);
    for (number, run) in route.iter().enumerate() {
        let (mut x, end) = ends(run);
        if number == 0 {
            let _ = write!(path, "M{x},{}", run.y);
        } else {
            if number + 1 == route.len() {
                x = neck;
            }
            let middle = f64::midpoint(at.0, x);
            let _ = write!(path, "C{middle},{} {middle},{} {x},{}", at.1, run.y, run.y);
        }
        if number + 1 < route.len() && (end - x).abs() > 0.0 {
            let _ = write!(path, "H{end}");
        }
        at = (end, run.y);
    }
    let y = last.y;
    let (above, below) = (y - 4.0, y + 4.0);
    format!(
        "<path class=\"way\" d=\"{path}\"/><path class=\"head\" d=\"M{neck},{above}L{tip},{y}L{neck},{below}Z\"/>"
    )
}

fn tooltip(drawn: &Drawn, picture: &Picture) -> String {
    let links = drawn.links.iter().map(|link| &picture.links[*link]);
    let links: Vec<_> = links.collect();
    let Some(first) = links.first() else {
        return String::new();
    };
    let from = &picture.nodes[first.from];
    let to = match links.as_slice() {
        [only] => picture.nodes[only.to].name.clone(),
        several => crate::ui::count(several.len(), "image"),
    };
    let mut said = vec![format!("{} → {to}: {}", from.label, first.words())];
    if let [only] = links.as_slice() {
        said.extend(only.pins.iter().map(|pin| {
            let day = pin.at.get(..10).unwrap_or(&pin.at);
            format!("{} {} since {day}", pin.platform, short(&pin.digest))
        }));
    }
    said.join("\n")
}
