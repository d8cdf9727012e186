//! Reasons and states: why a target is a step of a plan, and why one is reported and left alone.

use jiff::Timestamp;
use refit_oci::{Digest, Reference};
use refit_platform::Target;
use serde::Serialize;

use crate::{
    adopt::How,
    observe::{Failure, FailureKind},
    source::MissingInput,
};

/// Why a target is built. Many reasons, one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// A dependency resolves to something else than what the published manifest was built from.
    BaseChanged {
        /// The dependency.
        reference: Reference,
        /// The last level that was compared and differs.
        level: Level,
        /// What it was built from; none if it did not have this dependency.
        from: Option<Digest>,
        /// What it resolves to now.
        to: Digest,
        /// When a sweep saw that first, if one did.
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<Timestamp>,
    },
    /// An in-repo parent is rebuilt by the same plan.
    ParentRebuilt {
        /// The parent's target.
        #[serde(serialize_with = "as_text")]
        parent: Target,
    },
    /// The configuration asks for a platform that is not published.
    PlatformAdded,
    /// The image's `stale-when` command says so.
    CheckFailed,
    /// The user asked for it.
    Forced,
    /// The user publishes what a run has built.
    Promoted {
        /// The run's id.
        run: String,
    },
    /// Nothing is published.
    NeverBuilt,
    /// The Dockerfile differs from the released one.
    SourceChanged,
    /// Target stage, args, named contexts, labels, annotations or network differ.
    ConfigChanged,
    /// Files of the context differ.
    ContextChanged,
}

impl Reason {
    /// The word in JSON and in records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::BaseChanged { .. } => "base-changed",
            Self::ParentRebuilt { .. } => "parent-rebuilt",
            Self::PlatformAdded => "platform-added",
            Self::CheckFailed => "check-failed",
            Self::Forced => "forced",
            Self::Promoted { .. } => "promoted",
            Self::NeverBuilt => "never-built",
            Self::SourceChanged => "source-changed",
            Self::ConfigChanged => "config-changed",
            Self::ContextChanged => "context-changed",
        }
    }
}

/// How deep a comparison went: the last level that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The tag's index: never a reason by itself.
    Index,
    /// The manifest of the platform in use. As a reason: what it holds could not be compared.
    Manifest,
    /// What a build inherits: the layers' content and the config.
    Content,
}

impl Level {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Manifest => "manifest",
            Self::Content => "content",
        }
    }
}

/// A base that moved without a change for a target: it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unaffected {
    /// Which target.
    #[serde(serialize_with = "as_text")]
    pub target: Target,
    /// The base.
    pub reference: Reference,
    /// The last level that differs: the index only, or the manifest with the same content.
    pub level: Level,
    /// The digest at that level that the target was built on.
    pub from: Digest,
    /// The digest at that level now.
    pub to: Digest,
}

/// Why a base's digest is not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// It is younger than `cooldown`.
    Cooldown,
    /// Its platforms land one by one, and `wait-for-platforms` is not over.
    Platforms,
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Something that a sweep reports and never overwrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The image.
    pub image: String,
    /// The target's platform, where only one is concerned.
    pub platform: Option<refit_oci::Platform>,
    /// What.
    pub kind: StateKind,
}

