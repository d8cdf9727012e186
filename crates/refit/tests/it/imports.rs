//! `refit init` in repositories that other tools build already.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{assert_snapshot, sandbox::Sandbox};

fn repository(name: &str) -> Sandbox {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/init");
    let text = fs::read_to_string(path.join(name).with_extension("txt")).unwrap();
    Sandbox::with(&text)
}

/// What is shown is what is written, is what is read; a second time nothing is left to do.
#[track_caller]
fn check(sandbox: &Sandbox, snapshot: &str) -> Value {
    let shown = sandbox.refit(&["init", "--dry-run"]);
    assert_snapshot!(format!("init-{snapshot}-dry-run"), shown.all());
    assert!(!sandbox.root().join(".config").exists());
    let wrote = sandbox.refit(&["init"]);
    assert_eq!(wrote.code, 0, "{}", wrote.stderr);
    let text = sandbox.read(".config/refit.toml");
    let body = format!("+{}\n", text.trim_end().replace('\n', "\n+"));
    assert!(shown.stdout.contains(&body), "{}\n{text}", shown.stdout);
    let again = sandbox.refit(&["init"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.starts_with("everything is in place already\n"),
        "{}",
        again.stderr
    );
    assert_eq!(sandbox.read(".config/refit.toml"), text);
    sandbox.refit(&["config", "check"]).ok();
    sandbox.refit(&["images", "--format", "json"]).json()
}

fn names(images: &Value) -> Vec<&str> {
    let images = images["images"].as_array().unwrap();
    images
        .iter()
        .map(|image| image["name"].as_str().unwrap())
        .collect()
}

fn image<'a>(images: &'a Value, name: &str) -> &'a Value {
    let images = images["images"].as_array().unwrap();
    images.iter().find(|image| image["name"] == name).unwrap()
}

