//! The picture in Graphviz's language.

use std::fmt::Write as _;

use super::{
    gather::label,
    model::{Link, Node, Picture, Stroke, Tone},
    svg,
};

/// The graph; nodes are called by their names.
pub(super) fn dot(picture: &Picture) -> String {
    let mut text = format!("digraph \"{}\" {{\n", escape(&picture.name));
    let facts = picture.facts().join(" · ");
    let _ = writeln!(
        text,
        "  label=\"{}\"; labelloc=t; tooltip=\" \";",
        escape(&facts)
    );
    text.push_str("  rankdir=LR; ranksep=0.6; nodesep=0.15;\n");
    text.push_str("  fontname=\"Helvetica,Arial,sans-serif\"; fontsize=11;\n");
    text.push_str(
        "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, shape=box, style=\"rounded,filled\", \
         fillcolor=white, color=\"#2f6feb\", height=0.35, margin=\"0.12,0.05\"];\n",
    );
    text.push_str("  edge [fontname=\"Helvetica,Arial,sans-serif\", fontsize=9, color=\"#7d8a9b\", arrowsize=0.7];\n");
    for (number, node) in picture.nodes.iter().enumerate() {
        let tooltip = svg::tooltip(picture, number);
        let _ = writeln!(
            text,
            "  \"{}\" [label=\"{}\", tooltip=\"{}\"{}];",
            escape(&node.name),
            escape(&label(node).join("\n")),
            escape(&tooltip),
            style(node)
        );
    }
    for link in &picture.links {
        let (from, to) = (&picture.nodes[link.from].name, &picture.nodes[link.to].name);
        let _ = writeln!(
            text,
            "  \"{}\" -> \"{}\"{};",
            escape(from),
            escape(to),
            stroke(link)
        );
    }
    text.push_str("}\n");
    text
}

fn style(node: &Node) -> &'static str {
    match node.tone() {
        Some(Tone::Stale) => {
            ", style=\"filled\", peripheries=2, fillcolor=\"#fff5e3\", color=\"#a8480a\""
        }
        Some(Tone::Moved) => {
            ", shape=hexagon, style=\"filled,dashed\", fillcolor=\"#e9edf2\", color=\"#a8480a\""
        }
        Some(Tone::Alarm) => ", style=\"filled,dashed\", fillcolor=\"#fdecea\", color=\"#b42318\"",
        _ if node.is_image => "",
        _ => ", shape=hexagon, style=\"filled\", fillcolor=\"#e9edf2\", color=\"#8592a3\"",
    }
}

fn stroke(link: &Link) -> String {
    let mut attributes = Vec::new();
    match link.stroke() {
        Stroke::Base => {}
        Stroke::Build => attributes.push("style=dashed".to_owned()),
        Stroke::Files => attributes.push("style=dotted".to_owned()),
    }
    if link.stroke() != Stroke::Base {
        attributes.push(format!("label=\"{}\"", escape(&link.kinds.join(", "))));
        attributes.push("weight=0".to_owned());
    }
    if link.inferred {
        attributes.push("arrowhead=empty".to_owned());
    }
    if attributes.is_empty() {
        String::new()
    } else {
        format!(" [{}]", attributes.join(", "))
    }
}

/// Text between quotes. Graphviz reads backslashes, and in labels also the entities of HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '&' => escaped.push_str("&amp;"),
            '\n' => escaped.push_str("\\n"),
            _ if char.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_its_quotes() {
        assert_eq!(
            escape("a\"b\\N&lt;\n\u{7}"),
            "a\\\"b\\\\N&amp;lt;\\n\u{fffd}"
        );
    }
}
