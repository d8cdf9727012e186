//! Dockerfiles as they are in the wild: stages on the build platform, images by `COPY --from`, two registries.

use std::collections::BTreeSet;

use refit_testkit::engines::Version;

use crate::{
    bench::Bench,
    hub::{Hub, text},
};

const BOTH: &str = "version = 1\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\nnetwork = \"none\"\n\n\
                    [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n";

#[test]
fn needs_engine_docker20_a_stage_on_the_build_platform_makes_every_target_depend_on_it() {
    on_the_build_platform(Version::V20);
}

#[test]
fn needs_engine_docker26_a_stage_on_the_build_platform_makes_every_target_depend_on_it() {
    on_the_build_platform(Version::V26);
}

fn on_the_build_platform(version: Version) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    hub.push_base_to("base/tools", "tools", "tools");
    let bench = Bench::with_engine(version);
    let host = hub.host();
    let dockerfile = format!(
        "ARG OS={host}/base/os\nFROM --platform=$BUILDPLATFORM $OS:1 AS build\nARG TARGETARCH\n\
         RUN echo \"$(uname -m) for $TARGETARCH\" > /built\n\nFROM {host}/base/nowhere AS unused\nRUN false\n\n\
         FROM ${{OS}}:1\nCOPY --from=build /built /etc/built\n\
         COPY --from={host}/base/tools:1 /etc/os-patch /etc/tools\nRUN cat /etc/built /etc/tools > /etc/all\n"
    );
    bench.write(&[
        (
            ".config/refit.toml",
            &format!("push-to = [\"{host}/team\"]\n{BOTH}"),
        ),
        ("cross/Dockerfile", &dockerfile),
    ]);
    bench.commit("a cross build");
    bench.refit_on_amd64(&["build", "--push"]).exits(0);
    let all = |architecture: &str| {
        let manifest = hub.manifests("team/cross:latest")[architecture].clone();
        hub.file("team/cross", &manifest, "etc/all").unwrap()
    };
    assert_eq!(all("amd64"), "x86_64 for amd64\ntools");
    assert_eq!(all("arm64"), "x86_64 for arm64\ntools");

    let stale = || -> BTreeSet<String> {
        let plan = bench
            .refit_on_amd64(&["sweep", "--dry-run", "--format", "json"])
            .exits(0)
            .json();
        plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| text(&s["target"]))
            .collect()
    };
    let (amd64, arm64) = (
        "cross@linux/amd64".to_owned(),
        "cross@linux/arm64".to_owned(),
    );
    hub.push_base_to("base/tools", "tools", "newer");
    assert_eq!(stale(), [arm64.clone()].into());
    bench.refit_on_amd64(&["sweep"]).exits(0);
    assert_eq!(
        (all("amd64"), all("arm64")),
        (
            "x86_64 for amd64\ntools".to_owned(),
            "x86_64 for arm64\nnewer".to_owned()
        )
    );

    // The arm64 target is built on the amd64 base, too.
    hub.push_base("2", "1");
    assert_eq!(stale(), [amd64, arm64].into());
    bench.refit_on_amd64(&["sweep"]).exits(0);
    assert_eq!(stale(), BTreeSet::new());
}

#[test]
fn needs_engine_docker26_bases_of_another_registry_are_copied_once() {
    let (bases, ours) = (Hub::start(), Hub::start());
    bases.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26);
    let config = format!(
        "push-to = [\"{0}/team\", \"{1}/mirror\"]\n{BOTH}",
        ours.host(),
        bases.host()
    );
    bench.write(&[
        (".config/refit.toml", &config),
        (
            "one/Dockerfile",
            &format!("FROM {}/base/os:1\nRUN echo one > /one\n", bases.host()),
        ),
        (
            "two/Dockerfile",
            &format!("FROM {}/team/one\nRUN echo two > /two\n", ours.host()),
        ),
    ]);
    bench.commit("two images, two registries");
    let ran = bench
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    let tags = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|i| i["tags"].as_array().unwrap());
    assert!(
        tags.clone().count() == 4 && tags.clone().all(|t| t["moved"] == true),
        "{ran}"
    );
    for image in ["one", "two"] {
        assert_eq!(
            ours.raw(&format!("team/{image}:latest")),
            bases.raw(&format!("mirror/{image}:latest"))
        );
    }
    let base = bases.manifests("base/os:1")["arm64"].clone();
    let layer =
        text(&bases.json(&format!("base/os@{base}"))["layers"][0]["digest"]).replace(':', "%3A");
    let sent = |request: &&String| request.starts_with("PUT /v2/team/") && request.contains(&layer);
    assert_eq!(
        ours.requests().iter().filter(sent).count(),
        1,
        "once for all images"
    );

    // A further registry that is down does not block the lead, and is caught up with later.
    let lead = ours.digest("team/two:latest");
    let mirror = bases.digest("mirror/two:latest");
    bases.push_base("2", "1");
    bench.refit(&["sweep"]).exits(0);
    assert_ne!(ours.digest("team/two:latest"), lead);
    assert_ne!(bases.digest("mirror/two:latest"), mirror);
    assert_eq!(
        ours.digest("team/two:latest"),
        bases.digest("mirror/two:latest")
    );
}

