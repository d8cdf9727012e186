//! `.config/refit.toml`: what the images of a repository are.

mod ci;
mod keys;
mod policy;
mod releases;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Deserialize;
use toml::Spanned;

pub use ci::{CiKeys, check_cron};
pub use policy::PolicyKeys;
pub use releases::ReleaseKeys;

use crate::{mirror::BaseMirror, problem::Problem};

/// Where the file lies in a repository.
pub const CONFIG_PATH: &str = ".config/refit.toml";

/// The parsed file; nothing is resolved yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ConfigFile {
    /// The format's version: 1.
    pub version: Option<u32>,
    /// Repository prefixes that images are pushed to, the lead first.
    pub push_to: Vec<String>,
    /// Dockerfiles that are no images, as globs.
    pub ignore: Vec<String>,
    /// What every image starts from.
    pub defaults: ImageKeys,
    /// Many images at once.
    pub images: Vec<GlobEntry>,
    /// Single images; they override what a glob found, by name.
    pub image: Vec<ImageEntry>,
    /// Where bases are built from.
    pub bases: BasesKeys,
    /// What sweeps do.
    pub sweep: SweepKeys,
    /// What bases and build arguments must be like.
    pub policy: PolicyKeys,
    /// How records are written.
    pub notes: NotesKeys,
    /// What `refit init --ci` writes.
    #[serde(skip)]
    pub ci: CiKeys,
    /// The names of all build arguments, with their places.
    #[serde(skip)]
    pub build_args: Vec<Spanned<String>>,
}

/// `[[images]]`: every file that a glob matches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct GlobEntry {
    /// Dockerfiles: `*` stops at `/`, `**` does not.
    pub files: String,
    /// The images' name: `{dir}` is the folder's own name, `{path}` the whole folder with hyphens,
    /// `{suffix}` what the file's name says beside "Dockerfile".
    pub name: String,
    /// What these images have in common.
    #[serde(flatten)]
    pub keys: ImageKeys,
}

/// `[[image]]`: one image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ImageEntry {
    /// The image's name.
    pub name: String,
    /// What it has of its own.
    #[serde(flatten)]
    pub keys: ImageKeys,
}

/// The keys that `[defaults]`, `[[images]]` and `[[image]]` share; absent keys are inherited.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ImageKeys {
    /// The name in other images' FROM lines; in `[[images]]` it may use the same placeholders.
    pub repository: Option<String>,
    /// The build context's folder.
    pub context: Option<String>,
    /// The Dockerfile, relative to the context.
    pub dockerfile: Option<String>,
    /// The target stage.
    pub target: Option<String>,
    /// Platforms.
    pub platforms: Option<Vec<String>>,
    /// Moving tags.
    pub tags: Option<Vec<String>>,
    /// Tags written once.
    pub unique_tags: Option<Vec<String>>,
    /// Build args.
    pub build_args: Option<BTreeMap<String, String>>,
    /// Named contexts.
    pub build_contexts: Option<BTreeMap<String, String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Manifest annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Network mode of RUN.
    pub network: Option<String>,
    /// Build secrets by id: `env:NAME` or `file:PATH`.
    pub secrets: Option<BTreeMap<String, String>>,
    /// Ids by which RUN may ask the SSH agent (`default`).
    pub ssh: Option<Vec<String>>,
    /// Layer caches that are read: references, or `local`.
    pub cache_from: Option<Vec<String>>,
    /// Layer caches that are written: references, `local`, or `inline`.
    pub cache_to: Option<Vec<String>>,
    /// `auto`, `docker`, `buildkit` or `native`.
    pub engine: Option<String>,
    /// `report` or `follow`.
    pub pinned: Option<String>,
    /// `auto`, `never` or `always`.
    pub rebase: Option<String>,
    /// Why no sweep touches the image.
    pub hold: Option<String>,
    /// How long one of its targets may be built.
    pub timeout: Option<String>,
    /// A command and its arguments that makes generated files in a checkout of the commit.
    pub prepare: Option<Vec<String>>,
    /// A command and its arguments that a built manifest must pass before any tag moves.
    pub test: Option<TestKey>,
    /// A command and its arguments: exit code 1 says that a published manifest is stale.
    pub stale_when: Option<Vec<String>>,
    /// Whether what is published gets a statement of how it was made.
    pub provenance: Option<bool>,
    /// What BuildKit attests of its builds: `provenance`, `sbom`, each with its attributes behind `=`.
    pub attest: Option<Vec<String>>,
}

/// `test`: a command; a file of tasks is understood, and not run by this version.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum TestKey {
    /// The words of a command.
    Command(Vec<String>),
    /// A path.
    File(String),
}

/// `[bases]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BasesKeys {
    /// `REGISTRY/PREFIX` that bases are copied to before something is built on them.
    pub mirror: Option<Spanned<String>>,
}

