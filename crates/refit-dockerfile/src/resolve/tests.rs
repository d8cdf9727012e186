use std::collections::BTreeMap;

use refit_oci::Platform;

use super::*;
use crate::parse;

/// A resolution for `linux/arm64` built on `linux/amd64`; options are `target=x`, `platform=x`, `arg:NAME=x` and
/// `context:name=image|repo:name|files|scratch`.
fn resolved(text: &str, options: &[&str]) -> Result<Resolved, SyntaxError> {
    resolved_with(text, options, &BTreeMap::new())
}

fn resolved_with(
    text: &str,
    options: &[&str],
    triggers: &BTreeMap<usize, Vec<String>>,
) -> Result<Resolved, SyntaxError> {
    let (mut target, mut platform) = (None, Platform::linux_arm64());
    let (mut build_args, mut contexts) = (BTreeMap::new(), BTreeMap::new());
    for option in options {
        let (name, value) = option.split_once('=').unwrap();
        match name.split_once(':').unwrap_or((name, "")) {
            ("target", _) => target = Some(value),
            ("platform", _) => platform = value.parse().unwrap(),
            ("arg", name) => drop(build_args.insert(name.to_owned(), value.to_owned())),
            (_, name) => {
                let context = match value.split_once("repo:") {
                    Some((_, name)) => NamedContext::InRepo(name.to_owned()),
                    None if value == "files" => NamedContext::Files,
                    None if value == "scratch" => NamedContext::Scratch,
                    None => NamedContext::Image(value.parse().unwrap()),
                };
                contexts.insert(name.to_owned(), context);
            }
        }
    }
    let settings = Settings {
        target,
        platform: &platform,
        build_platform: &Platform::linux_amd64(),
        build_args: &build_args,
        contexts: &contexts,
    };
    resolve_with_triggers(&parse(text)?, &settings, triggers)
}

/// One line a dependency: kind, source, platform if it is not the target's, the bytes of its span.
fn found(text: &str, options: &[&str]) -> Vec<String> {
    let resolved = resolved(text, options).unwrap_or_else(|e| panic!("{text}: {e}"));
    let lines = resolved.found.iter().map(|found| {
        let kind = found.kind.as_str();
        let source = found.source.to_string().replace("docker.io/library/", "");
        let platform = found.platform.to_string();
        let platform = Some(platform).filter(|platform| platform != "linux/arm64");
        let platform = platform
            .map(|platform| format!(" ({platform})"))
            .unwrap_or_default();
        format!("{kind} {source}{platform} `{}`", &text[found.span.clone()])
    });
    lines.collect()
}

#[track_caller]
fn check(text: &str, options: &[&str], expect: &[&str]) {
    assert_eq!(found(text, options), expect, "{text} {options:?}");
}

