//! Published layers on another base: by sweeps where that is proven, and by `refit rebase`.

use refit_oci::Config;
use refit_testkit::registry::Image;
use serde_json::json;

use crate::{
    bench::{Bench, os, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE, SINGLE},
};

const AMD64: &str = "linux/amd64";

fn released<'b>(bench: &'b Bench, files: &str) -> Checkout<'b> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(files);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

/// How many blobs were sent that are no config.
fn n_layers_sent(bench: &Bench) -> usize {
    let configs: Vec<String> = IMAGES
        .iter()
        .flat_map(|image| bench.configs(image))
        .collect();
    let requests = bench.hub.requests();
    let ends = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.path.contains("/blobs/uploads/"));
    let digests = ends.flat_map(|request| &request.query);
    digests
        .filter(|(key, value)| key == "digest" && !configs.contains(value))
        .count()
}

#[test]
fn a_sweep_puts_a_whole_chain_on_a_new_base_and_sends_no_layer() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    bench.push_base("1", "two", "two");
    bench.hub.forget_requests();
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    for image in swept["images"].as_array().unwrap() {
        assert_eq!(texts(&image["targets"], "action"), ["rebase", "rebase"]);
    }
    // But for the statements of how they were made.
    assert_eq!(n_layers_sent(&bench) - IMAGES.len(), 0);
    for (path, text) in [
        ("etc/patch", "two"),
        ("etc/ssl/ca.pem", "certificate\n"),
        ("srv/site", "hello\n"),
        ("srv/prices", "apple 1\n"),
    ] {
        assert_eq!(bench.file("shop", AMD64, path).as_deref(), Some(text));
    }
    let records = shop.records();
    assert_eq!(records.matches(r#""how":"rebase""#).count(), 6, "{records}");
    let said = shop.git(&["log", "--notes=refit", "-1"]);
    assert!(said.contains(": base, shop, web rebased; "), "{said}");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");

    // A build of the same on the new base comes to the same layers.
    let same = LINEAGE.replace("/team", "/again");
    let other = bench.repository_named("other", &same);
    other.refit(&["build", "--push"]).exits(0);
    let layers = |repository: &str| {
        let index = bench.hub.tag(repository, "latest").unwrap();
        bench.layers_at(repository, &index, AMD64)
    };
    assert_eq!(layers("team/shop"), layers("again/shop"));
}

#[test]
fn what_the_files_of_the_bases_do_not_allow_is_built() {
    let bench = Bench::new();
    let shop = released(&bench, SINGLE);
    // `/srv` leads elsewhere now.
    let moved = Image::new(AMD64, &[&[("etc/patch", "two"), ("srv", "a file")]]);
    bench.hub.put_index("base/os", "1", &[moved]);
    let said = shop.refit(&["sweep"]).exits(1);
    said.mentions("rebase  web@linux/amd64")
        .mentions("no rebase: web/Dockerfile:2:1: `/srv` was missing and is a file in the new base")
        .mentions("web@linux/amd64: web/Dockerfile:2:1:");
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "one");

    let config = Config {
        on_build: vec!["ENV A=1".to_owned()],
        ..Config::default()
    };
    let triggering = Image::with_config(AMD64, &[&[("etc/patch", "two")]], config);
    bench.hub.put_index("base/os", "1", &[triggering]);
    let plan = ["sweep", "--dry-run", "--format", "json"];
    let plan = shop.refit(&plan).exits(0).json();
    assert_eq!(texts(&plan["steps"], "action"), ["rebuild"]);
    assert_eq!(
        plan["steps"][0]["not_rebased"],
        json!({ "why": "triggers" })
    );
    shop.refit(&["sweep", "--dry-run", "--verbose"])
        .exits(0)
        .mentions("web@linux/amd64: no rebase: the new base has ONBUILD triggers");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web@linux/amd64: built");
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "two");
}

#[test]
fn an_engine_that_is_missing_is_not_missed_by_what_is_rebased() {
    let bench = Bench::new();
    let files = SINGLE.replace(
        "context = \"web\"",
        "context = \"web\"\nengine = \"docker\"",
    );
    bench.push_base("1", "one", "one");
    let shop = bench.repository(&SINGLE.replace("HUB", &bench.hub.host()));
    shop.refit(&["build", "--push"]).exits(0);
    // From now on Docker is to build it, and is not there.
    let config = files.split("//- web").next().unwrap();
    shop.write(config);
    shop.commit("Build with Docker");
    bench.push_base("1", "two", "two");
    let said = shop.refit(&["sweep"]).exits(0);
    said.mentions("web@linux/amd64: rebased");
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "two");
}

