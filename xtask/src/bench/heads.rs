//! HEADs a second of the registry client against a registry on loopback, beside curl's.

use std::time::Duration;

use serde_json::Value;

use super::{Figure, Peer, site::Site};
use crate::shell::{Failure, Outcome, cargo, output};

/// Runs the client's own example, which asks as a sweep does and has curl ask for the same.
pub(super) fn heads(_site: &Site) -> Outcome<Figure> {
    let example = [
        "--quiet",
        "--package",
        "refit-registry",
        "--example",
        "heads",
    ];
    let printed = output(cargo(&["run", "--release"]).args(example))?;
    figure(&printed).ok_or_else(|| Failure(format!("no figures in `{}`", printed.trim())))
}

fn figure(printed: &str) -> Option<Figure> {
    let figures: Value = serde_json::from_str(printed).ok()?;
    let seconds = |name: &str| figures[name].as_f64().map(Duration::from_secs_f64);
    let (heads, wall) = (figures["heads"].as_f64()?, seconds("refit")?);
    Some(Figure {
        wall,
        peer: Some(Peer {
            name: "curl --parallel",
            wall: seconds("curl")?,
        }),
        detail: format!(
            "{:.0} HEADs a second over {} connections",
            heads / wall.as_secs_f64().max(f64::EPSILON),
            figures["connections"]
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_a_row() {
        let printed = r#"{"heads":1000,"connections":16,"refit":0.25,"curl":0.5}"#;
        let figure = figure(printed).expect("figures");
        assert_eq!(figure.wall, Duration::from_millis(250));
        assert_eq!(figure.detail, "4000 HEADs a second over 16 connections");
    }
}
