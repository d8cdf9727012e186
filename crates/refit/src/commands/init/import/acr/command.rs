//! The `build:` steps of a task file.

use std::collections::BTreeMap;

use super::super::{
    model::{Imported, Place},
    yaml::Node,
};

/// What one step builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Build {
    /// The task's context: a repository, `#branch:folder`.
    pub(super) context: String,
    /// The build's context below it.
    pub(super) folder: String,
    /// The Dockerfile, from the task's context.
    pub(super) file: String,
    pub(super) target: Option<String>,
    /// Its own platform, if it is not the task's.
    pub(super) platform: Option<String>,
    /// A secret one has no value.
    pub(super) args: BTreeMap<String, Option<String>>,
    pub(super) images: Vec<String>,
}

/// The builds of a task file. Steps that are no builds are listed.
pub(super) fn builds(
    file: &str,
    root: &Node,
    imported: &mut Imported,
    context: &str,
) -> Vec<Build> {
    let mut found = Vec::new();
    for step in root.get("steps").map(Node::items).unwrap_or_default() {
        let place = Place::new(file, step.line);
        if let Some(line) = step.text_at("build") {
            match build(&line) {
                Ok(build) => found.push(Build {
                    context: context.to_owned(),
                    ..build
                }),
                Err(why) => imported.leave_out(&place, "build", why),
            }
        } else if let Some((kind, _)) = step.entries().iter().find(|(key, _)| key == "cmd") {
            imported.leave_out(&place, kind.clone(), "only what is built is imported");
        }
    }
    found
}

/// `-t name -f file --build-arg A=b --target stage folder`.
fn build(line: &str) -> Result<Build, String> {
    let mut build = Build {
        file: String::new(),
        ..Build::default()
    };
    let words = words(line).ok_or_else(|| format!("`{line}` has an open quote"))?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => {
                (flag.to_owned(), Some(value.to_owned()))
            }
            _ => (word.clone(), None),
        };
        if !flag.starts_with('-') {
            build.folder = word;
            continue;
        }
        if matches!(flag.as_str(), "--no-cache" | "--pull" | "--squash" | "-q") {
            continue;
        }
        let value = inline
            .or_else(|| words.next())
            .ok_or_else(|| format!("`{flag}` lacks its value"))?;
        match flag.as_str() {
            "-t" | "--tag" => build.images.push(value),
            "-f" | "--file" => build.file = value,
            "--platform" => build.platform = Some(value),
            "--target" => build.target = Some(value),
            "--build-arg" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| format!("`{value}` has no value"))?;
                build.args.insert(name.to_owned(), Some(value.to_owned()));
            }
            flag => return Err(format!("the flag `{flag}` is not known")),
        }
    }
    if build.folder.contains("://") {
        return Err(format!(
            "its context `{}` is not in this repository",
            build.folder
        ));
    }
    if build.file.is_empty() {
        build.file = format!("{}/Dockerfile", build.folder);
    }
    let held = build
        .args
        .values()
        .flatten()
        .find(|value| value.contains("{{") || value.contains('$'));
    match held {
        Some(value) => Err(format!("`{value}` depends on the run")),
        None => Ok(build),
    }
}

/// A line as a shell parts it.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut has_word, mut quote) = (String::new(), false, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                has_word = true;
            }
            (c, None) if c.is_whitespace() => {
                if has_word {
                    words.push(std::mem::take(&mut word));
                    has_word = false;
                }
            }
            (c, _) => {
                word.push(c);
                has_word = true;
            }
        }
    }
    if has_word {
        words.push(word);
    }
    quote.is_none().then_some(words)
}
