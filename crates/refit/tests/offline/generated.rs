//! Files that no commit has: made by `prepare` in a checkout of the commit, or not at all.

use crate::{bench::Bench, checkout::Checkout};

const FILES: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "web"
context = "web"
platforms = ["linux/amd64", "linux/arm64"]
PREPARE
//- .gitignore
dist/
//- make.sh
set -e
[ ! -e .git ]
[ "$(cat lib/names)" != broken ] || { echo out of names >&2; exit 3; }
echo once >> LOG
mkdir -p web/dist
sed s/^/made-from-/ lib/names > web/dist/app
echo "made dist"
//- lib/names
one
//- web/Dockerfile
FROM HUB/base/os:1
COPY dist/app page /srv/
//- web/page
page
"#;

fn repository<'b>(bench: &'b Bench, prepare: &str) -> Checkout<'b> {
    let log = bench.folder().join("log");
    bench.push_base("1", "one", "one");
    let files = FILES.replace("PREPARE", prepare);
    bench.repository(&files.replace("LOG", &log.display().to_string()))
}

const PREPARE: &str = "prepare = [\"sh\", \"make.sh\"]";

#[test]
fn a_command_makes_them_once_for_all_platforms_in_a_checkout_of_the_commit_that_is_built() {
    let bench = Bench::new();
    let shop = repository(&bench, PREPARE);
    shop.refit(&["build", "--push"]).exits(1).mentions(
        "`prepare` in `.config/refit.toml` is not run before it is accepted: `sh make.sh`",
    );
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    shop.refit(&["trust", "--dry-run"])
        .exits(0)
        .mentions("web: prepare sh make.sh\n");
    shop.refit(&["trust"]).exits(0);
    shop.refit(&["build", "--push"])
        .exits(0)
        .mentions("made dist");
    for platform in ["linux/amd64", "linux/arm64"] {
        let made = bench.file("web", platform, "srv/app").unwrap();
        assert_eq!(made, "made-from-one\n");
    }
    let log = || std::fs::read_to_string(bench.folder().join("log")).unwrap();
    assert_eq!(log(), "once\n");
    assert!(!shop.dir().join("web/dist").exists());
    let logged = shop.refit(&["logs", "web"]);
    logged
        .exits(0)
        .mentions("prepare: sh make.sh\n")
        .mentions("made dist\n");

    // A patch is made from what was released, and not from what was committed since.
    shop.write("//- lib/names\ntwo\n");
    shop.commit("Other names");
    shop.refit(&["status"])
        .exits(0)
        .mentions("files of its context changed");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep", "--force"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
    let made = bench.file("web", "linux/arm64", "srv/app").unwrap();
    assert_eq!(
        (made.as_str(), log().as_str()),
        ("made-from-one\n", "once\nonce\n")
    );
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(
        bench.file("web", "linux/amd64", "srv/app").unwrap(),
        "made-from-two\n"
    );
}

#[test]
fn a_command_that_fails_is_a_failure_of_its_own_kind() {
    let bench = Bench::new();
    let shop = repository(&bench, PREPARE);
    let trust = [("REFIT_TRUST", "1")];
    shop.write("//- lib/names\nbroken\n");
    shop.commit("Break it");
    shop.refit_with(&trust, &["build", "--push"])
        .exits(1)
        .mentions("`prepare` ended with exit code 3: out of names");
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    // Sweeps leave it alone for a while.
    shop.write("//- lib/names\none\n");
    shop.commit("Mend it");
    shop.refit_with(&trust, &["build", "--push"]).exits(0);
    let before = bench.published("web");
    shop.write("//- lib/names\nbroken\n");
    shop.commit("Break it again");
    let config = shop.dir().join(".config/refit.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[sweep]\nrebuild-from = \"tip\"\n")).unwrap();
    shop.commit("Sweep from the tip");
    shop.refit_with(&trust, &["sweep"])
        .exits(1)
        .mentions("exit code 3");
    assert!(
        shop.records().contains("\"class\":\"prepare\""),
        "{}",
        shop.records()
    );
    shop.refit_with(&trust, &["sweep"])
        .exits(1)
        .mentions("it failed in its `prepare`");
    assert_eq!(bench.published("web"), before);
}

#[test]
fn without_a_command_the_plan_says_that_nothing_can_be_built() {
    let bench = Bench::new();
    let shop = repository(&bench, "");
    let said = shop.refit(&["build", "--push"]);
    said.exits(1)
        .mentions("needs-generated-files")
        .mentions("`dist/app` (line 2) is copied, and the commit has no such file");
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    // What the working tree has is packed as it is.
    shop.write("//- web/dist/app\nby hand\n//- web/page\nanother\n");
    shop.refit(&["build"]).exits(0);
}
