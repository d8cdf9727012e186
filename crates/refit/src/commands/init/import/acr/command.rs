//! A `build:` step's line: what `docker build` is given.

use std::collections::BTreeMap;

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
    pub(super) labels: BTreeMap<String, String>,
    pub(super) network: Option<String>,
    pub(super) images: Vec<String>,
}

/// Flags without a value that say nothing about the image.
const SWITCHES: [&str; 8] = [
    "--no-cache",
    "--pull",
    "--squash",
    "-q",
    "--quiet",
    "--rm",
    "--force-rm",
    "--compress",
];

/// Flags with a value that say nothing about the image.
const SETTINGS: [&str; 13] = [
    "--cache-from",
    "--cpu-period",
    "--cpu-quota",
    "--cpu-shares",
    "--cpuset-cpus",
    "--cpuset-mems",
    "--isolation",
    "--memory",
    "-m",
    "--memory-swap",
    "--progress",
    "--shm-size",
    "--ulimit",
];

/// `-t name -f file --build-arg A=b --target stage folder`.
pub(super) fn build(line: &str) -> Result<Build, String> {
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
        if SWITCHES.contains(&flag.as_str()) {
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
            "--network" => build.network = Some(value),
            "--label" => {
                let (name, value) = value.split_once('=').unwrap_or((&value, ""));
                build.labels.insert(name.to_owned(), value.to_owned());
            }
            "--build-arg" => {
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| format!("`{value}` has no value"))?;
                build.args.insert(name.to_owned(), Some(value.to_owned()));
            }
            flag if SETTINGS.contains(&flag) => {}
            flag => return Err(format!("the flag `{flag}` is not known")),
        }
    }
    if build.folder.contains("://") {
        // A repository of its own, from whose root or folder the Dockerfile's path is.
        build.context = std::mem::replace(&mut build.folder, ".".to_owned());
    }
    if build.file.is_empty() {
        build.file = format!("{}/Dockerfile", build.folder);
    }
    let held = build
        .args
        .values()
        .flatten()
        .chain(build.labels.values())
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
    for c in line.replace("\\\n", " ").chars() {
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
