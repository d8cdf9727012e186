//! A sweep patches what was released, whatever happened on the branch since.

use std::fs;

use refit_oci::annotations;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
    fixtures::SINGLE,
};

const AMD64: &str = "linux/amd64";
const REVISION: &str = "org.opencontainers.image.revision";

#[test]
fn whatever_changed_since_is_told_from_what_has_nothing_to_do_with_an_image() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    bench.push_base("2", "another", "another");
    let other = "\n[[image]]\nname = \"other\"\ncontext = \"other\"\n";
    let files = SINGLE.replace(
        "context = \"web\"\n",
        &format!("context = \"web\"\n{other}"),
    );
    let other =
        "//- other/Dockerfile\nFROM HUB/base/os:1\nCOPY page /srv/\n//- other/page\nother\n";
    let shop = bench.repository(&format!("{files}{other}"));
    shop.refit(&["build", "--push"]).exits(0);
    let source = |image: &str| {
        let manifest = &bench.manifests(image)[AMD64];
        let document = bench.hub.document(&format!("team/{image}"), manifest);
        let document: Value = serde_json::from_slice(&document.unwrap()).unwrap();
        document["annotations"][annotations::SOURCE].clone()
    };
    let released = ["web", "other"].map(source);
    assert!(released.iter().all(Value::is_string), "{released:?}");
    let swapped = files
        .replace("context = \"web\"", "context = \"\"")
        .replace("context = \"other\"", "context = \"web\"")
        .replace("context = \"\"", "context = \"other\"");
    let config = |files: &str| files.split_once("//- web").unwrap().0.to_owned();
    let (swapped, as_before) = (config(&swapped), config(&files));
    for (round, change) in [
        "//- README.md\nread\n",
        &swapped,
        &as_before,
        "//- other/page\nnew\n",
        "//- web/page\ntwo\n",
        "//- web/.dockerignore\npage\n",
        "//- web/Dockerfile\nFROM HUB/base/os:2\nCOPY page /elsewhere/\n",
        "//- web/Dockerfile.dockerignore\n**\n",
    ]
    .iter()
    .enumerate()
    {
        shop.write(change);
        shop.commit(change);
        let patch = format!("patch {round}");
        bench.push_base("1", &patch, "one");
        shop.refit(&["sweep"]).exits(0);
        for (image, page) in [("web", "one\n"), ("other", "other\n")] {
            let file = |path| bench.file(image, AMD64, path);
            assert_eq!(file("etc/patch").as_ref(), Some(&patch), "{change}");
            assert_eq!(file("srv/page").as_deref(), Some(page), "{change}");
        }
        assert_eq!(["web", "other"].map(source), released, "{change}");
    }
}

#[test]
fn changes_that_nobody_released_are_not_shipped() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    bench.push_base("2", "another", "another");
    let shop = bench.repository(SINGLE);
    let released = shop.git(&["rev-parse", "HEAD"]);
    shop.refit(&["build", "--push"]).exits(0);
    shop.write(
        r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "web"
context = "web"
platforms = ["linux/amd64", "linux/arm64"]
labels = { released = "no" }
annotations = { released = "no" }
tags = ["latest", "stable"]
//- web/Dockerfile
FROM HUB/base/os:2
COPY page more /srv/
//- web/page
two
//- web/more
more
"#,
    );
    shop.commit("Change everything");
    shop.refit(&["sweep"]).exits(0);
    bench.push_base("1", "patched", "patched");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(texts(&plan["steps"], "commit"), [released.as_str(); 2]);
    shop.refit(&["sweep"]).exits(0);

    // What is built is the release's; for which platforms and under which tags, that is today's.
    for platform in [AMD64, "linux/arm64"] {
        assert_eq!(bench.file("web", platform, "etc/patch").unwrap(), "patched");
        assert_eq!(bench.file("web", platform, "srv/page").unwrap(), "one\n");
        assert_eq!(bench.file("web", platform, "srv/more"), None);
    }
    let index = bench.index("web");
    assert_eq!(index.annotations[REVISION], released);
    assert!(!index.annotations.contains_key("released"), "{index:?}");
    assert_eq!(
        bench.hub.tag("team/web", "stable"),
        Some(bench.published("web"))
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");

    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "another");
    assert_eq!(bench.file("web", AMD64, "srv/page").unwrap(), "two\n");
    assert_eq!(bench.index("web").annotations["released"], "no");
}