/// `[sweep]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct SweepKeys {
    /// The lines that are swept, in the order in which they own tags. Empty: the default branch.
    pub branches: Vec<String>,
    /// `release` or `tip`.
    pub rebuild_from: Option<Spanned<String>>,
    /// How long an index may take until all platforms in use have landed.
    pub wait_for_platforms: Option<Spanned<String>>,
    /// How old a base's digest must be before a sweep takes it.
    pub cooldown: Option<Spanned<String>>,
    /// Git tags that are swept, after the branches.
    pub releases: Vec<ReleaseKeys>,
    /// How many targets a sweep builds, those first that have not been patched for longest; 0: all.
    pub limit: u32,
    /// Images that go first: where one of them fails, nothing else is patched.
    pub canary: Vec<Spanned<String>>,
    /// What a patch does that fails on one platform: `keep-old` or `never`.
    pub partial: Option<Spanned<String>>,
    /// When sweeps run, as cron expressions in UTC: what CI's files are written and compared with.
    pub schedule: Vec<Spanned<String>>,
}

/// `[notes]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NotesKeys {
    /// Whether git signs the commits of notes, and `refit notes verify` has it check them.
    pub sign: bool,
}

/// What a patch does whose build fails on some platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Partial {
    /// It publishes the others, beside the failed one's old manifest.
    #[default]
    KeepOld,
    /// It publishes nothing.
    Never,
}

/// What a sweep builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RebuildFrom {
    /// What was released.
    #[default]
    Release,
    /// The line's tip.
    Tip,
}

impl BasesKeys {
    /// `mirror`.
    pub fn mirror(&self) -> Option<BaseMirror> {
        self.mirror.as_ref()?.get_ref().parse().ok()
    }
}

impl SweepKeys {
    /// `wait-for-platforms`; zero where it is not said.
    pub fn wait_for_platforms(&self) -> SignedDuration {
        duration(self.wait_for_platforms.as_ref())
    }

    /// `cooldown`; zero where it is not said.
    pub fn cooldown(&self) -> SignedDuration {
        duration(self.cooldown.as_ref())
    }

    /// `partial`.
    pub fn partial(&self) -> Partial {
        choice(self.partial.as_ref(), &PARTIAL).unwrap_or_default()
    }

    /// `limit`; 0: none.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// `canary`.
    pub fn canaries(&self) -> BTreeSet<&str> {
        let canaries = self.canary.iter();
        canaries.map(|image| image.get_ref().as_str()).collect()
    }

    /// `rebuild-from`.
    pub fn rebuild_from(&self) -> RebuildFrom {
        choice(self.rebuild_from.as_ref(), &REBUILD_FROM).unwrap_or_default()
    }
}

const PARTIAL: [(&str, Partial); 2] = [("keep-old", Partial::KeepOld), ("never", Partial::Never)];
const REBUILD_FROM: [(&str, RebuildFrom); 2] =
    [("release", RebuildFrom::Release), ("tip", RebuildFrom::Tip)];

fn choice<T: Copy>(value: Option<&Spanned<String>>, known: &[(&str, T)]) -> Option<T> {
    let value = value?.get_ref();
    known
        .iter()
        .find(|(word, _)| word == value)
        .map(|(_, choice)| *choice)
}

fn duration(value: Option<&Spanned<String>>) -> SignedDuration {
    let value = value.and_then(|text| parse_duration(text.get_ref()));
    value.unwrap_or(SignedDuration::ZERO)
}

/// `90s`, `2h 30m`, `7d`: a day has 24 hours. None for anything else, what is negative included.
pub fn parse_duration(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).ok()?;
    (!duration.is_negative()).then_some(duration)
}

/// What is wrong with the values of `[sweep]`.
fn check_sweep(sweep: &SweepKeys, file: &str, text: &str) -> Vec<Problem> {
    let releases = sweep.releases.iter();
    let releases = releases.filter_map(|keys| keys.check(file, text));
    let mut problems: Vec<Problem> = releases.collect();
    let mut wrong = |value: &Spanned<String>, message: String, hint: &str| {
        problems.push(Problem::at(file, text, value.span(), message).with_hint(hint));
    };
    let durations = [
        ("wait-for-platforms", &sweep.wait_for_platforms),
        ("cooldown", &sweep.cooldown),
    ];
    for (key, value) in durations {
        if let Some(value) = value
            && parse_duration(value.get_ref()).is_none()
        {
            let message = format!("`{key} = \"{}\"` is no duration", value.get_ref());
            wrong(value, message, "give it as `90s`, `2h` or `7d`");
        }
    }
    let choices = [
        ("partial", &sweep.partial, PARTIAL.map(|(word, _)| word)),
        (
            "rebuild-from",
            &sweep.rebuild_from,
            REBUILD_FROM.map(|(word, _)| word),
        ),
    ];
    for (key, value, known) in choices {
        if let Some(value) = value
            && !known.contains(&value.get_ref().as_str())
        {
            let message = format!("`{key} = \"{}\"` is unknown", value.get_ref());
            wrong(value, message, &format!("one of `{}`", known.join("`, `")));
        }
    }
    problems
}

