//! The picture as a Mermaid flowchart, as wikis and forges draw it.

use std::fmt::Write as _;

use super::{
    gather::label,
    groups::groups,
    model::{Link, Node, Picture, Stroke, Tone},
};

/// More lines than this are drawn by nobody who has not changed Mermaid's own limit, `maxEdges`.
pub(in super::super) const MOST_LINES: usize = 500;

/// The flowchart. Leaves that are built on the same things share a box and its lines.
pub(super) fn mermaid(picture: &Picture) -> String {
    let mut text = String::from("flowchart LR\n");
    text.push_str("  classDef external fill:#e9edf2,stroke:#8592a3,color:#18212f\n");
    text.push_str("  classDef image fill:#ffffff,stroke:#2f6feb,color:#18212f\n");
    text.push_str("  classDef stale fill:#fff5e3,stroke:#a8480a,stroke-width:3px,stroke-dasharray:6 3,color:#18212f\n");
    text.push_str("  classDef moved fill:#e9edf2,stroke:#a8480a,stroke-width:2px,stroke-dasharray:6 3,color:#18212f\n");
    text.push_str("  classDef alarm fill:#fdecea,stroke:#b42318,stroke-width:3px,color:#18212f\n");
    let groups = groups(picture);
    let end_of = ends(picture, &groups);
    let alone = |number: &usize| end_of[*number].starts_with('n');
    for number in (0..picture.nodes.len()).filter(alone) {
        let _ = writeln!(text, "  {}", self::node(number, &picture.nodes[number]));
    }
    for (number, group) in groups.iter().enumerate() {
        let _ = writeln!(text, "  subgraph g{number}[\"{} images\"]", group.len());
        for member in group {
            let _ = writeln!(text, "    {}", self::node(*member, &picture.nodes[*member]));
        }
        text.push_str("  end\n");
    }
    for (from, to, link) in lines(picture, &end_of) {
        let _ = writeln!(text, "  {from} {} {to}", arrow(link));
    }
    text
}

/// How many lines it has.
pub(super) fn n_lines(picture: &Picture) -> usize {
    lines(picture, &ends(picture, &groups(picture))).len()
}

/// What lines to and from each node are joined to: itself, or its group.
fn ends(picture: &Picture, groups: &[Vec<usize>]) -> Vec<String> {
    let mut ends: Vec<String> = (0..picture.nodes.len())
        .map(|number| format!("n{number}"))
        .collect();
    for (number, group) in groups.iter().enumerate() {
        for member in group {
            ends[*member] = format!("g{number}");
        }
    }
    ends
}

/// One for each pair of boxes and way to draw it.
fn lines<'a>(picture: &'a Picture, end_of: &[String]) -> Vec<(String, String, &'a Link)> {
    let mut lines: Vec<(String, String, &Link)> = Vec::new();
    let mut drawn = std::collections::BTreeSet::new();
    for link in &picture.links {
        let (from, to) = (end_of[link.from].clone(), end_of[link.to].clone());
        if drawn.insert((from.clone(), to.clone(), arrow(link))) {
            lines.push((from, to, link));
        }
    }
    lines
}

fn arrow(link: &Link) -> String {
    let shaft = match link.stroke() {
        Stroke::Base => "-->",
        Stroke::Build | Stroke::Files => "-.->",
    };
    match (link.stroke(), link.inferred) {
        (Stroke::Base, false) => shaft.to_owned(),
        (Stroke::Base, true) => format!("{shaft}|inferred|"),
        _ => format!("{shaft}|{}|", escape(&link.words())),
    }
}

fn node(number: usize, node: &Node) -> String {
    let lines: Vec<String> = label(node).iter().map(|line| escape(line)).collect();
    let label = lines.join("<br/>");
    let class = match node.tone() {
        Some(Tone::Stale) => "stale",
        Some(Tone::Moved) => "moved",
        Some(Tone::Alarm) => "alarm",
        _ if node.is_image => "image",
        _ => "external",
    };
    if node.is_image {
        format!("n{number}[\"{label}\"]:::{class}")
    } else {
        format!("n{number}{{{{\"{label}\"}}}}:::{class}")
    }
}

/// Text between quotes: whatever means something to Mermaid, Markdown or HTML becomes a number.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            _ if char.is_alphanumeric() || " -.:/_@→,…·".contains(char) => escaped.push(char),
            _ if char.is_control() => escaped.push('\u{fffd}'),
            _ => {
                let _ = write!(escaped, "#{};", u32::from(char));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_its_quotes() {
        assert_eq!(escape("debian:12-slim"), "debian:12-slim");
        assert_eq!(escape("a\"b"), "a#34;b");
        assert_eq!(escape("<b>`#;\n"), "#60;b#62;#96;#35;#59;\u{fffd}");
    }
}
