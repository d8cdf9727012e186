//! From which source an adopted image is rebuilt.

use super::Made;
use crate::bench::{Bench, texts};

const REVISION: &str = "org.opencontainers.image.revision";

/// The configuration came later than the image.
#[test]
fn a_commit_without_a_configuration_has_the_tips_entry() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- services/web/Dockerfile\nFROM HUB/base/os:1\nCOPY page /srv/\n\
         //- services/web/page\none\n",
    );
    let built = shop.git(&["rev-parse", "HEAD"]);
    Made::on("one")
        .labelled(REVISION, &built)
        .push(&bench.hub, "web");
    shop.write(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[[image]]\nname = \"web\"\n\
         context = \"services/web\"\n//- services/web/page\ntwo\n",
    );
    shop.commit("Configure refit, change the page");
    let status = shop.refit(&["status"]).exits(0);
    status.mentions("files of its context changed");
    bench.push_base("1", "two", "two");
    shop.refit(&["adopt"]).exits(0);
    shop.refit(&["sweep"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(
        (file("etc/patch"), file("srv/page")),
        ("two".into(), "one\n".into())
    );
    // And once more: the next patch finds the source as well.
    bench.push_base("1", "three", "three");
    shop.refit(&["sweep"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(
        (file("etc/patch"), file("srv/page")),
        ("three".into(), "one\n".into())
    );
}

#[test]
fn a_user_says_from_which_commit_and_dockerfile_it_was_built() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- old/Dockerfile.web\nFROM HUB/base/os:1\nCOPY page /srv/\n//- old/page\nold\n",
    );
    let built = shop.git(&["rev-parse", "HEAD"]);
    Made::on("one").push(&bench.hub, "web");
    shop.git(&["rm", "--quiet", "-r", "old"]);
    shop.write(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[[image]]\nname = \"web\"\n\
         context = \"web\"\n//- web/Dockerfile\nFROM HUB/base/os:1\nCOPY page /srv/\n//- web/page\nnew\n",
    );
    shop.commit("Move it");
    let refused = shop.refit(&["adopt"]).exits(1);
    refused.mentions("hint: `refit adopt web --source REV` says so");
    let none = format!("{built}:gone/Dockerfile");
    shop.refit(&["adopt", "web", "--source", &none])
        .exits(2)
        .mentions("has no `gone/Dockerfile`");
    let source = format!("{built}:old/Dockerfile.web");
    shop.refit(&["adopt", "--source", &source])
        .exits(2)
        .mentions("is the Dockerfile of one image, and none is named");
    shop.refit(&["adopt", "web", "--source", &source]).exits(0);
    let notes = shop.notes();
    shop.refit(&["adopt", "web", "--source", &source]).exits(0);
    assert_eq!(shop.notes(), notes);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    let file = |path| bench.file("web", "linux/amd64", path).unwrap();
    assert_eq!(
        (file("etc/patch"), file("srv/page")),
        ("two".into(), "old\n".into())
    );
}

#[test]
fn a_revision_of_another_repository_is_no_source_and_the_users_word_is() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(crate::fixtures::SINGLE);
    for revision in [
        "0123456789012345678901234567890123456789",
        "main",
        "HEAD",
        "-x",
        "deadbeef",
    ] {
        Made::on("one")
            .labelled(REVISION, revision)
            .push(&bench.hub, "web");
        let said = shop.refit(&["adopt", "--format", "json"]).exits(1).json();
        assert_eq!(
            texts(&said["states"], "state"),
            ["release-source-unknown"],
            "{revision}"
        );
    }
    shop.refit(&["adopt", "--source", "HEAD"])
        .exits(0)
        .mentions("1 image was adopted");
}

#[test]
fn a_revision_that_is_not_in_the_lines_history_is_no_source() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(crate::fixtures::SINGLE);
    shop.git(&["checkout", "--quiet", "-b", "aside"]);
    shop.write("//- web/page\naside\n");
    let aside = shop.commit("Not merged");
    shop.git(&["checkout", "--quiet", "main"]);
    shop.write("//- web/page\nmain\n");
    shop.commit("Go on");
    Made::on("one")
        .labelled(REVISION, &aside)
        .push(&bench.hub, "web");
    let said = shop.refit(&["adopt", "--format", "json"]).exits(1).json();
    assert_eq!(texts(&said["states"], "state"), ["release-source-gone"]);
}

/// base → web: the child says nothing itself, and has its parent's label.
#[test]
fn a_label_that_was_inherited_from_a_parent_is_not_the_childs() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[[images]]\nfiles = \"*/Dockerfile\"\n\
         name = \"{dir}\"\n//- base/Dockerfile\nFROM HUB/base/os:1\nCOPY page /srv/\n//- base/page\none\n\
         //- web/Dockerfile\nFROM HUB/team/base\nCOPY app /srv/\n//- web/app\none\n",
    );
    let first = shop.git(&["rev-parse", "HEAD"]);
    Made::on("one")
        .labelled(REVISION, &first)
        .push(&bench.hub, "base");
    Made::on("one")
        .labelled(REVISION, &first)
        .push(&bench.hub, "web");
    // Nothing of it has changed since: whatever its commit was, it is the same source.
    let plan = ["adopt", "--dry-run", "--format", "json"];
    let plan_of = || shop.refit(&plan);
    assert_eq!(
        texts(&plan_of().exits(0).json()["adoptions"], "image"),
        ["base", "web"]
    );
    shop.write("//- web/app\ntwo\n");
    shop.commit("Change the child");
    let said = plan_of().exits(1).json();
    assert_eq!(texts(&said["adoptions"], "image"), ["base"]);
    assert_eq!(texts(&said["states"], "state"), ["release-source-unknown"]);
}

#[test]
fn a_shallow_clone_fetches_what_it_lacks_once() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(crate::fixtures::SINGLE);
    let built = shop.git(&["rev-parse", "HEAD"]);
    Made::on("one")
        .labelled(REVISION, &built)
        .push(&bench.hub, "web");
    shop.write("//- web/page\ntwo\n");
    shop.commit("Change the page");
    let remote = bench.remote(&shop);
    let clone = bench.clone_of(&remote, "clone", &["--depth=1"]);
    let said = clone.refit(&["adopt", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&said["adoptions"], "commit"), [built]);
}
