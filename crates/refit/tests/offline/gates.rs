//! The gate before tags move: a command tests what was built, where it is staged.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{bench::Bench, checkout::Checkout, fixtures::LINEAGE};

/// base → web → shop; `web` has this test, beside the repository: it is run in the clone.
fn tested<'b>(bench: &'b Bench, script: &str, more: &str) -> Checkout<'b> {
    let path = bench.folder().join("smoke.sh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let script = path.display();
    let files = LINEAGE.replacen(
        "//- base/Dockerfile",
        &format!(
            "{more}\n[[image]]\nname = \"web\"\ntest = [\"{script}\", \"{{{{.Image}}}}\", \"{{{{.Platform}}}}\"]\n//- base/Dockerfile"
        ),
        1,
    );
    bench.push_base("1", "one", "one");
    bench.repository(&files)
}

#[test]
fn a_test_that_fails_keeps_the_tags_and_the_children_where_they_are() {
    let bench = Bench::new();
    let log = bench.folder().join("tested");
    let broken = bench.folder().join("broken");
    let script = format!(
        "echo \"$@\" >> {}\n[ ! -e {} ] || {{ echo out of order >&2; exit 3; }}",
        log.display(),
        broken.display()
    );
    let shop = tested(&bench, &script, "");
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("`test` in `.config/refit.toml` is not run before it is accepted");
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    assert!(!log.exists());
    shop.refit(&["trust", "--dry-run"])
        .exits(0)
        .mentions("web: test ");
    shop.refit(&["trust"]).exits(0);
    shop.refit(&["build", "--push"]).exits(0);
    let manifests = bench.manifests("web");
    let said = fs::read_to_string(&log).unwrap();
    for (platform, manifest) in &manifests {
        let line = format!("{}/team/web@{manifest} {platform}\n", bench.hub.host());
        assert!(said.contains(&line), "{said}");
    }

    bench.push_base("1", "two", "two");
    fs::write(&broken, "").unwrap();
    let before = bench.all_published(&["web", "shop"]);
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("ended with exit code 3: out of order")
        .mentions("its parent web@linux/amd64 has no result");
    assert_eq!(bench.all_published(&["web", "shop"]), before);
    let base = bench.file("base", "linux/amd64", "etc/patch").unwrap();
    assert_eq!(base, "two");
    // What the test printed is kept beside what the build did.
    shop.refit(&["logs", "web@linux/arm64"])
        .exits(0)
        .mentions("out of order\n")
        .mentions("rebased: ");
    shop.refit(&["runs"])
        .exits(0)
        .mentions("2 succeeded, 2 failed, 2 skipped");
    // It is built, and is not tested in every sweep.
    let n_tests = || fs::read_to_string(&log).unwrap().lines().count();
    let tests = n_tests();
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("it failed its test");
    assert_eq!(n_tests(), tests);
    assert_eq!(bench.all_published(&["web", "shop"]), before);

    fs::remove_file(&broken).unwrap();
    shop.refit(&["sweep", "web", "shop"])
        .exits(0)
        .mentions("taken as built before");
    for image in ["web", "shop"] {
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
    // What is not published is not tested.
    let tests = n_tests();
    shop.refit(&["build", "web"]).exits(0);
    assert_eq!(n_tests(), tests);
}

#[test]
fn a_file_of_tasks_is_refused_with_what_is_understood() {
    let bench = Bench::new();
    let shop = bench.repository(&LINEAGE.replacen(
        "//- base/Dockerfile",
        "[[image]]\nname = \"web\"\ntest = \"tasks/smoke.yaml\"\n//- base/Dockerfile",
        1,
    ));
    for verb in [&["config", "check"][..], &["build", "--push"], &["sweep"]] {
        let said = shop.refit(verb);
        said.mentions("`test = \"tasks/smoke.yaml\"`: files of tasks are not run by this version")
            .mentions("test = [\"./smoke.sh\", \"{{.Image}}\"]");
    }
    assert_eq!(bench.hub.tag("team/base", "latest"), None);
}

#[test]
fn nothing_is_begun_while_a_canary_fails() {
    let bench = Bench::new();
    let broken = bench.folder().join("broken");
    let script = format!("[ ! -e {} ]", broken.display());
    let more = "[sweep]\ncanary = [\"web\"]\n";
    let shop = tested(&bench, &script, more);
    shop.write("//- lone/Dockerfile\nFROM HUB/base/os:1\nCOPY file /\n//- lone/file\nlone\n");
    shop.commit("One more");
    let trust = [("REFIT_TRUST", "1")];
    shop.refit_with(&trust, &["build", "--push"]).exits(0);
    let all = ["base", "web", "shop", "lone"];
    let before = bench.all_published(&all);
    bench.push_base("1", "two", "two");
    fs::write(&broken, "").unwrap();
    shop.refit_with(&trust, &["sweep"])
        .exits(1)
        .mentions("not begun: the canary `web` failed");
    let patch = |image| bench.file(image, "linux/amd64", "etc/patch").unwrap();
    assert_eq!(all.map(patch), ["two", "one", "one", "one"]);
    // The next sweep does not try the canary, and leaves the others alone.
    shop.refit_with(&trust, &["sweep"])
        .exits(1)
        .mentions("left alone until the canary `web` is well");
    assert_eq!(bench.published("lone"), before["lone"]);
    fs::remove_file(&broken).unwrap();
    shop.refit_with(&trust, &["sweep", "web"]).exits(0);
    shop.refit_with(&trust, &["sweep"]).exits(0);
    assert_eq!(all.map(patch), ["two"; 4]);

    shop.write(&bench.hosted("//- .config/refit.toml\nversion = 1\n[sweep]\ncanary = [\"wbe\"]\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n"));
    shop.refit(&["config", "check"])
        .exits(1)
        .mentions("`canary`: there is no image `wbe`")
        .mentions("did you mean `web`?");
}
