//! `[bases] mirror`: each base that moved is copied once into a registry of ours, and built from there.

use refit_oci::Digest;
use refit_testkit::registry::{Fault, Gate, Options, TestRegistry};
use serde_json::json;

use crate::{
    bench::{Bench, os},
    fixtures::{IMAGES, LINEAGE, SINGLE},
    said::Said,
};

const ARM64: &str = "linux/arm64";

/// A registry of ours beside the one that images are pushed to.
struct Mirror {
    server: TestRegistry,
    /// Where `base/os` of the other registry lies on it.
    path: String,
}

impl Mirror {
    fn of(origin: &TestRegistry) -> Self {
        Self {
            server: TestRegistry::start(Options::default()),
            path: format!("mirror/{}/base/os", origin.host().replace(':', "-")),
        }
    }

    /// These files, with the mirror in their configuration.
    fn configured(&self, files: &str) -> String {
        let bases = format!("[bases]\nmirror = \"{}/mirror\"\n\n", self.server.host());
        let at = files.find("[defaults]").or(files.find("[[image]]"));
        let (before, after) = files.split_at(at.unwrap());
        format!("{before}{bases}{after}")
    }

    fn has(&self, manifest: &Digest) -> bool {
        let tag = format!("base-{}", manifest.hex());
        self.server.tag(&self.path, &tag).as_ref() == Some(manifest)
    }
}

fn manifest(platform: &str, patch: &str) -> Digest {
    os(platform, patch).digest().clone()
}

#[test]
fn a_base_that_moved_is_copied_once_and_built_from_there() {
    let bench = Bench::new();
    let mirror = Mirror::of(&bench.hub);
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&mirror.configured(LINEAGE));
    shop.refit(&["build", "--push"]).exits(0);
    let (amd64, arm64) = (manifest("linux/amd64", "one"), manifest(ARM64, "one"));
    assert!(mirror.has(&amd64) && mirror.has(&arm64));
    // Whatever was built from came from the mirror: the origin gave each layer once, for the copies, of
    // whichever platform.
    let layer = os(ARM64, "one").manifest.value.layers[0].digest.clone();
    let path = format!("/v2/base/os/blobs/{layer}");
    assert_eq!(bench.hub.count("GET", &path), 1);

    bench.push_base("1", "one", "two");
    mirror.server.forget_requests();
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let moved = manifest(ARM64, "two");
    let from = format!("{}/base/os@{moved}", bench.hub.host());
    let to = format!("{}/{}@{moved}", mirror.server.host(), mirror.path);
    let tag = format!("base-{}", moved.hex());
    assert_eq!(
        plan["mirrors"],
        json!([{"from": from, "to": to, "tag": tag}])
    );
    let line = format!(
        "mirror  {}/base/os {}  → {}/{}\n",
        bench.hub.host(),
        moved.short(),
        mirror.server.host(),
        mirror.path
    );
    shop.refit(&["sweep", "-n"]).exits(0).mentions(&line);
    assert_eq!(mirror.server.count("*", ""), 0, "a plan copies nothing");

    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(
        swept["mirrors"],
        json!([{"from": from, "to": to, "tag": tag, "copied": true, "error": null}])
    );
    for image in IMAGES {
        assert_eq!(bench.file(image, ARM64, "etc/patch").unwrap(), "two");
    }
    // For whoever reads what was built, the base is what the Dockerfile says.
    let records = shop.records();
    assert!(records.contains(moved.as_str()) && !records.contains(&mirror.server.host()));

    for (args, copied) in [
        (&["sweep"][..], None),
        (&["sweep", "base", "--force"], Some(2)),
    ] {
        bench.hub.forget_requests();
        mirror.server.forget_requests();
        shop.refit(args).exits(0);
        let heads = mirror.server.count("HEAD", "/manifests/base-");
        assert_eq!(heads, copied.unwrap_or(0), "{args:?}");
        assert_eq!(
            mirror.server.count("PUT", "") + mirror.server.count("POST", ""),
            0
        );
        assert_eq!(bench.hub.count("GET", "/v2/base/os/blobs/"), 0, "{args:?}");
    }
}

#[test]
fn what_is_built_is_the_same_with_a_mirror_and_without() {
    let bench = Bench::new();
    let mirror = Mirror::of(&bench.hub);
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let published = bench.all_published(&IMAGES);
    shop.write(&mirror.configured(LINEAGE));
    shop.commit("Build from a mirror");

    shop.refit(&["build", "--push"])
        .exits(0)
        .mentions("nothing to build");
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(mirror.server.count("*", ""), 0);
    shop.refit(&["sweep", "--force"])
        .exits(0)
        .mentions("base: what is published stays")
        .mentions(&format!("{} copied to", manifest(ARM64, "one").short()));
    assert!(mirror.has(&manifest(ARM64, "one")));
    assert_eq!(bench.all_published(&IMAGES), published);
}

