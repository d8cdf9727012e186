//! What is resolved for one platform and taken over for another.

use std::collections::BTreeMap;

use proptest::prelude::*;
use refit_oci::Platform;

use super::resolved;
use crate::{
    parse,
    resolve::{Resolved, Settings, resolve},
};

/// Whether the resolution stands for other platforms, too; [`super::resolved`] checks that it is right there.
fn any_platform(text: &str, options: &[&str]) -> bool {
    let resolved = resolved(text, options).unwrap();
    resolved.on(&Platform::linux_amd64()).is_some()
}

#[test]
fn what_no_platform_decides_is_resolved_once() {
    for (text, expect) in [
        ("FROM a", true),
        ("FROM a AS b\nRUN x\nFROM b\nCOPY --from=c /d /e", true),
        ("# syntax=docker/dockerfile:1\nFROM a", true),
        ("# syntax=example.com/other\nFROM a", true),
        ("FROM scratch\nCOPY a /", true),
        ("FROM a\nENV A=$BUILDARCH\nARG BUILDARCH", true),
        ("FROM a:$TARGETARCH", false),
        ("FROM a AS b-$TARGETARCH\nFROM c", true),
        ("FROM --platform=$BUILDPLATFORM a", false),
        ("FROM --platform=linux/amd64 a", false),
        ("ARG A=$TARGETVARIANT\nFROM a", false),
        // Only what takes the value over needs it.
        ("FROM a\nRUN echo $TARGETARCH", true),
        ("FROM a\nARG TARGETARCH\nCOPY b-$TARGETARCH /", false),
        ("FROM a\nARG TARGETARCH=x\nCOPY b-$TARGETARCH /", true),
        ("ARG TARGETARCH=x\nFROM a:$TARGETARCH", true),
        ("FROM a\nONBUILD ARG TARGETOS", true),
        ("FROM a AS b\nONBUILD ARG TARGETOS\nFROM b", false),
        ("FROM a AS unused\nARG TARGETOS\nFROM c", true),
        // A backslash means one thing on Windows and another elsewhere.
        ("# escape=`\nFROM a\nCOPY b\\c /", false),
        ("# escape=`\nFROM a\nCOPY b C:\\c", true),
    ] {
        if text.contains(" AS b-$") {
            assert!(resolved(text, &[]).is_err(), "{text}");
        } else {
            assert_eq!(any_platform(text, &[]), expect, "{text}");
        }
    }
    let text = "FROM a:$TARGETARCH";
    assert!(any_platform(text, &["arg:TARGETARCH=x"]));
    // A context may be one for a platform.
    let context = "context:b::linux/arm64=files";
    assert!(!any_platform("FROM a\nCOPY --from=b c /", &[context]));
}

fn resolve_on(text: &str, platform: &Platform) -> Option<Resolved> {
    let settings = Settings {
        target: None,
        platform,
        build_platform: &Platform::linux_amd64(),
        build_args: &BTreeMap::new(),
        contexts: &BTreeMap::new(),
    };
    resolve(&parse(text).ok()?, &settings).ok()
}

proptest! {
    #[test]
    fn what_is_taken_over_is_what_it_would_come_to(lines in prop::collection::vec(prop::sample::select(vec![
        "FROM a", "FROM a AS b", "FROM b", "FROM $BUILDARCH", "FROM c-$TARGETARCH", "FROM --platform=linux/amd64 a AS b",
        "ARG TARGETARCH", "ARG TARGETPLATFORM=x", "ARG X=$TARGETOS", "ENV X=$TARGETARCH", "COPY $X/$TARGETARCH /",
        "COPY --from=b x /", "COPY --from=d-$X x /", "RUN --mount=from=b,target=/t x", "RUN --mount=source=$X,target=/t x",
        "ONBUILD COPY $TARGETARCH /", "ONBUILD ARG TARGETARCH", "ADD https://e.com/$TARGETARCH /",
        "COPY a\\b C:\\", "COPY C:/a /", "RUN --mount=source=a\\b,target=/t x",
    ]), 1..8)) {
        let text = format!("# escape=`\n{}\n", lines.join("\n"));
        let windows: Platform = "windows(10.0.17763.1)/amd64".parse().unwrap();
        if let Some(on) = resolve_on(&text, &Platform::linux_arm64()).and_then(|r| r.on(&windows)) {
            prop_assert_eq!(Some(on), resolve_on(&text, &windows), "{}", text);
        }
    }
}
