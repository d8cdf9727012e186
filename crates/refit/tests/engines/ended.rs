//! Builds that are ended before their end: by their `timeout`, or by whoever started them. Nothing goes on.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use refit_testkit::engines::Version;

use crate::{bench::Bench, hub::Hub};

#[test]
fn needs_engine_docker20_an_ended_build_leaves_nothing() {
    leaves_nothing(&Bench::with_engine(Version::V20), "docker", "71401");
}

#[test]
fn needs_engine_docker26_buildkitd_an_ended_build_leaves_nothing() {
    leaves_nothing(&Bench::with_buildkitd(), "buildkit", "71403");
}

/// `seconds` tells the tests' processes apart.
fn leaves_nothing(bench: &Bench, engine: &str, seconds: &str) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let host = hub.host();
    let write = |more: &str| {
        let config = format!(
            "version = 1\npush-to = [\"{host}/team\"]\n\
             [[image]]\nname = \"app\"\nengine = \"{engine}\"\nnetwork = \"none\"\n{more}"
        );
        let dockerfile =
            format!("FROM {host}/base/os:1\nRUN echo has begun; sleep {seconds} && echo over\n");
        bench.write(&[(".config/refit.toml", &config), ("Dockerfile", &dockerfile)]);
        bench.commit("an image");
    };

    write("timeout = \"5s\"\n");
    let said = bench.refit(&["build"]).exits(1);
    said.mentions("it took longer than its `timeout`, 5s");
    ends(seconds);

    write("");
    for signal in ["INT", "TERM"] {
        let mut command = bench.refit_command(&bench.repository(), &["-v", "build"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut build = command.spawn().unwrap();
        let lines = BufReader::new(build.stderr.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with(" has begun")));
        let id = build.id().to_string();
        let kill = ["-s", signal, &id];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        assert_eq!(build.wait().unwrap().code(), Some(130), "{signal}");
        ends(seconds);
    }
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
    let left = fs::read_dir(bench.beside("tmp")).unwrap().count();
    assert_eq!(left, 0, "temporary folders are gone");
}

/// Waits until `sleep <seconds>` runs nowhere.
fn ends(seconds: &str) {
    let start = Instant::now();
    let running = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut commands = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
        commands.any(|command| command == format!("sleep\0{seconds}\0").into_bytes())
    };
    while running() {
        assert!(start.elapsed() < Duration::from_secs(30), "it goes on");
        std::thread::yield_now();
    }
}
