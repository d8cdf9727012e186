//! What a Docker Engine cannot do, by the place in the Dockerfile that asks for it.
//!
//! Releases 20.10.24 and 26.1.5 were tried; for others the frontend's release notes count, and where they leave a doubt
//! the engine is left to say no itself.

use std::ops::Range;

use refit_dockerfile::{Feature, Kind, Requirement, requirements};
use refit_platform::{Placement, runs_on};

use super::facts::EngineFacts;
use crate::engine::{Recipe, Refusal};

/// The first release whose frontend knows a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Always,
    Release(u32, u32),
    Never,
}

fn since(feature: Feature) -> Since {
    match feature {
        Feature::Heredoc | Feature::CopyLink | Feature::RunNetwork => Since::Release(23, 0),
        // 20.10 would take the repository's URL for a file, and say nothing.
        Feature::AddGit | Feature::AddChecksum | Feature::KeepGitDir => Since::Release(25, 0),
        Feature::RunSecurity
        | Feature::RunDevice
        | Feature::CopyParents
        | Feature::CopyExclude
        | Feature::AddUnpack => Since::Release(27, 0),
        // Its files would have to be packed, and a frontend to be pulled.
        Feature::NamedContext | Feature::Frontend => Since::Never,
        Feature::Run
        | Feature::RunMount
        | Feature::Chmod
        | Feature::AddRemote
        | Feature::PlatformArg
        | Feature::Trigger => Since::Always,
    }
}

/// The first release that reads a `--chmod` other than an octal number; older ones ignore it, and say nothing.
const SYMBOLIC_CHMOD: (u32, u32) = (28, 0);

/// The first release in which a trigger may refer to an image, which a named context then pins.
const TRIGGERS_REFER: (u32, u32) = (27, 4);

