//! Workflows that call one another, and actions of the repository.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::*;

/// Images and what is left out, a line each.
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let mut files: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    for folder in ["a", "b"] {
        files.insert(format!("{folder}/Dockerfile"), "FROM x\n".to_owned());
    }
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    let read = |path: &str| files.get(path).map(|text| text.clone().into_bytes());
    let source = Source {
        paths: &paths,
        read: &read,
        github: Some("example/shop".to_owned()),
        branch: "main".to_owned(),
    };
    let (imported, _) = import(&source, &workflows(&source, ".github/workflows"));
    let mut lines: Vec<String> = imported
        .images
        .iter()
        .map(|image| {
            let tags: Vec<String> = image
                .tags
                .iter()
                .map(|tag| format!("{}:{}", tag.repository, tag.name))
                .collect();
            format!(
                "{} = {} [{}] {:?} {:?}",
                image.id,
                image.dockerfile,
                tags.join(" "),
                image.build_args,
                image.secrets
            )
        })
        .collect();
    lines.extend(imported.left_out.iter().map(ToString::to_string));
    lines
}

const BUILD: &str = "on: {workflow_call: {inputs: {context: {type: string}, n: {type: number, default: 3}, on: {type: boolean}, tag: {type: string, default: none}}}}\n\
    jobs:\n  build:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: ${{ inputs.context }}\n\
    \x20         push: true\n          tags: r.io/x:${{ inputs.tag }}\n          build-args: |\n            N=${{ inputs.n }}\n            ON=${{ inputs.on }}\n\
    \x20         secrets: s=${{ secrets.inner }}\n";

#[test]
fn inputs_have_their_types_and_secrets_their_names() {
    let caller = "on: push\njobs:\n  one:\n    uses: ./.github/workflows/build.yml\n    with: {CONTEXT: a, n: 7, on: 'true', tag: 'v-${{ github.sha }}'}\n    secrets: {INNER: '${{ secrets.OUTER }}'}\n\
        \x20 two:\n    uses: ./.github/workflows/build.yml\n    with: {context: b}\n    secrets: inherit\n\
        \x20 three:\n    uses: ./.github/workflows/build.yml\n    with: {context: '${{ github.event.x }}', tag: '${{ vars.T }}'}\n";
    assert_eq!(
        said(&[
            (".github/workflows/build.yml", BUILD),
            (".github/workflows/ci.yml", caller)
        ]),
        [
            "one / build = a/Dockerfile [r.io/x:v-{{.Run.Commit}}] {\"N\": \"7\", \"ON\": \"true\"} {\"s\": \"env:OUTER\"}",
            "two / build = b/Dockerfile [r.io/x:none] {\"N\": \"3\", \"ON\": \"false\"} {\"s\": \"env:inner\"}",
            ".github/workflows/build.yml:7: three / build: its `context` depends on the run: `${{ inputs.context }}`",
        ]
    );
}

#[test]
fn a_workflow_that_nothing_calls_is_read_with_its_defaults() {
    let text = BUILD.replace("context: {type: string}", "context: {default: a}");
    assert_eq!(
        said(&[(".github/workflows/build.yml", &text)]),
        [
            "build = a/Dockerfile [r.io/x:none] {\"N\": \"3\"} {\"s\": \"env:inner\"}",
            ".github/workflows/build.yml:10: build: build-args: ON: `${{ inputs.on }}` depends on the run",
        ]
    );
    // A push gives it nothing.
    let pushed = text.replacen("on: {", "on: {push: {}, ", 1);
    assert_eq!(
        said(&[(".github/workflows/build.yml", &pushed)]),
        [".github/workflows/build.yml:7: build: there is no `Dockerfile`"]
    );
}

