//! What a base makes its children execute is part of them: pinned, watched and built.

use refit_oci::Config;
use refit_testkit::registry::Image;

use crate::{
    bench::{Bench, os, texts},
    checkout::Checkout,
};

const AMD64: &str = "linux/amd64";

const APP: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "app"
context = "app"
//- app/Dockerfile
FROM HUB/base/os:1
LABEL role=app
//- app/main.js
one
"#;

/// Moves `base/os:1` to an image with these triggers.
fn push_base(bench: &Bench, patch: &str, triggers: &[&str]) {
    let config = Config {
        on_build: triggers.iter().map(|text| bench.hosted(text)).collect(),
        ..Config::default()
    };
    let image = Image::with_config(AMD64, &[&[("etc/patch", patch)]], config);
    bench.hub.put_index("base/os", "1", &[image]);
}

fn push_tool(bench: &Bench, text: &str) {
    let image = Image::new(AMD64, &[&[("bin/tool", text)]]);
    bench.hub.put_index("base/tool", "1", &[image]);
}

const TRIGGERS: [&str; 2] = [
    "COPY --from=HUB/base/tool:1 bin/tool /bin/tool",
    "COPY . /app/",
];

fn released(bench: &Bench) -> Checkout<'_> {
    push_tool(bench, "tool 1");
    push_base(bench, "one", &TRIGGERS);
    let shop = bench.repository(APP);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

#[test]
fn what_a_base_copies_is_built_watched_and_patched() {
    let bench = Bench::new();
    let shop = released(&bench);
    assert_eq!(bench.file("app", AMD64, "bin/tool").unwrap(), "tool 1");
    assert_eq!(bench.file("app", AMD64, "app/main.js").unwrap(), "one\n");

    bench.hub.forget_requests();
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    let blobs = bench
        .hub
        .requests()
        .into_iter()
        .filter(|r| r.path.contains("/blobs/"));
    assert_eq!(blobs.count(), 0, "a config was asked for");

    push_tool(&bench, "tool 2");
    shop.refit(&["status"]).exits(0).mentions("base/tool:1");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("app", AMD64, "bin/tool").unwrap(), "tool 2");
    assert_eq!(bench.file("app", AMD64, "etc/patch").unwrap(), "one");
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn what_only_a_base_copies_of_the_context_is_part_of_the_source() {
    let bench = Bench::new();
    let shop = released(&bench);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.published("app");
    shop.write("//- app/main.js\ntwo\n");
    shop.commit("Change what the base copies");
    shop.refit(&["status"]).exits(0).mentions("unreleased");
    // A patch ships what was released.
    push_base(&bench, "patched", &TRIGGERS);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("app", AMD64, "etc/patch").unwrap(), "patched");
    assert_eq!(bench.file("app", AMD64, "app/main.js").unwrap(), "one\n");
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.file("app", AMD64, "app/main.js").unwrap(), "two\n");
    assert_ne!(bench.published("app"), before);
}

#[test]
fn a_base_that_executes_something_needs_an_engine_that_can() {
    let bench = Bench::new();
    push_base(&bench, "one", &["RUN make"]);
    let shop = bench.repository(APP);
    let plan = ["build", "--push", "--dry-run", "--format", "json"];
    let plan = shop.refit(&plan).exits(0).json();
    assert_eq!(texts(&plan["steps"], "engine"), ["docker"]);
    // Without triggers nothing executes.
    bench.hub.put_index("base/os", "1", &[os(AMD64, "two")]);
    let plan = ["build", "--push", "--dry-run", "--format", "json"];
    let plan = shop.refit(&plan).exits(0).json();
    assert_eq!(texts(&plan["steps"], "engine"), ["native"]);
}
