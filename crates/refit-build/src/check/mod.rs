//! What an engine with a daemon cannot do, by the place in the Dockerfile that asks for it.
//!
//! Docker Engine 20.10.24 and 26.1.5 and Podman 4.3.1 were tried; for others the release notes count, and where they
//! leave a doubt the engine is left to say no itself.

mod older;
mod releases;

use std::ops::Range;

use refit_dockerfile::{Instruction, Kind, Requirement, requirements};
use refit_oci::Platform;
use refit_platform::{Placement, runs_on};

pub(crate) use releases::Release;

use self::releases::{SYMBOLIC_CHMOD, Since, TRIGGERS_REFER, is_classic, since};
use crate::engine::{Recipe, Refusal};

/// What is known of an engine.
pub(crate) struct Abilities<'a> {
    /// What it is called, `Docker Engine 26.1.5`.
    pub(crate) name: String,
    pub(crate) release: Release,
    /// The platform of its processor.
    pub(crate) native: &'a Platform,
    /// What it executes by emulation; none: it does not say.
    pub(crate) emulated: Option<&'a [Platform]>,
}

/// Refuses the first thing, by place, that the engine cannot do.
pub(crate) fn check(recipe: &Recipe, abilities: &Abilities<'_>) -> Result<(), Refusal> {
    let asked = requirements(&recipe.file, &recipe.resolved);
    let lacking = asked.iter().filter_map(|asked| lacks(asked, abilities));
    let all = lacking
        .chain(chmod(recipe, abilities))
        .chain(platforms(recipe, abilities))
        .chain(triggers(recipe, abilities))
        .chain(older::mounts(recipe, abilities))
        .chain(older::copies(recipe, abilities))
        .chain(older::attestations(recipe, abilities))
        .chain(network(recipe));
    match all.min_by_key(|refusal| refusal.span.start) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn lacks(asked: &Requirement, abilities: &Abilities<'_>) -> Option<Refusal> {
    let hint = match since(asked.feature) {
        Since::Always | Since::Releases(_)
            if abilities.release == Release::Classic && !is_classic(asked.feature) =>
        {
            Some(abilities.release.another())
        }
        Since::Releases(first) if abilities.release.is_since(first) == Some(false) => {
            Some(abilities.release.newer(first))
        }
        Since::Always | Since::Releases(_) => return None,
        Since::Never => None,
    };
    let feature = asked.feature.as_str();
    Some(Refusal {
        line: asked.line,
        span: asked.span.clone(),
        message: format!("{} cannot do {feature}", abilities.name),
        hint,
    })
}

fn chmod(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    // What does not say which release it is may ignore it as well.
    let release = abilities.release;
    if release == Release::Classic || release.is_since(SYMBOLIC_CHMOD) == Some(true) {
        return None;
    }
    let mut modes = live(recipe).flat_map(|i| i.flag_values("chmod"));
    let ignored = modes.find(|mode| u32::from_str_radix(&mode.value, 8).is_err())?;
    let message = format!(
        "{} {} `--chmod={}`: it reads octal numbers only",
        abilities.name,
        if matches!(release, Release::Podman(..)) {
            "refuses"
        } else {
            "ignores"
        },
        ignored.value
    );
    let hint = release.newer(SYMBOLIC_CHMOD);
    Some(at(recipe, &ignored.span, message, Some(hint)))
}

/// The instructions of the stages that are reached, and that no named context replaces.
fn live(recipe: &Recipe) -> impl Iterator<Item = &Instruction> {
    let stages = recipe.resolved.stages.iter();
    let live = stages.filter(|stage| recipe.resolved.view(**stage).is_some_and(|v| !v.replaced));
    live.flat_map(|&stage| &recipe.file.stages[stage].instructions)
}

/// RUN for a platform that the engine's machine has no emulator for.
fn platforms(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    let emulated = abilities.emulated?;
    recipe.resolved.executes.iter().find_map(|execution| {
        let platform = &recipe.resolved.view(execution.stage)?.platform;
        if runs_on(platform, abilities.native, emulated) != Placement::No {
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
fn triggers(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    if abilities.release.is_since(TRIGGERS_REFER) != Some(false) {
        return None;
    }
    let mut found = recipe.resolved.found.iter();
    let trigger = found.find(|found| found.kind == Kind::Onbuild)?;
    let message = format!(
        "{} refuses ONBUILD that refers to an image, here to `{}`",
        abilities.name, trigger.written
    );
    let hint = abilities.release.newer(TRIGGERS_REFER);
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

/// Refuses layer caches that outlive the engine: they take BuildKit's own API.
pub(crate) fn no_caches(recipe: &Recipe, name: &str) -> Result<(), Refusal> {
    if recipe.caches.is_empty() {
        return Ok(());
    }
    let from = &recipe.file.stages.get(recipe.resolved.target);
    let span = from.map_or(0..0, |stage| stage.from.span.clone());
    let message = format!("{name} does nothing with `cache-from` and `cache-to`");
    let hint =
        "take `engine = \"buildkit\"`, or `REFIT_ENGINE=buildkit` for all images with `auto`";
    Err(at(recipe, &span, message, Some(hint.to_owned())))
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
pub(crate) mod tests {
    use std::{collections::BTreeMap, sync::LazyLock};

    use refit_dockerfile::{Settings, parse, resolve};
    use refit_oci::Platform;

    use super::*;
    use crate::engine::{Caches, ContextTar, Logins, SecretValues};

    pub(crate) fn recipe(text: &str, platform: &Platform) -> Recipe {
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
            attest: BTreeMap::new(),
            secrets: SecretValues::default(),
            logins: Logins::default(),
            ssh: None,
            no_cache: false,
            caches: Caches::default(),
            context: ContextTar {
                path: "/nonexistent".into(),
                entries: Vec::new(),
            },
            pins: Vec::new(),
            work_dir: "/nonexistent".into(),
        }
    }

    fn abilities(release: Release, emulated: &[Platform]) -> Abilities<'_> {
        static NATIVE: LazyLock<Platform> = LazyLock::new(Platform::linux_amd64);
        Abilities {
            name: "this engine".to_owned(),
            release,
            native: &NATIVE,
            emulated: Some(emulated),
        }
    }

    const PODMAN: Release = Release::Podman(4, 3);
    const OLD: Release = Release::Docker(20, 10);
    const NEW: Release = Release::Docker(26, 1);

    /// `line:refused bytes`, or nothing.
    fn refused(text: &str, release: Release) -> Option<String> {
        let refusal = check(
            &recipe(text, &Platform::linux_amd64()),
            &abilities(release, &[]),
        )
        .err()?;
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
    fn what_no_buildkit_builds_is_refused_at_its_place() {
        for (body, classic, podman) in [
            ("RUN true", None, None),
            ("ARG TARGETARCH", None, None),
            ("ADD https://x/y.tar /", None, None),
            ("COPY --chmod=755 a /", Some("2:--chmod=755"), None),
            (
                "RUN --mount=type=cache,target=/c true",
                Some("2:--mount=type=cache,target=/c"),
                None,
            ),
            (
                "RUN --mount=type=secret,id=x true",
                Some("2:--mount=type=secret,id=x"),
                Some("2:--mount=type=secret,id=x"),
            ),
            (
                "RUN --mount=type=ssh true",
                Some("2:--mount=type=ssh"),
                Some("2:--mount=type=ssh"),
            ),
            ("COPY --link a /", Some("2:--link"), Some("2:--link")),
            ("COPY --chmod=u+x a /", Some("2:--chmod=u+x"), Some("2:u+x")),
            (
                "COPY <<E /a\nx\nE",
                Some("2:COPY <<E /a\nx\nE"),
                Some("2:COPY <<E /a\nx\nE"),
            ),
        ] {
            let text = format!("FROM a\n{body}\n");
            let refused = |release| refused(&text, release);
            assert_eq!(refused(Release::Classic).as_deref(), classic, "{body}");
            assert_eq!(refused(PODMAN).as_deref(), podman, "Podman: {body}");
        }
        assert_eq!(
            refused("FROM a\nRUN <<E\nx\nE\n", Release::Podman(5, 4)),
            None
        );
        let mut attested = recipe("FROM a\n", &Platform::linux_amd64());
        attested.attest = BTreeMap::from([(crate::engine::Attestation::Sbom, String::new())]);
        for (release, is_refused) in [(PODMAN, true), (Release::Classic, true), (NEW, false)] {
            let checked = check(&attested, &abilities(release, &[]));
            assert_eq!(checked.is_err(), is_refused, "{release:?}");
        }
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
        let refusal = check(&recipe, &abilities(NEW, &[])).unwrap_err();
        assert_eq!((refusal.line, &text[refusal.span]), (5, "RUN false"));
        let emulated = [Platform::linux_arm64()];
        assert_eq!(check(&recipe, &abilities(NEW, &emulated)), Ok(()));
    }

    #[test]
    fn releases_of_buildkit_count_as_those_of_the_engine_do() {
        let buildkit = |minor| Release::BuildKit(0, minor);
        let heredoc = "FROM a\nRUN <<EOF\ntrue\nEOF\n";
        assert!(refused(heredoc, buildkit(9)).is_some());
        assert_eq!(refused(heredoc, buildkit(13)), None);
        assert_eq!(refused(heredoc, Release::Unknown), None, "it may know it");
        let symbolic = "FROM a\nCOPY --chmod=u+x a /\n";
        assert!(
            refused(symbolic, Release::Unknown).is_some(),
            "or ignore it"
        );
        assert_eq!(refused(symbolic, buildkit(20)), None);
    }

    #[test]
    fn only_the_three_networks_of_builds_are_taken() {
        let mut recipe = recipe("FROM a\n", &Platform::linux_amd64());
        recipe.network = Some("mynet".to_owned());
        let refusal = check(&recipe, &abilities(NEW, &[])).unwrap_err();
        assert_eq!(refusal.message, "a build has no network `mynet`");
        recipe.network = Some("none".to_owned());
        assert_eq!(check(&recipe, &abilities(NEW, &[])), Ok(()));
    }
}
