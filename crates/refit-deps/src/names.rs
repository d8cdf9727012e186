//! Names of images, made from the paths of their Dockerfiles.

use std::collections::{BTreeMap, BTreeSet};

/// Lower-case letters, digits and single hyphens: always a valid component of an OCI repository name.
/// Empty if nothing of `text` remains.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            '.' | '_' if slug.ends_with(|l: char| l.is_ascii_alphanumeric()) => slug.push(c),
            _ if slug.ends_with(|l: char| l.is_ascii_alphanumeric()) => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(
        slug.trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
            .len(),
    );
    slug
}

/// What a Dockerfile's name says beside "Dockerfile": `dev` of `Dockerfile.dev` and of `dev.Dockerfile`.
pub fn suffix(file_name: &str) -> &str {
    let lower = file_name.to_ascii_lowercase();
    for word in ["dockerfile", "containerfile"] {
        if let Some(rest) = lower.strip_prefix(word) {
            return file_name[file_name.len() - rest.len()..].trim_start_matches(['.', '-', '_']);
        }
        if let Some(rest) = lower.strip_suffix(word) {
            return file_name[..rest.len()].trim_end_matches(['.', '-', '_']);
        }
    }
    file_name
}

/// The folder of a repository path; empty for the root.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last component of a repository path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A unique name for each Dockerfile: its folder as a slug, its suffix, then parent folders until unique.
/// `root` names the repository's own folder. The result is in the order of `paths`.
pub fn assign(paths: &[String], root: &str) -> Vec<String> {
    let root = Some(slug(root))
        .filter(|s| !s.is_empty())
        .unwrap_or_else(|| "image".to_owned());
    let mut depths = vec![1_usize; paths.len()];
    loop {
        let names: Vec<String> = paths
            .iter()
            .zip(&depths)
            .map(|(path, depth)| name(path, *depth, &root))
            .collect();
        let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, name) in names.iter().enumerate() {
            holders.entry(name).or_default().push(i);
        }
        let mut grew = false;
        for i in holders.values().filter(|h| h.len() > 1).flatten() {
            if depths[*i] < folder(&paths[*i]).split('/').count() {
                depths[*i] += 1;
                grew = true;
            }
        }
        if !grew {
            return number_the_rest(names);
        }
    }
}

fn name(path: &str, depth: usize, root: &str) -> String {
    let folders: Vec<String> = folder(path)
        .split('/')
        .map(slug)
        .filter(|s| !s.is_empty())
        .collect();
    let kept = &folders[folders.len().saturating_sub(depth)..];
    let mut parts: Vec<String> = if kept.is_empty() {
        vec![root.to_owned()]
    } else {
        kept.to_vec()
    };
    let suffix = slug(suffix(file_name(path)));
    if !suffix.is_empty() {
        parts.push(suffix);
    }
    parts.join("-")
}

/// Names that no parent folder tells apart (`a-b/` beside `a_b/` under one root) get numbers, in path order.
fn number_the_rest(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let pick = |name: String| {
        let mut candidates =
            std::iter::once(name.clone()).chain((2..).map(|n: u64| format!("{name}-{n}")));
        let unique = candidates.find(|c| !taken.contains(c)).unwrap_or(name);
        taken.insert(unique.clone());
        unique
    };
    names.into_iter().map(pick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], expect: &[&str]) {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(assign(&paths, "My Repo"), expect);
    }

    #[test]
    fn the_folder_names_the_image_and_the_suffix_follows() {
        check(
            &["Dockerfile", "Dockerfile.dev", "services/web/Dockerfile"],
            &["my-repo", "my-repo-dev", "web"],
        );
        check(
            &["web/dev.Dockerfile", "web/Containerfile"],
            &["web-dev", "web"],
        );
    }

    #[test]
    fn parent_folders_are_added_until_names_are_unique() {
        check(
            &["a/cuda/Dockerfile", "b/cuda/Dockerfile", "c/Dockerfile"],
            &["a-cuda", "b-cuda", "c"],
        );
        check(&["x/Dockerfile", "y/x/Dockerfile"], &["x", "y-x"]);
    }

    #[test]
    fn names_that_stay_equal_are_numbered() {
        check(&["a b/Dockerfile", "a-b/Dockerfile"], &["a-b", "a-b-2"]);
    }

    #[test]
    fn slugs_are_valid_repository_components() {
        for text in ["Web App", "__x__", "a..b", "é", "a--b", "A_b.c-", "-"] {
            let slug = slug(text);
            assert!(
                slug.is_empty() || slug.parse::<refit_oci::Repository>().is_ok(),
                "{text} → {slug}"
            );
        }
    }
}