#[track_caller]
fn refused(text: &str, options: &[&str], line: usize, message: &str) {
    match resolved(text, options) {
        Ok(_) => panic!("{text}: not refused"),
        Err(error) => {
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }
}

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
fn arguments_before_the_first_from() {
    let text = "ARG V=12\nARG IMAGE=debian:$V\nFROM ${IMAGE}";
    check(text, &[], &["base debian:12 `${IMAGE}`"]);
    check(text, &["arg:V=13"], &["base debian:13 `${IMAGE}`"]);
    check(
        text,
        &["arg:IMAGE=alpine"],
        &["base alpine:latest `${IMAGE}`"],
    );
    check("ARG A=1\nARG A=2\nFROM x:$A", &[], &["base x:2 `x:$A`"]);
    check("ARG A=1 B=$A\nFROM x:$B", &[], &["base x:1 `x:$B`"]);
    check("ARG A\nFROM x:${A:-3}", &[], &["base x:3 `x:${A:-3}`"]);
    check(
        "ARG A\nFROM x:${A:-3}",
        &["arg:A=4"],
        &["base x:4 `x:${A:-3}`"],
    );
    check(
        "ARG A=1.2.3\nFROM x:${A%.*}",
        &[],
        &["base x:1.2 `x:${A%.*}`"],
    );
    check(
        "ARG A=x:1\nFROM ${A/:/-}",
        &[],
        &["base x-1:latest `${A/:/-}`"],
    );
    check(
        "ARG A=a\nARG A=${A}b\nFROM $A",
        &[],
        &["base ab:latest `$A`"],
    );
    // A stage's own arguments come too late for its FROM.
    check(
        "ARG A=1\nFROM x:$A AS s\nARG A=2\nFROM y:$A",
        &[],
        &["base y:1 `y:$A`"],
    );
}

#[test]
fn an_argument_may_name_a_stage_or_nothing() {
    let text = "ARG ROOT=fallback\nFROM a AS fallback\nFROM b AS other\nFROM $ROOT AS out\n";
    check(text, &[], &["base a:latest `a`"]);
    check(text, &["arg:ROOT=other"], &["base b:latest `b`"]);
    check(text, &["arg:ROOT=c"], &["base c:latest `$ROOT`"]);
    check(text, &["arg:ROOT=scratch"], &[]);
}

#[test]
fn images_of_the_shape_of_jupyters() {
    let foundation =
        "ARG ROOT_IMAGE=ubuntu:24.04\n\nFROM $ROOT_IMAGE\n\nARG NB_USER=\"jovyan\"\nRUN true\n";
    check(foundation, &[], &["base ubuntu:24.04 `$ROOT_IMAGE`"]);
    let base = "ARG REGISTRY=quay.io\nARG OWNER=jupyter\nARG BASE_IMAGE=$REGISTRY/$OWNER/docker-stacks-foundation\nFROM $BASE_IMAGE\n";
    check(
        base,
        &[],
        &["base quay.io/jupyter/docker-stacks-foundation:latest `$BASE_IMAGE`"],
    );
    check(
        base,
        &["arg:REGISTRY=localhost:5000", "arg:OWNER=me"],
        &["base localhost:5000/me/docker-stacks-foundation:latest `$BASE_IMAGE`"],
    );
}

#[test]
fn platform_arguments() {
    check("FROM x:$TARGETARCH", &[], &["base x:arm64 `x:$TARGETARCH`"]);
    check("FROM x:$BUILDARCH", &[], &["base x:amd64 `x:$BUILDARCH`"]);
    check(
        "FROM x:$TARGETARCH$TARGETVARIANT",
        &["platform=linux/arm/v7"],
        &["base x:armv7 (linux/arm/v7) `x:$TARGETARCH$TARGETVARIANT`"],
    );
    check(
        "FROM x:$TARGETARCH",
        &["arg:TARGETARCH=z"],
        &["base x:z `x:$TARGETARCH`"],
    );
    check(
        "FROM x:$TARGETSTAGE AS y",
        &[],
        &["base x:y `x:$TARGETSTAGE`"],
    );
    check(
        "FROM x:$TARGETSTAGE",
        &[],
        &["base x:default `x:$TARGETSTAGE`"],
    );
    check(
        "FROM a-amd64 AS base-amd64\nFROM a-arm64 AS base-arm64\nFROM base-$TARGETARCH",
        &[],
        &["base a-arm64:latest `a-arm64`"],
    );
}

#[test]
fn platforms_of_stages() {
    check(
        "FROM --platform=$BUILDPLATFORM go AS b\nFROM b AS c\nFROM d\nCOPY --from=c / /\nCOPY --from=e / /\n",
        &[],
        &[
            "stage go:latest (linux/amd64) `go`",
            "base d:latest `d`",
            "copy e:latest `e`",
        ],
    );
    check(
        "FROM --platform=linux/s390x a",
        &[],
        &["base a:latest (linux/s390x) `a`"],
    );
    check(
        "ARG P=linux/386\nFROM --platform=$P a",
        &[],
        &["base a:latest (linux/386) `a`"],
    );
    refused("FROM --platform=$P a", &[], 1, "needs build argument `P`");
    refused("FROM --platform=x/y/z/w a", &[], 1, "is no platform");
    // A stage of this file brings its platform; the flag says nothing.
    let views = resolved(
        "FROM --platform=linux/386 a AS b\nFROM --platform=linux/amd64 b",
        &[],
    );
    let views = views.unwrap().views;
    assert_eq!(views[&1].platform.to_string(), "linux/386");
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
fn copies_from_stages_numbers_and_images() {
    let text =
        "FROM a\nFROM b\nFROM c\nCOPY --from=0 / /\nCOPY --from=d:1 / /\nCOPY --from=scratch / /\n";
    check(
        text,
        &[],
        &["stage a:latest `a`", "base c:latest `c`", "copy d:1 `d:1`"],
    );
    check("FROM a\nCOPY --from= x /", &[], &["base a:latest `a`"]);
    check(
        "FROM a\nCOPY --from=\"b\" x /",
        &[],
        &["base a:latest `a`", "copy b:latest `b`"],
    );
    refused("FROM a\nCOPY --from=3 / /", &[], 2, "there is no stage 3");
    refused("FROM a\nCOPY --from=-1 / /", &[], 2, "there is no stage -1");
    refused(
        "ARG X=a\nFROM a\nCOPY --from=$X / /",
        &[],
        3,
        "does not expand variables",
    );
    refused(
        "FROM a\nCOPY --from=Nope / /",
        &[],
        2,
        "no stage is named `Nope`",
    );
    refused(
        "FROM a\nADD --from=b / /",
        &[],
        2,
        "`--from` is no flag of ADD",
    );
}

#[test]
fn mounts_look_up_names_and_never_numbers() {
    let text = "FROM a AS b\nFROM c\nRUN --mount=type=cache,from=b,target=/x --mount=target=/y,from=d:1 true\n";
    check(
        text,
        &[],
        &["stage a:latest `a`", "base c:latest `c`", "mount d:1 `d:1`"],
    );
    check(
        "FROM a\nRUN --mount=from=0,target=/x y",
        &[],
        &["base a:latest `a`", "mount 0:latest `0`"],
    );
    check(
        "FROM a\nRUN --mount='\"from=b:1\",target=/x' y",
        &[],
        &["base a:latest `a`", "mount b:1 `b:1`"],
    );
    refused(
        "FROM a\nRUN --mount=from=$X,target=/x y",
        &[],
        2,
        "does not expand variables",
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
fn blank_and_malformed_bases_are_refused_reached_or_not() {
    refused("ARG X\nFROM ${X}", &[], 2, "needs build argument `X`");
    refused("FROM \"\"", &[], 1, "the base `\"\"` is blank");
    refused("FROM $X AS a\nFROM b", &[], 1, "needs build argument `X`");
    refused(
        "ARG TAG\nFROM debian:$TAG",
        &[],
        2,
        "needs build argument `TAG`",
    );
    refused("FROM UPPER AS a\nFROM b", &[], 1, "must be lower case");
    refused("FROM ${X:?give-X}", &[], 1, "`X`: give-X");
    refused("FROM ${X", &[], 1, "without `}`");
    refused("ARG X=${Y:=1}\nFROM a", &[], 1, "unsupported modifier");
    let hint = |text: &str| resolved(text, &[]).unwrap_err().hint.unwrap();
    assert!(hint("ARG X\nFROM $X").contains("give `ARG X` a default"));
    assert!(hint("FROM $X\nARG X=1").contains("only arguments before the first FROM"));
    assert!(hint("ARG VERSION=1\nFROM x:$VERSIO").contains("did you mean `VERSION`?"));
    assert!(hint("FROM $X").contains("declare `ARG X` before the first FROM"));
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
fn triggers_of_a_stage_in_the_file_run_in_its_children() {
    let text = "FROM a AS b\nONBUILD COPY --from=t:1 / /\nONBUILD RUN --mount=from=tool x\nONBUILD COPY src /\nFROM x AS tool\nFROM b\n";
    check(
        text,
        &[],
        &[
            "base a:latest `a`",
            "stage x:latest `x`",
            "onbuild t:1 `t:1`",
        ],
    );
    let resolved_text = resolved(text, &[]).unwrap();
    assert_eq!(
        resolved_text.inputs,
        [ContextInput::Pattern("src".to_owned())]
    );
    assert_eq!(resolved_text.executes.len(), 1);
    // Built by itself it only leaves them.
    check(text, &["target=b"], &["base a:latest `a`"]);
    refused(
        "FROM a AS b\nONBUILD COPY --form=x / /\nFROM b",
        &[],
        2,
        "is no flag of COPY",
    );
}

#[test]
fn triggers_of_an_external_base_come_from_its_config() {
    let text = "FROM x AS tool\nFROM a\n";
    let triggers = [
        "COPY --from=tool / /",
        "COPY --from=t / /",
        "ADD data /",
        "RUN x",
    ];
    let triggers = BTreeMap::from([(1, triggers.map(str::to_owned).to_vec())]);
    let resolved = resolved_with(text, &[], &triggers).unwrap();
    let kinds = resolved
        .found
        .iter()
        .map(|f| (f.kind.as_str(), f.source.to_string(), f.line));
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(
        kinds,
        [
            ("stage", "docker.io/library/x:latest".to_owned(), 1),
            ("base", "docker.io/library/a:latest".to_owned(), 2),
            ("onbuild", "docker.io/library/t:latest".to_owned(), 2),
        ]
    );
    assert_eq!(resolved.inputs, [ContextInput::Pattern("data".to_owned())]);
    assert_eq!(&text[resolved.executes[0].command.span.clone()], "a");
    let bad = BTreeMap::from([(1, vec!["COPY --from=9 / /".to_owned()])]);
    let error = resolved_with(text, &[], &bad).unwrap_err();
    assert_eq!((error.line, error.column), (2, 6));
    assert!(
        error
            .message
            .starts_with("an ONBUILD trigger of this base: "),
        "{error}"
    );
}

#[test]
fn what_a_build_reads_of_its_context() {
    let inputs = |text: &str, options: &[&str]| {
        let resolved = resolved(text, options).unwrap_or_else(|e| panic!("{text}: {e}"));
        let inputs = resolved.inputs.into_iter().map(|input| match input {
            ContextInput::Everything => "*everything*".to_owned(),
            ContextInput::Pattern(pattern) => pattern,
        });
        inputs.collect::<Vec<_>>()
    };
    for (body, options, expect) in [
        ("COPY a b/c/ /x/", &[][..], &["a", "b/c"][..]),
        ("COPY . /x", &[], &["*everything*"]),
        ("COPY a /x\nCOPY . /y", &[], &["*everything*"]),
        (
            "ADD a.tar.gz https://e.com/x git@e.com:a/b.git /x",
            &[],
            &["a.tar.gz"],
        ),
        ("COPY --from=b a /x", &[], &[]),
        ("COPY [\"a b\", \"/x\"]", &[], &["a b"]),
        ("COPY <<EOF a /x\nEOF", &[], &["a"]),
        ("ARG D=d\nCOPY $D/x /", &[], &["d/x"]),
        ("ARG D=d\nCOPY $D/x /", &["arg:D=e"], &["e/x"]),
        ("ARG G\nCOPY $G/x /", &[], &["g/x"]),
        ("ENV E=e\nCOPY ${E}/x /", &[], &["e/x"]),
        ("COPY $FROMBASE/x /", &[], &["*everything*"]),
        ("ENV E=$FROMBASE\nCOPY $E/x /", &[], &["*everything*"]),
        ("ARG E=$FROMBASE\nCOPY $E/x /", &[], &["*everything*"]),
        ("ENV E=1 $FROMBASE=2\nCOPY $E /", &[], &["*everything*"]),
        ("RUN --mount=target=/x y", &[], &["*everything*"]),
        ("RUN --mount=source=a,target=/x y", &[], &["a"]),
        (
            "RUN --mount=type=cache,target=/x --mount=type=secret,id=y z",
            &[],
            &[],
        ),
        ("RUN --mount=from=b,source=a,target=/x y", &[], &[]),
        (
            "ARG T=bind\nRUN --mount=type=$T,src=a,target=/x y",
            &[],
            &["a"],
        ),
        ("ONBUILD COPY a /", &[], &[]),
        ("RUN x", &[], &[]),
    ] {
        let text = format!("ARG G=g\nFROM a\n{body}\n");
        assert_eq!(inputs(&text, options), expect, "{body} {options:?}");
    }
    // Nothing but the file sets a variable of an empty base.
    assert_eq!(inputs("FROM scratch\nCOPY a$X /", &[]), ["a"]);
    // Variables of a stage are those of its children; a stage that is not reached reads nothing.
    let text = "FROM a AS b\nENV D=d\nFROM c AS unused\nCOPY u /\nFROM b\nCOPY $D /\n";
    assert_eq!(inputs(text, &[]), ["d"]);
}

#[test]
fn what_cannot_be_expanded_is_refused_where_it_is_reached() {
    refused("FROM a\nENV X=${Y:=1}", &[], 2, "unsupported modifier");
    refused("FROM a\nLABEL X=${Y", &[], 2, "without `}`");
    refused("FROM a\nRUN x\nCOPY 'a /", &[], 3, "unmatched single quote");
    refused("FROM scratch\nWORKDIR ${X:?why}", &[], 2, "`X`: why");
    refused(
        "FROM a\nCOPY https://e.com/x /",
        &[],
        2,
        "COPY cannot fetch",
    );
    // The base may set it.
    assert!(resolved("FROM a\nWORKDIR ${X:?why}", &[]).is_ok());
    assert!(resolved("FROM a AS b\nENV X=${Y:=1}\nFROM c", &[]).is_ok());
}
