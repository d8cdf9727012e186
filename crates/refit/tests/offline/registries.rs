//! What a person sees of registries that say no, and what the user's settings of registries change.

use std::fs;

use refit_oci::{Digest, media_type};
use refit_testkit::{
    registry::{Fault, Options, TestRegistry},
    tls::Authority,
};
use serde_json::Value;

use crate::{
    bench::{Bench, os},
    checkout::Checkout,
    fixtures::SINGLE,
};

/// 2026-05-28, 20:26:40 UTC.
const NOW: [(&str, &str); 1] = [("SOURCE_DATE_EPOCH", "1780000000")];
const BASE: &str = "/v2/base/os/manifests/1";

/// `web` is released on a base that has moved on since.
fn released(bench: &Bench) -> Checkout<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop
}

/// `status`, a sweep and a release say `expected` each, and change nothing.
#[track_caller]
fn all_say(bench: &Bench, shop: &Checkout<'_>, sweep_exits: i32, expected: &[String]) -> Value {
    let before = bench.published("web");
    for (verb, exits) in [
        (&["status"][..], 0),
        (&["sweep"], sweep_exits),
        (&["build", "--push"], sweep_exits),
    ] {
        let mut said = shop.refit_with(&NOW, verb).exits(exits);
        for text in expected {
            said = said.mentions(text);
        }
    }
    assert_eq!(bench.published("web"), before);
    let plan = shop.refit_with(&NOW, &["sweep", "--dry-run", "--format", "json"]);
    let plan = plan.exits(sweep_exits).json();
    assert_eq!(plan["steps"], serde_json::json!([]));
    plan["states"][0].clone()
}

#[test]
fn a_base_that_wants_a_login_is_told_with_the_command_for_it() {
    for (status, says) in [(401, "wants a login for"), (403, "does not allow this for")] {
        let bench = Bench::new();
        let shop = released(&bench);
        let refused = Fault::Status(status);
        bench.hub.fail("HEAD", BASE, usize::MAX, refused);
        let host = bench.hub.host();
        let expected = [
            "unauthorized".to_owned(),
            format!("{host}/base/os:1: `{host}` {says} `{host}/base/os:1`"),
            "(it was asked anonymously)".to_owned(),
            format!("hint: run `docker login {host}`"),
        ];
        let state = all_say(&bench, &shop, 2, &expected);
        assert_eq!(state["state"], "unauthorized");
        assert_eq!(state["credentials"], "anonymously");
    }
}

#[test]
fn a_limit_is_told_with_its_end_and_met_once_a_run() {
    let bench = Bench::new();
    let shop = released(&bench);
    let limited = Fault::TooManyRequests(3600);
    bench.hub.fail("HEAD", BASE, usize::MAX, limited);
    let host = bench.hub.host();
    let expected = [
        "rate-limited".to_owned(),
        format!("`{host}` limits how often it may be asked until 2026-05-28 21:26 UTC"),
        "hint: run it again later, or log in: registries let those they know ask more often"
            .to_owned(),
    ];
    bench.hub.forget_requests();
    let state = all_say(&bench, &shop, 2, &expected);
    assert_eq!(state["state"], "rate-limited");
    assert_eq!(state["until"], "2026-05-28T21:26:40Z");
    assert_eq!(
        bench.hub.count("HEAD", BASE),
        4,
        "once in each of four runs"
    );
}

#[test]
fn a_base_in_docker_s_first_format_is_told_with_what_helps() {
    let bench = Bench::new();
    let shop = released(&bench);
    let document = br#"{"schemaVersion":1,"name":"base/os","tag":"1","fsLayers":[]}"#;
    let digest = Digest::sha256(document);
    let hub = &bench.hub;
    hub.put_raw(
        "base/os",
        &digest,
        media_type::DOCKER_SCHEMA1_SIGNED,
        document,
    );
    hub.tag_raw("base/os", "1", &digest);
    let host = hub.host();
    let expected = [
        "schema-1".to_owned(),
        format!("{host}/base/os:1 is in Docker's schema 1, which no engine of today pulls"),
        "hint: use another tag in the FROM line, or have the base pulled and pushed again"
            .to_owned(),
    ];
    let state = all_say(&bench, &shop, 1, &expected);
    assert_eq!(state["state"], "schema-1");
}