/// What is wrong with the values of `[bases]`.
fn check_bases(bases: &BasesKeys, file: &str, text: &str) -> Option<Problem> {
    let mirror = bases.mirror.as_ref()?;
    let error = mirror.get_ref().parse::<BaseMirror>().err()?;
    let problem = Problem::at(file, text, mirror.span(), format!("`mirror`: {error}"));
    Some(problem.with_hint("give `HOST/NAMESPACE`, such as `registry.example.com/mirror`"))
}

/// Reads the file. Every problem names its line; the value is what could be read of it.
pub fn parse(file: &str, text: &str) -> (ConfigFile, Vec<Problem>) {
    let table = match toml::de::DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            return (
                ConfigFile::default(),
                vec![syntax_problem(file, text, &error)],
            );
        }
    };
    let mut problems = keys::check(file, text, table.get_ref());
    match toml::from_str::<ConfigFile>(text) {
        Ok(mut config) => {
            if config.version.is_some_and(|v| v != 1) {
                problems
                    .push(Problem::of_file(file, "`version` must be 1").with_hint("upgrade refit"));
            }
            problems.extend(check_bases(&config.bases, file, text));
            problems.extend(check_sweep(&config.sweep, file, text));
            problems.extend(policy::check(&config.policy, file, text));
            problems.extend(ci::check_schedule(&config.sweep, file, text));
            let (ci, wrong) = ci::read(table.get_ref(), file, text);
            config.ci = ci;
            problems.extend(wrong);
            config.build_args = policy::build_args(table.get_ref());
            (config, problems)
        }
        Err(error) => {
            problems.push(syntax_problem(file, text, &error));
            (ConfigFile::default(), problems)
        }
    }
}

fn syntax_problem(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => Problem::at(file, text, span, message),
        None => Problem::of_file(file, message),
    }
}

impl ImageKeys {
    /// These keys, with those of `base` where they have none.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        macro_rules! inherit {
            ($($key:ident),*) => { Self { $($key: self.$key.or_else(|| base.$key.clone())),* } };
        }
        inherit!(
            repository,
            context,
            dockerfile,
            target,
            platforms,
            tags,
            unique_tags,
            build_args,
            build_contexts,
            labels,
            annotations,
            network,
            secrets,
            ssh,
            cache_from,
            cache_to,
            engine,
            pinned,
            rebase,
            hold,
            timeout,
            prepare,
            test,
            stale_when,
            provenance,
            attest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse("refit.toml", text)
            .1
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_nearest_known_one() {
        let (_, problems) = parse("refit.toml", "version = 1\n[defaults]\nplatfroms = []\n");
        assert_eq!(
            problems[0].to_string(),
            "refit.toml:3:1: unknown key `platfroms`"
        );
        assert_eq!(
            problems[0].hint.as_deref(),
            Some("did you mean `platforms`?")
        );
    }

    #[test]
    fn a_key_without_effect_yet_is_refused_and_not_ignored() {
        let found = problems("[[image]]\nname = \"a\"\nrequires = [\"make\"]\n");
        assert_eq!(
            found,
            ["refit.toml:3:1: `requires` has no effect in this version of refit"]
        );
    }

    #[test]
    fn syntax_and_type_errors_name_their_line() {
        assert!(
            problems("version = 1\npush-to = [\n")[0].starts_with("refit.toml:2"),
            "{:?}",
            problems("x")
        );
        assert!(problems("version = \"1\"\n")[0].starts_with("refit.toml:1:11: invalid type"));
    }

    #[test]
    fn a_mirror_that_is_no_place_in_a_registry_is_an_error_with_its_line() {
        assert_eq!(
            problems("version = 1\n\n[bases]\nmirror = \"mirror\"\n"),
            ["refit.toml:4:10: `mirror`: `mirror` names no registry's host"]
        );
        assert_eq!(
            problems("[bases]\nmirrors = []\n"),
            ["refit.toml:2:1: unknown key `mirrors`"]
        );
        assert!(problems("[bases]\nmirror = 1\n")[0].starts_with("refit.toml:2:10: invalid type"));
        assert_eq!(
            problems("[bases]\nmirror = \"r.io/mirror\"\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn images_inherit_from_their_glob_and_the_defaults() {
        let (config, problems) = parse(
            "f",
            "[defaults]\ntags=['a']\nnetwork='none'\n[[image]]\nname='x'\ntags=['b']\n",
        );
        assert_eq!(problems, []);
        let keys = config.image[0].keys.clone().over(&config.defaults);
        assert_eq!(
            (keys.tags.unwrap(), keys.network.unwrap()),
            (vec!["b".to_owned()], "none".to_owned())
        );
    }
}
