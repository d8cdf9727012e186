//! Which images one `[[images]]` entry can list: a glob over Dockerfiles, and a pattern for their names.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::names;

use super::entry::Entry;

/// As many alike are worth a glob.
const ALIKE: usize = 3;

/// One `[[images]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// `images/*/Dockerfile`.
    pub(super) files: String,
    /// `{dir}`.
    pub(super) name: String,
    /// The names of its images.
    pub(super) members: BTreeSet<String>,
}

/// Globs for images that are alike, and the names of all others. A glob matches its members and no other path.
pub(super) fn group(images: &[Entry], paths: &BTreeSet<String>) -> (Vec<Group>, BTreeSet<String>) {
    let mut left: BTreeMap<&str, &Entry> = images
        .iter()
        .map(|image| (image.name.as_str(), image))
        .collect();
    let mut groups = Vec::new();
    // A glob makes one image of a file.
    let mut seen = BTreeSet::new();
    let shared: BTreeSet<&str> = images
        .iter()
        .map(|image| image.dockerfile.as_str())
        .filter(|file| !seen.insert(*file))
        .collect();
    let deepest = images
        .iter()
        .map(|image| image.dockerfile.matches('/').count())
        .max()
        .unwrap_or(0);
    // Files of one folder first, then sibling folders, then their parents' siblings: the tightest glob wins.
    for shape in std::iter::once(Shape::Files).chain((1..=deepest).map(Shape::Folders)) {
        let mut alike: BTreeMap<(String, &str), BTreeSet<String>> = BTreeMap::new();
        for image in left
            .values()
            .filter(|image| !shared.contains(image.dockerfile.as_str()))
        {
            if let Some(files) = glob(&image.dockerfile, shape)
                && let Some(pattern) = pattern(image)
                && (shape != Shape::Files || pattern.contains("{suffix}"))
            {
                alike
                    .entry((files, pattern))
                    .or_default()
                    .insert(image.name.clone());
            }
        }
        for ((files, pattern), members) in alike {
            let n_matched = paths.iter().filter(|path| matches(&files, path)).count();
            if members.len() >= ALIKE && n_matched == members.len() {
                left.retain(|name, _| !members.contains(*name));
                groups.push(Group {
                    files,
                    name: pattern.to_owned(),
                    members,
                });
            }
        }
    }
    let depth = |group: &Group| group.files.matches('/').count();
    groups.sort_by(|a, b| (depth(a), &a.files).cmp(&(depth(b), &b.files)));
    (groups, left.into_keys().map(str::to_owned).collect())
}

/// What a glob leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// The files of one folder: `recipes/*.dockerfile`.
    Files,
    /// The last so many folders: `images/*/Dockerfile`.
    Folders(usize),
}

fn glob(path: &str, shape: Shape) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop()?;
    match shape {
        Shape::Files => {
            let suffix = names::suffix(file);
            let starred = match file.strip_suffix(suffix) {
                Some(word) if !suffix.is_empty() => format!("{word}*"),
                _ => format!("*{}", file.strip_prefix(suffix)?),
            };
            parts.push(&starred);
            Some(parts.join("/"))
        }
        Shape::Folders(n) => {
            let first = parts.len().checked_sub(n)?;
            parts[first..].fill("*");
            parts.push(file);
            Some(parts.join("/"))
        }
    }
}

/// The pattern that gives this image its name; none if the name comes from elsewhere.
fn pattern(image: &Entry) -> Option<&'static str> {
    let folder = names::folder(&image.dockerfile);
    if folder.is_empty() || image.context != folder {
        return None;
    }
    let dir = names::slug(names::file_name(folder));
    let path = names::slug(folder);
    let suffix = names::slug(names::suffix(names::file_name(&image.dockerfile)));
    let patterns = [
        ("{dir}", dir.clone()),
        ("{path}", path.clone()),
        ("{dir}-{suffix}", format!("{dir}-{suffix}")),
        ("{path}-{suffix}", format!("{path}-{suffix}")),
    ];
    patterns
        .into_iter()
        .find(|(_, name)| *name == image.name)
        .map(|(pattern, _)| pattern)
}

/// Globs of this file have at most one `*` in a component.
fn matches(glob: &str, path: &str) -> bool {
    let (glob, path): (Vec<&str>, Vec<&str>) =
        (glob.split('/').collect(), path.split('/').collect());
    let component = |glob: &str, name: &str| match glob.split_once('*') {
        None => glob == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    };
    glob.len() == path.len()
        && glob
            .iter()
            .zip(&path)
            .all(|(glob, name)| component(glob, name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use refit_deps::inventory::{self, Files};

    use super::*;

    #[track_caller]
    fn check(files: &[&str], globs: &[&str], singles: &[&str]) {
        let paths: BTreeSet<String> = files.iter().map(ToString::to_string).collect();
        let read = |_: &str| Some(b"FROM scratch\n".to_vec());
        let inventory = inventory::read(&Files {
            paths: &paths,
            read: &read,
            name: "repo",
            line: "main",
        });
        let entries: Vec<Entry> = inventory.images.iter().map(Entry::scanned).collect();
        let (groups, left) = group(&entries, &paths);
        let said: Vec<String> = groups
            .iter()
            .map(|g| format!("{} {} {}", g.files, g.name, g.members.len()))
            .collect();
        assert_eq!(said, globs);
        assert_eq!(left.iter().map(String::as_str).collect::<Vec<_>>(), singles);
    }

    #[test]
    fn three_folders_alike_make_a_glob() {
        check(
            &[
                "images/a/Dockerfile",
                "images/b/Dockerfile",
                "images/c/Dockerfile",
                "tools/Dockerfile",
            ],
            &["images/*/Dockerfile {dir} 3"],
            &["tools"],
        );
        check(&["a/Dockerfile", "b/Dockerfile"], &[], &["a", "b"]);
    }

    #[test]
    fn deeper_folders_are_grouped_by_depth() {
        check(
            &[
                "i/a/x/Dockerfile",
                "i/a/y/Dockerfile",
                "i/b/z/Dockerfile",
                "i/a/Dockerfile",
            ],
            &["i/*/*/Dockerfile {dir} 3"],
            &["a"],
        );
    }

    #[test]
    fn files_of_one_folder_are_told_apart_by_their_suffix() {
        check(
            &["r/one.dockerfile", "r/two.dockerfile", "r/three.dockerfile"],
            &["r/*.dockerfile {dir}-{suffix} 3"],
            &[],
        );
        check(
            &["Dockerfile.a", "Dockerfile.b", "Dockerfile.c"],
            &[],
            &["repo-a", "repo-b", "repo-c"],
        );
    }

    #[test]
    fn a_glob_that_would_catch_another_file_is_none() {
        check(
            &[
                "r/Dockerfile.a",
                "r/Dockerfile.b",
                "r/Dockerfile.c",
                "r/Dockerfile.dockerignore",
            ],
            &[],
            &["r-a", "r-b", "r-c"],
        );
    }
}