#[test]
fn a_base_whose_tag_or_platform_vanished_is_told_with_what_helps() {
    let bench = Bench::new();
    let shop = released(&bench);
    let host = bench.hub.host();
    let arm = [os("linux/arm64", "two")];
    bench.hub.put_index("base/os", "1", &arm);
    let expected = [
        "missing-platform".to_owned(),
        format!("{host}/base/os:1 does not offer linux/amd64; it offers linux/arm64"),
        "hint: use another base, or leave the platform out".to_owned(),
    ];
    let state = all_say(&bench, &shop, 1, &expected);
    assert_eq!(state["state"], "missing-platform");

    bench.hub.delete_tag("base/os", "1");
    let expected = [
        "missing-tag".to_owned(),
        format!("{host}/base/os:1 is not there, and something is built on it"),
        "hint: use a tag that is there in the FROM line".to_owned(),
    ];
    let state = all_say(&bench, &shop, 1, &expected);
    assert_eq!(state["state"], "missing-tag");
}

/// What a release is to say of a repository whose base lies behind TLS, with these lines in the user's settings.
fn of_tls(bench: &Bench, host: &str, settings: &str) -> crate::said::Said {
    let text = format!("[registries.\"{host}\"]\n{settings}\n");
    fs::write(bench.user_config(), text).unwrap();
    let shop = bench.folder_of("shop");
    shop.refit(&["build", "--push", "--dry-run"])
}

#[test]
fn registries_behind_tls_are_reached_as_the_user_s_settings_say() {
    let authority = Authority::new();
    let secured = TestRegistry::start(Options {
        tls: Some(authority.issue()),
        ..Options::default()
    });
    secured.put_index("base/os", "1", &[os("linux/amd64", "one")]);
    let bench = Bench::new();
    let host = secured.host();
    bench.repository(&SINGLE.replace("HUB/base", &format!("{host}/base")));
    // Relative to the file with the settings.
    fs::write(bench.folder().join("home/corp.pem"), authority.pem()).unwrap();

    of_tls(&bench, &host, "plain-http = false")
        .exits(2)
        .mentions("unreachable")
        .mentions("invalid peer certificate: UnknownIssuer");
    assert_eq!(secured.count("*", ""), 0);
    for settings in ["ca = \"corp.pem\"", "insecure = true"] {
        of_tls(&bench, &host, settings)
            .exits(0)
            .mentions("there is no build of it yet")
            .omits("unreachable");
    }
    assert!(secured.requests().iter().all(|r| r.version == "HTTP/2.0"));
    of_tls(&bench, &host, "ca = \"lost.pem\"")
        .exits(2)
        .mentions("lost.pem");
}

#[test]
fn mirrors_give_what_digests_name_and_tags_only_if_the_user_says_so() {
    let mirror = TestRegistry::start(Options::default());
    let bench = Bench::new();
    let images = [os("linux/amd64", "one")];
    bench.hub.put_index("base/os", "1", &images);
    mirror.put_index("hub/base/os", "1", &images);
    let settings = format!(
        "[registries.\"HUB\"]\nmirrors = [\"http://{}/hub\"]\nconcurrency = 2\n",
        mirror.host()
    );
    fs::write(bench.user_config(), bench.hosted(&settings)).unwrap();
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "etc/patch").unwrap(),
        "one"
    );
    assert_eq!(bench.hub.count("GET", "/v2/base/os/"), 0);
    assert!(mirror.count("GET", "/v2/hub/base/os/") > 0);
    assert_eq!(mirror.count("HEAD", "/manifests/1"), 0);
    // What is pushed to is never read from a mirror.
    assert_eq!(mirror.count("*", "team/web"), 0);

    let told = format!("{settings}mirror-tags = true\n");
    fs::write(bench.user_config(), bench.hosted(&told)).unwrap();
    bench.hub.forget_requests();
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    assert_eq!(mirror.count("HEAD", "/v2/hub/base/os/manifests/1"), 1);
    assert_eq!(bench.hub.count("*", "/v2/base/os/"), 0);
}
