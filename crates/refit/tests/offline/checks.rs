//! `stale-when` commands: run once they are accepted, and what they say is acted on.

use serde_json::Value;

use crate::{
    bench::{Bench, texts},
    checkout::Checkout,
};

/// An image on two platforms; the scanner finds fault with what `vulnerable` names.
const SCANNED: &str = "\
//- .config/refit.toml
push-to = [\"HUB/team\"]
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
stale-when = [\"sh\", \"scan.sh\", \"{{.Name}}@{{.Platform}}\", \"{{.Image}}\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
//- web/Dockerfile
FROM HUB/base/os:1
COPY page /srv/page
//- web/page
one
//- scan.sh
echo \"$1 $2\" >> ../scanned
test \"$1\" != \"$(cat ../broken 2>/dev/null)\" || { echo cannot read the image >&2; exit 3; }
test \"$1\" != \"$(cat ../vulnerable 2>/dev/null)\"
";

fn released(bench: &Bench) -> Checkout<'_> {
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SCANNED);
    shop.refit(&["build", "--push"]).exits(0);
    shop
}

/// What the scanner was called with since the last time.
fn scanned(shop: &Checkout<'_>) -> Vec<String> {
    let file = shop.dir().join("../scanned");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn say(shop: &Checkout<'_>, file: &str, target: &str) {
    std::fs::write(shop.dir().join("..").join(file), target).unwrap();
}

fn states(document: &Value) -> Vec<String> {
    texts(&document["states"], "state")
}

#[test]
fn nothing_of_a_repository_runs_before_it_is_accepted() {
    let bench = Bench::new();
    let shop = released(&bench);
    say(&shop, "vulnerable", "web@linux/arm64");
    let said = shop.refit(&["sweep"]).exits(1);
    said.mentions("web@linux/amd64 and web@linux/arm64: check-error")
        .mentions("hint: `refit trust` accepts the commands of this repository");
    shop.refit(&["status"]).exits(0);
    assert_eq!(scanned(&shop), [""; 0]);

    let shown = shop.refit(&["trust", "--dry-run"]).exits(0);
    assert_eq!(
        shown.stdout,
        "web: stale-when sh scan.sh {{.Name}}@{{.Platform}} {{.Image}}\n"
    );
    shown.mentions("is not accepted");
    shop.refit(&["trust"]).exits(0).mentions("accepted sha256:");
    shop.refit(&["trust"])
        .exits(0)
        .mentions("was accepted before");
    assert_eq!(scanned(&shop), [""; 0]);
    shop.refit(&["status"]).exits(0);
    assert_eq!(scanned(&shop), [""; 0], "status runs nothing");
    shop.refit(&["sweep", "--dry-run"]).exits(0);
    let published = bench.manifests("web");
    let called: Vec<String> = published
        .iter()
        .map(|(platform, digest)| {
            format!("web@{platform} {}@{digest}", bench.hosted("HUB/team/web"))
        })
        .collect();
    assert_eq!(scanned(&shop), called);

    // Another file is another question, and so is the same one after it was revoked.
    let config = shop.dir().join(".config/refit.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, before.clone() + "# changed\n").unwrap();
    shop.commit("Change the configuration");
    shop.refit(&["sweep"]).exits(1).mentions("check-error");
    assert_eq!(scanned(&shop), [""; 0]);
    let digest = shop.refit(&["trust", "--dry-run"]).exits(0).stderr;
    let digest = digest
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"));
    for value in [digest.unwrap(), "1"] {
        shop.refit_with(&[("REFIT_TRUST", value)], &["sweep", "--dry-run"])
            .exits(0);
        assert_eq!(scanned(&shop).len(), 2);
    }
    shop.refit(&["trust"]).exits(0);
    shop.refit(&["trust", "--revoke"]).exits(0);
    shop.refit(&["sweep"]).exits(1).mentions("check-error");
    assert_eq!(scanned(&shop), [""; 0]);
}

#[test]
fn what_the_check_calls_stale_is_rebuilt_once() {
    let bench = Bench::new();
    let shop = released(&bench);
    shop.refit(&["trust"]).exits(0);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");

    say(&shop, "vulnerable", "web@linux/arm64");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(texts(&plan["steps"], "target"), ["web@linux/arm64"]);
    assert_eq!(plan["steps"][0]["reasons"][0]["kind"], "check-failed");
    shop.refit(&["sweep"]).exits(0);
    // Nothing of it can change with the same base: that is reported, and not tried night after night.
    let said = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(states(&said), ["check-still-fails"]);
    bench.push_base("1", "two", "two");
    let ran = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&ran["images"], "name"), ["web"]);
}

#[test]
fn a_check_that_cannot_say_is_an_error_and_decides_nothing() {
    let bench = Bench::new();
    let shop = released(&bench);
    shop.refit(&["trust"]).exits(0);
    say(&shop, "broken", "web@linux/amd64");
    shop.refit(&["sweep"]).exits(1).mentions(
        "web@linux/amd64: check-error: `sh` ended with exit code 3: cannot read the image",
    );
}

#[test]
fn the_users_own_command_needs_no_acceptance() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let without: String = SCANNED
        .lines()
        .filter(|line| !line.starts_with("stale-when"))
        .fold(String::new(), |text, line| text + line + "\n");
    let shop = bench.repository(&without);
    shop.refit(&["build", "--push"]).exits(0);
    let user = std::fs::read_to_string(bench.user_config()).unwrap_or_default();
    let own = "stale-when = [\"sh\", \"scan.sh\", \"{{.Name}}@{{.Platform}}\", \"{{.Image}}\"]\n";
    std::fs::write(bench.user_config(), own.to_owned() + &user).unwrap();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(scanned(&shop).len(), 2);
    shop.refit(&["trust", "--dry-run"])
        .exits(0)
        .mentions("names no command");
}
