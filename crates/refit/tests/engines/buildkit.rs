//! The engine `buildkit` on the whole path: a release and a patch, with no Docker Engine in reach.

use crate::{bench::Bench, hub::Hub};

#[test]
fn needs_engine_docker26_buildkitd_releases_and_patches_without_docker_engine() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_buildkitd();
    let host = hub.host();
    bench.write(&[
        (
            ".config/refit.toml",
            &format!(
                "version = 1\npush-to = [\"{host}/team\"]\n\
                 [[image]]\nname = \"app\"\nengine = \"buildkit\"\nnetwork = \"none\"\n\
                 cache-to = [\"local\"]\ncache-from = [\"local\"]\n\
                 platforms = [\"linux/amd64\", \"linux/arm64\"]\n"
            ),
        ),
        (
            "Dockerfile",
            &format!(
                "FROM {host}/base/os:1\nRUN uname -m > /machine && echo says $(cat /machine)\n"
            ),
        ),
    ]);
    bench.commit("an image");
    let built = bench.refit(&["-v", "build", "--push"]).exits(0);
    built
        .mentions("cache-to: refit.local/cache/app:layers-linux-amd64 is written")
        .mentions("says x86_64")
        .mentions("says aarch64");
    let manifests = hub.manifests("team/app:latest");
    for (platform, machine) in [("amd64", "x86_64\n"), ("arm64", "aarch64\n")] {
        let file = hub.file("team/app", &manifests[platform], "machine");
        assert_eq!(file.as_deref(), Some(machine));
    }
    let records = || {
        let notes = ["notes", "--ref=refit-records", "show", "HEAD:Dockerfile"];
        bench.git(&notes).exits(0).stdout
    };
    let of_buildkit = |text: &str| text.matches("\"engine\":\"buildkit\"").count();
    assert_eq!(of_buildkit(&records()), 2, "{}", records());
    bench.refit(&["logs"]).exits(0).mentions("says aarch64");

    // On one platform alone.
    hub.push_base("2", "1");
    bench
        .refit(&["sweep", "--dry-run", "--explain"])
        .exits(0)
        .mentions("app@linux/amd64: rebuild by buildkit, as `engine` says")
        .mentions("no rebase: line 2 executes on the base")
        .mentions("no native: `engine = \"buildkit\"` is configured");
    bench.refit(&["sweep"]).exits(0);
    assert_ne!(hub.manifests("team/app:latest"), manifests);
    assert_eq!(of_buildkit(&records()), 3, "{}", records());
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

#[test]
fn buildkit_that_is_nowhere_is_said_with_where_it_may_be() {
    let bench = Bench::without_engine();
    bench.write(&[
        (
            ".config/refit.toml",
            "version = 1\n[defaults]\nengine = \"buildkit\"\n[[image]]\nname = \"app\"\n",
        ),
        ("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
    ]);
    bench.commit("an image");
    let at = |address: &str| {
        let mut command = bench.refit_command(&bench.repository(), &["build"]);
        crate::said::Said::by(command.env("BUILDKIT_HOST", address)).exits(2)
    };
    at("unix:///nonexistent/buildkitd.sock")
        .mentions("no engine answers at `unix:///nonexistent/buildkitd.sock`")
        .mentions("BUILDKIT_HOST=");
    at("docker-container://builder").mentions("`docker-container://builder` is no engine");
}
