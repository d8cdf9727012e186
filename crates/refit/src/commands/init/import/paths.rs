//! Where a build's context and Dockerfile lie in the repository.

use super::Source;

/// What a source's paths come to.
pub(super) enum Where {
    /// Both are in the repository.
    Found { context: String, dockerfile: String },
    /// Why not.
    Not(String),
}

/// Finds a context, and a Dockerfile relative to it, below the root or one of `folders`: the first that has the file.
pub(super) fn locate(
    source: &Source<'_>,
    folders: &[String],
    (context, file): (&str, &str),
) -> Where {
    if is_remote(context) {
        return Where::Not(format!("its context `{context}` is not in this repository"));
    }
    if file.starts_with('/') || context.starts_with('/') {
        return Where::Not("it has an absolute path".to_owned());
    }
    let mut missing = None;
    for folder in std::iter::once("").chain(folders.iter().map(String::as_str)) {
        let Some(context) = join(folder, context) else {
            continue;
        };
        let Some(dockerfile) = join(&context, file) else {
            continue;
        };
        if source.paths.contains(&dockerfile) {
            return Where::Found {
                context,
                dockerfile,
            };
        }
        missing = Some(dockerfile);
    }
    Where::Not(match missing {
        Some(dockerfile) => format!("there is no `{dockerfile}`"),
        None => format!("its context `{context}` lies outside of this repository"),
    })
}

/// Whether a context is fetched from somewhere.
pub(super) fn is_remote(context: &str) -> bool {
    context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/")
}

/// A path below a folder, both relative to the root; none if it leads out of the repository.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The way from a folder to a file.
pub(crate) fn relative(folder: &str, file: &str) -> String {
    let from: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = file.split('/').collect();
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - same);
    up.chain(to[same..].iter().copied())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_repository() {
        for (folder, path, expect) in [
            ("", ".", Some("")),
            ("a/b", "../c", Some("a/c")),
            ("a", "./x/./y", Some("a/x/y")),
            ("a", "../..", None),
        ] {
            assert_eq!(join(folder, path).as_deref(), expect, "{folder} {path}");
        }
        assert_eq!(relative("", "web/Dockerfile"), "web/Dockerfile");
        assert_eq!(relative("web", "web/x/Dockerfile"), "x/Dockerfile");
        assert_eq!(
            relative("web/src", "docker/Dockerfile"),
            "../../docker/Dockerfile"
        );
    }
}
