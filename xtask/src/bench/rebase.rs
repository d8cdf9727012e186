//! Sweeps that move no layer's bytes: images put on new bases, and images whose large layers stay.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Figure, Peer,
    memory::bytes_read,
    registries::{DockerRegistry, LoopbackRegistry},
    site::{N_BASES, N_IMAGES, Site},
};
use crate::shell::{Failure, Outcome, io_failure, output};

/// Own layers of a base.
const N_LAYERS: usize = 5;

/// Puts 200 images for two platforms on new bases of five layers each, on a registry that takes next to nothing itself.
pub(super) fn many(site: &Site) -> Outcome<Figure> {
    let registry = LoopbackRegistry::start()?;
    rebased(site, &format!("{}/bench", registry.host))
}

/// The same on `docker-registry`, which writes each of its files through to the disk.
pub(super) fn many_real(site: &Site) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    rebased(site, &format!("{}/bench", registry.host))
}

fn rebased(site: &Site, namespace: &str) -> Outcome<Figure> {
    let (bases, images) = (site.sub("bases")?, site.sub("images")?);
    let base = |n| {
        // No layer is the same for two platforms, as it is with real bases.
        let copies = (0..N_LAYERS).map(|layer| format!("COPY content /of-{layer}-$TARGETARCH\n"));
        (
            format!("base-{n}"),
            format!(
                "FROM scratch\nARG TARGETARCH\n{}",
                copies.collect::<String>()
            ),
        )
    };
    let image = |n| {
        (
            format!("s{n:03}"),
            format!(
                "FROM {namespace}/base-{}\nLABEL n={n}\nCOPY content /content\n",
                n % N_BASES
            ),
        )
    };
    bases.repository(namespace, (0..N_BASES).map(base))?;
    images.repository(namespace, (0..N_IMAGES).map(image))?;
    for site in [&bases, &images] {
        for_two_platforms(site)?;
        output(site.refit().args(["build", "--push"]))?;
    }
    for n in 0..N_BASES {
        patch(&bases, &format!("images/base-{n}/content"))?;
    }
    output(bases.refit().args(["build", "--push"]))?;
    let swept = sweep(&images, &[])?;
    let n = swept.json["images"].as_array().map_or(0, Vec::len);
    let targets = swept.json["images"].as_array().into_iter().flatten();
    let targets: Vec<&Value> = targets
        .flat_map(|image| image["targets"].as_array().into_iter().flatten())
        .collect();
    let is_rebased = |target: &&Value| target["action"] == "rebase";
    if n != N_IMAGES || targets.len() != 2 * N_IMAGES || !targets.iter().all(is_rebased) {
        return Err(Failure(format!(
            "{n} images and {} targets were swept, not all of them rebased: {}",
            targets.len(),
            targets
                .first()
                .map_or_else(String::new, ToString::to_string)
        )));
    }
    Ok(Figure {
        wall: swept.wall,
        peer: None,
        detail: format!(
            "{N_IMAGES} images × 2 platforms on bases of {N_LAYERS} layers: {:.0} images/s, requests {}",
            count(N_IMAGES) / swept.wall.as_secs_f64(),
            swept.json["requests"]
        ),
    })
}

/// Sweeps an image of 1 GB whose base changed in a small layer, beside skopeo copying that image.
pub(super) fn unchanged(site: &Site) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    let namespace = format!("{}/bench", registry.host);
    let (bases, images) = (site.sub("bases")?, site.sub("images")?);
    let base = "FROM scratch\nCOPY large /large\nCOPY content /small\n".to_owned();
    let image = format!("FROM {namespace}/base\nCOPY content /content\n");
    noise(&bases, "images/base/large", 1 << 30)?;
    bases.repository(&namespace, [("base".to_owned(), base)].into_iter())?;
    images.repository(&namespace, [("app".to_owned(), image)].into_iter())?;
    for site in [&bases, &images] {
        output(site.refit().args(["build", "--push"]))?;
    }
    patch(&bases, "images/base/content")?;
    output(bases.refit().args(["build", "--push"]))?;
    let before = bytes_read(registry.process())?;
    let swept = sweep(&images, &[])?;
    let moved = bytes_read(registry.process())? - before;
    if swept.json["images"].as_array().map_or(0, Vec::len) != 1 {
        return Err(Failure("nothing was swept".to_owned()));
    }
    let start = Instant::now();
    let mut skopeo = images.program("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
    ]);
    skopeo.arg(format!("docker://{namespace}/app:latest"));
    output(skopeo.arg("dir:copy"))?;
    let peer = Peer {
        name: "skopeo copy",
        wall: start.elapsed(),
    };
    Ok(Figure {
        wall: swept.wall,
        peer: Some(peer),
        detail: format!(
            "1 GB stays, the registry read {} KB, requests {}",
            moved >> 10,
            swept.json["requests"]
        ),
    })
}

/// What a sweep took, and what it says.
pub(super) struct Swept {
    pub(super) wall: Duration,
    pub(super) json: Value,
}

pub(super) fn sweep(site: &Site, environment: &[(&str, &str)]) -> Outcome<Swept> {
    let mut command = site.refit();
    command.envs(environment.iter().copied());
    let start = Instant::now();
    let said = output(command.args(["sweep", "--format", "json"]))?;
    let wall = start.elapsed();
    let json = serde_json::from_str(&said)
        .map_err(|error| Failure(format!("`refit sweep` printed no JSON: {error}")))?;
    Ok(Swept { wall, json })
}

fn for_two_platforms(site: &Site) -> Outcome {
    let path = site.path(".config/refit.toml")?;
    let config = fs::read_to_string(&path).map_err(io_failure(&path))?;
    let platforms = "[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n[[images]]";
    let config = config.replacen("[[images]]", platforms, 1);
    fs::write(&path, config).map_err(io_failure(&path))?;
    commit(site)
}

/// Changes a file of a repository.
pub(super) fn patch(site: &Site, file: &str) -> Outcome {
    let path = site.path(file)?;
    fs::write(&path, "patched").map_err(io_failure(&path))?;
    commit(site)
}

fn commit(site: &Site) -> Outcome {
    output(
        site.git()
            .args(["commit", "--all", "--quiet", "--message=patch"]),
    )
    .map(drop)
}

/// A file that does not compress.
pub(super) fn noise(site: &Site, file: &str, n_bytes: usize) -> Outcome {
    let path = site.path(file)?;
    let mut state = 1_u64;
    let mut block = Vec::with_capacity(1 << 20);
    let written = fs::File::create(&path).and_then(|mut out| {
        for _ in 0..n_bytes >> 20 {
            block.clear();
            while block.len() < 1 << 20 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                block.extend_from_slice(&state.to_le_bytes());
            }
            out.write_all(&block)?;
        }
        Ok(())
    });
    written.map_err(io_failure(&path))
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