#[test]
fn a_compose_monorepo_is_imported() {
    let sandbox = repository("compose-monorepo");
    let images = check(&sandbox, "compose");
    assert_eq!(
        names(&images),
        [
            "api",
            "assets",
            "base",
            "lint",
            "migrations",
            "web",
            "worker"
        ]
    );
    let web = image(&images, "web");
    assert_eq!(web["reference"], "registry.example.com/shop/web:latest");
    assert_eq!(web["build_args"]["NODE_VERSION"], "20");
    assert_eq!(web["target"], "runtime");
    let graph = sandbox.refit(&["deps", "graph", "--format", "json"]).json();
    let edges: Vec<(&str, &str)> = graph["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap()))
        .filter(|(_, to)| !to.contains('/'))
        .collect();
    assert_eq!(edges, [("api", "base"), ("web", "assets"), ("web", "base")]);
}

#[test]
fn workflows_with_metadata_and_matrices_are_imported() {
    let sandbox = repository("github-workflow");
    sandbox.git(&["remote", "add", "origin", "git@github.com:example/shop.git"]);
    let images = check(&sandbox, "github");
    assert_eq!(
        names(&images),
        [
            "api",
            "jobs",
            "php-8.2-cli",
            "php-8.3-cli",
            "php-8.3-fpm",
            "web"
        ]
    );
    let web = image(&images, "web");
    assert_eq!(web["target"], "runtime");
    assert_eq!(web["reference"], "ghcr.io/example/web:latest");
    assert_eq!(web["unique_tags"][0], "{{.Run.Commit}}");
    assert_eq!(web["tags"][1], "ghcr.io/example/web:main");
    let graph = sandbox.refit(&["deps", "graph", "--format", "json"]).json();
    let edges = graph["edges"].as_array().unwrap();
    assert!(
        edges
            .iter()
            .any(|edge| edge["from"] == "jobs" && edge["to"] == "api")
    );
}

#[test]
fn reusable_workflows_and_composite_actions_are_imported() {
    let sandbox = repository("github-reusable");
    sandbox.git(&["remote", "add", "origin", "git@github.com:example/shop.git"]);
    let images = check(&sandbox, "github-reusable");
    assert_eq!(names(&images), ["api", "docs", "lint", "web"]);
    let web = image(&images, "web");
    assert_eq!(web["reference"], "ghcr.io/example/web:latest");
    assert_eq!(web["unique_tags"][0], "sha-{{.Run.Commit}}");
    assert_eq!(web["build_args"]["NODE_VERSION"], "20");
    assert_eq!(web["platforms"].as_array().unwrap().len(), 2);
    assert_eq!(image(&images, "lint")["build_args"]["VERSION"], "1");
}

#[test]
fn several_sources_of_one_image_are_one_entry() {
    let sandbox = Sandbox::with(
        "//- compose.yaml\nservices:\n  web:\n    build: {context: web, args: {NODE: '22'}}\n  api:\n    build: api\n\
         \x20 dev:\n    build: {context: web, target: dev}\n\
         //- .github/workflows/ci.yml\non: push\njobs:\n  build:\n    steps:\n\
         \x20     - uses: docker/build-push-action@v6\n        with:\n          context: web\n          push: true\n\
         \x20         tags: r.example.com/team/web\n          build-args: NODE=20\n          platforms: linux/amd64,linux/arm64\n\
         \x20     - uses: docker/build-push-action@v6\n        with:\n          context: api\n          push: true\n\
         \x20         tags: r.example.com/team/api:1\n\
         //- web/Dockerfile\nARG NODE=18\nFROM node:$NODE AS dev\nFROM node:$NODE\n//- api/Dockerfile\nFROM debian:12\n",
    );
    let images = check(&sandbox, "several");
    assert_eq!(names(&images), ["api", "dev", "web"]);
    assert_eq!(image(&images, "web")["build_args"]["NODE"], "20");
    assert_eq!(
        image(&images, "api")["reference"],
        "r.example.com/team/api:1"
    );
}

#[test]
fn what_the_user_names_is_imported_and_nothing_else() {
    let sandbox = Sandbox::with(
        "//- compose.yaml\nservices:\n  web:\n    build: web\n    image: r.example.com/root/web\n\
         //- deploy/prod.yaml\nservices:\n  site:\n    build: ../web\n    image: r.example.com/prod/site:2\n\
         //- web/Dockerfile\nFROM debian:12\n//- tasks.json\n{\"name\": \"web\", \"id\": \"/registries/Acme/tasks/web\", \
         \"step\": {\"type\": \"Docker\", \"contextPath\": \"https://github.com/a/b#main:web\", \
         \"dockerFilePath\": \"Dockerfile\", \"imageNames\": [\"web\"]}}\n",
    );
    let init = |args: &[&str]| {
        let mut all = vec!["init", "--dry-run"];
        all.extend(args);
        sandbox.refit(&all)
    };
    assert!(
        init(&[])
            .stdout
            .contains("push-to = [\"r.example.com/root\"]")
    );
    let named = init(&["--from", "compose=deploy/prod.yaml"]).stdout;
    assert!(
        named.contains("name = \"site\"") && named.contains("push-to = [\"r.example.com/prod\"]"),
        "{named}"
    );
    let scan = init(&["--no-import"]).stdout;
    assert!(
        scan.contains("name = \"web\"") && scan.contains("# push-to"),
        "{scan}"
    );
    let tasks = init(&["--from", "acr=tasks.json"]);
    assert!(
        tasks.stdout.contains("push-to = [\"acme.azurecr.io\"]"),
        "{}",
        tasks.all()
    );
    for (args, says) in [
        (
            ["--from", "compose=nowhere.yaml"],
            "`nowhere.yaml` is no file of this repository",
        ),
        (["--from", "acr=nowhere.json"], "cannot read `nowhere.json`"),
        (
            ["--from", "make=Makefile"],
            "`make` is none of `compose`, `bake`, `github`, `acr`",
        ),
        (["--from", "compose"], "expected KIND=PATH"),
    ] {
        let ran = init(&args);
        assert_eq!(ran.code, 2, "{}", ran.all());
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    sandbox.refit(&["init"]).ok();
    let late = sandbox.refit(&["init", "--from", "compose=compose.yaml"]);
    assert!(
        late.stderr
            .contains("is there already: nothing is imported into it"),
        "{}",
        late.stderr
    );
}

#[test]
fn a_bake_file_with_a_matrix_and_functions_is_imported() {
    let images = check(&repository("bake-runtimes"), "bake");
    assert_eq!(
        names(&images),
        [
            "base",
            "python-3-11",
            "python-3-12",
            "python-3-13",
            "web",
            "worker"
        ]
    );
    let python = image(&images, "python-3-13");
    assert_eq!(python["build_args"]["PYTHON_VERSION"], "3.13");
    assert_eq!(python["tags"].as_array().unwrap().len(), 2);
    assert_eq!(
        image(&images, "worker")["build_args"]["QUEUES"],
        "queue-a,queue-b"
    );
}
