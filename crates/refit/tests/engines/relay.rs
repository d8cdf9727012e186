//! Engines that do not reach this machine, and are given a relay.

use std::path::Path;

use refit_testkit::engines::{Dockerd, Podman, Version};

use crate::{
    bench::{Bench, left_in},
    hub::Hub,
    said::Said,
};

const DOCKERFILE: &str = "\
FROM HOST/base/os:1 AS made
RUN echo made > /made
FROM HOST/base/os:1
COPY --from=made /made /made
COPY file /file
RUN cat /made /file > /both
";

/// A release and a patch of it, by the engine at this socket.
fn tell(socket: &Path, buildkit: Option<&str>) {
    let hub = Hub::start();
    let host = hub.host();
    hub.push_base("1", "1");
    let bench = Bench::without_engine();
    let refit = |args: &[&str]| {
        let mut command = bench.refit_command(&bench.repository(), args);
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command.envs(buildkit.map(|value| ("DOCKER_BUILDKIT", value)));
        Said::by(&mut command)
    };
    bench.write(&[
        (
            ".config/refit.toml",
            &format!(
                "version = 1\npush-to = [\"{host}/team\"]\n[[image]]\nname = \"app\"\n\
                 network = \"none\"\nplatforms = [\"linux/amd64\"]\n"
            ),
        ),
        ("Dockerfile", &DOCKERFILE.replace("HOST", &host)),
        ("file", "file\n"),
    ]);
    bench.commit("an image");
    refit(&["doctor"]).mentions("reached by a relay that runs there");
    refit(&["build", "--push"]).exits(0);
    let both = |hub: &Hub| {
        let manifest = hub.manifests("team/app:latest")["amd64"].clone();
        hub.file("team/app", &manifest, "both")
    };
    assert_eq!(both(&hub).as_deref(), Some("made\nfile\n"));

    let moved = hub.push_base("2", "2");
    refit(&["sweep"]).exits(0);
    assert_eq!(both(&hub).as_deref(), Some("made\nfile\n"));
    let index = hub.json("team/app:latest");
    let of_base = &index["annotations"]["org.opencontainers.image.base.digest"];
    assert_eq!(*of_base, moved.to_string(), "{index}");

    let (images, n_containers) = left_in(socket);
    let relays: Vec<&String> = images
        .iter()
        .filter(|i| i.contains("refit-relay"))
        .collect();
    assert_eq!((relays.len(), n_containers), (1, 0), "{images:?}");
    assert!(
        !images.iter().any(|image| image.contains("127.0.0.1")),
        "{images:?}"
    );
}

#[test]
fn needs_engine_docker26_an_engine_in_another_network_is_given_a_relay() {
    for version in [Version::V26, Version::V26Containerd] {
        tell(&Dockerd::start_apart(version).unwrap().socket(), None);
    }
}

#[test]
fn needs_engine_docker20_an_engine_in_another_network_is_given_a_relay() {
    let dockerd = Dockerd::start_apart(Version::V20).unwrap();
    for buildkit in ["1", "0"] {
        tell(&dockerd.socket(), Some(buildkit));
    }
}

#[test]
fn needs_engine_podman_in_another_network_is_given_a_relay() {
    let podman = Podman::start_apart().unwrap();
    tell(&podman.socket(), None);
}
