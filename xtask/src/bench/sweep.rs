//! A sweep that finds nothing to do, against the real `docker-registry` on loopback.

use std::{process::Command, time::Instant};

use serde_json::Value;

use super::{
    Figure, Peer,
    registries::DockerRegistry,
    site::{N_BASES, N_IMAGES, Site},
};
use crate::shell::{Failure, Outcome, output};

/// Publishes many images on a few bases, then sweeps; beside it, skopeo asks for the same manifests one by one.
pub(super) fn no_op(site: &Site) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    let namespace = format!("{}/bench", registry.host);
    let (bases, images) = (site.sub("bases")?, site.sub("images")?);
    bases.bases(&namespace)?;
    output(bases.refit().args(["build", "--push"]))?;
    images.images(&namespace)?;
    output(images.refit().args(["build", "--push"]))?;

    let start = Instant::now();
    let swept = output(images.refit().args(["sweep", "--format", "json"]))?;
    let wall = start.elapsed();
    let swept: Value = serde_json::from_str(&swept)
        .map_err(|error| Failure(format!("`refit sweep` printed no JSON: {error}")))?;
    let built = swept["images"].as_array().map_or(0, Vec::len);
    if built != 0 {
        return Err(Failure(format!(
            "a sweep with nothing to do built {built} images"
        )));
    }

    let start = Instant::now();
    let names = (0..N_BASES).map(|n| format!("base-{n}"));
    let names = names.chain((0..N_IMAGES).map(|n| format!("s{n:03}")));
    for name in names {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--tls-verify=false"]);
        output(skopeo.arg(format!("docker://{namespace}/{name}:latest")))?;
    }
    let peer = Peer {
        name: "skopeo inspect --raw",
        wall: start.elapsed(),
    };
    Ok(Figure {
        wall,
        peer: Some(peer),
        detail: format!(
            "{N_IMAGES} images, {N_BASES} bases, requests {}",
            swept["requests"]
        ),
    })
}
