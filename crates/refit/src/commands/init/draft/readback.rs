//! What is written is read back as exactly the images that were meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use refit_deps::{
    config::CONFIG_PATH,
    edges::Edges,
    graph::Graph,
    inventory::{self, Files, Inventory},
    scan::Scans,
};
use refit_oci::Platform;

use super::{Place, write};
use crate::{
    commands::init::import::{Merged, Source, merge, usual},
    project::Snapshot,
};

type Texts = BTreeMap<String, String>;

fn inventory_of(files: &Texts) -> Inventory {
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    inventory::read(&Files {
        paths: &paths,
        read: &|path| files.get(path).map(|text| text.clone().into_bytes()),
        name: "shop",
        line: "main",
    })
}

fn merged(files: &Texts) -> Merged {
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    merge(usual(&Source {
        paths: &paths,
        read: &|path| files.get(path).map(|text| text.clone().into_bytes()),
        github: Some("example/shop".to_owned()),
        branch: "main".to_owned(),
    }))
}

/// The file that `init` would write.
fn written(files: &Texts) -> String {
    let inventory = inventory_of(files);
    let build_platform = Platform::linux_amd64();
    let scans = Scans::of(&inventory.images, &build_platform);
    let edges = Edges::of(&inventory, &scans);
    let graph = Graph::of(&inventory, &scans, &edges);
    let snapshot = Snapshot {
        commit: None,
        revision: None,
        config: None,
        problems: Vec::new(),
        entries: Vec::new(),
        is_index: false,
        inventory,
        scans,
        edges,
        graph,
    };
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    let place = Place {
        snapshot: &snapshot,
        paths: &paths,
        read: &|path| files.get(path).map(|text| text.clone().into_bytes()),
        name: "shop",
        line: "main",
        build_platform: &build_platform,
    };
    write(&place, merged(files)).text
}

/// Every folder of fixtures: those of whole repositories, and those that are compared with buildx.
fn fixtures() -> Vec<(String, Texts)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut found = Vec::new();
    for folder in ["init", "import"] {
        for case in fs::read_dir(root.join(folder)).unwrap() {
            let path = case.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let files = text
                .split("//- ")
                .skip(1)
                .filter_map(|file| file.split_once('\n'));
            let mut files: Texts = files
                .map(|(path, text)| (path.trim().to_owned(), text.to_owned()))
                .collect();
            // Those for buildx need no Dockerfiles; here they do.
            if folder == "import" {
                for name in merged(&files).left_out {
                    let missing = name
                        .why
                        .strip_prefix("there is no `")
                        .and_then(|m| m.strip_suffix('`'));
                    if let Some(missing) = missing {
                        files.insert(missing.to_owned(), "FROM debian:12 AS runtime\n".to_owned());
                    }
                }
            }
            found.push((
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                files,
            ));
        }
    }
    found
}

#[test]
fn what_is_written_is_read_back_as_what_was_meant() {
    let mut n_images = 0;
    for (name, mut files) in fixtures() {
        let meant = merged(&files);
        let text = written(&files);
        files.insert(CONFIG_PATH.to_owned(), text.clone());
        let inventory = inventory_of(&files);
        let of_config: Vec<_> = inventory
            .problems
            .iter()
            .filter(|p| p.file == CONFIG_PATH)
            .collect();
        assert!(of_config.is_empty(), "{name}: {of_config:?}\n{text}");
        for entry in &meant.entries {
            let image = inventory.image(&entry.name);
            let image = image.unwrap_or_else(|| panic!("{name}: no {}\n{text}", entry.name));
            let keys = &entry.keys;
            let said = |value: &Option<BTreeMap<String, String>>| value.clone().unwrap_or_default();
            assert_eq!(image.dockerfile, entry.dockerfile, "{name}\n{text}");
            assert_eq!(image.context, entry.context, "{name}\n{text}");
            assert_eq!(image.target, keys.target, "{name}\n{text}");
            assert_eq!(image.build_args, said(&keys.build_args), "{name}\n{text}");
            assert_eq!(image.labels, said(&keys.labels), "{name}\n{text}");
            assert_eq!(image.annotations, said(&keys.annotations), "{name}\n{text}");
            assert_eq!(image.network, keys.network, "{name}\n{text}");
            assert_eq!(
                image.unique_tags,
                keys.unique_tags.clone().unwrap_or_default(),
                "{name}\n{text}"
            );
            let secrets: BTreeMap<String, String> = image
                .secrets
                .iter()
                .map(|(id, source)| (id.clone(), source.to_string()))
                .collect();
            assert_eq!(secrets, said(&keys.secrets), "{name}\n{text}");
            assert_eq!(
                image.build_contexts.len(),
                said(&keys.build_contexts).len(),
                "{name}\n{text}"
            );
            let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
            let builtin = || vec!["linux/amd64".to_owned()];
            assert_eq!(
                platforms,
                keys.platforms.clone().unwrap_or_else(builtin),
                "{name}\n{text}"
            );
            if !meant.local.contains(&entry.name) {
                let tags: Vec<String> = image
                    .tags
                    .iter()
                    .map(|tag| {
                        if tag.as_str() == "main" {
                            "{{.Line}}".to_owned()
                        } else {
                            tag.to_string()
                        }
                    })
                    .collect();
                let latest = || vec!["latest".to_owned()];
                assert_eq!(
                    tags,
                    keys.tags.clone().unwrap_or_else(latest),
                    "{name}\n{text}"
                );
                if let Some(push_to) = meant.push_to.first() {
                    let implied = format!("{push_to}/{}", entry.name);
                    let repository = keys.repository.clone().unwrap_or(implied);
                    assert_eq!(
                        image.destination().to_string(),
                        repository,
                        "{name}\n{text}"
                    );
                }
            }
            n_images += 1;
        }
    }
    assert!(n_images > 60, "{n_images}");
}
