//! The format of scenario files. A story says what it is about; everything else is a default: two images, `web` on
//! `base` on `debian:12-slim`, for two platforms, released at commit `c1` on what the bases were before.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::{Platform, Reference};
use serde::{Deserialize, Deserializer, de::Error};

#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent choices of a story"
)]
pub(crate) struct Scenario {
    /// What the story is.
    #[expect(dead_code, reason = "for the reader")]
    description: String,
    /// `sweep`, `build`, `local` (a build that is not pushed) or `tip`, a sweep with `rebuild-from = "tip"`.
    #[serde(default = "sweep")]
    pub(crate) run: String,
    /// Image names given on the command line.
    #[serde(default)]
    pub(crate) images: BTreeSet<String>,
    #[serde(default)]
    pub(crate) base: Option<Reference>,
    #[serde(default)]
    pub(crate) force: bool,
    #[serde(default)]
    pub(crate) take_over: bool,
    /// Plan for what other tools published, too.
    #[serde(default)]
    pub(crate) with_adoptable: bool,
    #[serde(default)]
    pub(crate) dependents: BTreeSet<String>,
    /// RFC 3339.
    #[serde(default = "june")]
    pub(crate) time: String,

    /// Files at `c1` instead of the default images'; the default configuration stays unless it is among them.
    #[serde(default)]
    pub(crate) files: Option<BTreeMap<String, String>>,
    /// Lines for the default configuration's end.
    #[serde(default)]
    pub(crate) config: String,
    /// Later commits: what they change of the commit before; an empty text removes.
    #[serde(default)]
    pub(crate) commits: BTreeMap<String, BTreeMap<String, String>>,
    /// The tip's history, oldest first; default: all commits.
    #[serde(default)]
    pub(crate) history: Option<Vec<String>>,

    /// What tags of bases held when `c1` was released, beside `debian:12-slim`.
    #[serde(default)]
    pub(crate) before: BTreeMap<Reference, Tag>,
    /// What they hold now, where that is something else.
    #[serde(default)]
    pub(crate) now: BTreeMap<Reference, Tag>,
    /// Manifests of platforms and indexes that are not in the registry any more.
    #[serde(default)]
    pub(crate) gone: BTreeSet<String>,
    /// What manifests hold, where they are not all different.
    #[serde(default)]
    pub(crate) content: BTreeMap<String, Content>,

    /// The images that are published; default: all of `c1`.
    #[serde(default)]
    pub(crate) published: Option<BTreeSet<String>>,
    /// How they were published, where it is not the plain way.
    #[serde(default)]
    pub(crate) publication: BTreeMap<String, Publication>,
    /// What tags of images hold instead.
    #[serde(default)]
    pub(crate) tags: BTreeMap<Reference, Held>,
    /// Indexes that no tag holds.
    #[serde(default)]
    pub(crate) untagged: Vec<Held>,
    #[serde(default)]
    pub(crate) build: Vec<Build>,
    #[serde(default)]
    pub(crate) publish: Vec<Publish>,
    /// Lines of notes; `<<NAME>>` is the digest of that name.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    /// Without any record, the notes' ref included.
    #[serde(default)]
    pub(crate) without_notes: bool,
    /// Staging tags that hold something: target → manifest, for today's key.
    #[serde(default)]
    pub(crate) staged: BTreeMap<String, String>,

    /// What `stale-when` says: target → `fine`, `stale`, or what went wrong.
    #[serde(default)]
    pub(crate) checks: BTreeMap<String, String>,
    /// Targets whose build fails.
    #[serde(default)]
    pub(crate) failed: BTreeSet<String>,
    pub(crate) expect: Expect,
}

fn sweep() -> String {
    "sweep".to_owned()
}

fn june() -> String {
    "2026-06-01T00:00:00Z".to_owned()
}

/// What a tag holds: `INDEX PLATFORM=MANIFEST …`, `MANIFEST` alone, `missing`, or `error: WORDS`, of which
/// `unauthorized`, `rate-limited` and `schema-1` are those that refit tells apart. A platform of Linux is its architecture.
#[derive(Clone, Debug)]
pub(crate) enum Tag {
    Missing,
    Failed(String),
    Manifest(String),
    Index(String, BTreeMap<Platform, String>),
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(error) = text.strip_prefix("error: ") {
            return Ok(Self::Failed(error.to_owned()));
        }
        let mut words = text.split_whitespace();
        let name = words
            .next()
            .ok_or_else(|| D::Error::custom("an empty tag"))?;
        let rest: Vec<&str> = words.collect();
        if rest.is_empty() {
            return Ok(match name {
                "missing" => Self::Missing,
                name => Self::Manifest(name.to_owned()),
            });
        }
        let mut platforms = BTreeMap::new();
        for word in rest {
            let (platform, manifest) = word
                .split_once('=')
                .ok_or_else(|| D::Error::custom(format!("`{word}` is no PLATFORM=MANIFEST")))?;
            platforms.insert(platform_of(platform), manifest.to_owned());
        }
        Ok(Self::Index(name.to_owned(), platforms))
    }
}

pub(crate) fn platform_of(text: &str) -> Platform {
    let text = if text.contains('/') {
        text.to_owned()
    } else {
        format!("linux/{text}")
    };
    text.parse().unwrap()
}

/// `amd64`; of other systems than Linux all of it.
pub(crate) fn short(platform: &Platform) -> String {
    let text = platform.to_string();
    text.strip_prefix("linux/").unwrap_or(&text).to_owned()
}

