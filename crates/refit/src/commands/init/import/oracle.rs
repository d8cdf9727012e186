//! Bake and compose files of `testdata/import/`, read as the real buildx reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::{
    Source,
    bake::{self, Target},
    compose,
};

/// `//- path`, then the text.
pub(super) fn files(text: &str) -> BTreeMap<String, String> {
    let files = text
        .split("//- ")
        .skip(1)
        .filter_map(|file| file.split_once('\n'));
    files
        .map(|(path, text)| (path.trim().to_owned(), text.to_owned()))
        .collect()
}

fn ours(files: &BTreeMap<String, String>) -> (BTreeMap<String, Target>, Vec<String>) {
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    let read = |path: &str| files.get(path).map(|text| text.clone().into_bytes());
    let source = Source {
        paths: &paths,
        read: &read,
        github: None,
        branch: "main".to_owned(),
    };
    let compose_files = compose::usual(&source);
    let (services, imported) = compose::targets(&source, &compose_files);
    let bake_files: Vec<String> = bake::FILES
        .iter()
        .map(|name| (*name).to_owned())
        .filter(|name| paths.contains(name))
        .collect();
    let (bake, more) = bake::read(&source, &bake_files, services);
    let left_out = imported.left_out.iter().chain(&more.left_out);
    let left_out = left_out.map(ToString::to_string).collect();
    (bake.selected(), left_out)
}

/// What decides about the image, as buildx prints it.
fn seen(target: &Target) -> Value {
    json!({
        "context": context(target.context.as_deref()),
        "dockerfile": target.dockerfile.clone().unwrap_or_else(|| "Dockerfile".to_owned()),
        "target": target.stage,
        "args": target.args,
        "contexts": target.contexts,
        "labels": target.labels,
        "tags": target.tags.clone().unwrap_or_default(),
        "platforms": target.platforms.clone().unwrap_or_default(),
        "secret": target.secrets.clone().unwrap_or_default(),
        "inline": target.is_inline,
    })
}

fn context(written: Option<&str>) -> &str {
    match written
        .unwrap_or(".")
        .trim_start_matches("./")
        .trim_end_matches('/')
    {
        "" => ".",
        context => context,
    }
}

fn printed(target: &Value) -> Value {
    let map = |key: &str| target.get(key).cloned().unwrap_or_else(|| json!({}));
    let list = |key: &str| target.get(key).cloned().unwrap_or_else(|| json!([]));
    json!({
        "context": context(target["context"].as_str()),
        "dockerfile": target["dockerfile"],
        "target": target["target"],
        "args": map("args"),
        "contexts": map("contexts"),
        "labels": map("labels"),
        "tags": list("tags"),
        "platforms": list("platforms"),
        "secret": list("secret"),
        "inline": target.get("dockerfile-inline").is_some(),
    })
}

fn buildx(
    folder: &Path,
    files: &BTreeMap<String, String>,
    names: &[&String],
) -> Result<Value, String> {
    let plugin = "docker26/usr/libexec/docker/cli-plugins/docker-buildx";
    let mut command = Command::new(refit_testkit::engines::folder().join(plugin));
    command.args(["bake", "--print"]);
    let usual = [
        "compose.yaml",
        "compose.yml",
        "docker-compose.yml",
        "compose.override.yaml",
    ];
    for file in usual
        .iter()
        .chain(&bake::FILES)
        .filter(|file| files.contains_key(**file))
    {
        command.args(["-f", file]);
    }
    let home = folder.to_str().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .args(names)
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home);
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

#[test]
fn needs_engine_docker26_bake_and_compose_files_mean_what_buildx_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/import");
    let mut n = 0;
    let mut wrong = Vec::new();
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for case in cases {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let files = files(&fs::read_to_string(&case).unwrap());
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in &files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (ours, left_out) = ours(&files);
        assert!(!ours.is_empty(), "{name}: {left_out:?}");
        let names: Vec<&String> = ours.keys().collect();
        match buildx(dir.path(), &files, &names) {
            Err(why) => wrong.push(format!("{name}: buildx says {why}")),
            Ok(theirs) => {
                for (target, found) in &ours {
                    let (ours, mut theirs) = (seen(found), printed(&theirs["target"][target]));
                    // This release does not read `platforms` of a compose file; compose itself does.
                    if name.starts_with("compose-") && theirs["platforms"] == json!([]) {
                        theirs["platforms"] = ours["platforms"].clone();
                    }
                    if ours != theirs {
                        wrong.push(format!(
                            "{name}: {target}\nours   {ours}\nbuildx {theirs}\n{:?}",
                            found.broken
                        ));
                    }
                }
            }
        }
        n += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n >= 35, "{n} cases");
}

/// What buildx refuses as a whole is left out here, target by target; the words are ours.
#[test]
fn needs_engine_docker26_references_that_buildx_refuses_are_left_out() {
    let base = "target \"base\" {\n  args = { A = \"1\" }\n  context = \"x\"\n}\n";
    for (text, says, theirs) in [
        (
            "target \"default\" {\n  args = target.default.args\n}\n",
            "docker-bake.hcl:2: args: `target.default.args` refers to itself",
            "reference cycle not allowed for target.default.args",
        ),
        (
            "target \"default\" {\n  args = { A = target.b.args.B }\n}\n\
             target \"b\" {\n  args = { B = target.default.args.A }\n}\n",
            "docker-bake.hcl:2: args: `target.default.args` refers to itself",
            "reference cycle not allowed for",
        ),
        (
            "target \"default\" {\n  args = { A = target.nowhere.context }\n}\n",
            "docker-bake.hcl:2: args: there is no `target.nowhere`",
            "does not have an",
        ),
        (
            "target \"default\" {\n  args = { A = target.base.args.B }\n}\n",
            "docker-bake.hcl:2: args: there is no element `\"B\"`",
            "does not have an",
        ),
        (
            "target \"default\" {\n  args = { A = target.base.colour }\n}\n",
            "docker-bake.hcl:2: args: a target has no attribute `colour`",
            "does not have an attribute",
        ),
        (
            "target \"default\" {\n  args = { A = target[\"base\"].context }\n}\n",
            "docker-bake.hcl:2: args: `target` is no variable: `target.NAME.ATTRIBUTE` is one",
            "cannot traverse target without attribute",
        ),
        (
            "target \"default\" {\n  name = \"x-${v}\"\n  matrix = { v = [target.base.context] }\n}\n",
            "docker-bake.hcl:1: default: there is no `target.base`",
            "does not have an element",
        ),
    ] {
        let text = text.to_owned() + base;
        let files = BTreeMap::from([("docker-bake.hcl".to_owned(), text.clone())]);
        let (targets, mut left_out) = ours(&files);
        let broken = targets.values().flat_map(|target| &target.broken);
        left_out.extend(broken.map(|(place, what, why)| format!("{place}: {what}: {why}")));
        assert!(
            left_out.iter().any(|left| left == says),
            "{text}\n{left_out:#?}"
        );
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("docker-bake.hcl"), &text).unwrap();
        let refused = buildx(dir.path(), &files, &[]).unwrap_err();
        assert!(refused.contains(theirs), "{text}\n{refused}");
    }
}
