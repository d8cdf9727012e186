//! Where images come from and go to: folders that stand for registries, registries that want a login, bases of all kinds.

use std::fs;

use refit_oci::{Descriptor, Document, Exact, Index, Platform, media_type};
use refit_testkit::registry::{Access, Login, Options, TestRegistry, TokenService};

use crate::{
    bench::{Bench, os},
    fixtures::SINGLE,
};

const AMD64: &str = "linux/amd64";

#[test]
fn a_folder_stands_for_a_registry() {
    let bench = Bench::new();
    fs::write(
        bench.user_config(),
        "[registries.\"docker.io\"]\nlayout = \"hub\"\n",
    )
    .unwrap();
    let folder = bench.folder().join("home/hub");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    fs::write(
        folder.join("index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    )
    .unwrap();
    // Somebody else's repository fills it.
    let debian = bench.repository_named(
        "debian",
        "//- .config/refit.toml\nversion = 1\npush-to = [\"docker.io/library\"]\n[[image]]\nname = \"debian\"\ncontext = \"debian\"\n\
         tags = [\"12-slim\"]\n//- debian/Dockerfile\nFROM scratch\nCOPY patch /etc/\n//- debian/patch\none\n",
    );
    debian.refit(&["build", "--push"]).exits(0);
    let shop = bench.repository(&SINGLE.replace("HUB/base/os:1", "debian:12-slim"));
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "one\n");
    debian.write("//- debian/patch\ntwo\n");
    debian.commit("Patch");
    debian.refit(&["build", "--push"]).exits(0);
    shop.refit(&["sweep"]).exits(0).mentions("debian:12-slim");
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "two\n");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn credentials_are_dockers_and_are_written_nowhere() {
    let bench = Bench::new();
    let login = Login::new("robot", "s3cret-password");
    let access = Access::Token(TokenService::private(login.clone()));
    let private = TestRegistry::start(Options {
        access,
        ..Options::default()
    });
    private.put_index("base/os", "1", &[os(AMD64, "one")]);
    let host = private.host();
    let shop = bench.repository(&SINGLE.replace("HUB", &host));
    let said = shop.refit(&["build", "--push"]).exits(2);
    said.mentions(&format!("`{host}` wants a login"))
        .omits("s3cret");

    let docker = bench.folder().join("docker");
    fs::create_dir(&docker).unwrap();
    fs::write(docker.join("config.json"), login.docker_config(&host)).unwrap();
    let with = [("DOCKER_CONFIG", docker.to_str().unwrap())];
    shop.refit_with(&with, &["build", "--push"])
        .exits(0)
        .omits("s3cret");
    private.put_index("base/os", "1", &[os(AMD64, "two")]);
    shop.refit_with(&with, &["sweep"]).exits(0).omits("s3cret");
    let published = private.tag("team/web", "latest").unwrap();
    assert!(private.document("team/web", &published).is_some());
    let tokens = private.count("*", "/token");
    shop.refit_with(&with, &["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
    assert_eq!(
        private.count("*", "/token") - tokens,
        2,
        "one token a scope: the base's and the image's"
    );
    for line in [shop.records(), shop.git(&["log", "--notes=refit"])] {
        assert!(
            !line.contains("s3cret") && !line.contains("token-"),
            "{line}"
        );
    }
}

#[test]
fn a_base_is_an_index_a_single_manifest_or_docker_s_own_kind() {
    let bench = Bench::new();
    let shop = bench.repository(&SINGLE.replace(
        "context = \"web\"",
        "context = \"web\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]",
    ));
    // Beside the images lie attestations, which are nobody's base.
    let images = [os(AMD64, "one"), os("linux/arm64", "one")];
    let attestation = os("unknown/unknown", "attestation");
    bench.hub.put_image("base/os", "", &attestation);
    for image in &images {
        bench.hub.put_image("base/os", "", image);
    }
    let entry = |image: &refit_testkit::registry::Image, media_type: &str| {
        let mut entry: Descriptor = image.manifest.descriptor();
        entry.platform = Some(image.platform.clone());
        media_type.clone_into(&mut entry.media_type);
        entry
    };
    let mut entries = vec![entry(&attestation, media_type::OCI_MANIFEST)];
    entries[0].platform = Some(Platform::new("unknown", "unknown", None));
    entries.extend(
        images
            .iter()
            .map(|image| entry(image, media_type::OCI_MANIFEST)),
    );
    let index = |entries: &[Descriptor], media_type: &str| {
        let mut index = Index::new(entries.to_vec(), std::collections::BTreeMap::new());
        index.media_type = Some(media_type.to_owned());
        Document::Index(Exact::encode(media_type, index))
    };
    bench
        .hub
        .put_document("base/os", "1", &index(&entries, media_type::OCI_INDEX));
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.manifests("web").len(), 2);

    // The same images in Docker's kind of index: another digest, and nothing to do.
    bench.hub.put_document(
        "base/os",
        "1",
        &index(&entries[1..], media_type::DOCKER_INDEX),
    );
    bench.hub.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
    assert_eq!(bench.writes(), 0);

    // One image alone serves its own platform.
    bench
        .hub
        .put_image("base/os", "1", &os("linux/arm64", "two"));
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("web@linux/amd64: missing-platform:");
    assert_eq!(
        bench.file("web", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "one");
}

#[test]
fn a_kept_manifest_that_the_registry_lost_moves_nothing() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(crate::fixtures::LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.published("web");
    let lost = bench.manifests("web")[AMD64].clone();
    bench.push_base("1", "one", "two");
    bench.hub.delete_tag("team/web", lost.as_str());
    let said = shop.refit(&["sweep"]).exits(1);
    said.mentions(&format!(
        "web: linux/amd64 is to be kept, and its manifest {} is gone",
        lost.short()
    ));
    assert_eq!(bench.published("web"), before);
    assert_eq!(
        bench.file("base", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn no_layer_of_a_base_is_sent_again() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(crate::fixtures::LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let base = os(AMD64, "one");
    let layer = base.manifest.value.layers[0].digest.to_string();
    let uploaded = |digest: &str| {
        let requests = bench.hub.requests();
        let ends = requests
            .iter()
            .filter(|request| request.method == "PUT" && request.path.contains("/blobs/uploads/"));
        ends.filter(|request| {
            request
                .query
                .iter()
                .any(|(key, value)| key == "digest" && value == digest)
        })
        .count()
    };
    assert_eq!(uploaded(&layer), 0);
    // Nor is a layer of ours sent to the children's repositories.
    let own = bench.layers("base", AMD64).pop().unwrap();
    assert!(
        (1..=2).contains(&uploaded(own.as_str())),
        "once, or by both platforms at the same time"
    );
    assert!(bench.layers("shop", AMD64).contains(&own));
}
