//! Build arguments in FROM lines.

use super::{check, refused, resolved};

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
    let views = views.unwrap();
    assert_eq!(views.view(1).unwrap().platform.to_string(), "linux/386");
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
    let build_arg = |text: &str| resolved(text, &[]).unwrap_err().build_arg;
    assert_eq!(build_arg("ARG X\nFROM a:$X").as_deref(), Some("X"));
    assert_eq!(build_arg("FROM a:$X"), None);
    assert!(hint("ARG X\nFROM $X").contains("give `ARG X` a default"));
    assert!(hint("FROM $X\nARG X=1").contains("only arguments before the first FROM"));
    assert!(hint("ARG VERSION=1\nFROM x:$VERSIO").contains("did you mean `VERSION`?"));
    assert!(hint("FROM $X").contains("declare `ARG X` before the first FROM"));
}