#[test]
fn an_image_is_put_on_the_base_that_is_named() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    bench.push_base("2", "two", "two");
    let onto = bench.hosted("HUB/base/os:2");
    let before = bench.published("base");
    let plan = [
        "rebase",
        "base",
        "--onto",
        &onto,
        "--dry-run",
        "--format",
        "json",
    ];
    let plan = shop.refit(&plan).exits(0).json();
    assert_eq!(texts(&plan["steps"], "action"), ["rebase", "rebase"]);
    assert_eq!(plan["steps"][0]["pins"][0]["reference"], json!(onto));
    assert_eq!(bench.published("base"), before);

    shop.refit(&["rebase", "base", "--onto", &onto])
        .exits(0)
        .mentions("2 targets rebased")
        .mentions("hint: the Dockerfile names another base");
    assert_eq!(bench.file("base", AMD64, "etc/patch").unwrap(), "two");
    assert_eq!(
        bench.index("base").annotations["org.opencontainers.image.base.name"],
        onto
    );
    // Again there is nothing to do; without the flag it goes back.
    shop.refit(&["rebase", "base", "--onto", &onto])
        .exits(0)
        .mentions("nothing to do: `base` is on that base already");
    let back = shop
        .refit(&["rebase", "base", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        texts(&back["images"][0]["targets"], "action"),
        ["publish", "publish"]
    );
    assert_eq!(bench.file("base", AMD64, "etc/patch").unwrap(), "one");
}

#[test]
fn a_rebase_that_is_not_proven_is_refused_for_all_platforms() {
    let bench = Bench::new();
    let shop = released(&bench, LINEAGE);
    let before = bench.all_published(&IMAGES);
    let moved = Image::new(
        "linux/arm64",
        &[&[("etc/patch", "two"), ("etc/ssl", "a file")]],
    );
    bench
        .hub
        .put_index("base/os", "1", &[os(AMD64, "two"), moved]);
    // A dry run says so before anything is done.
    let foreseen = shop.refit(&["rebase", "base", "--dry-run"]).exits(1);
    foreseen
        .mentions("proven   base@linux/amd64")
        .mentions("refused  base@linux/arm64  it stays as it is")
        .mentions(
            "error: base@linux/arm64: it can't be rebased: base/Dockerfile:2:1: `/etc/ssl` was",
        );
    let plan = ["rebase", "base", "--dry-run", "--format", "json"];
    let plan = shop.refit(&plan).exits(1).json();
    let proofs = plan["steps"].as_array().unwrap().iter();
    let proofs: Vec<&serde_json::Value> = proofs.map(|step| &step["proof"]["state"]).collect();
    assert_eq!(proofs, ["holds", "refused"]);
    shop.refit(&["rebase", "base"])
        .exits(1)
        .mentions("base@linux/arm64: it can't be rebased: base/Dockerfile:2:1: `/etc/ssl` was missing and is a file in the new base");
    assert_eq!(bench.all_published(&IMAGES), before);
    shop.refit(&["rebase", "bas"])
        .exits(2)
        .mentions("did you mean `base`?");
}

#[test]
fn what_executes_is_rebased_by_the_users_word_alone() {
    let bench = Bench::new();
    let shop = released(&bench, SINGLE);
    let keys = "context = \"web\"\nrebase = \"WORD\"";
    let config = |word: &str| {
        let config = SINGLE.split("//- web").next().unwrap();
        let keys = keys.replace("WORD", word);
        shop.write(&config.replace("context = \"web\"", &keys));
        shop.commit(word);
    };
    let action = || {
        let plan = ["sweep", "--dry-run", "--format", "json"];
        let plan = shop.refit(&plan).exits(0).json();
        texts(&plan["steps"], "action").concat()
    };
    bench.push_base("1", "two", "two");
    config("never");
    assert_eq!(action(), "rebuild");
    config("always");
    assert_eq!(action(), "rebase");
    config("sometimes");
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("one of `auto`, `never`, `always`");
    config("always");
    // Where something is in the way of a merge, nothing is built either.
    let keys = |text: &str| Config {
        labels: [("of".to_owned(), text.to_owned())].into(),
        ..Config::default()
    };
    let image = Image::with_config(
        AMD64,
        &[&[("etc/patch", "two"), ("srv", "x")]],
        keys("base"),
    );
    bench.hub.put_index("base/os", "1", &[image]);
    shop.refit(&["rebase", "web", "--dry-run"])
        .exits(0)
        .mentions(
            "merged  web@linux/amd64  there is no proof, and `rebase = \"always\"` needs none",
        );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("web@linux/amd64: rebased");
    assert_eq!(bench.file("web", AMD64, "srv/page").unwrap(), "one\n");
}
