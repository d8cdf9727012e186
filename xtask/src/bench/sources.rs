//! Source ids of 1,000 images in a tree of 100,000 files, from HEAD and from the working tree.

use std::{fs, time::Duration};

use super::{Figure, Peer, hooks, site::Site, timed};
use crate::shell::{Outcome, io_failure, output};

/// What no registry is asked for.
const NAMESPACE: &str = "r.example.com/bench";
/// How often each is measured: the best counts.
const TIMES: usize = 3;

/// Each image has a folder of its own.
pub(super) fn disjoint_head(site: &Site) -> Outcome<Figure> {
    hooks::lay(site, NAMESPACE)?;
    head(site)
}

/// The same with the state of the working tree.
pub(super) fn disjoint(site: &Site) -> Outcome<Figure> {
    hooks::lay(site, NAMESPACE)?;
    working(site)
}

/// All images share the root as their context, each with an ignore file of its own.
pub(super) fn shared_head(site: &Site) -> Outcome<Figure> {
    lay_shared(site)?;
    head(site)
}

/// The same with the state of the working tree.
pub(super) fn shared(site: &Site) -> Outcome<Figure> {
    lay_shared(site)?;
    working(site)
}

fn head(site: &Site) -> Outcome<Figure> {
    let ids = best(|| timed(site.refit().args(["context", "id", "--at", "HEAD"])))?;
    let list = best(|| timed(site.git().args(["ls-tree", "-r", "HEAD"])))?;
    Ok(figure(ids, "git ls-tree -r HEAD", list))
}

fn working(site: &Site) -> Outcome<Figure> {
    let ids = best(|| timed(site.refit().args(["context", "id"])))?;
    let status = best(|| timed(site.git().arg("status")))?;
    Ok(figure(ids, "git status", status))
}

fn figure(wall: Duration, name: &'static str, peer: Duration) -> Figure {
    Figure {
        wall,
        peer: Some(Peer { name, wall: peer }),
        detail: format!(
            "{} images, {} files",
            hooks::N_IMAGES,
            hooks::N_IMAGES * hooks::N_FILES
        ),
    }
}

fn best(measure: impl Fn() -> Outcome<Duration>) -> Outcome<Duration> {
    let mut best = measure()?;
    for _ in 1..TIMES {
        best = best.min(measure()?);
    }
    Ok(best)
}

/// Every other image copies its folder, the rest all that their ignore files keep.
fn lay_shared(site: &Site) -> Outcome {
    hooks::lay(site, NAMESPACE)?;
    let config = site.path(".config/refit.toml")?;
    let text = fs::read_to_string(&config).map_err(io_failure(&config))?;
    let text = text.replace("[[images]]\n", "[[images]]\ncontext = \".\"\n");
    fs::write(&config, text).map_err(io_failure(&config))?;
    for image in 0..hooks::N_IMAGES {
        let folder = format!("images/s{image:04}");
        let (ignore, copied) = if image % 2 == 0 {
            (format!("*\n!{folder}\n"), ".")
        } else {
            (
                format!("**/*.md\n**/cache\n!{folder}/README.md\n"),
                folder.as_str(),
            )
        };
        let dockerfile = format!("FROM r.example.com/os:1\nCOPY {copied} /app/\n");
        for (name, text) in [
            ("Dockerfile", dockerfile),
            ("Dockerfile.dockerignore", ignore),
        ] {
            let file = site.path(&format!("{folder}/{name}"))?;
            fs::write(&file, text).map_err(io_failure(&file))?;
        }
    }
    output(site.git().args(["add", "--all"]))?;
    output(site.git().args(["commit", "--quiet", "--message=share"])).map(drop)
}
