//! The picture of a repository, beside graphviz's drawing of the very same graph.

use std::{fs, time::Instant};

use super::{Figure, Peer, site::Site, timed};
use crate::shell::{Outcome, has_program, io_failure, output};

/// What no registry is asked for.
const NAMESPACE: &str = "r.example.com/bench";
/// How many images are built on each other one.
const CHILDREN: usize = 3;
/// Every so many images take files from another one.
const COPIES: usize = 5;

pub(super) fn html_500(site: &Site) -> Outcome<Figure> {
    html(site, 500)
}

pub(super) fn html_2000(site: &Site) -> Outcome<Figure> {
    html(site, 2_000)
}

fn html(site: &Site, n: usize) -> Outcome<Figure> {
    site.repository(NAMESPACE, (0..n).map(image))?;
    let start = Instant::now();
    let page = output(site.refit().args(["deps", "graph", "--format", "html"]))?;
    let wall = start.elapsed();
    let dot = output(site.refit().args(["deps", "graph", "--format", "dot"]))?;
    let file = site.path("graph.dot")?;
    fs::write(&file, dot).map_err(io_failure(&file))?;
    let peer = if has_program("dot") {
        let wall = timed(site.dot().args(["-Tsvg", "-o", "graph.svg", "graph.dot"]))?;
        Some(Peer {
            name: "dot -Tsvg",
            wall,
        })
    } else {
        None
    };
    Ok(Figure {
        wall,
        peer,
        detail: format!("{n} images, {} KB", page.len() / 1024),
    })
}

/// A tree, and some lines across.
fn image(number: usize) -> (String, String) {
    let base = match number.checked_sub(1) {
        None => "r.example.com/base/os:1".to_owned(),
        Some(before) => format!("{NAMESPACE}/s{:04}", before / CHILDREN),
    };
    let copy = if number > 0 && number.is_multiple_of(COPIES) {
        let from = format!("{NAMESPACE}/s{:04}", number / 2);
        format!("COPY --from={from} content /copied\n")
    } else {
        String::new()
    };
    let dockerfile = format!("FROM {base}\n{copy}");
    (format!("s{number:04}"), dockerfile)
}
