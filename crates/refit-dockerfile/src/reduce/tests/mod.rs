//! Files before and after.

mod properties;

use std::collections::BTreeMap;

use refit_oci::Platform;

use super::*;
use crate::{NamedContext, Settings, parse, resolve, resolve_with_triggers};

fn settings<'a>(
    target: Option<&'a str>,
    contexts: &'a BTreeMap<String, NamedContext>,
    none: &'a (Platform, BTreeMap<String, String>),
) -> Settings<'a> {
    Settings {
        target,
        platform: &none.0,
        build_platform: &none.0,
        build_args: &none.1,
        contexts,
    }
}

fn none() -> (Platform, BTreeMap<String, String>) {
    (Platform::linux_amd64(), BTreeMap::new())
}

/// Every image becomes `p/<its last component>`.
#[expect(clippy::unnecessary_wraps, reason = "the shape that reducing asks for")]
fn pin(found: &Found) -> Option<String> {
    match &found.source {
        FoundSource::Reference(r) => Some(format!("p/{}", r.repository().last_component())),
        FoundSource::InRepo(name) => Some(format!("repo/{name}")),
    }
}

#[track_caller]
fn check_with(text: &str, target: Option<&str>, contexts: &[(&str, NamedContext)], expect: &str) {
    let contexts = contexts
        .iter()
        .map(|(name, c)| ((*name).to_owned(), c.clone()));
    let (contexts, none) = (contexts.collect(), none());
    let file = parse(text).unwrap();
    let resolved = resolve(&file, &settings(target, &contexts, &none)).unwrap();
    let reduced = reduce(&file, &resolved, &pin);
    assert_eq!(reduced, expect, "{text}");
    let empty = BTreeMap::new();
    let again = parse(&reduced).unwrap();
    let again = resolve(&again, &settings(target, &empty, &none));
    assert!(again.is_ok(), "{reduced}: {again:?}");
}

#[track_caller]
fn check(text: &str, target: Option<&str>, expect: &str) {
    check_with(text, target, &[], expect);
}

#[test]
fn references_are_replaced_and_nothing_else() {
    check("FROM a", None, "FROM p/a");
    check("FROM a\r\nRUN x\r\n", None, "FROM p/a\r\nRUN x\r\n");
    check(
        "ARG V=1\nFROM --platform=$BUILDPLATFORM \"a:$V\" as B # x\n"
            .replace(" # x", "")
            .as_str(),
        None,
        "ARG V=1\nFROM --platform=$BUILDPLATFORM p/a as B\n",
    );
    check("FROM a\\\nb AS c\n", None, "FROM p/ab AS c\n");
    check(
        "FROM a AS b\nFROM b\nFROM scratch\nCOPY --from=1 / /",
        None,
        "FROM p/a AS b\nFROM b\nFROM scratch\nCOPY --from=1 / /",
    );
    check(
        "FROM a\nCOPY --chown=1 --from=b:2 x /\nRUN --mount=type=bind,from=c,target=/x true\n",
        None,
        "FROM p/a\nCOPY --chown=1 --from=p/b x /\nRUN --mount=type=bind,from=p/c,target=/x true\n",
    );
}

#[test]
fn flags_with_quotes_are_written_anew() {
    for (flag, expect) in [
        ("COPY --from=\"b\" x /", "COPY --from=p/b x /"),
        ("COPY --from=\"b\"c x /", "COPY --from=p/bc x /"),
        ("COPY --fr\"om=b\" x /", "COPY --from=p/b x /"),
        ("COPY --from=b\\\nc x /", "COPY --from=p/bc x /"),
        (
            "RUN --mount='type=bind,from=b,target=/x' y",
            "RUN --mount=type=bind,from=p/b,target=/x y",
        ),
        (
            "RUN --mount='from=b,target=/x y' y",
            "RUN --mount=\"from=p/b,target=/x y\" y",
        ),
        (
            "RUN --mount='\"target=/a,b\",RO,from=b' y",
            "RUN --mount=\"\\\"target=/a,b\\\",ro,from=p/b\" y",
        ),
        (
            "RUN --mount=from=b,from=\"c\" y",
            "RUN --mount=from=b,from=p/c y",
        ),
    ] {
        check(
            &format!("FROM a\n{flag}\n"),
            None,
            &format!("FROM p/a\n{expect}\n"),
        );
    }
}

