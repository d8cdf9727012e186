//! Names of images, made from the paths of their Dockerfiles.

use std::collections::{BTreeSet, HashMap};

/// The longest name that an image may have, in characters: a repository has 255, and a namespace is to go before the name.
pub const MAX_NAME: usize = 128;

/// What a name leaves of that to a number behind it.
const NUMBER: usize = 21;

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
    // Trees have many paths, and names are short: byte by byte is fastest.
    let slash = path.bytes().rposition(|byte| byte == b'/');
    slash.map_or(path, |slash| &path[slash + 1..])
}

/// A unique name for each Dockerfile: its folder as a slug, its suffix, then parent folders until unique.
/// `root` names the repository's own folder. The result is in the order of `paths`.
pub fn assign(paths: &[String], root: &str) -> Vec<String> {
    let root = Some(slug(root))
        .filter(|s| !s.is_empty())
        .unwrap_or_else(|| "image".to_owned());
    let mut depths = vec![1_usize; paths.len()];
    let mut names: Vec<String> = paths.iter().map(|path| name(path, 1, &root)).collect();
    let mut holders: HashMap<String, BTreeSet<usize>> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        holders.entry(name.clone()).or_default().insert(i);
    }
    // Where there may be several of a name: only these are looked at again.
    let mut crowded: BTreeSet<String> = names.iter().cloned().collect();
    while !crowded.is_empty() {
        let of_several = crowded.iter().filter_map(|name| holders.get(name));
        let of_several = of_several.filter(|held| held.len() > 1).flatten();
        let grow = of_several.filter(|i| depths[**i] < folder(&paths[**i]).split('/').count());
        let grow: Vec<usize> = grow.copied().collect();
        crowded.clear();
        for &i in &grow {
            depths[i] += 1;
            let longer = name(&paths[i], depths[i], &root);
            let shorter = std::mem::replace(&mut names[i], longer.clone());
            if let Some(held) = holders.get_mut(&shorter) {
                held.remove(&i);
            }
            holders.entry(longer.clone()).or_default().insert(i);
            crowded.insert(longer);
        }
    }
    number_the_rest(names)
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
    let name = parts.join("-");
    // What tells folders apart is mostly at their end.
    let end = &name[name.len().saturating_sub(MAX_NAME - NUMBER)..];
    end.trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

/// Names that no parent folder tells apart (`a-b/` beside `a_b/` under one root) get numbers, in path order.
fn number_the_rest(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut next: HashMap<String, u64> = HashMap::new();
    let pick = |name: String| {
        let next = next.entry(name.clone()).or_insert(1);
        loop {
            let candidate = match *next {
                1 => name.clone(),
                n => format!("{name}-{n}"),
            };
            *next += 1;
            if taken.insert(candidate.clone()) {
                return candidate;
            }
        }
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
    fn a_folder_however_deep_gives_a_name_that_a_registry_takes() {
        let deep = |root: &str| format!("{root}/{}web/Dockerfile", "folder/".repeat(40));
        let names = assign(&["a", "b"].map(deep), "x");
        assert!(
            names[0].ends_with("-folder-folder-web") && names[0].len() <= MAX_NAME,
            "{names:?}"
        );
        assert_eq!(names[1], format!("{}-2", names[0]));
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
