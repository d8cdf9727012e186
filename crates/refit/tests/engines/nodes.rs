//! `[[node]]`: two engines that share the targets of a run.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Stdio},
};

use refit_testkit::engines::{BuildKitd, Dockerd, Version};
use serde_json::Value;

use crate::{
    bench::Bench,
    hub::{Hub, text},
    said::Said,
};

/// Two nodes of the engine `docker`, or `buildkit`.
struct Pair {
    hub: Hub,
    bench: Bench,
    a: Option<Dockerd>,
    b: Option<Dockerd>,
}

impl Pair {
    /// `more` are lines of the first and of the second `[[node]]`.
    fn start(a: Version, b: Version, more: [&str; 2]) -> Self {
        let (a, b) = (Dockerd::start(a).unwrap(), Dockerd::start(b).unwrap());
        Self::of(a, b, more)
    }

    fn of(a: Dockerd, b: Dockerd, more: [&str; 2]) -> Self {
        let bench = Bench::without_engine();
        let nodes = [("a", &a), ("b", &b)].into_iter().zip(more);
        let nodes = nodes.map(|((name, dockerd), more)| {
            let host = dockerd.host();
            format!("[[node]]\nname = \"{name}\"\nendpoint = \"{host}\"\n{more}\n")
        });
        let nodes: String = nodes.collect();
        let hub = Hub::start();
        hub.push_base("1", "1");
        let pair = Self {
            hub,
            bench,
            a: Some(a),
            b: Some(b),
        };
        pair.nodes(&nodes);
        pair
    }

    /// Writes the user's configuration.
    fn nodes(&self, text: &str) {
        let folder = self.bench.beside("home/.config/refit");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), text).unwrap();
    }

    /// Commits images by name and Dockerfile, whose first line is put before.
    fn images(&self, images: &[(&str, &str)]) {
        let host = self.hub.host();
        let config = format!(
            "version = 1\npush-to = [\"{host}/team\"]\n[defaults]\nnetwork = \"none\"\n\
             platforms = [\"linux/amd64\", \"linux/arm64\"]\n[[images]]\nfiles = \"*/Dockerfile\"\n\
             name = \"{{dir}}\"\n"
        );
        self.bench.write(&[(".config/refit.toml", &config)]);
        for (name, body) in images {
            let file = format!("FROM {host}/base/os:1\n{body}");
            self.bench.write(&[(&format!("{name}/Dockerfile"), &file)]);
        }
        self.bench.commit("images");
    }

    fn refit(&self, args: &[&str]) -> Said {
        let mut command = self.bench.refit_command(&self.bench.repository(), args);
        Said::by(command.env_remove("DOCKER_HOST"))
    }

    /// Begins a run, and waits until its RUN says so.
    fn until_begun(&self, args: &[&str]) -> (Going, String) {
        let mut command = self.bench.refit_command(&self.bench.repository(), args);
        command.env_remove("DOCKER_HOST").stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("#5 it has begun\n") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        (Going { child, stderr }, said)
    }
}

