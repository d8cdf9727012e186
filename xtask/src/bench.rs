//! `cargo xtask bench`: what a user waits for, measured on the release build, each beside a peer of the same run.

mod copies;
mod dockerd;
mod graph;
mod heads;
mod hooks;
mod large;
mod memory;
mod rebase;
mod records;
mod registries;
mod runs;
mod scan;
mod site;
mod sources;
mod sweep;

use std::{
    fmt::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use crate::shell::{Failure, Outcome, cargo, output, run};
use site::{N_IMAGES, Site};

/// One row of the result.
struct Measurement {
    name: &'static str,
    measure: fn(&Site) -> Outcome<Figure>,
}

const MEASUREMENTS: [Measurement; 28] = [
    Measurement {
        name: "demo",
        measure: demo,
    },
    Measurement {
        name: "hook-post-commit",
        measure: hook_post_commit,
    },
    Measurement {
        name: "hooks-idle-1000",
        measure: hooks::idle,
    },
    Measurement {
        name: "hooks-ten-1000",
        measure: hooks::ten,
    },
    Measurement {
        name: "source-ids-head",
        measure: sources::disjoint_head,
    },
    Measurement {
        name: "source-ids-working",
        measure: sources::disjoint,
    },
    Measurement {
        name: "source-ids-shared-head",
        measure: sources::shared_head,
    },
    Measurement {
        name: "source-ids-shared",
        measure: sources::shared,
    },
    Measurement {
        name: "graph-html-500",
        measure: graph::html_500,
    },
    Measurement {
        name: "graph-html-2000",
        measure: graph::html_2000,
    },
    Measurement {
        name: "sweep-no-op",
        measure: sweep::no_op,
    },
    Measurement {
        name: "registry-heads",
        measure: heads::heads,
    },
    Measurement {
        name: "scan",
        measure: scan::scan,
    },
    Measurement {
        name: "plan-10k",
        measure: large::plan,
    },
    Measurement {
        name: "graph-10k",
        measure: large::graph,
    },
    Measurement {
        name: "sweep-no-op-10k",
        measure: large::no_op,
    },
    Measurement {
        name: "sweep-trust-records-10k",
        measure: large::trusting,
    },
    Measurement {
        name: "records-100k-cold",
        measure: records::cold,
    },
    Measurement {
        name: "records-100k-cached",
        measure: records::cached,
    },
    Measurement {
        name: "records-100k-all",
        measure: records::all,
    },
    Measurement {
        name: "records-commit-1000",
        measure: records::first,
    },
    Measurement {
        name: "records-commit-1000-more",
        measure: records::more,
    },
    Measurement {
        name: "copies-classic",
        measure: copies::classic,
    },
    Measurement {
        name: "copies-buildkit",
        measure: copies::buildkit,
    },
    Measurement {
        name: "rebase-200",
        measure: rebase::many,
    },
    Measurement {
        name: "rebase-200-docker-registry",
        measure: rebase::many_real,
    },
    Measurement {
        name: "unchanged-1gb",
        measure: rebase::unchanged,
    },
    Measurement {
        name: "sweep-runs-100",
        measure: runs::hundred,
    },
];

/// What was measured.
struct Figure {
    wall: Duration,
    peer: Option<Peer>,
    detail: String,
}

/// Something well known that does comparable work on the same input.
struct Peer {
    name: &'static str,
    wall: Duration,
}

/// Measures everything, or what `names` name.
#[expect(clippy::print_stdout, reason = "the figures are the result")]
pub(crate) fn bench(names: &[&str]) -> Outcome {
    let known = || MEASUREMENTS.iter().map(|m| m.name);
    if let Some(unknown) = names
        .iter()
        .find(|name| !known().any(|known| known == **name))
    {
        let known: Vec<_> = known().collect();
        return Err(Failure(format!(
            "no measurement `{unknown}`; there are `{}`",
            known.join("`, `")
        )));
    }
    run(&mut cargo(&[
        "build",
        "--release",
        "--quiet",
        "--package",
        "refit",
    ]))?;
    let chosen = MEASUREMENTS
        .iter()
        .filter(|m| names.is_empty() || names.contains(&m.name));
    for Measurement { name, measure } in chosen {
        let site = Site::empty(name)?;
        let figure = measure(&site)?;
        println!("{}", row(name, &figure));
    }
    Ok(())
}

/// `name  wall time  ratio to the peer, its wall time; detail`
fn row(name: &str, figure: &Figure) -> String {
    let mut row = format!("{name:<24} {:>9.3} s", figure.wall.as_secs_f64());
    if let Some(Peer { name, wall }) = &figure.peer {
        let ratio = figure.wall.as_secs_f64() / wall.as_secs_f64().max(f64::EPSILON);
        let _ = write!(row, "   {ratio:.2} × {name} ({:.3} s)", wall.as_secs_f64());
    }
    if !figure.detail.is_empty() {
        let _ = write!(row, "   {}", figure.detail);
    }
    row
}

/// The demo's wall time; no peer does the like.
fn demo(site: &Site) -> Outcome<Figure> {
    let wall = timed(site.refit().arg("demo"))?;
    Ok(Figure {
        wall,
        peer: None,
        detail: String::new(),
    })
}

/// What a developer waits for at a commit that touches every image, beside git itself noting a line on each Dockerfile.
fn hook_post_commit(site: &Site) -> Outcome<Figure> {
    site.images("example.com/bench")?;
    let wall = timed(site.refit().args(["hook", "post-commit"]))?;
    let start = Instant::now();
    for image in 0..N_IMAGES {
        let on = format!("HEAD:images/s{image:03}/Dockerfile");
        output(
            site.git()
                .args(["notes", "--ref=peer", "append", "-m", "a line", &on]),
        )?;
    }
    let peer = Peer {
        name: "git notes append",
        wall: start.elapsed(),
    };
    Ok(Figure {
        wall,
        peer: Some(peer),
        detail: format!("{N_IMAGES} images"),
    })
}

fn timed(command: &mut Command) -> Outcome<Duration> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_ratio_to_its_peer() {
        let peer = Peer {
            name: "git",
            wall: Duration::from_millis(500),
        };
        let figure = Figure {
            wall: Duration::from_millis(250),
            peer: Some(peer),
            detail: "2 images".to_owned(),
        };
        let told = row("x", &figure);
        assert!(told.starts_with("x "), "{told}");
        assert!(
            told.ends_with("0.250 s   0.50 × git (0.500 s)   2 images"),
            "{told}"
        );
    }
}
