//! A sweep that finds nothing to do, against the real `docker-registry` on loopback.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Figure, Peer,
    site::{N_BASES, N_IMAGES, Site},
};
use crate::{
    engines,
    shell::{Failure, Outcome, io_failure, output},
};

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

/// The unpacked registry on a port of its own; killed when dropped.
pub(super) struct DockerRegistry {
    child: Child,
    pub(super) host: String,
}

impl DockerRegistry {
    pub(super) fn start(site: &Site) -> Outcome<Self> {
        if !engines::has("registry") {
            return Err(Failure(
                "no registry; run `cargo xtask engines install`".to_owned(),
            ));
        }
        let host = free_address()?;
        let config = site.path("registry.yml")?;
        // A JSON document is a YAML document.
        let text = serde_json::json!({
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": site.path("registry")?}},
            "http": {"addr": host},
        });
        fs::write(&config, text.to_string()).map_err(io_failure(&config))?;
        let program = engines::folder().join("registry/usr/bin/docker-registry");
        let mut command = Command::new(&program);
        command
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(io_failure(&program))?;
        let registry = Self { child, host };
        let start = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(Failure(
                    "`docker-registry` did not start in ten seconds".to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl DockerRegistry {
    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.to_string())
        .map_err(io_failure("127.0.0.1:0".as_ref()))
}
