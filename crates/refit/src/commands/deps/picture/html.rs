//! The picture as a page of its own: it asks nobody for anything, and reads without its script.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    figure::Figure,
    layout::Rect,
    model::{Link, Node, Picture},
    svg,
    text::escape,
};

const STYLE: &str = include_str!("page/page.css");
/// In one scope: what comes first is there for what follows.
const SCRIPTS: [&str; 7] = [
    include_str!("page/graph.js"),
    include_str!("page/squeeze.js"),
    include_str!("page/camera.js"),
    include_str!("page/panel.js"),
    include_str!("page/view.js"),
    include_str!("page/keys.js"),
    include_str!("page/page.js"),
];

/// What the script needs beside the drawing.
#[derive(Serialize)]
struct Data<'a> {
    nodes: Vec<NodeData<'a>>,
    links: &'a [Link],
    lines: Vec<LineData<'a>>,
    groups: Vec<GroupData<'a>>,
    width: f64,
    height: f64,
}

#[derive(Serialize)]
struct NodeData<'a> {
    #[serde(flatten)]
    node: &'a Node,
    #[serde(rename = "box")]
    rect: [f64; 4],
}

#[derive(Serialize)]
struct LineData<'a> {
    links: &'a [usize],
    route: Vec<[f64; 3]>,
}

#[derive(Serialize)]
struct GroupData<'a> {
    members: &'a [usize],
    /// The least width that its heading needs.
    heading: f64,
    #[serde(rename = "box")]
    rect: [f64; 4],
}

/// The page.
pub(super) fn html(picture: &Picture, figure: &Figure) -> String {
    let style = format!("\n{}\n{STYLE}", svg::STYLE);
    let script = format!("\n{}", SCRIPTS.join("\n"));
    let title = escape(&svg::title(picture));
    let mut page = String::new();
    // Whatever a name says, no other script or style runs, and nothing is fetched.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{}'; \
         style-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n",
        digest(&script),
        digest(&style),
    );
    header(&mut page, picture);
    let (width, height) = (figure.width, figure.height);
    let _ = write!(
        page,
        "<main>\n<section class=\"stage\" id=\"stage\" aria-label=\"{title}\">\n\
         <svg class=\"refit\" role=\"group\" aria-label=\"{title}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<g id=\"world\">\n"
    );
    svg::drawing(&mut page, picture, figure);
    page.push_str("</g>\n</svg>\n");
    page.push_str(include_str!("page/zoom.html"));
    page.push_str(
        "</section>\n<aside id=\"panel\" aria-live=\"polite\" hidden></aside>\n</main>\n",
    );
    footer(&mut page, picture);
    let _ = write!(
        page,
        "<script type=\"application/json\" id=\"data\">{}</script>\n<script type=\"module\">{script}</script>\n\
         </body>\n</html>\n",
        json(&data(picture, figure))
    );
    page
}

fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

/// JSON that cannot end its element.
fn json(data: &Data<'_>) -> String {
    let text = serde_json::to_string(data).expect("a picture has only string keys");
    text.replace('<', "\\u003c")
}

fn data<'a>(picture: &'a Picture, figure: &'a Figure) -> Data<'a> {
    let rect = |rect: &Rect| [rect.x, rect.y, rect.width, rect.height];
    let nodes = picture.nodes.iter().zip(&figure.nodes);
    let lines = figure.strokes.iter().map(|drawn| LineData {
        links: &drawn.links,
        route: drawn
            .route
            .iter()
            .map(|run| [run.x, run.end, run.y])
            .collect(),
    });
    let groups = figure.groups.iter().map(|group| GroupData {
        members: &group.members,
        heading: group.heading,
        rect: rect(&group.rect),
    });
    Data {
        nodes: nodes
            .map(|(node, (place, _))| NodeData {
                node,
                rect: rect(place),
            })
            .collect(),
        links: &picture.links,
        lines: lines.collect(),
        groups: groups.collect(),
        width: figure.width,
        height: figure.height,
    }
}

fn header(page: &mut String, picture: &Picture) {
    let heading = match &picture.focus {
        Some(image) => format!("{} · {image}", picture.name),
        None => picture.name.clone(),
    };
    let revision = picture.revision.as_deref().unwrap_or_default();
    let _ = write!(
        page,
        "<header>\n<div><h1>{}</h1>\n<p title=\"{}\">{}</p></div>\n",
        escape(&heading),
        escape(revision),
        escape(&picture.facts().join(" · ")),
    );
    page.push_str(include_str!("page/tools.html"));
    page.push_str("</header>\n");
}

fn footer(page: &mut String, picture: &Picture) {
    page.push_str("<footer>\n<ul class=\"legend\" aria-label=\"legend\">\n");
    for entry in svg::entries(picture) {
        let _ = writeln!(
            page,
            "<li><svg class=\"refit\" width=\"34\" height=\"16\" aria-hidden=\"true\">{}</svg>{}</li>",
            svg::sample(entry),
            entry.words()
        );
    }
    page.push_str("</ul>\n");
    page.push_str(include_str!("page/keys.html"));
    table(page, picture);
    page.push_str("</footer>\n");
}

/// The same in words, for readers without a pointer or a script.
fn table(page: &mut String, picture: &Picture) {
    page.push_str(
        "<details>\n<summary>all images as a table</summary>\n<div class=\"scroll\"><table>\n<thead><tr><th>image</th>\
         <th>Dockerfile</th><th>platforms</th><th>built on</th><th>state</th></tr></thead>\n<tbody>\n",
    );
    let mut on: Vec<Vec<String>> = vec![Vec::new(); picture.nodes.len()];
    for link in &picture.links {
        let from = &picture.nodes[link.from].label;
        on[link.to].push(match link.words().as_str() {
            "base" => from.clone(),
            words => format!("{from} ({words})"),
        });
    }
    for (node, on) in picture
        .nodes
        .iter()
        .zip(on)
        .filter(|(node, _)| node.is_image)
    {
        let state = node
            .state
            .as_ref()
            .map_or(String::new(), |state| match state.why.as_slice() {
                [] => state.word.clone(),
                why => format!("{}: {}", state.word, why.join("; ")),
            });
        let dockerfile = node.dockerfile.as_deref().unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code></td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&node.name),
            escape(dockerfile),
            escape(&node.platforms.join(", ")),
            escape(&on.join(", ")),
            escape(&state)
        );
    }
    page.push_str("</tbody>\n</table></div>\n</details>\n");
}
