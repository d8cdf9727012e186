//! What a BuildKit cannot do, by the place in the Dockerfile that asks for it.
//!
//! Docker Engine 20.10.24 and 26.1.5 were tried; for others the frontend's release notes count, and where they leave a
//! doubt the engine is left to say no itself.

use std::ops::Range;

use refit_dockerfile::{Feature, Kind, Requirement, requirements};
use refit_oci::Platform;
use refit_platform::{Placement, runs_on};

use crate::engine::{Recipe, Refusal};

/// What is known of a BuildKit.
pub(crate) struct Abilities<'a> {
    /// What it is called, `Docker Engine 26.1.5`.
    pub(crate) name: String,
    pub(crate) release: Release,
    /// The platform of its processor.
    pub(crate) native: &'a Platform,
    /// What it executes by emulation.
    pub(crate) emulated: &'a [Platform],
}

/// Which frontend reads the Dockerfile: that which came with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Docker Engine's.
    Docker(u32, u32),
    /// BuildKit's own.
    BuildKit(u32, u32),
    /// It does not say.
    Unknown,
}

/// The first releases whose frontend knows a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Always,
    Releases(Releases),
    Never,
}

/// Of Docker Engine, and the BuildKit inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Releases {
    docker: (u32, u32),
    buildkit: (u32, u32),
}

const fn releases(docker: (u32, u32), buildkit: (u32, u32)) -> Releases {
    Releases { docker, buildkit }
}

fn since(feature: Feature) -> Since {
    match feature {
        Feature::Heredoc | Feature::CopyLink | Feature::RunNetwork => {
            Since::Releases(releases((23, 0), (0, 10)))
        }
        // 20.10 would take the repository's URL for a file, and say nothing.
        Feature::AddGit | Feature::AddChecksum | Feature::KeepGitDir => {
            Since::Releases(releases((25, 0), (0, 12)))
        }
        Feature::RunSecurity
        | Feature::RunDevice
        | Feature::CopyParents
        | Feature::CopyExclude
        | Feature::AddUnpack => Since::Releases(releases((27, 0), (0, 14))),
        // Its files would have to be packed, and a frontend to be pulled.
        Feature::NamedContext | Feature::Frontend => Since::Never,
        Feature::Run
        | Feature::RunMount
        | Feature::Chmod
        | Feature::AddRemote
        | Feature::AddPinned
        | Feature::PlatformArg
        | Feature::Trigger => Since::Always,
    }
}

/// The first releases that read a `--chmod` other than an octal number; older ones ignore it, and say nothing.
const SYMBOLIC_CHMOD: Releases = releases((28, 0), (0, 20));

/// The first releases in which a trigger may refer to an image, which a named context then pins.
const TRIGGERS_REFER: Releases = releases((27, 4), (0, 17));

impl Release {
    /// Whether it is one of these or a later one; none that does not say which it is.
    fn is_since(self, first: Releases) -> Option<bool> {
        match self {
            Self::Docker(major, minor) => Some((major, minor) >= first.docker),
            Self::BuildKit(major, minor) => Some((major, minor) >= first.buildkit),
            Self::Unknown => None,
        }
    }

    fn newer(self, first: Releases) -> String {
        let ((major, minor), name) = match self {
            Self::Docker(..) => (first.docker, "Docker Engine "),
            Self::BuildKit(..) | Self::Unknown => (first.buildkit, "BuildKit v"),
        };
        format!("use {name}{major}.{minor} or newer")
    }
}

/// Refuses the first thing, by place, that the engine cannot do.
pub(crate) fn check(recipe: &Recipe, abilities: &Abilities<'_>) -> Result<(), Refusal> {
    let asked = requirements(&recipe.file, &recipe.resolved);
    let lacking = asked.iter().filter_map(|asked| lacks(asked, abilities));
    let all = lacking
        .chain(chmod(recipe, abilities))
        .chain(platforms(recipe, abilities))
        .chain(triggers(recipe, abilities))
        .chain(network(recipe));
    match all.min_by_key(|refusal| refusal.span.start) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn lacks(asked: &Requirement, abilities: &Abilities<'_>) -> Option<Refusal> {
    let hint = match since(asked.feature) {
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
    if abilities.release.is_since(SYMBOLIC_CHMOD) == Some(true) {
        return None;
    }
    let stages = recipe.resolved.stages.iter();
    let live = stages.filter(|stage| recipe.resolved.view(**stage).is_some_and(|v| !v.replaced));
    let instructions = live.flat_map(|&stage| &recipe.file.stages[stage].instructions);
    let mut modes = instructions.flat_map(|i| i.flag_values("chmod"));
    let ignored = modes.find(|mode| u32::from_str_radix(&mode.value, 8).is_err())?;
    let message = format!(
        "{} ignores `--chmod={}`: it reads octal numbers only",
        abilities.name, ignored.value
    );
    let hint = abilities.release.newer(SYMBOLIC_CHMOD);
    Some(at(recipe, &ignored.span, message, Some(hint)))
}

/// RUN for a platform that the engine's machine has no emulator for.
fn platforms(recipe: &Recipe, abilities: &Abilities<'_>) -> Option<Refusal> {
    recipe.resolved.executes.iter().find_map(|execution| {
        let platform = &recipe.resolved.view(execution.stage)?.platform;
        if runs_on(platform, abilities.native, abilities.emulated) != Placement::No {
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
    use crate::engine::{Caches, ContextTar, SecretValues};

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
            emulated,
        }
    }

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
