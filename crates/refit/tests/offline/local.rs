//! Builds for this machine: tags are left alone, and a working tree is enough.

use serde_json::{Value, json};

use crate::{
    bench::Bench,
    checkout::Checkout,
    fixtures::{LINEAGE, SINGLE},
};

/// The build records of an image.
fn builds(of: &Checkout<'_>, image: &str) -> Vec<Value> {
    let records = of.records();
    let records = records
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records
        .filter(|record| record["type"] == "build" && record["image"] == image)
        .collect()
}

/// The names in the embedded store, and what they stand for.
fn stored(of: &Checkout<'_>) -> Vec<(String, String)> {
    let index = std::fs::read(of.dir().join(".git/refit/store/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let entries = index["manifests"].as_array().unwrap().iter();
    let named = entries.filter_map(|entry| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
        Some((name.to_owned(), entry["digest"].as_str()?.to_owned()))
    });
    named.collect()
}

#[test]
fn a_build_of_a_dirty_tree_leaves_tags_alone_and_no_commit_behind() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let published = bench.published("web");
    shop.write("//- web/page\ndirty\n");
    bench.hub.forget_requests();

    shop.refit(&["build"]).exits(0);
    assert_eq!((bench.writes(), bench.published("web")), (0, published));
    let dirty: Vec<Value> = builds(&shop, "web")
        .into_iter()
        .filter(|b| b["commit"].is_null())
        .collect();
    assert_eq!(dirty.len(), 1, "{dirty:?}");
    let stored = stored(&shop);
    let staged: Vec<&str> = stored
        .iter()
        .filter(|(_, digest)| dirty[0]["manifest"] == json!(digest))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(staged.len(), 1);
    assert!(
        staged[0].starts_with("refit.local/web:refit-"),
        "{stored:?}"
    );
    assert!(
        stored.iter().all(|(name, _)| name.contains(":refit-")),
        "no tag that a person reads: {stored:?}"
    );

    // Again: it is built already. And no sweep takes it for a release.
    shop.refit(&["build"])
        .exits(0)
        .mentions("it is built already");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/page").unwrap(),
        "one\n"
    );
}

#[test]
fn a_clean_build_without_push_leaves_tags_alone() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let said = shop
        .refit(&["build", "web", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(said["failed"], json!([]));
    assert_eq!(bench.writes(), 0);
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    // The parent was built as well, and web is built on that.
    assert!(builds(&shop, "shop").is_empty());
    for build in builds(&shop, "web") {
        assert_eq!(build["commit"], commit.as_str());
        let parent = &build["deps"][0]["manifest"];
        assert!(
            builds(&shop, "base")
                .iter()
                .any(|base| base["manifest"] == *parent),
            "{build}"
        );
    }
    // Publishing afterwards is not confused by it.
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "one"
    );
}

#[test]
fn a_dirty_tree_is_not_published() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.write("//- web/page\ndirty\n//- web/more\nmore\n");
    let said = shop.refit(&["build", "--push"]).exits(2);
    said.mentions("`web/more` and 1 other path differ from the commit")
        .mentions("hint: commit or stash the changes");
    assert_eq!(bench.hub.count("*", ""), 0);
    assert_eq!(shop.notes(), "");
}

#[test]
fn a_detached_head_is_published_to_a_line_that_is_named() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.git(&["checkout", "--quiet", "--detach"]);
    shop.refit(&["build", "--push"])
        .exits(2)
        .mentions("error: no branch is checked out")
        .mentions("hint: name the line with `--line NAME`");
    assert_eq!(bench.writes(), 0);
    shop.refit(&["build"]).exits(0);
    shop.refit_with(&[("REFIT_LINE", "main")], &["build", "--push"])
        .exits(0);
    assert_eq!(bench.index("web").annotations["dev.refit.line"], "main");
}

#[test]
fn a_repository_without_push_to_publishes_into_its_own_store() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        r#"
//- .config/refit.toml
version = 1
[[images]]
files = "*/Dockerfile"
name = "{dir}"
repository = "registry.example.com/shop/{dir}"
//- base/Dockerfile
FROM HUB/base/os:1
//- web/Dockerfile
FROM registry.example.com/shop/base
COPY page /
//- web/page
one
"#,
    );
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(bench.writes(), 0);
    let before = stored(&shop);
    let name = |stored: &[(String, String)], name: &str| {
        stored
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, digest)| digest.clone())
    };
    assert!(
        name(&before, "refit.local/web:latest").is_some(),
        "{before:?}"
    );
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let after = stored(&shop);
    assert_ne!(
        name(&before, "refit.local/web:latest"),
        name(&after, "refit.local/web:latest")
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
    assert_eq!(after, stored(&shop));
}
