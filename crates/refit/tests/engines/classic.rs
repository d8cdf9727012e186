//! Engines without BuildKit on the whole path: Docker Engine's classic builder, and Podman's socket.

use std::{collections::BTreeMap, process::Command};

use refit_testkit::engines::{Podman, Version};

use crate::{bench::Bench, hub::Hub, said::Said};

const DOCKERFILE: &str = "\
FROM HOST/base/os:1 AS made
ARG WORD
RUN echo $WORD > /word
FROM HOST/base/os:1
COPY --from=made /word /word
COPY file /file
RUN cat /word /file > /both && echo says $(cat /both)
";

/// A repository, and the variables that name the engine.
struct Story {
    bench: Bench,
    hub: Hub,
    variables: Vec<(&'static str, String)>,
    /// What `doctor` calls the engine.
    name: &'static str,
    /// How a failed RUN ends.
    failure: &'static str,
}

impl Story {
    fn refit(&self, args: &[&str]) -> Said {
        let mut command: Command = self.bench.refit_command(&self.bench.repository(), args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Said::by(&mut command)
    }

    fn write(&self, dockerfile: &str) {
        let text = dockerfile.replace("HOST", &self.hub.host());
        self.bench.write(&[("Dockerfile", &text)]);
        self.bench.commit("a change");
    }

    fn tell(&self) {
        let Self { bench, hub, .. } = self;
        let host = hub.host();
        let first = hub.push_base("1", "1");
        bench.write(&[
            (
                ".config/refit.toml",
                &format!(
                    "version = 1\npush-to = [\"{host}/team\"]\n[[image]]\nname = \"app\"\n\
                     network = \"none\"\nbuild-args = {{ WORD = \"hello\" }}\n\
                     platforms = [\"linux/amd64\", \"linux/arm64\"]\n"
                ),
            ),
            ("file", "file\n"),
        ]);
        self.write(DOCKERFILE);
        self.refit(&["doctor"]).mentions(self.name);
        let built = self.refit(&["-v", "build", "--push"]).exits(0);
        built.mentions("says hello file");
        let released = hub.manifests("team/app:latest");
        for manifest in released.values() {
            let file = hub.file("team/app", manifest, "both");
            assert_eq!(file.as_deref(), Some("hello\nfile\n"));
        }
        self.refit(&["logs"]).exits(0).mentions("says hello file");
        self.refit(&["status", "--exit-code"]).exits(0);

        // One platform's base moves, and that one is built anew.
        hub.push_base("2", "1");
        self.refit(&["status", "--exit-code"]).exits(1);
        self.refit(&["sweep"]).exits(0);
        let patched = hub.manifests("team/app:latest");
        assert_eq!(patched["arm64"], released["arm64"]);
        assert_ne!(patched["amd64"], released["amd64"]);
        self.refit(&["sweep"]).exits(0).mentions("nothing to do");
        self.refit(&["verify"]).exits(0);

        // Whoever names a digest gets it, wherever the tag is by now.
        self.write(&format!("FROM HOST/base/os:1@{first}\nRUN echo x > /x\n"));
        self.refit(&["build", "--push"]).exits(0);
        let pinned = hub.manifests("team/app:latest");
        let of = |manifests: &BTreeMap<String, String>| {
            let manifest = format!("team/app@{}", manifests["amd64"]);
            hub.json(&manifest)["layers"][0].clone()
        };
        assert_eq!(of(&pinned), of(&released));
        assert_ne!(of(&pinned), of(&patched));

        self.write("FROM HOST/base/os:1\nRUN echo trouble; \\\n  exit 3\n");
        self.refit(&["build", "--push"])
            .exits(1)
            .mentions("Dockerfile:2:1")
            .mentions(self.failure);
        self.write("FROM HOST/base/os:1\nCOPY --link file /\nRUN true\n");
        self.refit(&["build", "--push"])
            .exits(1)
            .mentions("Dockerfile:2:6")
            .mentions("cannot do COPY --link");
        assert_eq!(hub.manifests("team/app:latest"), pinned);
    }
}

#[test]
fn needs_engine_docker20_classic_releases_and_patches() {
    let story = Story {
        bench: Bench::with_engine(Version::V20),
        hub: Hub::start(),
        variables: vec![("DOCKER_BUILDKIT", "0".to_owned())],
        name: "the classic builder of Docker Engine 20.10",
        failure: "returned a non-zero code: 3",
    };
    story.tell();
    let (names, n_containers) = story.bench.left_in_engine();
    let unnamed = |name: &String| name.contains("<none>") || name == "null";
    assert!(names.iter().all(unnamed), "{names:?}");
    assert_eq!(n_containers, 0);
}

#[test]
fn needs_engine_podman_releases_and_patches() {
    let podman = Podman::start().unwrap();
    let story = Story {
        bench: Bench::without_engine(),
        hub: Hub::start(),
        variables: vec![("DOCKER_HOST", podman.host())],
        name: "Podman 4.3.1 at unix://",
        failure: "exit status 3",
    };
    story.tell();
    // Where BuildKit is asked for, Podman is none.
    let mut command = story
        .bench
        .refit_command(&story.bench.repository(), &["build", "--push"]);
    command.env("DOCKER_HOST", podman.host());
    Said::by(command.env("REFIT_ENGINE", "buildkit"))
        .exits(2)
        .mentions("has no BuildKit");
}