#[test]
fn needs_engine_docker20_an_image_of_one_platform_is_no_base_for_another() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let amd64 = hub.manifests("base/os:1")["amd64"].clone();
    hub.retag("base/os", &amd64, "single");
    let bench = Bench::with_engine(Version::V20);
    let host = hub.host();
    bench.write(&[
        (
            ".config/refit.toml",
            &format!("push-to = [\"{host}/team\"]\n{BOTH}"),
        ),
        (
            "web/Dockerfile",
            &format!("FROM {host}/base/os:single\nRUN uname -m > /machine\n"),
        ),
    ]);
    bench.commit("one image");
    bench
        .refit(&["build", "--push"])
        .exits(1)
        .mentions("web@linux/arm64");
    hub.is_missing("team/web:latest");
    bench.write(&[(
        "web/Dockerfile",
        &format!("FROM {host}/base/os:nothing\nRUN true\n"),
    )]);
    bench.commit("a base that is not there");
    bench
        .refit(&["build", "--push"])
        .exits(1)
        .mentions("missing-tag");
    bench.refit(&["build"]).exits(1).mentions("missing-tag");
    hub.is_missing("team/web:latest");
}

#[test]
fn needs_engine_docker20_a_base_in_dockers_own_formats_is_kept_layer_by_layer() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    hub.convert(&hub, "base/os:1", "base/docker:1", &["--format=v2s2"]);
    let base = hub.json("base/docker:1");
    assert!(
        text(&base["mediaType"]).contains("docker.distribution"),
        "{base}"
    );
    is_built_on(
        Version::V20,
        &hub,
        "base/docker:1",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    );
}

#[test]
fn needs_engine_docker26_a_base_with_zstd_layers_is_kept_layer_by_layer() {
    let (gzip, hub) = (Hub::start(), Hub::start());
    gzip.push_base("1", "1");
    let flags = ["--dest-compress-format=zstd"];
    hub.convert(&gzip, "base/os:1", "base/zstd:1", &flags);
    is_built_on(
        Version::V26,
        &hub,
        "base/zstd:1",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    );
}

/// Builds an image on `base` for both platforms: it begins with the base's own layer, of that media type.
fn is_built_on(version: Version, hub: &Hub, base: &str, layer_type: &str) {
    let bench = Bench::with_engine(version);
    let host = hub.host();
    bench.write(&[
        (
            ".config/refit.toml",
            &format!("push-to = [\"{host}/team\"]\n{BOTH}"),
        ),
        (
            "web/Dockerfile",
            &format!("FROM {host}/{base}\nRUN uname -m > /machine\n"),
        ),
    ]);
    bench.commit("one image");
    bench.refit(&["build", "--push"]).exits(0);
    let (repository, _) = base.split_once(':').unwrap();
    for (architecture, machine) in [("amd64", "x86_64\n"), ("arm64", "aarch64\n")] {
        let of_base = hub.json(&format!(
            "{repository}@{}",
            hub.manifests(base)[architecture]
        ));
        let manifest = hub.manifests("team/web:latest")[architecture].clone();
        let ours = hub.json(&format!("team/web@{manifest}"));
        assert_eq!(
            ours["mediaType"],
            "application/vnd.oci.image.manifest.v1+json"
        );
        assert_eq!(ours["layers"][0]["digest"], of_base["layers"][0]["digest"]);
        assert_eq!(ours["layers"][0]["mediaType"], layer_type);
        assert_eq!(
            hub.file("team/web", &manifest, "machine").as_deref(),
            Some(machine)
        );
    }
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
    let name = format!("{host}/team/web:latest");
    assert_eq!(bench.run_image(&name, "linux/amd64"), "");
}
