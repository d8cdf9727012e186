//! Which targets a sweep takes, which lines it has, and what it takes over.

use crate::{
    bench::Bench,
    fixtures::{LINEAGE, SINGLE},
};

#[test]
fn a_limited_sweep_goes_on_where_the_last_one_stopped() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let limited = LINEAGE.replacen(
        "//- base/Dockerfile",
        "[sweep]\nlimit = 2\n//- base/Dockerfile",
        1,
    );
    let shop = bench.repository(&limited);
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("left to the next sweep: `limit = 2`, and others waited longer");
    let patch = |image| bench.file(image, "linux/arm64", "etc/patch").unwrap();
    assert_eq!(["base", "web", "shop"].map(patch), ["two", "one", "one"]);
    for _ in 0..2 {
        shop.refit(&["sweep"]).exits(0);
    }
    assert_eq!(["base", "web", "shop"].map(patch), ["two"; 3]);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn a_tag_that_somebody_moved_is_patched_where_it_is_with_take_over() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let first = bench.published("web");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Two");
    shop.refit(&["build", "--push"]).exits(0);
    bench.retag("web", &first);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).mentions("moved-elsewhere");
    assert_eq!(bench.published("web"), first);
    shop.refit(&["sweep", "--take-over"]).exits(2);
    shop.refit(&["sweep", "web", "--take-over"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(["etc/patch", "srv/page"].map(file), ["two", "one\n"]);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn the_latest_git_tags_are_lines_of_their_own() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let files = SINGLE
        .replace("context = \"web\"", "context = \"web\"\ntags = [\"{{.Line}}\"]")
        .replace(
            "[[image]]",
            "[sweep]\nreleases = [{ git-tags = \"v*\", keep = \"latest-per-minor\", newest = 2 }]\n[[image]]",
        );
    let shop = bench.repository(&files);
    for tag in ["v1.3.0", "v1.4.0", "v1.4.1"] {
        shop.write(&format!("//- web/page\n{tag}\n"));
        shop.commit(tag);
        shop.git(&["tag", tag]);
        shop.git(&["checkout", "--quiet", tag]);
        shop.refit(&["build", "--push", "--line", tag]).exits(0);
        shop.git(&["checkout", "--quiet", "main"]);
        shop.git(&["merge", "--quiet", "--ff-only", tag]);
    }
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let files = |tag: &str| {
        let digest = bench.hub.tag("team/web", tag).unwrap();
        ["etc/patch", "srv/page"].map(|path| {
            let file = bench.file_at("team/web", &digest, "linux/amd64", path);
            file.unwrap().trim_end().to_owned()
        })
    };
    assert_eq!(files("v1.3.0"), ["two", "v1.3.0"]);
    assert_eq!(files("v1.4.0"), ["one", "v1.4.0"]);
    assert_eq!(files("v1.4.1"), ["two", "v1.4.1"]);

    let wrong = files_with(&bench, "keep = \"latest\"");
    shop.write(&wrong);
    shop.refit(&["config", "check"])
        .exits(1)
        .mentions("`keep = \"latest\"` is unknown");
    shop.write(&files_with(&bench, "kep = \"all\""));
    shop.refit(&["config", "check"])
        .exits(1)
        .mentions("unknown key `kep`");
}

fn files_with(bench: &Bench, key: &str) -> String {
    let rule = format!("[sweep]\nreleases = [{{ git-tags = \"v*\", {key} }}]\n[[image]]");
    let all = bench.hosted(SINGLE).replace("[[image]]", &rule);
    all.split("//- web/Dockerfile").next().unwrap().to_owned()
}
