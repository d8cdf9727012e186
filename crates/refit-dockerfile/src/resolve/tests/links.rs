//! What stages take from elsewhere: copies, mounts and triggers.

use std::collections::BTreeMap;

use super::{check, refused, resolved, resolved_with};
use crate::resolve::ContextInput;

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
    // Images are numbered behind the stages, in the order in which they are referred to.
    check(
        "FROM a\nCOPY --from=b / /\nRUN --mount=target=/m x\nCOPY --from=1 / /\nCOPY --from=2 / /",
        &[],
        &[
            "base a:latest `a`",
            "copy b:latest `b`",
            "copy b:latest `1`",
        ],
    );
    refused(
        "FROM a\nCOPY --from=1 / /\nCOPY --from=b / /",
        &[],
        2,
        "there is no stage 1",
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
fn an_image_leaves_the_triggers_of_its_own_last_stage() {
    let left = |text: &str, options: &[&str]| {
        let file = crate::parse(text).unwrap();
        crate::on_build(&file, &resolved(text, options).unwrap())
    };
    let text =
        "FROM a AS b\nONBUILD RUN x \\\n  y\nONBUILD COPY <<E /e\nz\nE\nFROM b\nONBUILD CMD q\n";
    assert_eq!(left(text, &[]), ["CMD q"]);
    assert_eq!(
        left(text, &["target=b"]),
        ["RUN x   y", "COPY <<E /e\nz\nE"]
    );
    assert_eq!(left(text, &["target=b", "context:b=c"]), [""; 0]);
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
fn what_the_config_of_a_base_may_execute_has_a_bound() {
    let error = |triggers: Vec<String>| {
        let triggers = BTreeMap::from([(1, triggers)]);
        let text = "FROM x AS y\nFROM a\n";
        let error = resolved_with(text, &[], &triggers).map(|_| ()).err()?;
        assert_eq!((error.line, error.column), (2, 6));
        Some(error.message)
    };
    let user = |n| vec!["USER 1".to_owned(); n];
    assert_eq!(error(user(256)), None);
    assert_eq!(
        error(user(100_000)).unwrap(),
        "this base's config has 100000 ONBUILD triggers, and 256 are the limit"
    );
    let long = |n: usize| vec![format!("COPY <<E /x\n{}E\n", "line\n".repeat(n / 5))];
    assert_eq!(error(long(200 << 10)), None);
    assert_eq!(
        error(long(300 << 10)).unwrap(),
        "this base's config has 301 KiB of ONBUILD triggers, and 256 KiB are the limit"
    );
}

#[test]
fn what_all_stages_execute_for_their_bases_has_a_bound() {
    let base = format!("FROM a AS b\n{}", "ONBUILD USER 1\n".repeat(100));
    let stages = |n: usize| {
        let stages = (0..n).map(|i| format!("FROM b AS s{i}\n"));
        let copies = (0..n).map(|i| format!("COPY --from=s{i} x y\n"));
        let last = std::iter::once("FROM scratch\n".to_owned());
        let all: Vec<String> = stages.chain(last).chain(copies).collect();
        base.clone() + &all.concat()
    };
    assert_eq!(resolved(&stages(100), &[]).unwrap().views.len(), 102);
    let message = "the target executes 10100 ONBUILD triggers, and 10000 are the limit";
    refused(&stages(101), &[], 102, message);
}
