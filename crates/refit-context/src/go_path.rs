//! Go's lexical path cleaning, which Docker applies to every pattern.

/// `filepath.Clean` for slash-separated paths: no `.`, no `//`, no inner `..`; the empty path is `.`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            // Above the root is the root.
            ".." if rooted => {}
            name => kept.push(name),
        }
    }
    match (rooted, kept.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
pub(crate) fn with_parents(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.match_indices('/').map(|(at, _)| &path[..at]);
    slashes.chain([path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expect) in [
            ("", "."),
            (".", "."),
            ("./", "."),
            ("/", "/"),
            ("//", "/"),
            ("abc/", "abc"),
            ("abc//def//ghi", "abc/def/ghi"),
            ("./abc", "abc"),
            ("abc/./../def", "def"),
            ("abc/def/../../..", ".."),
            ("/../abc", "/abc"),
            ("../../abc", "../../abc"),
            ("abc/../../././../def", "../../def"),
        ] {
            assert_eq!(clean(path), expect, "{path:?}");
        }
    }
}