/// The states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// The tag holds something that neither records nor our annotations know.
    Foreign {
        /// The tag.
        tag: Reference,
        /// What it holds.
        digest: Digest,
    },
    /// The tag holds something of ours that is not what was published last: a rollback by hand, an older run.
    MovedElsewhere {
        /// The tag.
        tag: Reference,
        /// What it holds.
        digest: Digest,
        /// What was published last.
        published: Option<Digest>,
    },
    /// The configuration or a record holds the image.
    Held {
        /// Its words.
        reason: String,
    },
    /// A record holds a base's digest: what is built on the one before stays on it.
    BaseHeld {
        /// The base.
        reference: Reference,
        /// What is not taken.
        digest: Digest,
        /// When the hold ends by itself, RFC 3339.
        until: Option<String>,
        /// The record's words.
        reason: String,
    },
    /// A base's digest is not taken yet.
    Deferred {
        /// The base.
        reference: Reference,
        /// What is not taken yet.
        digest: Digest,
        /// When it is.
        until: Timestamp,
        /// What it waits for.
        wait: Wait,
    },
    /// It failed a short while ago, and is left alone for a while.
    BackingOff {
        /// What kind of failure it was.
        class: String,
        /// How often in a row.
        count: u32,
        /// When it is tried again.
        until: Timestamp,
    },
    /// It waits for another sweep.
    Queued(Queue),
    /// `FROM name:tag@digest`, and the tag has moved on.
    Pinned {
        /// The tag.
        reference: Reference,
        /// The pin.
        pinned: Digest,
        /// What the tag resolves to.
        current: Digest,
    },
    /// The image has no moving tag: it is built by name only.
    NoMovingTag,
    /// The tag that records name is gone, or a base's tag is.
    MissingTag {
        /// The tag.
        tag: Reference,
        /// Whose it is.
        owner: TagOwner,
    },
    /// A base does not offer the platform.
    MissingPlatform {
        /// The base.
        reference: Reference,
        /// What is wanted.
        platform: refit_oci::Platform,
        /// What there is instead, sorted.
        offered: Vec<refit_oci::Platform>,
    },
    /// A base is in Docker's first manifest format, which no engine of today pulls.
    Schema1 {
        /// The base.
        reference: Reference,
    },
    /// What a base's index holds for the platform is an index itself, which no engine pulls.
    NestedIndex {
        /// The base.
        reference: Reference,
    },
    /// A registry wants to know who asks, or does not allow it.
    Unauthorized {
        /// What was asked for.
        reference: Reference,
        /// Who asked: `anonymously`, or where the credential is from.
        credentials: String,
        /// What happened.
        message: String,
    },
    /// A registry has been asked too often.
    RateLimited {
        /// What was asked for.
        reference: Reference,
        /// When it may be asked again, if it says.
        until: Option<Timestamp>,
        /// What happened.
        message: String,
    },
    /// A registry could not be asked.
    Unreachable {
        /// What was asked for.
        reference: Reference,
        /// What happened.
        message: String,
    },
    /// The commit that was released can't be had.
    ReleaseSourceGone {
        /// What is missing.
        message: String,
    },
    /// Nothing says which commit was released.
    ReleaseSourceUnknown {
        /// Why it is stale, as far as the tip's Dockerfile tells.
        reasons: Vec<Reason>,
    },
    /// The index itself says which commit was released, and it is another one than the user's.
    ReleaseSourceKnown {
        /// The index's.
        commit: refit_oci::ObjectId,
    },
    /// Another tool published it, and nobody has adopted it: no sweep touches it.
    Adoptable {
        /// The tag.
        tag: Reference,
        /// What it holds.
        digest: Digest,
        /// By what it is explained; none where nobody looked.
        how: Option<How>,
    },
    /// What is published was built from a later commit.
    NewerIsPublished {
        /// The published commit.
        commit: refit_oci::ObjectId,
    },
    /// The Dockerfile copies what the commit has not, and nothing makes it: the published layers can be put on another
    /// base, and nothing can be built.
    NeedsGeneratedFiles {
        /// What is not there.
        missing: Vec<MissingInput>,
    },
    /// The image's Dockerfile can't be used, or it is on a cycle.
    Broken {
        /// What is wrong.
        message: String,
    },
    /// A further tag has not followed the lead: its registry was out of reach, or somebody moved it.
    Behind {
        /// The tag.
        tag: Reference,
        /// What it holds; none if it holds nothing, or could not be asked.
        digest: Option<Digest>,
        /// What it should hold.
        published: Digest,
    },
    /// A line that comes first in `[sweep]`'s order owns the tag.
    Claimed {
        /// The tag.
        tag: Reference,
        /// Its owner.
        line: String,
    },
    /// The image's `stale-when` command could not say whether what is published is stale.
    CheckError {
        /// What happened.
        message: String,
    },
    /// The image's `stale-when` command was not run: the repository's commands were not accepted.
    CheckNotAccepted,
    /// The image's `stale-when` command still calls it stale after a rebuild for that very reason, on the same bases.
    CheckStillFails,
    /// Nothing is published under the tag yet.
    Unpublished,
    /// The working tree or tip differs from what is published.
    Unreleased {
        /// How.
        reasons: Vec<Reason>,
    },
}

/// What a target waits for that is left to another sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Others have not been patched for longer, and a sweep takes no more.
    Limit {
        /// How many targets it takes.
        limit: usize,
    },
    /// A canary failed.
    Canary {
        /// The canary.
        image: String,
    },
}

/// Whose a missing tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagOwner {
    /// A base's: somebody else has removed it.
    Base,
    /// An image's of this repository.
    Image,
}

impl StateKind {
    /// Nothing says which commit was released, and nothing is known to be stale.
    pub(crate) fn source_unknown() -> Self {
        Self::ReleaseSourceUnknown {
            reasons: Vec::new(),
        }
    }

    /// The state of a target that needs what could not be had.
    pub(crate) fn of_failure(reference: &Reference, failure: &Failure) -> Self {
        let (reference, message) = (reference.clone(), failure.message.clone());
        match &failure.kind {
            FailureKind::Unauthorized { credentials } => Self::Unauthorized {
                reference,
                credentials: credentials.clone(),
                message,
            },
            FailureKind::RateLimited { until } => Self::RateLimited {
                reference,
                until: *until,
                message,
            },
            FailureKind::Schema1 => Self::Schema1 { reference },
            FailureKind::Other => Self::Unreachable { reference, message },
        }
    }

    /// Whether a registry did not say what was asked: nothing is known, and asking again may help.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Unauthorized { .. } | Self::RateLimited { .. }
        )
    }

    /// The word in JSON and for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Foreign { .. } => "foreign",
            Self::MovedElsewhere { .. } => "moved-elsewhere",
            Self::Held { .. } | Self::BaseHeld { .. } => "held",
            Self::Deferred { .. } | Self::BackingOff { .. } | Self::Queued(_) => "deferred",
            Self::Pinned { .. } => "pinned",
            Self::NoMovingTag => "no-moving-tag",
            Self::MissingTag { .. } => "missing-tag",
            Self::MissingPlatform { .. } => "missing-platform",
            Self::Schema1 { .. } => "schema-1",
            Self::NestedIndex { .. } => "nested-index",
            Self::Unauthorized { .. } => "unauthorized",
            Self::RateLimited { .. } => "rate-limited",
            Self::Unreachable { .. } => "unreachable",
            Self::ReleaseSourceGone { .. } => "release-source-gone",
            Self::ReleaseSourceUnknown { .. } => "release-source-unknown",
            Self::ReleaseSourceKnown { .. } => "release-source-known",
            Self::Adoptable { .. } => "adoptable",
            Self::NewerIsPublished { .. } => "newer-is-published",
            Self::NeedsGeneratedFiles { .. } => "needs-generated-files",
            Self::Broken { .. } => "broken",
            Self::Behind { .. } => "behind",
            Self::Claimed { .. } => "claimed",
            Self::CheckError { .. } | Self::CheckNotAccepted => "check-error",
            Self::CheckStillFails => "check-still-fails",
            Self::Unpublished => "unpublished",
            Self::Unreleased { .. } => "unreleased",
        }
    }
}