/// What a manifest holds.
#[derive(Deserialize, Clone, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Content {
    /// Names of layers; default: one of its own.
    #[serde(default)]
    pub(crate) layers: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) env: Vec<String>,
    #[serde(default)]
    pub(crate) onbuild: Vec<String>,
    #[serde(default)]
    pub(crate) created: Option<String>,
    /// What the config says; default: nothing.
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
    /// The commit that its label names, perhaps its base's.
    #[serde(default)]
    pub(crate) revision: Option<String>,
    /// `base.name` and `base.digest` in its labels, perhaps its base's.
    #[serde(default)]
    pub(crate) base: Option<(String, String)>,
    /// The steps that made the layers; default: one for each.
    #[serde(default)]
    pub(crate) history: Option<Vec<String>>,
}

/// How an image was published.
#[derive(Deserialize, Clone, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Publication {
    #[serde(default)]
    pub(crate) commit: Option<String>,
    /// For these platforms only.
    #[serde(default)]
    pub(crate) platforms: Option<Vec<Platform>>,
    /// What it was built on instead of what bases were before.
    #[serde(default)]
    pub(crate) on: BTreeMap<Reference, Tag>,
    /// Without `build` records.
    #[serde(default)]
    pub(crate) unrecorded_builds: bool,
    /// Without a `publish` record.
    #[serde(default)]
    pub(crate) unrecorded: bool,
    /// Without refit's annotations on its manifests and its index.
    #[serde(default)]
    pub(crate) unannotated: bool,
}

/// An index of the image's repository.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Held {
    #[serde(default)]
    pub(crate) index: Option<String>,
    #[serde(default)]
    pub(crate) manifest: Option<String>,
    #[serde(default)]
    pub(crate) platforms: BTreeMap<Platform, String>,
    /// The image that refit's annotation names.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// The commit that the index names.
    #[serde(default)]
    pub(crate) commit: Option<String>,
    #[serde(default)]
    pub(crate) replaces: Option<String>,
    /// The commit that another tool's index names.
    #[serde(default)]
    pub(crate) revision: Option<String>,
    /// `base.name` and `base.digest` of another tool's index.
    #[serde(default)]
    pub(crate) base: Option<(String, String)>,
    /// What BuildKit's attestation says of the manifests of the index.
    #[serde(default)]
    pub(crate) provenance: Option<Attested>,
    #[serde(default)]
    pub(crate) missing: bool,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// A statement of provenance.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Attested {
    /// The manifests that it speaks of; default: all of the index.
    #[serde(default)]
    pub(crate) about: Option<BTreeSet<String>>,
    #[serde(default)]
    pub(crate) revision: Option<String>,
    /// `REFERENCE = DIGEST`, or `REFERENCE on PLATFORM = DIGEST`.
    #[serde(default)]
    pub(crate) materials: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) image: String,
    pub(crate) platform: Platform,
    #[serde(default = "first")]
    pub(crate) commit: String,
    pub(crate) manifest: String,
    /// Why it was built.
    #[serde(default)]
    pub(crate) reasons: BTreeSet<String>,
    /// When; months ago unless said.
    #[serde(default)]
    pub(crate) at: Option<String>,
    /// `REFERENCE = [INDEX, MANIFEST]`, or `[MANIFEST]` for in-repo parents.
    pub(crate) deps: BTreeMap<Reference, Vec<String>>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Publish {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) after: Option<String>,
    #[serde(default)]
    pub(crate) replaces: Option<String>,
    pub(crate) image: String,
    #[serde(default = "first")]
    pub(crate) commit: String,
    pub(crate) index: String,
    pub(crate) platforms: BTreeMap<Platform, String>,
    pub(crate) tags: Vec<Reference>,
}

fn first() -> String {
    "c1".to_owned()
}

#[derive(Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Expect {
    #[serde(default)]
    pub(crate) steps: Vec<String>,
    #[serde(default)]
    pub(crate) states: Vec<String>,
    /// The rest is compared where a story says something of it.
    #[serde(default)]
    pub(crate) kept: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) moves: Option<Vec<String>>,
    /// What moved without a change.
    #[serde(default)]
    pub(crate) unaffected: Option<Vec<String>>,
    /// What is seen for the first time.
    #[serde(default)]
    pub(crate) seen: Option<Vec<String>>,
    /// What is copied to the mirror: `REPOSITORY MANIFEST → REPOSITORY`.
    #[serde(default)]
    pub(crate) mirrors: Option<Vec<String>>,
    /// The steps that read no layer cache.
    #[serde(default)]
    pub(crate) without_cache: Option<Vec<String>>,
    /// Which steps are rebases, from which base and with which way out; and why the others are not.
    #[serde(default)]
    pub(crate) rebases: Option<Vec<String>>,
    /// Tags that are written once.
    #[serde(default)]
    pub(crate) unique_tags: Option<Vec<String>>,
    /// What is published once every step is done that does not fail.
    #[serde(default)]
    pub(crate) published: Option<Vec<String>>,
    /// Steps that are left out because of a parent.
    #[serde(default)]
    pub(crate) skipped: Option<Vec<String>>,
    /// How many tags were asked for, staging tags included.
    #[serde(default)]
    pub(crate) tags_asked: Option<usize>,
    /// How many documents and configs were fetched.
    #[serde(default)]
    pub(crate) documents_asked: Option<usize>,
    #[serde(default)]
    pub(crate) configs_asked: Option<usize>,
}
