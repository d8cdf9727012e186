//! The help texts: what refit says about itself is an interface.

use crate::{assert_snapshot, sandbox::Sandbox};

const VERBS: &[&[&str]] = &[
    &[],
    &["status"],
    &["images"],
    &["build"],
    &["sweep"],
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
