//! Engines that are reached by `ssh`.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use refit_testkit::engines::{BuildKitd, Dockerd, Sshd, Version};

use crate::{bench::Bench, hub::Hub, lineage, said::Said};

/// What an `ssh` that is none is to do once its arguments are right.
fn stub(bench: &Bench, then: &str) -> PathBuf {
    let bin = bench.beside("bin");
    fs::create_dir(&bin).unwrap();
    let options = "-T -o ConnectTimeout=30 -o ServerAliveInterval=15";
    let forward =
        "-N -S none -o ExitOnForwardFailure=yes -o LogLevel=INFO -R 127.0.0.1:0:127.0.0.1:";
    let host = "-l me -p 2222 -- build-machine";
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n\
         '{options} {host} docker system dial-stdio') ;;\n\
         '{options} {host} buildctl dial-stdio') ;;\n\
         '{options} {forward}'[0-9]*' {host}') ;;\n\
         *) echo \"unexpected: $*\" >&2; exit 64 ;;\nesac\n\
         echo \"$*\" >> {}/calls\n{then}\n",
        bin.display()
    );
    let ssh = bin.join("ssh");
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

/// The `ssh` of an engine that is on this machine after all: what is forwarded is there already.
fn stub_of_engine(bench: &Bench, host: &str) -> PathBuf {
    let docker = refit_testkit::engines::folder().join("docker26/usr/bin/docker");
    let then = format!(
        "case \"$*\" in\n\
         *' -R '*) port=${{14##*:}}\n  echo \"Allocated port $port for remote forward to 127.0.0.1:$port\" >&2\n  \
         exec sleep 600 ;;\nesac\nexec {} -H {host} system dial-stdio",
        docker.display()
    );
    stub(bench, &then)
}

fn over(bench: &Bench, bin: &std::path::Path, args: &[&str]) -> Command {
    let mut command = bench.refit_command(&bench.repository(), args);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bin.display()));
    command.env("DOCKER_HOST", "ssh://me@build-machine:2222");
    command
}

#[test]
fn needs_engine_docker20_a_build_goes_to_the_engine_behind_ssh() {
    builds(Version::V20, "auto");
}

#[test]
fn needs_engine_docker26_a_build_goes_to_the_engine_behind_ssh() {
    builds(Version::V26, "docker");
}

#[test]
fn needs_engine_docker26_buildkit_is_asked_behind_ssh_as_well() {
    builds(Version::V26Containerd, "buildkit");
}

fn builds(version: Version, engine: &str) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let dockerd = Dockerd::start(version).unwrap();
    let bench = Bench::without_engine();
    lineage::write(&bench, &hub);
    let config = bench.repository().join(".config/refit.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace(
        "[defaults]\n",
        &format!("[defaults]\nengine = \"{engine}\"\n"),
    );
    fs::write(&config, text).unwrap();
    bench.commit("three images");
    let bin = stub_of_engine(&bench, &dockerd.host());
    Said::by(&mut over(&bench, &bin, &["build", "--push", "base"])).exits(0);
    assert_eq!(hub.manifests("team/base:latest").len(), 2);
    let calls = fs::read_to_string(bin.join("calls")).unwrap();
    let forwards = calls.lines().filter(|call| call.contains(" -R ")).count();
    assert_eq!(forwards, 2, "a registry for each target\n{calls}");
    let said = Said::by(&mut over(&bench, &bin, &["doctor"]));
    said.mentions("at ssh://me@build-machine:2222");
}

#[test]
fn needs_engine_docker26_a_build_goes_to_the_buildkitd_behind_ssh() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let buildkitd = BuildKitd::start().unwrap();
    let bench = Bench::without_engine();
    lineage::write(&bench, &hub);
    bench.commit("three images");
    // What is behind Docker's client here is the buildkitd's socket: it copies bytes, as `buildctl` does.
    let bin = stub_of_engine(&bench, &buildkitd.socket_host());
    let there = |args: &[&str]| {
        let mut command = over(&bench, &bin, args);
        command.env_remove("DOCKER_HOST");
        command.env("REFIT_ENGINE", "buildkit");
        Said::by(command.env("BUILDKIT_HOST", "ssh://me@build-machine:2222"))
    };
    there(&["build", "--push", "base"]).exits(0);
    assert_eq!(hub.manifests("team/base:latest").len(), 2);
    let calls = fs::read_to_string(bin.join("calls")).unwrap();
    assert!(calls.contains("buildctl dial-stdio\n"), "{calls}");
    assert!(!calls.contains("docker system"), "{calls}");
    there(&["doctor"]).mentions("at ssh://me@build-machine:2222");
}

#[test]
fn what_ssh_says_is_the_reason() {
    let bench = Bench::without_engine();
    bench.write(&[(
        "Dockerfile",
        "FROM scratch\nCOPY Dockerfile /\nRUN [\"x\"]\n",
    )]);
    bench.commit("an image");
    let bin = stub(
        &bench,
        "echo 'me@build-machine: Permission denied (publickey).' >&2\nexit 255",
    );
    for engine in ["docker", "buildkit"] {
        let mut build = over(&bench, &bin, &["build"]);
        Said::by(build.env("REFIT_ENGINE", engine))
            .exits(2)
            .mentions("no engine answers at `ssh://me@build-machine:2222`")
            .mentions("`ssh` says: me@build-machine: Permission denied (publickey)")
            .mentions("hint: see whether `docker -H ssh://me@build-machine:2222 version` answers");
    }
    let mut build = over(&bench, &bin, &["build"]);
    build.env("BUILDKIT_HOST", "ssh://me@build-machine:2222");
    Said::by(build.env("REFIT_ENGINE", "buildkit"))
        .exits(2)
        .mentions("`ssh` says: me@build-machine: Permission denied (publickey)")
        .mentions("hint: see whether `buildctl debug workers` answers over there");
}

#[test]
fn needs_sshd_and_needs_engine_docker26_another_machine_is_lent_the_registry() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let dockerd = Dockerd::start_apart(Version::V26).unwrap();
    let sshd = Sshd::to(&dockerd).unwrap();
    let bench = Bench::without_engine();
    lineage::write(&bench, &hub);
    bench.commit("three images");
    let build = |args: &[&str]| {
        let mut command = bench.refit_command(&bench.repository(), args);
        command.env("DOCKER_HOST", "ssh://build-machine");
        Said::by(command.env("PATH", sshd.search_path()))
    };
    let said = build(&["build", "--push", "base"]);
    assert_eq!(said.code, Some(0), "{said}\n{}", sshd.log());
    assert_eq!(hub.manifests("team/base:latest").len(), 2);

    sshd.forward_nothing().unwrap();
    build(&["build", "--push", "web"])
        .exits(1)
        .mentions(
            "the engine at `ssh://build-machine` does not reach refit's registry at 127.0.0.1:",
        )
        .mentions("remote port forwarding failed")
        .mentions("AllowTcpForwarding");
}
