//! Which Dockerfiles are accepted, and which images they need, against the BuildKit of a real engine: `docker-buildx`
//! asks its frontend for an outline, which converts the whole file and builds nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    slice,
    sync::Mutex,
    thread,
};

use refit_dockerfile::{FoundSource, NamedContext, Settings, parse, resolve};
use refit_oci::Platform;
use refit_testkit::{
    engines::{self, Dockerd, Version},
    registry::{Image, Options, TestRegistry},
};
use tempfile::TempDir;

const REPOSITORIES: [&str; 7] = ["a", "b", "c", "a-amd64", "a-arm64", "a-linux", "default"];

/// An outline mostly waits, for its processes and for the engine.
const N_WORKERS: usize = 8;

/// Where this engine's frontend is older than the rules, or its outline asks for less than a build. Each must differ
/// still.
const KNOWN: [(&str, &str); 4] = [
    (
        "good/arch-selects-another",
        "an outline is of the engine's own platform",
    ),
    (
        "good/target-arch-arm",
        "an outline is of the engine's own platform",
    ),
    ("good/target-stage", "TARGETSTAGE came later"),
    ("good/target-stage-default", "TARGETSTAGE came later"),
];

/// One file of the corpus.
struct Case {
    name: String,
    text: String,
    /// What `docker build` is given.
    options: Vec<String>,
}

#[test]
fn needs_engine_docker26_what_buildkit_accepts_and_resolves_is_what_refit_does() {
    let dockerd = Dockerd::start(Version::V26).unwrap();
    let cases = corpus();
    assert!(cases.len() >= 150, "only {} files were found", cases.len());
    let left = Mutex::new(cases.iter());
    let differences: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..N_WORKERS)
            .map(|_| scope.spawn(|| compare(&left, &dockerd)))
            .collect();
        let found = workers.into_iter().map(|worker| worker.join().unwrap());
        found.flatten().collect()
    });
    let mut known: BTreeSet<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
    let unknown = differences.iter().filter(|(name, _)| !known.remove(name));
    let unknown: Vec<&str> = unknown.map(|(_, told)| told.as_str()).collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(known.is_empty(), "these agree by now: {known:?}");
}

/// Takes one case after the other: each worker has a registry of its own, so that it knows who asked for what.
fn compare<'a>(left: &Mutex<slice::Iter<'a, Case>>, dockerd: &Dockerd) -> Vec<(&'a str, String)> {
    let hub = TestRegistry::start(Options::default());
    let images =
        ["linux/amd64", "linux/arm64"].map(|platform| Image::new(platform, &[&[("x", "")]]));
    for repository in REPOSITORIES {
        for tag in ["1", "2", "latest"] {
            hub.put_index(repository, tag, &images);
        }
    }
    let digest = hub.tag("a", "1").unwrap().to_string();
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("context")).unwrap();
    let next = || left.lock().unwrap().next();
    let mut differences = Vec::new();
    while let Some(case) = next() {
        let filled = case.filled(&hub.host(), &digest);
        hub.forget_requests();
        let theirs = buildkit(&filled, dockerd, folder.path()).map(|()| asked_for(&hub));
        let ours = refit(&filled, &hub.host());
        let agree = match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (ours, theirs) => ours.is_err() && theirs.is_err(),
        };
        if !agree {
            let told = format!("{}\n  refit    {ours:?}\n  BuildKit {theirs:?}", case.name);
            differences.push((case.name.as_str(), told));
        }
    }
    differences
}

fn corpus() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/dockerfiles");
    let mut cases = Vec::new();
    for kind in ["good", "bad"] {
        let entries = fs::read_dir(root.join(kind)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "Dockerfile"));
        paths.sort();
        for path in paths {
            let options = fs::read_to_string(path.with_extension("options")).unwrap_or_default();
            cases.push(Case {
                name: format!("{kind}/{}", path.file_stem().unwrap().to_string_lossy()),
                text: fs::read_to_string(&path).unwrap(),
                options: options.split_whitespace().map(str::to_owned).collect(),
            });
        }
    }
    cases
}

impl Case {
    /// The case with the names of a registry and of an image in it.
    fn filled(&self, host: &str, digest: &str) -> Self {
        let fill = |text: &String| text.replace("HUB", host).replace("DIGEST", digest);
        Self {
            name: self.name.clone(),
            text: fill(&self.text),
            options: self.options.iter().map(fill).collect(),
        }
    }
}

fn buildkit(case: &Case, dockerd: &Dockerd, folder: &Path) -> Result<(), String> {
    let file = folder.join("Dockerfile");
    fs::write(&file, &case.text).unwrap();
    let buildx = engines::folder().join("docker26/usr/libexec/docker/cli-plugins/docker-buildx");
    let context = folder.join("context");
    let out = Command::new(buildx)
        .env_clear()
        .env("HOME", folder)
        .env("DOCKER_HOST", dockerd.host())
        .env("BUILDX_EXPERIMENTAL", "1")
        .current_dir(&context)
        .args(["build", "--print=outline", "--file"])
        .arg(&file)
        .args(&case.options)
        .arg(&context)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    if out.status.success() {
        Ok(())
    } else {
        Err(last.to_owned())
    }
}

/// The tags that were looked up.
fn asked_for(hub: &TestRegistry) -> BTreeSet<String> {
    let requests = hub.requests();
    let manifests = requests.iter().filter_map(|request| {
        let (repository, reference) = request
            .path
            .strip_prefix("/v2/")?
            .split_once("/manifests/")?;
        (!reference.starts_with("sha256:")).then(|| format!("{repository}:{reference}"))
    });
    manifests.collect()
}

/// The tags that refit would look up; what is pinned by a digest needs no look-up.
fn refit(case: &Case, host: &str) -> Result<BTreeSet<String>, String> {
    let (mut target, mut platform) = (None, Platform::linux_amd64());
    let (mut build_args, mut contexts) = (BTreeMap::new(), BTreeMap::new());
    for option in case.options.chunks(2) {
        let [name, value] = option else {
            panic!("{}: an option without a value", case.name)
        };
        match (name.as_str(), value.split_once('=')) {
            ("--target", _) => target = Some(value.as_str()),
            ("--platform", _) => platform = value.parse().unwrap(),
            ("--build-arg", Some((name, value))) => {
                build_args.insert(name.to_owned(), value.to_owned());
            }
            ("--build-context", Some((name, value))) => {
                let context = match value.strip_prefix("docker-image://") {
                    Some(reference) => NamedContext::Image(reference.parse().unwrap()),
                    None => NamedContext::Files,
                };
                contexts.insert(name.to_owned(), context);
            }
            _ => panic!("{}: {name}", case.name),
        }
    }
    let settings = Settings {
        target,
        platform: &platform,
        build_platform: &Platform::linux_amd64(),
        build_args: &build_args,
        contexts: &contexts,
    };
    let file = parse(&case.text).map_err(|e| e.to_string())?;
    let resolved = resolve(&file, &settings).map_err(|e| e.to_string())?;
    let tags = resolved
        .found
        .iter()
        .filter_map(|found| match &found.source {
            FoundSource::Reference(reference) if reference.digest().is_none() => {
                let text = reference.to_string();
                Some(text.strip_prefix(host)?.trim_start_matches('/').to_owned())
            }
            _ => None,
        });
    Ok(tags.collect())
}
