//! Resolutions told as lines, and the tests of all parts together.

mod arguments;
mod effects;
mod links;
mod platforms;
mod stages;

use std::collections::BTreeMap;

use refit_oci::Platform;

use super::{NamedContext, Resolved, Settings, resolve_with_triggers};
use crate::{SyntaxError, parse};

/// A resolution for `linux/arm64` built on `linux/amd64`; options are `target=x`, `platform=x`, `arg:NAME=x` and
/// `context:name=image|repo:name|files|scratch`.
fn resolved(text: &str, options: &[&str]) -> Result<Resolved, SyntaxError> {
    resolved_with(text, options, &BTreeMap::new())
}

fn resolved_with(
    text: &str,
    options: &[&str],
    triggers: &BTreeMap<usize, Vec<String>>,
) -> Result<Resolved, SyntaxError> {
    let (mut target, mut platform) = (None, Platform::linux_arm64());
    let (mut build_args, mut contexts) = (BTreeMap::new(), BTreeMap::new());
    for option in options {
        let (name, value) = option.split_once('=').unwrap();
        match name.split_once(':').unwrap_or((name, "")) {
            ("target", _) => target = Some(value),
            ("platform", _) => platform = value.parse().unwrap(),
            ("arg", name) => drop(build_args.insert(name.to_owned(), value.to_owned())),
            (_, name) => {
                let context = match value.split_once("repo:") {
                    Some((_, name)) => NamedContext::InRepo(name.to_owned()),
                    None if value == "files" => NamedContext::Files,
                    None if value == "scratch" => NamedContext::Scratch,
                    None => NamedContext::Image(value.parse().unwrap()),
                };
                contexts.insert(name.to_owned(), context);
            }
        }
    }
    let settings = Settings {
        target,
        platform: &platform,
        build_platform: &Platform::linux_amd64(),
        build_args: &build_args,
        contexts: &contexts,
    };
    let file = parse(text)?;
    let resolved = resolve_with_triggers(&file, &settings, triggers)?;
    // Whatever is tested here is also right where it is taken over for another platform.
    let other: Platform = "linux/s390x".parse().unwrap();
    if let Some(on) = resolved.on(&other) {
        let platform = &other;
        let settings = Settings {
            platform,
            ..settings
        };
        let anew = resolve_with_triggers(&file, &settings, triggers)?;
        assert_eq!(on, anew, "{text}");
    }
    Ok(resolved)
}

/// One line a dependency: kind, source, platform if it is not the target's, the bytes of its span.
fn found(text: &str, options: &[&str]) -> Vec<String> {
    let resolved = resolved(text, options).unwrap_or_else(|e| panic!("{text}: {e}"));
    let lines = resolved.found.iter().map(|found| {
        let kind = found.kind.as_str();
        let source = found.source.to_string().replace("docker.io/library/", "");
        let platform = found.platform.to_string();
        let platform = Some(platform).filter(|platform| platform != "linux/arm64");
        let platform = platform
            .map(|platform| format!(" ({platform})"))
            .unwrap_or_default();
        format!("{kind} {source}{platform} `{}`", &text[found.span.clone()])
    });
    lines.collect()
}

#[track_caller]
fn check(text: &str, options: &[&str], expect: &[&str]) {
    assert_eq!(found(text, options), expect, "{text} {options:?}");
}

#[track_caller]
fn refused(text: &str, options: &[&str], line: usize, message: &str) {
    match resolved(text, options) {
        Ok(_) => panic!("{text}: not refused"),
        Err(error) => {
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }
}
