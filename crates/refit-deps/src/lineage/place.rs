//! Where a dependency is written, and where its tag is.

use std::collections::BTreeSet;

use refit_dockerfile::{Arg, Found, FoundSource};

use crate::{config::CONFIG_PATH, image::Image};

/// ARGs that name each other go no deeper.
const DEEPEST: usize = 8;

/// A line of a file, or a key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, from the repository's root.
    pub file: String,
    /// The line, from 1; none for a key of the configuration.
    pub line: Option<usize>,
    /// The key, where the configuration gives the value.
    pub key: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.key {
            Some(key) => write!(f, " ({key})"),
            None => Ok(()),
        }
    }
}

/// Where the reference is.
pub fn of_reference(image: &Image, found: &Found) -> Place {
    Place {
        file: image.dockerfile.clone(),
        line: Some(found.line),
        key: None,
    }
}

/// Where one would write another tag: at the reference, at the ARG that it takes the tag from, or in the configuration.
pub fn of_tag(image: &Image, found: &Found) -> BTreeSet<Place> {
    let tag = match &found.source {
        FoundSource::Reference(reference) => reference.tag().unwrap_or_default(),
        FoundSource::InRepo(_) => "",
    };
    let mut places = BTreeSet::new();
    // A variable may well give the registry alone.
    if !found.written.contains(&format!(":{tag}")) {
        let mut seen = BTreeSet::new();
        follow(image, &found.written, &mut seen, &mut places);
    }
    if places.is_empty() {
        places.insert(of_reference(image, found));
    }
    places
}

/// Notes where the variables of a text have their values from.
fn follow(image: &Image, text: &str, seen: &mut BTreeSet<String>, places: &mut BTreeSet<Place>) {
    if seen.len() > DEEPEST {
        return;
    }
    for name in variables(text) {
        if !seen.insert(name.to_owned()) {
            continue;
        }
        if image.build_args.contains_key(name) {
            places.insert(Place {
                file: CONFIG_PATH.to_owned(),
                line: None,
                key: Some(format!("build-args.{name} of {}", image.name)),
            });
            continue;
        }
        let Some((arg, value)) = argument(image, name) else {
            continue;
        };
        // A version is where there are digits; `ARG REGISTRY=…` is no place for it, and `ARG A=$B` leads on.
        let literal = value.bytes().any(|b| b.is_ascii_digit());
        if literal && !is_host(value) {
            places.insert(Place {
                file: image.dockerfile.clone(),
                line: Some(arg.line),
                key: None,
            });
        }
        follow(image, value, seen, places);
    }
}

fn argument<'a>(image: &'a Image, name: &str) -> Option<(&'a Arg, &'a str)> {
    let file = image.file.as_ref()?;
    // Of one name the last counts.
    let arg = file.global_args.iter().rev().find(|arg| arg.name == name)?;
    Some((arg, arg.value.as_deref()?))
}

/// A registry's host and port have digits, too.
fn is_host(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let first = value.split('/').next().unwrap_or(value);
    let has_tag = value
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    first.contains(':') && first != value && !has_tag
}

/// The names of `$NAME` and `${NAME…}`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some(name)
    })
}
