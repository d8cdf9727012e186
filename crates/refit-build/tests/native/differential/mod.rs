//! Every Dockerfile below `testdata/native` against Docker Engine 26.1: files, modes, owners, links, extended
//! attributes, config and history.
//!
//! `<story>.like.Dockerfile` says with older words what `<story>.Dockerfile` says with ones that this engine's frontend
//! does not know: the engine builds the former. What is in `refused/` neither builds.

mod world;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt as _, stream};
use refit_build::{
    docker::{Address, DockerEngine},
    engine::{Built, Engine as _, EngineError},
};
use refit_testkit::engines::{Dockerd, Version};

use self::world::{Archives, recipe, world};
use super::{
    fetch::Web,
    fixture::World,
    peers::{described, history},
};

/// How many builds the engine is given at once.
const N_BUILDS: usize = 8;

/// Where this engine's BuildKit is older than the rules. Each must differ still.
const KNOWN: [(&str, &str, &str); 5] = [
    (
        "add/archive-of-another-owner",
        "files",
        "an archive came to be given its owner later",
    ),
    (
        "add/files-and-folders",
        "files",
        "a folder that COPY makes came to be given its mode later",
    ),
    ("copy/chmod-octal", "files", "the same"),
    (
        "meta/args-and-scopes",
        "history",
        "ARG's line came to say what the value is later",
    ),
    ("meta/args-of-platforms", "history", "the same"),
];

/// One Dockerfile, and its `.like` if there is one.
struct Case {
    /// Its path without the ending.
    name: String,
    text: String,
    like: Option<String>,
}

impl Case {
    fn filled_in(self, web: &Web) -> Self {
        Self {
            text: web.fill_in(&self.text),
            like: self.like.map(|text| web.fill_in(&text)),
            name: self.name,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_engine_docker26_every_dockerfile_becomes_what_docker_makes_of_it() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let docker = DockerEngine::connect(&address).await.unwrap();
    let (world, archives, cases) = (world().await, Archives::make(), cases());
    assert!(cases.len() >= 100, "only {} files were found", cases.len());
    let web = Web::start();
    for (name, bytes) in archives.files() {
        web.put(name, bytes);
    }
    web.put("tool.sh", b"#!/bin/sh\n");
    let cases = cases.into_iter().map(|case| case.filled_in(&web));
    let compared = stream::iter(cases);
    let compared = compared.map(|case| compare(case, &world, &archives, &docker));
    let wrong: Vec<Vec<Wrong>> = compared.buffer_unordered(N_BUILDS).collect().await;
    let mut known: BTreeSet<(String, &str)> = KNOWN
        .iter()
        .map(|(name, what, _)| ((*name).to_owned(), *what))
        .collect();
    let wrong = wrong.into_iter().flatten();
    let wrong = wrong.filter(|wrong| !known.remove(&(wrong.name.clone(), wrong.what)));
    let wrong: Vec<String> = wrong.map(|wrong| wrong.told()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(known.is_empty(), "these agree by now: {known:?}");
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/native");
    let folders = sorted(&root).into_iter();
    let files = folders.flat_map(|folder| sorted(&folder));
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    let cases = files.filter_map(|path| {
        let name = path.strip_prefix(&root).unwrap().with_extension("");
        let is_like = name.extension().is_some_and(|ending| ending == "like");
        let like = path.with_extension("like.Dockerfile");
        (!is_like).then(|| Case {
            text: text(&path),
            like: like.exists().then(|| text(&like)),
            name: name.to_str().unwrap().to_owned(),
        })
    });
    cases.collect()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// In what the two differ.
struct Wrong {
    /// The case's.
    name: String,
    what: &'static str,
    lines: Vec<String>,
}

impl Wrong {
    fn told(&self) -> String {
        format!("{}: {}:\n{}", self.name, self.what, self.lines.join("\n"))
    }
}

async fn compare(
    case: Case,
    world: &World,
    archives: &Archives,
    docker: &DockerEngine,
) -> Vec<Wrong> {
    let args: Vec<(&str, &str)> = build_args(&case.text).collect();
    let ours = recipe(world, archives, (&case.text, &args));
    let theirs = case.like.as_ref().unwrap_or(&case.text);
    let theirs = recipe(world, archives, (theirs, &args));
    let ours = world.engine.build(&ours, &mut Vec::new()).await;
    let theirs = docker.build(&theirs, &mut Vec::new()).await;
    let must_fail = case.name.starts_with("refused/");
    let wrong = match (ours, theirs) {
        (Err(_), Err(_)) if must_fail => Vec::new(),
        (Ok(ours), Ok(theirs)) if !must_fail => {
            let mut wrong = differences(world, &ours, &theirs).await;
            // Other words leave other lines.
            wrong.retain(|(what, _)| case.like.is_none() || *what != "history");
            wrong
        }
        (ours, theirs) => {
            let told = |who: &str, built: Result<Built, EngineError>| match built {
                Ok(_) => format!("  {who} builds"),
                Err(error) => format!("  {who}: {error:?}"),
            };
            let lines = vec![told("native", ours), told("docker", theirs)];
            vec![("whether it builds", lines)]
        }
    };
    let name = &case.name;
    let wrong = wrong.into_iter().map(|(what, lines)| Wrong {
        name: name.clone(),
        what,
        lines,
    });
    wrong.collect()
}

/// `# build-arg: NAME=value` lines.
fn build_args(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines();
    let given = lines.filter_map(|line| line.strip_prefix("# build-arg: "));
    given.map(|pair| pair.split_once('=').unwrap())
}

async fn differences(
    world: &World,
    ours: &Built,
    theirs: &Built,
) -> Vec<(&'static str, Vec<String>)> {
    let files = [ours, theirs].map(|built| world.tree("base", built));
    let [ours_files, theirs_files] = files;
    let files = (described(&ours_files.await), described(&theirs_files.await));
    let history = |built| {
        history(built)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut wrong = Vec::new();
    for (what, ours, theirs) in [
        ("files", files.0, files.1),
        ("config", config(ours), config(theirs)),
        ("history", history(ours), history(theirs)),
    ] {
        if ours != theirs {
            wrong.push((what, unlike(&ours, &theirs)));
        }
    }
    wrong
}

/// All that a user can see of a config, one key a line.
fn config(built: &Built) -> Vec<String> {
    let image = &built.image;
    let of_config = serde_json::to_value(&image.config).unwrap();
    let keys = of_config.as_object().unwrap().iter();
    let mut lines: Vec<String> = keys.map(|(key, value)| format!("{key}: {value}")).collect();
    lines.push(format!("platform: {}", image.platform()));
    lines.push(format!("other: {:?}", image.other));
    lines
}

/// The lines that only one of them has.
fn unlike(ours: &[String], theirs: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], mark: &str| -> Vec<String> {
        let only = these.iter().filter(|line| !those.contains(line));
        only.map(|line| format!("  {mark} {line}")).collect()
    };
    let mut lines = only(ours, theirs, "native");
    lines.extend(only(theirs, ours, "docker"));
    if lines.is_empty() {
        lines.push(format!("  {ours:?}\n  {theirs:?}"));
    }
    lines
}