/// Released, then two commits on top, all pushed; then the base moves on.
fn released_long_ago(bench: &Bench) -> (Checkout<'_>, String) {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let released = shop.git(&["rev-parse", "HEAD"]);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    for text in ["two", "three"] {
        shop.write(&format!("//- web/page\n{text}\n"));
        shop.commit("Change the page");
    }
    shop.git(&["push", "--quiet", "origin", "main"]);
    bench.push_base("1", "patched", "patched");
    (remote, released)
}

fn is_patched(bench: &Bench, released: &str) {
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "patched");
    assert_eq!(bench.file("web", AMD64, "srv/page").unwrap(), "one\n");
    assert_eq!(bench.index("web").annotations[REVISION], released);
}

#[test]
fn a_clone_of_depth_one_fetches_the_released_commit() {
    let bench = Bench::new();
    let (remote, released) = released_long_ago(&bench);
    let ci = bench.clone_of(&remote, "ci", &["--depth=1"]);
    ci.refit(&["sweep"]).exits(0);
    is_patched(&bench, &released);
    assert_eq!(ci.notes(), remote.notes());
}

#[test]
fn a_ci_checkout_of_a_single_commit_is_enough() {
    let bench = Bench::new();
    let (remote, released) = released_long_ago(&bench);
    // As CI services do it: no branch is checked out, and the remote's HEAD is unknown.
    let ci = bench.repository_named("ci", "");
    let url = format!("file://{}", remote.dir().display());
    ci.git(&["remote", "add", "origin", &url]);
    let refspec = format!(
        "+{}:refs/remotes/origin/main",
        remote.git(&["rev-parse", "main"])
    );
    ci.git(&[
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "origin",
        &refspec,
    ]);
    ci.git(&[
        "checkout",
        "--quiet",
        "--detach",
        "refs/remotes/origin/main",
    ]);
    ci.refit(&["sweep"]).exits(0);
    is_patched(&bench, &released);
    let records = remote.records();
    assert!(!records.contains(r#""line":"HEAD""#), "{records}");
}

#[test]
fn a_bare_repository_is_swept() {
    let bench = Bench::new();
    let (remote, released) = released_long_ago(&bench);
    remote.refit(&["sweep"]).exits(0);
    is_patched(&bench, &released);
    remote
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn a_released_commit_that_the_line_lost_is_replaced_by_an_equal_one() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let released = shop.git(&["rev-parse", "HEAD"]);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let patched = |patch: &str| {
        let files = ["etc/patch", "srv/page"].map(|path| bench.file("web", AMD64, path).unwrap());
        assert_eq!(files, [patch, "one\n"]);
    };

    // Another source: nothing is built from it. What is published goes on the new base as it is.
    shop.write("//- web/page\ntwo\n");
    shop.git(&[
        "commit",
        "--quiet",
        "--all",
        "--amend",
        "--message",
        "Something else",
    ]);
    let gone = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&gone["states"], "state"), ["release-source-gone"]);
    assert_eq!(gone["images"][0]["targets"][0]["action"], "rebase");
    patched("two");
    assert_eq!(bench.index("web").annotations[REVISION], released);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions(&format!(
            "commit {} is not in the history of `main`",
            &released[..12]
        ))
        .mentions("hint: `refit build web --push` releases what is there now");

    // The same source under another commit is as good, even where the old one is really gone.
    shop.write("//- web/page\none\n");
    shop.git(&[
        "commit",
        "--quiet",
        "--all",
        "--amend",
        "--message",
        "The same",
    ]);
    shop.git(&["reflog", "expire", "--expire=now", "--all"]);
    shop.git(&["gc", "--quiet", "--prune=now"]);
    shop.try_git(&["cat-file", "-e", &released]).exits(1);
    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    patched("three");
    let tip = shop.git(&["rev-parse", "HEAD"]);
    assert_eq!(bench.index("web").annotations[REVISION], tip);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
    bench.push_base("1", "one", "one");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "one");
}

#[test]
fn a_dirty_working_tree_changes_no_sweep() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop.write("//- web/page\ndirty\n//- web/Dockerfile\nFROM scratch\n");
    fs::remove_file(shop.dir().join(".config/refit.toml")).unwrap();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("web", AMD64, "etc/patch").unwrap(), "two");
    assert_eq!(bench.file("web", AMD64, "srv/page").unwrap(), "one\n");
}

#[test]
fn an_image_that_the_tip_dropped_is_not_patched() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.published("web");
    bench.push_base("1", "two", "two");
    shop.write(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\nignore = [\"web/*\"]\n",
    );
    shop.commit("Drop the image");
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!((&said["kept"], &said["states"]), (&json!([]), &json!([])));
    assert_eq!(bench.published("web"), before);
}
