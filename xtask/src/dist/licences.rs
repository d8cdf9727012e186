//! The licences of everything that is linked into an executable: most of them ask to be handed on with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use serde_json::Value;

use super::toolchain::{self, Target};
use crate::shell::{Failure, Outcome, cargo, io_failure, output};

/// What files with licences are called, in capitals.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// One text with the crates of others in it, each licence once, and whose it is above it.
pub(super) fn third_party(target: &Target) -> Outcome<String> {
    let args = [
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
    ];
    let text = output(cargo(&args).arg(target.triple))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Failure(format!("`cargo metadata` printed no JSON: {error}")))?;
    let linked = linked(&metadata);
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in array(&metadata["packages"]) {
        let is_linked = package["id"].as_str().is_some_and(|id| linked.contains(id));
        if !is_linked || package["source"].is_null() {
            continue;
        }
        let word = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{} {}", word("name"), word("version"));
        let _ = writeln!(list, "{name}: {}", word("license"));
        let folder = Path::new(word("manifest_path"))
            .parent()
            .unwrap_or(Path::new("."));
        for text in texts_in(folder)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let musl = toolchain::musl_copyright(target)?;
    texts.entry(musl).or_default().insert("musl".to_owned());
    Ok(document(&list, &texts))
}

/// The packages that end up in `refit`, by id: no build script, no macro's own, no test.
fn linked(metadata: &Value) -> BTreeSet<&str> {
    let mut nodes = BTreeMap::new();
    for node in array(&metadata["resolve"]["nodes"]) {
        if let Some(id) = node["id"].as_str() {
            nodes.insert(id, array(&node["deps"]));
        }
    }
    let packages = array(&metadata["packages"]);
    let refit = packages.iter().find(|package| package["name"] == "refit");
    let mut todo: Vec<&str> = refit
        .and_then(|package| package["id"].as_str())
        .into_iter()
        .collect();
    let mut linked = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !linked.insert(id) {
            continue;
        }
        for dependency in nodes.get(id).copied().unwrap_or_default() {
            let mut kinds = array(&dependency["dep_kinds"]).iter();
            if kinds.any(|kind| kind["kind"].is_null()) {
                todo.extend(dependency["pkg"].as_str());
            }
        }
    }
    linked
}

/// The texts in a crate's folder.
fn texts_in(folder: &Path) -> Outcome<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_failure(folder))? {
        let path = entry.map_err(io_failure(folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_uppercase();
        if NAMES.iter().any(|known| name.starts_with(known)) && path.is_file() {
            let bytes = fs::read(&path).map_err(io_failure(&path))?;
            texts.push(
                String::from_utf8_lossy(&bytes)
                    .replace("\r\n", "\n")
                    .trim()
                    .to_owned(),
            );
        }
    }
    Ok(texts)
}

fn document(list: &str, texts: &BTreeMap<String, BTreeSet<String>>) -> String {
    let rule = "=".repeat(80);
    let mut document = format!("What is linked into refit, beside its own code:\n\n{list}");
    let mut texts: Vec<_> = texts.iter().collect();
    texts.sort_by_key(|(_, whose)| *whose);
    for (text, whose) in texts {
        let whose: Vec<&str> = whose.iter().map(String::as_str).collect();
        let _ = write!(
            document,
            "\n{rule}\n{}\n{rule}\n\n{text}\n",
            whose.join("\n")
        );
    }
    document
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let metadata = serde_json::json!({
            "packages": [{ "name": "refit", "id": "refit" }],
            "resolve": { "nodes": [
                { "id": "refit", "deps": [
                    { "pkg": "serde", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "insta", "dep_kinds": [{ "kind": "dev" }] },
                    { "pkg": "both", "dep_kinds": [{ "kind": "build" }, { "kind": null }] },
                ] },
                { "id": "serde", "deps": [{ "pkg": "cc", "dep_kinds": [{ "kind": "build" }] }] },
            ] },
        });
        let linked: Vec<&str> = linked(&metadata).into_iter().collect();
        assert_eq!(linked, ["both", "refit", "serde"]);
    }

    #[test]
    fn a_text_that_many_have_stands_once() {
        let whose = BTreeSet::from(["a 1.0.0".to_owned(), "b 2.0.0".to_owned()]);
        let texts = BTreeMap::from([("MIT License".to_owned(), whose)]);
        let document = document("a 1.0.0: MIT\nb 2.0.0: MIT\n", &texts);
        assert!(document.contains("=\na 1.0.0\nb 2.0.0\n="), "{document}");
        assert_eq!(document.matches("MIT License").count(), 1);
    }
}