#[test]
fn what_is_not_reached_leaves_empty_lines() {
    check(
        "FROM a AS one\nRUN x \\\n  y\n# comment\nFROM b AS two\nRUN z\nFROM c\nCOPY --from=1 / /\n",
        None,
        "\n\n\n# comment\nFROM p/b AS two\nRUN z\nFROM p/c\nCOPY --from=0 / /\n",
    );
    check(
        "FROM a AS b\nFROM c AS d\nCOPY <<E /\nFROM x\nE\n",
        Some("b"),
        "FROM p/a AS b\n\n\n\n\n",
    );
    // What a removed stage held back does not become a directive.
    check(
        "FROM a\n# escape=`\nFROM b\nRUN x \\\n y\n",
        None,
        "\n# escape=`\nFROM p/b\nRUN x \\\n y\n",
    );
    check(
        "FROM a\nFROM b\nFROM c\nCOPY --from=\"1\" / /\nCOPY --from=+1 / /\n",
        None,
        "\nFROM p/b\nFROM p/c\nCOPY --from=0 / /\nCOPY --from=0 / /\n",
    );
}

#[test]
fn the_frontend_goes_and_the_other_directives_stay() {
    check(
        "# syntax=docker/dockerfile:1\nFROM a\n",
        None,
        "\nFROM p/a\n",
    );
    check(
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n y\n",
        None,
        "# escape=`\n\nFROM p/a\nRUN x `\n y\n",
    );
    check(
        "# escape=`\n# syntax=docker/dockerfile:1\n\nFROM a\nRUN x `\n y\n",
        None,
        "# escape=`\n\n\nFROM p/a\nRUN x `\n y\n",
    );
    check(
        "#!/usr/bin/env x\n# syntax=docker/dockerfile:1\nFROM a\n",
        None,
        "#!/usr/bin/env x\n\nFROM p/a\n",
    );
    check(
        "\u{feff}# syntax=docker/dockerfile:1\nFROM a\n",
        None,
        "\u{feff}\nFROM p/a\n",
    );
    let other = "# syntax=example.com/other\nFROM a\n";
    let (file, none, contexts) = (parse(other).unwrap(), none(), BTreeMap::new());
    let resolved = resolve(&file, &settings(None, &contexts, &none)).unwrap();
    assert_eq!(reduce(&file, &resolved, &pin), other);
}

#[test]
fn a_replaced_stage_is_a_bare_from() {
    let text = "FROM a AS b\nRUN x\nCOPY --from=dead / /\nFROM c\nCOPY --from=b / /\n";
    let image = NamedContext::Image("x:1".parse().unwrap());
    let expect = "FROM p/x AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
    check_with(text, None, &[("b", image.clone())], expect);
    let expect = "FROM repo/web AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
    check_with(
        text,
        None,
        &[("b", NamedContext::InRepo("web".into()))],
        expect,
    );
    let expect = "FROM scratch AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
    check_with(text, None, &[("b", NamedContext::Files)], expect);
    check_with("FROM c\n", None, &[("c", image)], "FROM p/x\n");
    check_with("FROM c\n", None, &[("c", NamedContext::Files)], "FROM c\n");
}

#[test]
fn without_a_pin_only_contexts_are_written() {
    let text = "FROM a:$TARGETARCH AS b\nFROM c\nCOPY --from=b / /\n";
    let image = NamedContext::Image("x:1".parse().unwrap());
    let contexts = BTreeMap::from([("c".to_owned(), image)]);
    let (file, none) = (parse(text).unwrap(), none());
    let resolved = resolve(&file, &settings(None, &contexts, &none)).unwrap();
    assert_eq!(
        reduce(&file, &resolved, &|_| None),
        "FROM a:$TARGETARCH AS b\nFROM docker.io/library/x:1\nCOPY --from=b / /\n"
    );
}

#[test]
fn triggers_are_part_of_the_result_and_stay() {
    check(
        "FROM a AS b\nONBUILD COPY --from=t / /\nFROM b\n",
        None,
        "FROM p/a AS b\nONBUILD COPY --from=t / /\nFROM b\n",
    );
    // A trigger that counts stages keeps their number.
    check(
        "FROM a AS unused\nRUN x\nFROM b\nFROM c AS d\nONBUILD COPY --from=1 / /\nFROM d\n",
        None,
        "FROM scratch\n\nFROM p/b\nFROM p/c AS d\nONBUILD COPY --from=1 / /\nFROM d\n",
    );
    let (text, none, contexts) = (
        "FROM a AS u\nFROM b AS t\nFROM c\n",
        none(),
        BTreeMap::new(),
    );
    let file = parse(text).unwrap();
    let triggers = BTreeMap::from([(2, vec!["COPY --from=1 / /".to_owned()])]);
    let resolved =
        resolve_with_triggers(&file, &settings(None, &contexts, &none), &triggers).unwrap();
    let reduced = reduce(&file, &resolved, &pin);
    assert_eq!(reduced, "FROM scratch\nFROM p/b AS t\nFROM p/c\n");
}