#[test]
fn a_base_that_can_not_be_copied_fails_what_is_built_on_it_and_nothing_else() {
    let bench = Bench::new();
    let mirror = Mirror::of(&bench.hub);
    let tool = |patch| {
        bench
            .hub
            .put_image("base/tool", "1", &os("linux/amd64", patch))
    };
    bench.push_base("1", "one", "one");
    tool("one");
    let files = format!(
        "{}//- other/Dockerfile\nFROM HUB/base/tool:1\nWORKDIR /srv\n",
        SINGLE.replace(
            "context = \"web\"\n",
            "context = \"web\"\n\n[[image]]\nname = \"child\"\ncontext = \"child\"\n\n\
             [[image]]\nname = \"other\"\ncontext = \"other\"\n"
        )
    ) + "//- child/Dockerfile\nFROM HUB/team/web\nWORKDIR /srv\n";
    let shop = bench.repository(&mirror.configured(&files));
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.all_published(&["web", "child", "other"]);

    bench.push_base("1", "two", "two");
    tool("two");
    let uploads = format!("{}/blobs/uploads", mirror.path);
    mirror.server.fail("POST", &uploads, 99, Fault::Status(403));
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(1).json();
    let moved = manifest("linux/amd64", "two");
    let message = swept["failed"][0]["message"].as_str().unwrap();
    let why = format!(
        "its base `{}/base/os` {} can't be copied to `{}/{}`: ",
        bench.hub.host(),
        moved.short(),
        mirror.server.host(),
        mirror.path
    );
    assert!(message.starts_with(&why), "{message}");
    assert!(message.contains("does not allow this"), "{message}");
    let failed = swept["failed"].as_array().unwrap();
    let failed: Vec<_> = failed.iter().map(|f| (&f["target"], &f["kind"])).collect();
    assert_eq!(
        json!(failed),
        json!([
            ["web@linux/amd64", "failed"],
            ["child@linux/amd64", "skipped"]
        ])
    );
    let errors = swept["mirrors"].as_array().unwrap().iter();
    let errors: Vec<bool> = errors.map(|mirror| mirror["error"].is_null()).collect();
    assert_eq!(errors, [false, true]);
    let now = bench.all_published(&["web", "child", "other"]);
    assert_eq!(
        (&now["web"], &now["child"]),
        (&before["web"], &before["child"])
    );
    assert_ne!(now["other"], before["other"]);

    // People are told the same, and the next sweep does the rest.
    shop.refit(&["sweep"])
        .exits(1)
        .mentions(&why)
        .mentions("hint: `[bases] mirror` in .config/refit.toml says where to");
    mirror.server.behave();
    shop.refit(&["sweep", "web", "child"]).exits(0);
    assert_eq!(
        bench.file("child", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn a_mirror_that_is_out_of_reach_is_given_up_once_for_all_bases() {
    let bench = Bench::new();
    let mirror = Mirror::of(&bench.hub);
    let second =
        "\n[[image]]\nname = \"second\"\ncontext = \"web\"\nbuild-args = { BASE = \"2\" }\n";
    let files = SINGLE
        .replace(
            "context = \"web\"\n",
            &format!("context = \"web\"\n{second}"),
        )
        .replace("FROM HUB/base/os:1", "ARG BASE=1\nFROM HUB/base/os:$BASE");
    for tag in ["1", "2"] {
        bench.push_base(tag, tag, tag);
    }
    let shop = bench.repository(&mirror.configured(&files));
    shop.refit(&["build", "--push"]).exits(0);
    for tag in ["1", "2"] {
        bench.push_base(tag, &format!("{tag} anew"), tag);
    }
    mirror
        .server
        .fail("HEAD", &mirror.path, usize::MAX, Fault::Disconnect);
    mirror.server.forget_requests();
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(1).json();
    let failed = swept["failed"].as_array().unwrap().iter();
    let failed: Vec<&str> = failed.map(|f| f["message"].as_str().unwrap()).collect();
    let why = format!("`{}` cannot be reached", mirror.server.host());
    assert!(
        failed.len() == 2 && failed.iter().all(|m| m.contains(&why)),
        "{failed:?}"
    );
    let asked = ["1 anew", "2 anew"].map(|patch| {
        let tag = format!("base-{}", manifest("linux/amd64", patch).hex());
        mirror.server.count("HEAD", &tag)
    });
    // As often as anything is asked, and that for one of the two.
    assert!(asked == [5, 0] || asked == [0, 5], "{asked:?}");
}

#[test]
fn a_base_whose_registry_is_gone_after_the_copy_is_built_on() {
    let bench = Bench::new();
    let mut origin = TestRegistry::start(Options::default());
    let mirror = Mirror::of(&origin);
    origin.put_image("base/os", "1", &os("linux/amd64", "one"));
    let files = SINGLE.replace("HUB/base", &format!("{}/base", origin.host()));
    let shop = bench.repository(&mirror.configured(&files));
    // The plan asks for the staged result, and so does the run before it builds. By then bases are copied.
    let (planned, copied) = (Gate::default(), Gate::default());
    planned.open();
    for gate in [&planned, &copied] {
        let held = Fault::Held(gate.clone());
        bench.hub.fail("HEAD", "/manifests/refit-", 1, held);
    }
    let release = shop.start(&["build", "--push"]);
    assert!(copied.wait(), "nothing was to be built");
    origin.stop();
    copied.open();
    let released = release.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&released.stderr);
    assert!(released.status.success(), "{said}");
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "one"
    );
}

#[test]
fn a_build_for_this_machine_pushes_nothing() {
    let bench = Bench::new();
    let mirror = Mirror::of(&bench.hub);
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&mirror.configured(SINGLE));
    let plan = shop
        .refit(&["build", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(plan["mirrors"], json!([]));
    shop.refit(&["build"]).exits(0);
    assert_eq!(mirror.server.count("*", ""), 0);
}

#[test]
fn a_mirror_that_is_none_is_an_error_with_its_line() {
    let bench = Bench::new();
    let config = "version = 1\n\n[bases]\nmirror = \"mirror\"\n\n[[image]]";
    let shop = bench
        .repository(&SINGLE.replace("version = 1\npush-to = [\"HUB/team\"]\n\n[[image]]", config));
    let says = |said: Said| {
        said.mentions(".config/refit.toml:4:10: `mirror`: `mirror` names no registry's host")
            .mentions("hint: give `HOST/NAMESPACE`, such as `registry.example.com/mirror`");
    };
    says(shop.refit(&["config", "check"]).exits(1));
    says(shop.refit(&["build"]).exits(2));
}
