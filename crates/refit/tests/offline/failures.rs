//! A target that fails takes what is built on it along, and nothing else.

use serde_json::{Value, json};

use crate::{bench::Bench, fixtures::LINEAGE};

/// What became of a target that has no result: its kind and message.
fn failure(ran: &Value, target: &str) -> (String, String) {
    let failed = ran["failed"].as_array().unwrap().iter();
    let of_target: Vec<&Value> = failed.filter(|failed| failed["target"] == target).collect();
    assert_eq!(of_target.len(), 1, "{ran}");
    let text = |key: &str| of_target[0][key].as_str().unwrap().to_owned();
    (text("kind"), text("message"))
}

#[test]
fn a_failing_target_skips_its_dependents_and_the_others_go_on() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&format!(
        "{LINEAGE}//- api/Dockerfile\nFROM HUB/team/base\nCOPY api /\n//- api/api\napi\n\
         //- web/Dockerfile\nFROM HUB/team/base\n\nSTOPSIGNAL nothing-here\n"
    ));
    let ran = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(1)
        .json();
    for platform in ["linux/amd64", "linux/arm64"] {
        let (kind, message) = failure(&ran, &format!("web@{platform}"));
        assert_eq!(kind, "failed");
        assert!(message.starts_with("web/Dockerfile:3:"), "{message}");
        assert!(message.contains("nothing-here"), "{message}");
        let (kind, message) = failure(&ran, &format!("shop@{platform}"));
        assert_eq!(
            (kind.as_str(), message),
            (
                "skipped",
                format!("its parent web@{platform} has no result")
            )
        );
    }
    for image in ["base", "api"] {
        assert_eq!(bench.manifests(image).len(), 2);
    }
    for image in ["web", "shop"] {
        assert_eq!(bench.hub.tag(&format!("team/{image}"), "latest"), None);
    }
    // The log is kept, with what was in the way.
    shop.refit(&["logs", "web@linux/amd64"])
        .exits(0)
        .mentions("nothing-here");
    shop.refit(&["logs", "web"])
        .exits(0)
        .mentions("web/Dockerfile:3:");
    let records = shop.records();
    assert!(
        !records.contains(r#""image":"web""#),
        "nothing was made, nothing is recorded: {records}"
    );

    // Once it is mended, only what is missing is built.
    shop.write("//- web/Dockerfile\nFROM HUB/team/base\nCOPY site /srv/\n");
    shop.commit("Mend web");
    let ran = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    let names: Vec<&Value> = ran["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| &image["name"])
        .collect();
    assert_eq!(names, [&json!("web"), &json!("shop")]);
}

/// The operating system of a platform, with or without the user that the image wants.
fn os_with(platform: &str, patch: &str, users: &str) -> refit_testkit::registry::Image {
    refit_testkit::registry::Image::new(
        platform,
        &[&[
            ("etc/patch", patch),
            ("etc/passwd", users),
            ("etc/group", ""),
        ]],
    )
}

#[test]
fn a_patch_that_fails_on_one_platform_keeps_its_old_manifest_there() {
    let bench = Bench::new();
    let users = "www:x:33:33::/:/bin/false\n";
    let push = |patch: &str, arm64_users: &str| {
        let images = [
            os_with("linux/amd64", patch, users),
            os_with("linux/arm64", patch, arm64_users),
        ];
        bench.hub.put_index("base/os", "1", &images);
    };
    push("one", users);
    let shop = bench.repository(&format!(
        "{LINEAGE}//- base/Dockerfile\nFROM HUB/base/os:1\nCOPY --chown=www ca.pem /etc/ssl/\n"
    ));
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.manifests("base");

    push("two", "");
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(1).json();
    let (kind, message) = failure(&ran, "base@linux/arm64");
    assert_eq!(kind, "failed");
    assert!(message.starts_with("base/Dockerfile:2:"), "{message}");
    for image in ["web", "shop"] {
        assert_eq!(failure(&ran, &format!("{image}@linux/arm64")).0, "skipped");
    }
    assert_eq!(
        bench.manifests("base")["linux/arm64"],
        before["linux/arm64"]
    );
    for (platform, patch) in [("linux/amd64", "two"), ("linux/arm64", "one")] {
        for image in ["base", "web", "shop"] {
            assert_eq!(
                bench.file(image, platform, "etc/patch").unwrap(),
                patch,
                "{image} {platform}"
            );
        }
    }
    // The next sweep has nothing new for amd64, and does not try arm64 so soon; whoever names it has it tried.
    let published = bench.published("shop");
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(1).json();
    assert_eq!(ran["failed"], json!([]));
    let ran = shop.refit(&["sweep", "base", "--format", "json"]);
    let ran = ran.exits(1).json();
    assert_eq!(failure(&ran, "base@linux/arm64").0, "failed");
    assert_eq!(bench.published("shop"), published);
    push("three", users);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "three"
    );
}

#[test]
fn a_base_that_lost_a_platform_leaves_that_platform_as_it_is() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.manifests("shop");
    bench
        .hub
        .put_index("base/os", "1", &[crate::bench::os("linux/amd64", "two")]);
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("base@linux/arm64: missing-platform:");
    let now = bench.manifests("shop");
    assert_eq!(now["linux/arm64"], before["linux/arm64"]);
    assert_eq!(
        bench.file("shop", "linux/amd64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn what_needs_an_engine_that_is_not_there_fails_and_the_rest_is_patched() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&format!(
        "{LINEAGE}//- api/Dockerfile\nFROM HUB/team/base\nRUN make\n"
    ));
    let ran = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(failure(&ran, "api@linux/amd64").0, "failed");
    assert_eq!(bench.manifests("shop").len(), 2);
    assert_eq!(bench.hub.tag("team/api", "latest"), None);
}
