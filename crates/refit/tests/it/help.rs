//! The help texts: what refit says about itself is an interface.

use crate::{assert_snapshot, sandbox::Sandbox};

const VERBS: &[&[&str]] = &[
    &[],
    &["status"],
    &["images"],
    &["build"],
    &["sweep"],
    &["rebase"],
    &["adopt"],
    &["deps"],
    &["deps", "graph"],
    &["deps", "list"],
    &["deps", "why"],
    &["deps", "users"],
    &["deps", "diff"],
    &["deps", "outdated"],
    &["deps", "scan"],
    &["deps", "record"],
    &["init"],
    &["hold"],
    &["promote"],
    &["rollback"],
    &["prune"],
    &["verify"],
    &["hook"],
    &["runs"],
    &["logs"],
    &["notes"],
    &["notes", "fetch"],
    &["notes", "push"],
    &["notes", "verify"],
    &["notes", "compact"],
    &["notes", "restore"],
    &["context"],
    &["context", "id"],
    &["config"],
    &["config", "check"],
    &["trust"],
    &["doctor"],
    &["demo"],
    &["completions"],
    &["man"],
];

#[test]
fn every_verb_explains_itself() {
    let sandbox = Sandbox::bare();
    for &verb in VERBS {
        let mut args = verb.to_vec();
        args.push("--help");
        let help = sandbox.refit(&args).ok();
        let name = ["help"].iter().chain(verb).copied().collect::<Vec<_>>();
        assert_snapshot!(name.join("-"), help);
    }
}

#[test]
fn the_short_help_lists_the_verbs() {
    assert_snapshot!("help-short", Sandbox::bare().refit(&["-h"]).ok());
}

#[test]
fn completions_name_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Sandbox::bare().refit(&["completions", shell]).ok();
        assert!(
            script.contains("sweep") && script.contains("completions"),
            "{shell}"
        );
    }
}

#[test]
fn needs_mandoc_manual_pages_are_well_formed() {
    let sandbox = Sandbox::bare();
    sandbox.refit(&["man", "man1"]).ok();
    let pages = std::fs::read_dir(sandbox.root().join("man1")).unwrap();
    let pages: Vec<_> = pages.map(|page| page.unwrap().path()).collect();
    // One for each verb but this hidden one, and `git-refit(1)`.
    assert_eq!(pages.len(), VERBS.len());
    let mandoc = |pages: &[std::path::PathBuf]| {
        let mut command = std::process::Command::new("mandoc");
        command.args(["-T", "lint", "-W", "warning"]).args(pages);
        sandbox.run(command, "")
    };
    let ran = mandoc(&pages);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    sandbox.write("man1/odd.1", ".TH ODD 1\n.fi\n.XX\n");
    assert_ne!(mandoc(&[sandbox.root().join("man1/odd.1")]).code, 0);
}

#[test]
fn usage_errors_end_with_2() {
    let sandbox = Sandbox::bare();
    for args in [
        &["stauts"][..],
        &["status", "--frobnicate"],
        &[],
        &["deps", "scan"],
    ] {
        let ran = sandbox.refit(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{args:?}: {}",
            ran.stderr
        );
    }
    let alone = sandbox.refit(&[]);
    assert_eq!(alone.stderr, sandbox.refit(&["-h"]).ok());
    assert_snapshot!("usage-unknown-verb", sandbox.refit(&["stauts"]).all());
}