#[test]
fn calls_that_lead_nowhere_or_in_circles_are_left_out() {
    let caller = "on: push\njobs:\n  circle:\n    uses: ./.github/workflows/b.yml\n  gone:\n    uses: ./.github/workflows/gone.yml\n\
        \x20 remote:\n    uses: example/shared/.github/workflows/x.yml@v1\n  above:\n    uses: ./../x.yml\n\
        \x20 broken:\n    uses: ./.github/workflows/broken.yml\n  steps:\n    steps:\n      - uses: ./actions/a\n      - uses: ./actions/none\n      - uses: ./actions/node\n";
    let build = "on: workflow_call\njobs:\n  back:\n    uses: ./.github/workflows/b.yml\n";
    let action = "runs: {using: composite, steps: [{uses: ./actions/b}]}\n";
    let back = "runs: {using: composite, steps: [{uses: ./actions/a}]}\n";
    assert_eq!(
        said(&[
            (".github/workflows/a.yml", caller),
            (".github/workflows/b.yml", build),
            (".github/workflows/broken.yml", "on: [\n"),
            ("actions/a/action.yml", action),
            ("actions/b/action.yaml", back),
            (
                "actions/node/action.yml",
                "runs: {using: node20, main: x.js}\n"
            ),
        ]),
        [
            ".github/workflows/broken.yml:1: the file: unclosed bracket '[' at line 1, column 5",
            ".github/workflows/b.yml:4: circle / back: `.github/workflows/b.yml` calls itself",
            ".github/workflows/a.yml:6: gone: there is no `.github/workflows/gone.yml`",
            ".github/workflows/a.yml:8: remote: `example/shared/.github/workflows/x.yml@v1` is not in this repository",
            ".github/workflows/a.yml:10: above: `./../x.yml` is not in this repository",
            "actions/b/action.yaml:1: steps: `./actions/a` uses itself, or is more than 10 deep",
            ".github/workflows/a.yml:16: steps: there is no action in `actions/none`",
        ]
    );
}

#[test]
fn what_is_put_in_may_be_several_lines() {
    let caller = "on: push\njobs:\n  x:\n    uses: ./.github/workflows/c.yml\n    with:\n      args: |\n        A=1\n        B=2\n\
        \x20     tags: |\n        r.io/x:1\n        r.io/x:2\n      rules: |\n        type=raw,value=latest\n        type=raw,value=next\n\
        \x20     images: |\n        r.io/m\n        r.io/n\n";
    let build = "on: {workflow_call: {inputs: {args: {}, tags: {}, rules: {}, images: {}, secrets: {}}}}\njobs:\n  build:\n    steps:\n\
        \x20     - {id: meta, uses: docker/metadata-action@v5, with: {images: '${{ inputs.images }}', tags: '${{ inputs.rules }}'}}\n\
        \x20     - uses: docker/build-push-action@v6\n        with:\n          context: a\n          push: true\n          tags: |\n\
        \x20           ${{ steps.meta.outputs.tags }}\n            ${{ inputs.tags }}\n          build-args: |\n            ${{ inputs.args }}\n            C=3\n\
        \x20         secrets: ${{ inputs.secrets }}\n";
    assert_eq!(
        said(&[
            (".github/workflows/ci.yml", caller),
            (".github/workflows/c.yml", build)
        ]),
        [
            "x / build = a/Dockerfile [r.io/m:latest r.io/m:next r.io/n:latest r.io/n:next r.io/x:1 r.io/x:2] \
             {\"A\": \"1\", \"B\": \"2\", \"C\": \"3\"} {}",
            ".github/workflows/c.yml:16: x / build: secrets: ${{ inputs.secrets }}: it is neither a secret nor a variable",
        ]
    );
}

/// Every level calls the next one many times: it ends, and soon.
#[test]
fn calls_that_multiply_are_bounded() {
    let names: Vec<String> = (0..12)
        .map(|n| format!(".github/workflows/w{n}.yml"))
        .collect();
    let texts: Vec<String> = (0..12)
        .map(|n| {
            let event = if n == 0 { "push" } else { "workflow_call" };
            let mut calls = String::new();
            for m in 0..40 {
                let next = n + 1;
                writeln!(calls, "  j{m}: {{uses: ./.github/workflows/w{next}.yml}}").unwrap();
            }
            format!("on: {event}\njobs:\n{calls}")
        })
        .collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(texts.iter().map(String::as_str))
        .collect();
    let said = said(&files);
    assert!(
        said.iter()
            .any(|line| line.contains("come to more than 4096 jobs")),
        "{}",
        said.len()
    );
    assert!(
        said.iter()
            .any(|line| line.ends_with("calls are more than 10 deep"))
    );
    assert!(said.len() <= 4096, "{}", said.len());
}
