//! Engines that do not reach this machine, and are given a relay.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use refit_testkit::{
    engines::{Dockerd, Podman, TlsFront, Version},
    tls::Authority,
};
use tempfile::TempDir;

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

/// A release and a patch of it, by the engine at this socket, to which the variables lead.
fn tell(socket: &Path, variables: &[(&str, &str)]) {
    let hub = Hub::start();
    let host = hub.host();
    hub.push_base("1", "1");
    let bench = Bench::without_engine();
    let refit = |args: &[&str]| {
        let mut command = bench.refit_command(&bench.repository(), args);
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command.envs(variables.iter().copied());
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
        tell(&Dockerd::start_apart(version).unwrap().socket(), &[]);
    }
}

#[test]
fn needs_engine_docker20_an_engine_in_another_network_is_given_a_relay() {
    let dockerd = Dockerd::start_apart(Version::V20).unwrap();
    for buildkit in ["1", "0"] {
        tell(&dockerd.socket(), &[("DOCKER_BUILDKIT", buildkit)]);
    }
}

#[test]
fn needs_engine_podman_in_another_network_is_given_a_relay() {
    let podman = Podman::start_apart().unwrap();
    tell(&podman.socket(), &[]);
}

/// As a CI system has it that runs `docker:dind` beside a job.
#[test]
fn needs_engine_docker26_an_engine_behind_tls_is_given_a_relay() {
    let dockerd = Dockerd::start_apart(Version::V26).unwrap();
    let authority = Authority::new();
    let front = TlsFront::before_socket(&dockerd.socket(), &authority).unwrap();
    let certificates = TempDir::new().unwrap();
    let own = authority.issue();
    for (name, pem) in [
        ("ca.pem", authority.pem()),
        ("cert.pem", own.pem),
        ("key.pem", own.key_pem),
    ] {
        fs::write(certificates.path().join(name), pem).unwrap();
    }
    let variables = [
        ("DOCKER_HOST", front.host()),
        ("DOCKER_TLS_VERIFY", "1".to_owned()),
        (
            "DOCKER_CERT_PATH",
            certificates.path().display().to_string(),
        ),
    ];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    tell(&dockerd.socket(), &variables);
}

#[test]
fn needs_engine_docker26_a_relay_ends_with_refit_however_that_ends() {
    let dockerd = Dockerd::start_apart(Version::V26).unwrap();
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::without_engine();
    let dockerfile = format!(
        "FROM {}/base/os:1\nRUN echo has begun; sleep 71407 && echo over\n",
        hub.host()
    );
    let config = "version = 1\n[[image]]\nname = \"app\"\nnetwork = \"none\"\n";
    bench.write(&[(".config/refit.toml", config), ("Dockerfile", &dockerfile)]);
    bench.commit("an image");
    for signal in ["KILL", "TERM"] {
        let mut command = bench.refit_command(&bench.repository(), &["-v", "build"]);
        command.env("DOCKER_HOST", dockerd.host());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut build = command.spawn().unwrap();
        let lines = BufReader::new(build.stderr.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with(" has begun")));
        assert_eq!(left_in(&dockerd.socket()).1, 1, "the relay");
        let id = build.id().to_string();
        let kill = ["-s", signal, &id];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        build.wait().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while left_in(&dockerd.socket()).1 > 0 {
            assert!(Instant::now() < until, "the relay is still there");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
