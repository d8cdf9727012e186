//! Nodes, the cells of groups, and the groups themselves.

use std::fmt::Write as _;

use super::{
    super::{
        figure::{Group, Shape},
        layout::Rect,
        model::{Fact, Node, Picture, Tone, short},
        text::{self, escape},
    },
    badge,
};

pub(super) fn node(svg: &mut String, picture: &Picture, number: usize, place: (Rect, Shape)) {
    let node = &picture.nodes[number];
    let (rect, shape) = place;
    let Rect { width, height, .. } = rect;
    let mut classes = vec![if node.is_image { "image" } else { "external" }];
    if let Shape::Cell { .. } = shape {
        classes.push("cell");
    }
    if picture.focus.as_ref() == Some(&node.name) {
        classes.push("focus");
    }
    classes.extend(node.tone().map(Tone::as_str));
    let _ = write!(
        svg,
        "<g class=\"node {}\" id=\"n{number}\" transform=\"translate({},{})\"><title>{}</title>",
        classes.join(" "),
        rect.x,
        rect.y,
        escape(&tooltip(picture, number)),
    );
    if node.tone() == Some(Tone::Stale) {
        let out = match shape {
            Shape::Full | Shape::Slim => 3.0,
            Shape::Cell { .. } => 2.2,
        };
        let (w, h) = (width + 2.0 * out, height + 2.0 * out);
        let _ = write!(
            svg,
            "<rect class=\"ring\" x=\"-{out}\" y=\"-{out}\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>"
        );
    }
    if node.is_image {
        let _ = write!(
            svg,
            "<rect class=\"box\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        );
        let bottom = height - 7.0;
        let _ = write!(svg, "<path class=\"bar\" d=\"M6,7V{bottom}\"/>");
    } else {
        let (inner, middle) = (width - 9.0, height / 2.0);
        let _ = write!(
            svg,
            "<path class=\"box\" d=\"M9,0H{inner}L{width},{middle}L{inner},{height}H9L0,{middle}Z\"/>"
        );
    }
    words(svg, node, &rect, shape);
    svg.push_str("</g>\n");
}

fn words(svg: &mut String, node: &Node, rect: &Rect, shape: Shape) {
    let (label, below) = text::lines(node, shape);
    let (name_y, badge_y) = match shape {
        Shape::Full => (18.5, rect.height - 21.0),
        Shape::Slim => (18.5, 6.0),
        Shape::Cell { .. } => (17.0, 5.0),
    };
    let _ = write!(
        svg,
        "<text class=\"name\" x=\"14\" y=\"{name_y}\">{}</text>",
        escape(&label)
    );
    if !below.is_empty() {
        let (x, y) = match shape {
            Shape::Full => (14.0, 34.5),
            Shape::Slim | Shape::Cell { .. } => (22.0 + text::cell_name_width(&label), name_y),
        };
        let _ = write!(
            svg,
            "<text class=\"below\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(&below)
        );
    }
    let word = match shape {
        Shape::Cell { .. } => text::cell_badge(node),
        Shape::Full | Shape::Slim => node.state.as_ref().map(|state| state.word.as_str()),
    };
    if let (Some(word), Some(tone)) = (word, node.tone()) {
        // The ends of a reference's box are slanted.
        let inset = if node.is_image { 8.0 } else { 15.0 };
        badge(svg, word, tone.as_str(), (rect.width - inset, badge_y));
    }
}

pub(super) fn group(svg: &mut String, number: usize, group: &Group, picture: &Picture) {
    let Rect {
        x,
        y,
        width,
        height,
    } = group.rect;
    let heading = escape(&text::heading(&group.members, picture));
    let _ = write!(
        svg,
        "<g class=\"group\" id=\"g{number}\" transform=\"translate({x},{y})\">\
         <rect class=\"frame\" width=\"{width}\" height=\"{height}\" rx=\"9\"/>\
         <text class=\"heading\" x=\"12\" y=\"20\">{heading}</text>",
    );
    if let Some(word) = text::heading_badge(&group.members, picture) {
        badge(svg, &word, "stale", (width - 10.0, 7.0));
    }
    svg.push_str("</g>\n");
}

/// Everything that is known of a node, in lines.
pub(in super::super) fn tooltip(picture: &Picture, number: usize) -> String {
    let node = &picture.nodes[number];
    let mut lines = vec![node.name.clone()];
    if let Some(dockerfile) = &node.dockerfile {
        let target = node.target.as_ref();
        let target = target.map_or(String::new(), |target| format!(", target {target}"));
        lines.push(format!("{dockerfile}{target}"));
    }
    if !node.platforms.is_empty() {
        lines.push(node.platforms.join(", "));
    }
    if let Some(state) = &node.state {
        lines.push(state.word.clone());
        lines.extend(state.why.iter().cloned());
    }
    lines.extend(
        node.built
            .iter()
            .map(|fact| format!("built {}", line(fact))),
    );
    if !node.is_image {
        lines.extend(used(picture, number));
    }
    lines.join("\n")
}

/// What of a reference images were built on, the newest first.
fn used(picture: &Picture, number: usize) -> Vec<String> {
    let links = picture.links.iter().filter(|link| link.from == number);
    let mut pins: Vec<&Fact> = links.flat_map(|link| &link.pins).collect();
    pins.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.cmp(b)));
    let mut found: Vec<(&Fact, usize)> = Vec::new();
    for pin in pins {
        match found
            .iter_mut()
            .find(|(known, _)| (&known.platform, &known.digest) == (&pin.platform, &pin.digest))
        {
            Some((_, n)) => *n += 1,
            None => found.push((pin, 1)),
        }
    }
    let said = found
        .into_iter()
        .map(|(pin, n)| format!("used {} by {}", line(pin), crate::ui::count(n, "image")));
    said.collect()
}

/// `linux/amd64 1f3c09aa71c2 on 2026-11-22`.
fn line(fact: &Fact) -> String {
    let day = fact.at.get(..10).unwrap_or(&fact.at);
    format!("{} {} on {day}", fact.platform, short(&fact.digest))
}
