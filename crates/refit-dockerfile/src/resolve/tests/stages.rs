//! Which stages a target reaches, and what their FROMs stand for.

use super::{check, refused, resolved};
use crate::resolve::StageBase;

#[test]
fn the_root_of_the_targets_chain_is_the_base() {
    check("FROM debian", &[], &["base debian:latest `debian`"]);
    check(
        "FROM \"debian:12\"",
        &[],
        &["base debian:12 `\"debian:12\"`"],
    );
    check("FROM scratch", &[], &[]);
    check(
        "FROM a AS b\nFROM b AS c\nFROM c",
        &[],
        &["base a:latest `a`"],
    );
    check(
        "FROM go AS build\nFROM debian\nCOPY --from=build /x /x",
        &[],
        &["stage go:latest `go`", "base debian:latest `debian`"],
    );
    let digest = format!("debian:12@sha256:{}", "a".repeat(64));
    check(
        &format!("FROM {digest}"),
        &[],
        &[&format!("base {digest} `{digest}`")],
    );
    let chain = resolved("FROM a AS b\nFROM b AS c\nFROM c", &[]).unwrap();
    assert_eq!(
        (chain.chain, chain.base),
        (vec![2, 1, 0], StageBase::External(0))
    );
    let scratch = resolved("FROM scratch AS a\nFROM a", &[]).unwrap();
    assert_eq!(scratch.base, StageBase::Scratch);
}

#[test]
fn only_what_the_target_reaches_counts() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one / /\n";
    check(text, &[], &["stage a:latest `a`", "base c:latest `c`"]);
    check(text, &["target=two"], &["base b:latest `b`"]);
    check(text, &["target=ONE"], &["base a:latest `a`"]);
    assert_eq!(resolved(text, &[]).unwrap().stages, [0, 2]);
    refused(text, &["target=four"], 1, "no stage is named `four`");
}

#[test]
fn names_of_stages_are_lower_case_to_from() {
    check("FROM a AS Base\nFROM base", &[], &["base a:latest `a`"]);
    refused("FROM a AS Base\nFROM Base", &[], 2, "must be lower case");
    check(
        "FROM a AS Base\nFROM b\nCOPY --from=BASE / /",
        &[],
        &["stage a:latest `a`", "base b:latest `b`"],
    );
    // FROM sees the last one before it.
    check(
        "FROM a AS s\nFROM b AS s\nFROM s",
        &[],
        &["base b:latest `b`"],
    );
    check(
        "FROM a AS s\nFROM s AS s\nFROM s",
        &[],
        &["base a:latest `a`"],
    );
    check(
        "FROM debian AS debian",
        &[],
        &["base debian:latest `debian`"],
    );
}

#[test]
fn stages_use_only_what_is_before_them() {
    let text = "FROM a AS a\nCOPY --from=b / /\nFROM c AS b\n";
    refused(
        text,
        &["target=a"],
        2,
        "the stage `b` is used before it is defined (line 3)",
    );
    // BuildKit minds only when it gets there.
    check(text, &[], &["base c:latest `c`"]);
    refused(
        "FROM a\nCOPY --from=0 / /",
        &[],
        2,
        "a stage cannot use itself",
    );
    refused(
        "FROM a AS b\nCOPY --from=B / /\nFROM c",
        &[],
        2,
        "a stage cannot use itself",
    );
    let circle =
        "FROM a AS a\nCOPY --from=b / /\nFROM b AS b\nRUN --mount=from=a,target=/x y\nFROM c";
    refused(circle, &[], 4, "in a circle");
    // Of two stages with one name a copy takes the last, even from before it.
    let twice = "FROM a AS s\nFROM b AS t\nCOPY --from=s / /\nFROM c AS s\n";
    refused(twice, &["target=t"], 3, "used before it is defined");
    refused(
        "FROM x AS t\nRUN --mount=from=late,target=/x y\nFROM z AS late",
        &["target=t"],
        2,
        "used before it is defined",
    );
}

#[test]
fn named_contexts_replace_stages_bases_and_copies() {
    let text = "FROM a AS b\nCOPY --from=dead / /\nFROM c\nCOPY --from=b / /\nCOPY --from=d / /\n";
    check(
        text,
        &["context:b=x:1"],
        &["context x:1 `a`", "base c:latest `c`", "copy d:latest `d`"],
    );
    check(
        text,
        &["context:c=repo:web", "context:d=y", "context:dead=scratch"],
        &[
            "stage a:latest `a`",
            "context image:web `c`",
            "context y:latest `d`",
        ],
    );
    check(
        text,
        &["context:b=files", "context:c=scratch", "context:d=files"],
        &[],
    );
    check("FROM scratch", &["context:scratch=x"], &[]);
    check("FROM a:2", &["context:a=x"], &["base a:2 `a:2`"]);
    check(
        "FROM a",
        &["context:docker.io/library/a:latest=x"],
        &["context x:latest `a`"],
    );
    check(
        "FROM a",
        &["context:a::linux/arm64=x", "context:a=y"],
        &["context x:latest `a`"],
    );
    let files = resolved("FROM a", &["context:a=files"]).unwrap();
    assert_eq!(files.base, StageBase::Files("a".to_owned()));
}

#[test]
fn frontends() {
    check(
        "# syntax=docker/dockerfile:1 --x\nFROM a",
        &[],
        &[
            "frontend docker.io/docker/dockerfile:1 (linux/amd64) `docker/dockerfile:1`",
            "base a:latest `a`",
        ],
    );
    let text = "# syntax=example.com/other:2\nFROM a";
    check(
        text,
        &[],
        &["frontend example.com/other:2 (linux/amd64) `example.com/other:2`"],
    );
    let opaque = resolved(text, &[]).unwrap();
    assert_eq!((opaque.opaque, opaque.base), (true, StageBase::Opaque));
    check(
        text,
        &["arg:BUILDKIT_SYNTAX=docker/dockerfile:1.9 x"],
        &[
            "frontend docker.io/docker/dockerfile:1.9 (linux/amd64) `example.com/other:2`",
            "base a:latest `a`",
        ],
    );
    check(
        "FROM a",
        &["arg:BUILDKIT_SYNTAX=docker/dockerfile"],
        &[
            "frontend docker.io/docker/dockerfile:latest (linux/amd64) ``",
            "base a:latest `a`",
        ],
    );
    refused("# syntax=Bad\nFROM a", &[], 1, "must be lower case");
}
