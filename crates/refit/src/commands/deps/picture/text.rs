//! What boxes say, cut to what fits, and how wide that is. Widths err on the wide side: fonts differ.

use super::{
    figure::Shape,
    model::{Node, Picture, Tone},
};

/// A longer name is cut in its middle: its end tells most.
const LONGEST: usize = 34;
/// Pixels of a character of a name: 12px in a monospaced font.
const NAME: f64 = 7.3;
/// The same in a cell: 11px.
const IN_CELL: f64 = 6.7;
/// Pixels of a character of small text: 10.5px in a proportional font.
const SMALL: f64 = 6.1;
/// The same of the word of a state, which is bold.
const BADGE: f64 = 6.9;
/// The same of a group's heading: 11px, bold.
const HEADING: f64 = 6.8;

/// Where a reference without a place is from.
const HUB: &str = "docker.io/library";

/// A name as its box says it.
fn name(label: &str) -> String {
    crate::ui::cut_in_the_middle(label, LONGEST)
}

/// What a node says: its name; and below or beside it an image's platforms, or where a reference is from.
pub(super) fn lines(node: &Node, shape: Shape) -> (String, String) {
    match shape {
        Shape::Full if node.is_image => (name(&node.label), platforms(&node.platforms)),
        Shape::Full => (name(&node.label), name(&node.place)),
        Shape::Slim if !node.is_image && node.place != HUB => (
            name(&format!("{}/{}", node.place, node.label)),
            String::new(),
        ),
        Shape::Cell {
            with_platforms: true,
        } => (name(&node.label), platforms(&node.platforms)),
        Shape::Slim | Shape::Cell { .. } => (name(&node.label), String::new()),
    }
}

/// `amd64 · arm64`, `windows/amd64`, `amd64 · arm64 · +2`.
fn platforms(platforms: &[String]) -> String {
    let short = |platform: &String| {
        platform
            .strip_prefix("linux/")
            .unwrap_or(platform)
            .to_owned()
    };
    let mut shown: Vec<String> = platforms.iter().take(3).map(short).collect();
    if platforms.len() > 3 {
        shown.truncate(2);
        shown.push(format!("+{}", platforms.len() - 2));
    }
    shown.join(" · ")
}

/// What a group says of itself.
pub(super) fn heading(members: &[usize], picture: &Picture) -> String {
    let count = format!("{} images", members.len());
    let mut all = members
        .iter()
        .map(|member| &picture.nodes[*member].platforms);
    match all.next() {
        Some(first) if !first.is_empty() && all.all(|other| other == first) => {
            format!("{count} · {}", platforms(first))
        }
        _ => count,
    }
}

/// `2 stale`, `stale` where all are.
pub(super) fn heading_badge(members: &[usize], picture: &Picture) -> Option<String> {
    let stale = |member: &&usize| picture.nodes[**member].tone() == Some(Tone::Stale);
    match members.iter().filter(stale).count() {
        0 => None,
        n if n == members.len() => Some("all stale".to_owned()),
        n => Some(format!("{n} stale")),
    }
}

/// The word of a state, where a box or cell shows it: what is fresh needs none in a cell.
pub(super) fn cell_badge(node: &Node) -> Option<&str> {
    let state = node.state.as_ref()?;
    (state.tone != Tone::Fresh).then_some(state.word.as_str())
}

pub(super) fn name_width(text: &str) -> f64 {
    width(text) * NAME
}

pub(super) fn small_width(text: &str) -> f64 {
    width(text) * SMALL
}

pub(super) fn badge_width(word: &str) -> f64 {
    (width(word) * BADGE + 12.0).ceil()
}

pub(super) fn heading_width(text: &str) -> f64 {
    width(text) * HEADING
}

/// How wide the name is in a cell.
pub(super) fn cell_name_width(text: &str) -> f64 {
    width(text) * IN_CELL
}

pub(super) fn cell_width(node: &Node, with_platforms: bool) -> f64 {
    let badge = cell_badge(node).map_or(0.0, |word| badge_width(word) + 8.0);
    let (label, below) = lines(node, Shape::Cell { with_platforms });
    let below = if below.is_empty() {
        0.0
    } else {
        small_width(&below) + 10.0
    };
    cell_name_width(&label) + below + 22.0 + badge
}

/// Characters, wide ones twice.
#[expect(clippy::cast_precision_loss, reason = "labels are short")]
fn width(text: &str) -> f64 {
    crate::ui::width(text) as f64
}

/// Text for XML and HTML, in elements and in attributes; characters that XML does not have are replaced.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(char),
            // Also what would turn the direction of everything after it.
            '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push('\u{fffd}');
            }
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
    fn long_names_keep_both_ends() {
        assert_eq!(name("web"), "web");
        let cut = name("team/platform/observability/collector-contrib:0.98.0");
        assert_eq!(cut, "team/platform/obs…r-contrib:0.98.0");
    }

    #[test]
    fn platforms_are_short() {
        let of = |all: &[&str]| platforms(&all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["linux/amd64"]), "amd64");
        assert_eq!(
            of(&["linux/amd64", "linux/arm/v7", "windows/amd64"]),
            "amd64 · arm/v7 · windows/amd64"
        );
        assert_eq!(
            of(&["linux/a", "linux/b", "linux/c", "linux/d"]),
            "a · b · +2"
        );
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        let hostile = "<script>alert('x')</script> ]]> \" & \u{0} \u{1b}[31m \u{202e}";
        let escaped = escape(hostile);
        assert_eq!(
            escaped,
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; ]]&gt; &quot; &amp; \u{fffd} \u{fffd}[31m \u{fffd}"
        );
    }
}
