//! A sweep whose images execute something, beside the same builds and pushes by the engine alone.

use std::{fs, os::unix::fs::symlink, time::Instant};

use super::{
    Figure, Peer,
    dockerd::{Builder, Dockerd},
    rebase::{noise, patch, sweep},
    registries::DockerRegistry,
    site::Site,
};
use crate::{
    engines,
    shell::{Failure, Outcome, io_failure, output},
};

const N_RUNS: usize = 100;
const BASE_BYTES: usize = 200 << 20;

/// As many builds at once as refit runs.
const N_AT_ONCE: usize = 2;

/// Rebuilds images of one RUN each on a patched base of 200 MB.
pub(super) fn hundred(site: &Site) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    let dockerd = Dockerd::start()?;
    let namespace = format!("{}/bench", registry.host);
    let (bases, images) = (site.sub("bases")?, site.sub("images")?);
    let from = engines::folder().join("busybox/amd64/busybox");
    let to = bases.path("images/base/bin/busybox")?;
    fs::copy(&from, &to).map_err(io_failure(&from))?;
    let shell = bases.path("images/base/bin/sh")?;
    symlink("busybox", &shell).map_err(io_failure(&shell))?;
    noise(&bases, "images/base/large", BASE_BYTES)?;
    let base = "FROM scratch\nCOPY large /large\nCOPY bin /bin\nCOPY content /small\n".to_owned();
    bases.repository(&namespace, [("base".to_owned(), base)].into_iter())?;
    let image = |n| {
        (
            format!("r{n:02}"),
            format!("FROM {namespace}/base\nRUN echo {n} >/n\n"),
        )
    };
    images.repository(&namespace, (0..N_RUNS).map(image))?;
    let network = "[defaults]\nnetwork = \"none\"\n\n[[images]]";
    let config = images.path(".config/refit.toml")?;
    let text = fs::read_to_string(&config).map_err(io_failure(&config))?;
    fs::write(&config, text.replacen("[[images]]", network, 1)).map_err(io_failure(&config))?;
    patch(&images, "images/r00/content")?;

    output(bases.refit().args(["build", "--push"]))?;
    output(
        images
            .refit()
            .args(["build", "--push"])
            .env("DOCKER_HOST", dockerd.host()),
    )?;
    patch(&bases, "images/base/content")?;
    output(bases.refit().args(["build", "--push"]))?;

    // The engine has the base before either is measured.
    let pull = format!("docker pull --quiet {namespace}/base");
    output(&mut dockerd.script(&images, Builder::BuildKit, &pull))?;
    let engines_own = format!(
        "seq -w 0 {} | xargs -P {N_AT_ONCE} -I N sh -e -c 'docker build --no-cache --network none --quiet -t {namespace}/peer-N images/rN >/dev/null && docker push --quiet {namespace}/peer-N >/dev/null'",
        N_RUNS - 1
    );
    let start = Instant::now();
    output(&mut dockerd.script(&images, Builder::BuildKit, &engines_own))?;
    let peer = Peer {
        name: "docker build and push",
        wall: start.elapsed(),
    };
    let swept = sweep(&images, &[("DOCKER_HOST", &dockerd.host())])?;
    let n = swept.json["images"].as_array().map_or(0, Vec::len);
    if n != N_RUNS {
        return Err(Failure(format!("{n} images were swept, not {N_RUNS}")));
    }
    Ok(Figure {
        wall: swept.wall,
        peer: Some(peer),
        detail: format!(
            "{N_RUNS} images of one RUN on {} MB, {N_AT_ONCE} at once",
            BASE_BYTES >> 20
        ),
    })
}