/// Refuses the first thing, by place, that the engine cannot do.
pub(super) fn check(recipe: &Recipe, facts: &EngineFacts) -> Result<(), Refusal> {
    let asked = requirements(&recipe.file, &recipe.resolved);
    let lacking = asked.iter().filter_map(|asked| lacks(asked, facts));
    let all = lacking
        .chain(chmod(recipe, facts))
        .chain(platforms(recipe, facts))
        .chain(triggers(recipe, facts))
        .chain(network(recipe));
    match all.min_by_key(|refusal| refusal.span.start) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn newer((major, minor): (u32, u32)) -> String {
    format!("use Docker Engine {major}.{minor} or newer")
}

fn lacks(asked: &Requirement, facts: &EngineFacts) -> Option<Refusal> {
    let hint = match since(asked.feature) {
        Since::Always => return None,
        Since::Release(major, minor) if facts.release >= (major, minor) => return None,
        Since::Release(major, minor) => Some(newer((major, minor))),
        Since::Never => None,
    };
    let feature = asked.feature.as_str();
    Some(Refusal {
        line: asked.line,
        span: asked.span.clone(),
        message: format!("Docker Engine {} cannot do {feature}", facts.version),
        hint,
    })
}

fn chmod(recipe: &Recipe, facts: &EngineFacts) -> Option<Refusal> {
    if facts.release >= SYMBOLIC_CHMOD {
        return None;
    }
    let stages = recipe.resolved.stages.iter();
    let live = stages.filter(|stage| {
        recipe
            .resolved
            .views
            .get(stage)
            .is_some_and(|v| !v.replaced)
    });
    let instructions = live.flat_map(|&stage| &recipe.file.stages[stage].instructions);
    let mut modes = instructions.flat_map(|i| i.flag_values("chmod"));
    let ignored = modes.find(|mode| u32::from_str_radix(&mode.value, 8).is_err())?;
    let message = format!(
        "Docker Engine {} ignores `--chmod={}`: it reads octal numbers only",
        facts.version, ignored.value
    );
    let hint = newer(SYMBOLIC_CHMOD);
    Some(at(recipe, &ignored.span, message, Some(hint)))
}

/// RUN for a platform that the engine's machine has no emulator for.
fn platforms(recipe: &Recipe, facts: &EngineFacts) -> Option<Refusal> {
    recipe.resolved.executes.iter().find_map(|execution| {
        let platform = &recipe.resolved.views.get(&execution.stage)?.platform;
        if runs_on(platform, &facts.native, &facts.emulated) != Placement::No {
            return None;
        }
        let mut span = &execution.command.span;
        if span.is_empty() {
            span = &recipe.file.stages[execution.stage].from.image.span;
        }
        let message = format!("the engine's machine has no emulator for RUN on {platform}");
        let hint =
            "run `apt-get install qemu-user-static binfmt-support` on that machine".to_owned();
        Some(at(recipe, span, message, Some(hint)))
    })
}

/// What a base's trigger refers to is pinned by a named context.
fn triggers(recipe: &Recipe, facts: &EngineFacts) -> Option<Refusal> {
    if facts.release >= TRIGGERS_REFER {
        return None;
    }
    let mut found = recipe.resolved.found.iter();
    let trigger = found.find(|found| found.kind == Kind::Onbuild)?;
    let message = format!(
        "Docker Engine {} refuses ONBUILD that refers to an image, here to `{}`",
        facts.version, trigger.written
    );
    let hint = newer(TRIGGERS_REFER);
    Some(at(recipe, &trigger.span, message, Some(hint)))
}

fn network(recipe: &Recipe) -> Option<Refusal> {
    let network = recipe.network.as_deref()?;
    if matches!(network, "none" | "host" | "default") {
        return None;
    }
    let from = &recipe.file.stages.get(recipe.resolved.target)?.from.span;
    let message = format!("a build has no network `{network}`");
    Some(at(
        recipe,
        from,
        message,
        Some("use `none`, `host` or `default`".to_owned()),
    ))
}

fn at(recipe: &Recipe, span: &Range<usize>, message: String, hint: Option<String>) -> Refusal {
    Refusal {
        line: recipe.file.position(span.start).0,
        span: span.clone(),
        message,
        hint,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use refit_dockerfile::{Settings, parse, resolve};
    use refit_oci::Platform;

    use super::*;
    use crate::engine::{ContextTar, SecretValues};

    pub(in crate::docker) fn recipe(text: &str, platform: &Platform) -> Recipe {
        let file = parse(text).unwrap();
        let settings = Settings {
            target: None,
            platform,
            build_platform: &Platform::linux_amd64(),
            build_args: &BTreeMap::new(),
            contexts: &BTreeMap::new(),
        };
        Recipe {
            dockerfile_text: text.to_owned(),
            file_name: "Dockerfile".to_owned(),
            resolved: resolve(&file, &settings).unwrap(),
            file,
            platform: platform.clone(),
            target_stage: None,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            network: None,
            secrets: SecretValues::default(),
            no_cache: false,
            context: ContextTar {
                path: "/nonexistent".into(),
                entries: Vec::new(),
            },
            pins: Vec::new(),
            work_dir: "/nonexistent".into(),
        }
    }

    fn facts(release: (u32, u32)) -> EngineFacts {
        EngineFacts {
            version: format!("{}.{}", release.0, release.1),
            release,
            api_version: String::new(),
            native: Platform::linux_amd64(),
            emulated: Vec::new(),
        }
    }

    const OLD: (u32, u32) = (20, 10);
    const NEW: (u32, u32) = (26, 1);

    /// `line:refused bytes`, or nothing.
    fn refused(text: &str, release: (u32, u32)) -> Option<String> {
        let refusal = check(&recipe(text, &Platform::linux_amd64()), &facts(release)).err()?;
        Some(format!("{}:{}", refusal.line, &text[refusal.span]))
    }

    #[test]
    fn what_a_release_cannot_do_is_refused_at_its_place() {
        for (body, old, new) in [
            ("RUN true", None, None),
            ("RUN --mount=type=cache,target=/c true", None, None),
            ("COPY --chmod=755 a /", None, None),
            ("RUN --network=none true", Some("2:--network=none"), None),
            ("COPY --link a /", Some("2:--link"), None),
            (
                "COPY --exclude=*.md . /",
                Some("2:--exclude=*.md"),
                Some("2:--exclude=*.md"),
            ),
            (
                "COPY --parents a/b /",
                Some("2:--parents"),
                Some("2:--parents"),
            ),
            ("COPY --chmod=u+x a /", Some("2:u+x"), Some("2:u+x")),
            ("ADD https://x/y.git /", Some("2:https://x/y.git"), None),
            ("ADD https://x/y.tar /", None, None),
        ] {
            let text = format!("FROM a\n{body}\n");
            assert_eq!(refused(&text, OLD).as_deref(), old, "20.10: {body}");
            assert_eq!(refused(&text, NEW).as_deref(), new, "26.1: {body}");
        }
        let heredoc = "FROM a\nRUN <<EOF\ntrue\nEOF\n";
        assert!(refused(heredoc, OLD).is_some_and(|refusal| refusal.starts_with("2:RUN <<EOF")));
        assert_eq!(refused(heredoc, NEW), None);
    }

    #[test]
    fn a_stage_that_is_not_reached_is_not_looked_at() {
        let text = "FROM a AS unused\nCOPY --parents a /\nFROM b\n";
        assert_eq!(refused(text, NEW), None);
    }

    #[test]
    fn run_needs_the_processor_or_an_emulator() {
        let text = "FROM --platform=$BUILDPLATFORM a AS b\nRUN true\nFROM a\nCOPY --from=b /x /\nRUN false\n";
        let recipe = recipe(text, &Platform::linux_arm64());
        let without = facts(NEW);
        let refusal = check(&recipe, &without).unwrap_err();
        assert_eq!((refusal.line, &text[refusal.span]), (5, "RUN false"));
        let emulated = vec![Platform::linux_arm64()];
        assert_eq!(
            check(
                &recipe,
                &EngineFacts {
                    emulated,
                    ..without
                }
            ),
            Ok(())
        );
    }

    #[test]
    fn only_the_three_networks_of_builds_are_taken() {
        let mut recipe = recipe("FROM a\n", &Platform::linux_amd64());
        recipe.network = Some("mynet".to_owned());
        let refusal = check(&recipe, &facts(NEW)).unwrap_err();
        assert_eq!(refusal.message, "a build has no network `mynet`");
        recipe.network = Some("none".to_owned());
        assert_eq!(check(&recipe, &facts(NEW)), Ok(()));
    }
}
