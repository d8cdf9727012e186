//! Lines: branches that are swept, each with its own tags.

use serde_json::json;

use crate::{bench::Bench, checkout::Checkout};

/// One image, tagged by its line, on `main` and on `release/1`.
fn two_lines(bench: &Bench) -> Checkout<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]
[sweep]
branches = ["main", "release/*"]
[[image]]
name = "web"
context = "web"
tags = ["{{.Line}}"]
//- web/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- web/page
main
"#,
    );
    shop.git(&["checkout", "--quiet", "-b", "release/1"]);
    shop.write("//- web/page\nrelease\n");
    shop.commit("Release");
    shop
}

fn files(bench: &Bench, tag: &str) -> [String; 2] {
    let digest = bench.hub.tag("team/web", tag).unwrap();
    ["etc/patch", "srv/page"].map(|path| {
        let file = bench.file_at("team/web", &digest, "linux/amd64", path);
        file.unwrap().trim_end().to_owned()
    })
}

#[test]
fn every_line_is_patched_from_its_own_release() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    shop.refit(&["build", "--push"]).exits(0);
    shop.git(&["checkout", "--quiet", "main"]);
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(files(&bench, "main"), ["one", "main"]);
    assert_eq!(files(&bench, "release-1"), ["one", "release"]);

    bench.push_base("1", "two", "two");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let lines: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["line"].clone())
        .collect();
    assert_eq!(lines, [json!("main"), json!("release/1")]);
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(files(&bench, "main"), ["two", "main"]);
    assert_eq!(files(&bench, "release-1"), ["two", "release"]);
    bench.hub.forget_requests();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.writes(), 0);
    assert_eq!(
        bench.hub.count("HEAD", "/v2/base/os/manifests/1"),
        1,
        "one HEAD a sweep, not one a line"
    );
}

#[test]
fn a_tag_that_an_earlier_line_claims_is_left_to_it() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    shop.git(&["checkout", "--quiet", "main"]);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    for branch in ["main", "release/1"] {
        shop.git(&["checkout", "--quiet", branch]);
        shop.write(&format!(
            "//- .config/refit.toml\n{}",
            config.replace("{{.Line}}", "latest")
        ));
        shop.commit("One tag for all");
    }
    shop.git(&["checkout", "--quiet", "main"]);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(swept["images"].as_array().unwrap().len(), 1, "{swept}");
    assert_eq!(files(&bench, "latest"), ["two", "main"]);
    let tag = format!("{}/team/web:latest", bench.hub.host());
    let claimed = json!([{"image": "web", "state": "claimed", "tag": tag, "line": "main"}]);
    assert_eq!(swept["states"], claimed);

    // The other line does not release over it either.
    shop.git(&["checkout", "--quiet", "release/1"]);
    bench.hub.forget_requests();
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("belongs to the line `main`");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_further_tag_that_an_earlier_line_claims_is_not_written() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    let config = config.replace("\"{{.Line}}\"", "\"{{.Line}}\", \"latest\"");
    for branch in ["main", "release/1"] {
        shop.git(&["checkout", "--quiet", branch]);
        shop.write(&format!("//- .config/refit.toml\n{config}"));
        shop.commit("One tag for all");
    }
    // The later line is even the first to release.
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("web: claimed:");
    assert_eq!(files(&bench, "release-1"), ["one", "release"]);
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    shop.git(&["checkout", "--quiet", "main"]);
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(files(&bench, "latest"), ["one", "main"]);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(files(&bench, "latest"), ["two", "main"]);
    assert_eq!(files(&bench, "release-1"), ["two", "release"]);
}

#[test]
fn a_line_that_cannot_be_read_leaves_the_others_alone() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    for branch in ["release/1", "main"] {
        shop.git(&["checkout", "--quiet", branch]);
        shop.refit(&["build", "--push"]).exits(0);
    }
    shop.write("//- .config/refit.toml\nversion = 1\n[sweep]\nbranches = [\"main\", \"release/*\"]\npush = 1\n");
    shop.commit("Break one line");
    bench.push_base("1", "two", "two");
    let said = shop.refit(&["sweep"]).exits(2);
    said.mentions(".config/refit.toml:4:1: unknown key `push`");
    assert_eq!(files(&bench, "main"), ["one", "main"]);
    assert_eq!(files(&bench, "release-1"), ["two", "release"]);
}

#[test]
fn an_image_of_one_line_can_be_named() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!(
        "//- .config/refit.toml\n{config}\n[[image]]\nname = \"old\"\ncontext = \"web\"\ntags = [\"1\"]\n"
    ));
    shop.commit("An image that only this line has");
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let swept = shop
        .refit(&["sweep", "old", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(swept["images"][0]["name"], "old");
    assert_eq!(files(&bench, "release-1"), ["one", "release"]);
    shop.refit(&["sweep", "odl"])
        .exits(2)
        .mentions("there is no image `odl`");
}

#[test]
fn a_branch_that_is_no_line_is_not_published() {
    let bench = Bench::new();
    let shop = two_lines(&bench);
    shop.git(&["checkout", "--quiet", "-b", "topic"]);
    shop.refit(&["build", "--push"])
        .exits(2)
        .mentions("`topic` is no line: `main`, `release/*` are swept, and published from")
        .mentions("hint: list `topic` under `[sweep] branches`");
    shop.refit(&["build", "--push", "--line", "release/2"])
        .exits(0);

    // Without a list it is the remote's default branch, which a checkout of CI asks for.
    shop.git(&["checkout", "--quiet", "main"]);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    let (before, after) = config.split_once("[sweep]\n").unwrap();
    let after = after.split_once('\n').unwrap().1;
    shop.write(&format!("//- .config/refit.toml\n{before}{after}"));
    shop.commit("The default branch alone");
    let remote = bench.remote(&shop);
    let ci = bench.repository_named("ci", "");
    let url = format!("file://{}", remote.dir().display());
    ci.git(&["remote", "add", "origin", &url]);
    ci.git(&["fetch", "--quiet", "--depth=1", "origin", "main"]);
    ci.git(&["checkout", "--quiet", "-b", "topic", "FETCH_HEAD"]);
    ci.refit(&["build", "--push"])
        .exits(2)
        .mentions("`topic` is no line: `main` is swept, and published from");
    assert_eq!(bench.hub.tag("team/web", "topic"), None);
    ci.refit_with(&[("REFIT_LINE", "main")], &["build", "--push"])
        .exits(0);
    assert_eq!(files(&bench, "main"), ["one", "main"]);
    ci.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 1 target is");
}

#[test]
fn a_branch_that_does_not_exist_is_said() {
    let bench = Bench::new();
    let shop =
        bench.repository("//- .config/refit.toml\nversion = 1\n[sweep]\nbranches = [\"trunk\"]\n");
    let said = shop.refit(&["sweep"]).exits(2);
    said.mentions("there is no branch or tag `trunk`")
        .mentions("hint: mend `[sweep] branches` in .config/refit.toml");
    shop.write("//- .config/refit.toml\nversion = 1\n[sweep]\nbranches = [\"release/*\"]\n");
    shop.commit("A glob");
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("`[sweep] branches` matches no branch: release/*");
}