/// A run that goes on.
struct Going {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

/// The exit code, and what was printed from then on.
fn rest(mut going: Going) -> (Option<i32>, String) {
    let mut said = String::new();
    going.stderr.read_to_string(&mut said).unwrap();
    (going.child.wait().unwrap().code(), said)
}

/// `image@platform on node` of what a run built.
fn placed(ran: &Value) -> Vec<String> {
    let images = ran["images"].as_array().unwrap();
    let targets = images.iter().flat_map(|image| {
        let targets = image["targets"].as_array().unwrap();
        targets.iter().map(move |target| {
            let platform = text(&target["platform"]);
            format!("{}@{platform} on {}", text(&image["name"]), target["node"])
        })
    });
    targets.collect()
}

#[test]
fn needs_engine_docker20_and_needs_engine_docker26_each_platform_goes_to_its_node() {
    let only = [
        "platforms = [\"linux/amd64\"]",
        "platforms = [\"linux/arm64\"]\nslots = 3",
    ];
    let pair = Pair::start(Version::V20, Version::V26, only);
    pair.images(&[("web", "RUN uname -m > /etc/built-on\n")]);
    let ran = pair
        .refit(&["build", "--push", "--format", "json"])
        .exits(0);
    assert_eq!(
        placed(&ran.json()),
        ["web@linux/amd64 on \"a\"", "web@linux/arm64 on \"b\""]
    );
    ran.mentions("web@linux/arm64 | on node b");
    pair.refit(&["logs", "web"])
        .mentions("==> web@linux/arm64 (rebuild succeeded on b)");
    let runs = pair.refit(&["runs", "--format", "json"]).exits(0);
    runs.mentions("\"node\": \"a\"").mentions("\"node\": \"b\"");

    let said = pair.refit(&["doctor"]);
    said.mentions("`a`: Docker Engine 20.10.")
        .mentions("`b`: Docker Engine 26.1.")
        .mentions("; only for linux/arm64; 3 slots");
    // The environment's word counts more than the user's configuration.
    let host = pair.b.as_ref().unwrap().host();
    let mut doctor = pair
        .bench
        .refit_command(&pair.bench.repository(), &["doctor"]);
    Said::by(doctor.env("DOCKER_HOST", host))
        .mentions("`a` is left aside, as DOCKER_HOST counts more");
}

#[test]
fn needs_engine_docker20_and_needs_engine_docker26_a_node_that_dies_is_drained_and_its_target_moves()
 {
    let mut pair = Pair::start(Version::V26, Version::V20, ["", ""]);
    // Only on the first node does the patch take its time: its folder is among the container's mounts.
    let socket = pair.a.as_ref().unwrap().socket();
    let folder = socket.parent().unwrap().file_name().unwrap();
    let run = format!(
        "RUN if grep -q 2 /etc/os-patch && grep -q {} /proc/self/mountinfo; then echo it has begun; sleep 250; fi\n",
        folder.to_str().unwrap()
    );
    pair.images(&[("web", &run)]);
    let ran = pair
        .refit(&["build", "--push", "--format", "json"])
        .exits(0);
    let nodes: BTreeSet<String> = placed(&ran.json())
        .iter()
        .map(|target| target.rsplit(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        nodes.len(),
        2,
        "the second target goes to the one that is not busy"
    );
    let before = pair.hub.manifests("team/web:latest");

    pair.hub.push_base("2", "2");
    let (going, said) = pair.until_begun(&["sweep"]);
    let (moved, _) = said.split_once(" | on node a\n").unwrap();
    let moved = moved.rsplit('\n').next().unwrap();
    drop(pair.a.take());
    let (code, said) = rest(going);
    assert_eq!(code, Some(0), "{said}");
    let told = said
        .matches("warning: node `a` is drained: no engine answers at")
        .count();
    assert_eq!(told, 1, "{said}");
    let again =
        format!("{moved} | node a is drained, another one is looked for\n{moved} | on node b\n");
    assert!(said.contains(&again), "{said}");
    assert_eq!(said.matches(" on b\n").count(), 2, "{said}");
    let after = pair.hub.manifests("team/web:latest");
    assert!(
        after
            .iter()
            .all(|(platform, manifest)| before[platform] != *manifest)
    );

    // The other one alone goes on, which is said; nobody is no one.
    pair.hub.push_base("3", "3");
    pair.refit(&["sweep"])
        .exits(0)
        .mentions("warning: node `a` is drained");
    drop(pair.b.take());
    pair.hub.push_base("4", "4");
    let said = pair.refit(&["sweep"]).exits(2);
    said.mentions("error: no node can be used: `a`: no engine answers at")
        .mentions("; `b`: no engine answers at")
        .mentions("hint: `refit doctor` says how each node is");
    pair.refit(&["doctor"]).exits(1).mentions("`b` at unix://");
}

#[test]
fn needs_engine_docker20_and_needs_engine_docker26_when_the_last_node_dies_all_are_named() {
    let mut pair = Pair::start(
        Version::V20,
        Version::V26,
        [
            "platforms = [\"linux/arm64\"]",
            "platforms = [\"linux/amd64\"]",
        ],
    );
    pair.images(&[(
        "web",
        "RUN if [ $(uname -m) = x86_64 ]; then echo it has begun; sleep 250; fi\n",
    )]);
    let (going, _) = pair.until_begun(&["build", "--push"]);
    drop(pair.b.take());
    let (code, said) = rest(going);
    assert_eq!(code, Some(1), "{said}");
    let why = "error: web@linux/amd64: no node is left for linux/amd64: `a` is for other platforms; \
               `b` is drained, no engine answers at";
    assert!(said.contains(why), "{said}");
    pair.hub.is_missing("team/web:latest");
}

#[test]
fn needs_engine_docker20_and_needs_engine_docker26_a_failed_run_is_not_moved_and_a_refused_one_is()
{
    let pair = Pair::start(Version::V20, Version::V26, ["", ""]);
    pair.images(&[
        ("broken", "RUN echo it is tried && false\n"),
        ("newer", "RUN <<EOF\necho hello > /etc/hello\nEOF\n"),
    ]);
    let ran = pair
        .refit(&["build", "--push", "--format", "json"])
        .exits(1);
    // 20.10 knows no heredocs.
    assert_eq!(
        placed(&ran.json()),
        ["newer@linux/amd64 on \"b\"", "newer@linux/arm64 on \"b\""]
    );
    let log = pair.refit(&["logs", "broken@linux/amd64"]).exits(0);
    assert_eq!(log.stdout.matches("#5 it is tried\n").count(), 1, "{log}");
    assert_eq!(log.stdout.matches("\non node ").count(), 1, "{log}");
    assert!(!ran.stderr.contains("drained"), "{ran}");
}

#[test]
fn needs_engine_docker26_nodes_may_be_buildkits_of_both_sorts() {
    let inside = Dockerd::start(Version::V26Containerd).unwrap();
    let alone = BuildKitd::start_apart().unwrap();
    let bench = Bench::without_engine();
    let node = |name: &str, endpoint: &str, platform: &str| {
        format!(
            "[[node]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\nengine = \"buildkit\"\n\
             platforms = [\"{platform}\"]\n"
        )
    };
    let nodes = [
        node("inside", &inside.host(), "linux/amd64"),
        node("alone", &alone.host(), "linux/arm64"),
    ];
    let hub = Hub::start();
    hub.push_base("1", "1");
    let pair = Pair {
        hub,
        bench,
        a: Some(inside),
        b: None,
    };
    pair.nodes(&nodes.concat());
    pair.images(&[("web", "RUN uname -m > /etc/built-on\n")]);
    // No image asks for BuildKit: it is what there is.
    let ran = pair
        .refit(&["build", "--push", "--format", "json"])
        .exits(0);
    assert_eq!(
        placed(&ran.json()),
        [
            "web@linux/amd64 on \"inside\"",
            "web@linux/arm64 on \"alone\""
        ]
    );
}

#[test]
fn needs_engine_docker20_and_needs_engine_docker26_a_node_in_another_network_builds_by_a_relay() {
    let apart = Dockerd::start_apart(Version::V20).unwrap();
    let here = Dockerd::start(Version::V26).unwrap();
    let only = |platform| format!("platforms = [\"linux/{platform}\"]");
    let pair = Pair::of(apart, here, [&only("amd64"), &only("arm64")]);
    pair.images(&[("web", "RUN uname -m > /etc/built-on\n")]);
    let ran = pair
        .refit(&["build", "--push", "--format", "json"])
        .exits(0);
    assert_eq!(
        placed(&ran.json()),
        ["web@linux/amd64 on \"a\"", "web@linux/arm64 on \"b\""]
    );
}
