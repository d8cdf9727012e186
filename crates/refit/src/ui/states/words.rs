//! Reasons and states in words.

use jiff::Timestamp;
use refit_deps::{
    adopt::How,
    reason::{Level, Queue, Reason, StateKind, TagOwner, Unaffected, Wait},
    source::MissingInput,
};
use refit_oci::{Digest, Platform, Reference};

use super::MANY;
use crate::ui::{self, sentence_list};

/// A reason in words.
pub(crate) fn reason(reason: &Reason) -> String {
    match reason {
        Reason::BaseChanged {
            reference,
            from: Some(from),
            to,
            ..
        } => {
            // Only a pin that follows its tag resolves to something else than it says.
            let base = match reference.without_digest() {
                Some(tag) if reference.digest().is_some() => {
                    format!("{} (past its pin)", tag.familiar())
                }
                _ => reference.familiar(),
            };
            format!("{base} {} → {}", from.short(), to.short())
        }
        Reason::BaseChanged {
            reference,
            from: None,
            to,
            ..
        } => {
            format!(
                "{} {} is not what it was built on",
                reference.familiar(),
                to.short()
            )
        }
        Reason::ParentRebuilt { parent } => format!("its parent {} is rebuilt", parent.image),
        Reason::PlatformAdded => "the platform is not published yet".to_owned(),
        Reason::CheckFailed => "its `stale-when` command calls it stale".to_owned(),
        Reason::Forced => "forced".to_owned(),
        Reason::Promoted { run } => format!("run {run} is promoted"),
        Reason::NeverBuilt => "there is no build of it yet".to_owned(),
        Reason::SourceChanged => "its Dockerfile changed".to_owned(),
        Reason::ConfigChanged => "its configuration changed".to_owned(),
        Reason::ContextChanged => "files of its context changed".to_owned(),
    }
}

/// A base that moved without a change for a target, in words.
pub(crate) fn unaffected(fact: &Unaffected) -> String {
    let same = match fact.level {
        Level::Index => "the same manifest",
        Level::Manifest | Level::Content => "the same content",
    };
    let (from, to) = (fact.from.short(), fact.to.short());
    format!("{} {from} → {to} is {same}", ui::reference(&fact.reference))
}

/// A state in words.
pub(crate) fn state_words(kind: &StateKind) -> String {
    match kind {
        StateKind::Foreign { tag, digest } => {
            let tag = tag.familiar();
            format!(
                "{tag} holds {}, which refit did not publish",
                digest.short()
            )
        }
        StateKind::MovedElsewhere {
            tag,
            digest,
            published,
        } => moved_elsewhere(tag, digest, published.as_ref()),
        StateKind::Held { reason } => reason.clone(),
        StateKind::BaseHeld {
            reference,
            digest,
            until,
            reason,
        } => base_held((reference, digest), until.as_deref(), reason),
        StateKind::Deferred {
            reference,
            digest,
            until,
            wait,
        } => deferred((reference, digest), *until, *wait),
        StateKind::BackingOff {
            class,
            count,
            until,
        } => backing_off(class, *count, *until),
        StateKind::Queued(queue) => queued(queue),
        StateKind::Pinned {
            reference,
            pinned,
            current,
        } => {
            let reference = reference.familiar();
            let (pinned, current) = (pinned.short(), current.short());
            format!("{reference} is {current} now, and the pin is {pinned}")
        }
        StateKind::NoMovingTag => "it has no moving tag, so it is built by name only".to_owned(),
        StateKind::MissingTag { tag, owner } => missing_tag(tag, *owner),
        StateKind::MissingPlatform {
            reference,
            platform,
            offered,
        } => missing_platform(reference, platform, offered),
        StateKind::Schema1 { reference } => unpullable(
            reference,
            "is in Docker's schema 1, which no engine of today pulls",
        ),
        StateKind::NestedIndex { reference } => unpullable(
            reference,
            "holds an index where its platform's manifest should be, which no engine pulls",
        ),
        StateKind::RateLimited {
            reference,
            until,
            message,
        } => rate_limited(reference, *until, message),
        StateKind::Unreachable { reference, message }
        | StateKind::Unauthorized {
            reference, message, ..
        } => {
            format!("{}: {message}", reference.familiar())
        }
        StateKind::ReleaseSourceUnknown { reasons } => source_unknown(reasons),
        StateKind::ReleaseSourceKnown { commit } => source_known(commit.short()),
        StateKind::Adoptable { how, .. } => adoptable(*how),
        StateKind::NewerIsPublished { commit } => {
            let commit = commit.short();
            format!("commit {commit} is published, which is newer; nothing moves")
        }
        StateKind::ReleaseSourceGone { message }
        | StateKind::Broken { message }
        | StateKind::CheckError { message } => message.clone(),
        StateKind::NeedsGeneratedFiles { missing } => ungenerated(missing),
        StateKind::CheckNotAccepted => {
            "`stale-when` in `.config/refit.toml` is not run before it is accepted".to_owned()
        }
        StateKind::CheckStillFails => {
            "its `stale-when` command calls it stale although it was rebuilt for that, on the same bases"
                .to_owned()
        }
        StateKind::Claimed { tag, line } => {
            format!("{} belongs to the line `{line}`", tag.familiar())
        }
        StateKind::Behind {
            tag,
            digest,
            published,
        } => behind(tag, digest.as_ref(), published),
        StateKind::Unpublished => "nothing is published yet".to_owned(),
        StateKind::Unreleased { reasons } => {
            let why: Vec<String> = reasons.iter().map(reason).collect();
            why.join("; ")
        }
    }
}

fn unpullable(reference: &Reference, why: &str) -> String {
    format!("{} {why}", reference.familiar())
}

fn rate_limited(reference: &Reference, until: Option<Timestamp>, message: &str) -> String {
    let until = until.map_or_else(String::new, |at| format!(" until {}", moment(at)));
    format!("{}: {message}{until}", reference.familiar())
}

fn ungenerated(missing: &[MissingInput]) -> String {
    let paths = missing
        .iter()
        .map(|input| format!("`{}` (line {})", input.path, input.line));
    let paths: Vec<String> = paths.collect();
    let verb = if paths.len() == 1 { "is" } else { "are" };
    format!(
        "{} {verb} copied, and the commit has no such file",
        sentence_list(&paths)
    )
}

fn missing_tag(tag: &Reference, owner: TagOwner) -> String {
    let gone = match owner {
        TagOwner::Base => "is not there, and something is built on it",
        TagOwner::Image => "is not there, although it was published",
    };
    format!("{} {gone}", tag.familiar())
}

fn moved_elsewhere(tag: &Reference, digest: &Digest, published: Option<&Digest>) -> String {
    let was = published.map(|p| format!(", and {} was published last", p.short()));
    let (tag, was) = (tag.familiar(), was.unwrap_or_default());
    format!("{tag} holds {}{was}; it is left alone", digest.short())
}

fn base_held(
    (reference, digest): (&Reference, &Digest),
    until: Option<&str>,
    reason: &str,
) -> String {
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    let (base, digest) = (reference.familiar(), digest.short());
    format!("{base} {digest} is not taken{until}{why}")
}

fn deferred((reference, digest): (&Reference, &Digest), until: Timestamp, wait: Wait) -> String {
    let what = match wait {
        Wait::Cooldown => "is new",
        Wait::Platforms => "has platforms still to come",
    };
    let (base, digest) = (reference.familiar(), digest.short());
    format!("deferred until {}: {base} {digest} {what}", moment(until))
}

fn queued(queue: &Queue) -> String {
    match queue {
        Queue::Limit { limit } => {
            format!("left to the next sweep: `limit = {limit}`, and others waited longer")
        }
        Queue::Canary { image } => format!("left alone until the canary `{image}` is well"),
    }
}

fn backing_off(class: &str, count: u32, until: Timestamp) -> String {
    let what = match class {
        "timeout" => "took too long",
        "prepare" => "failed in its `prepare`",
        "test" => "failed its test",
        "build" => "failed",
        _ => "could not be built here",
    };
    let times = match count {
        1 => String::new(),
        2 => " twice".to_owned(),
        n => format!(" {n} times"),
    };
    format!("deferred until {}: it {what}{times}", moment(until))
}

fn behind(tag: &Reference, digest: Option<&Digest>, published: &Digest) -> String {
    let (tag, published) = (tag.familiar(), published.short());
    match digest {
        Some(digest) => format!(
            "{tag} holds {}, and {published} is published",
            digest.short()
        ),
        None => format!("{tag} does not hold {published}, which is published"),
    }
}

/// A point in time, to the minute.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn source_unknown(reasons: &[Reason]) -> String {
    let why = reasons.iter().map(reason);
    let unknown = "nothing says which commit was released".to_owned();
    why.chain([unknown]).collect::<Vec<_>>().join("; ")
}

fn source_known(commit: &str) -> String {
    format!("its own index says that it was built from commit {commit}")
}

fn adoptable(how: Option<How>) -> String {
    let published = "another tool published it";
    match how {
        Some(how) => format!("{published}; explained by its {}", how.as_str()),
        None => published.to_owned(),
    }
}

pub(super) fn is_adoptable(kind: &StateKind) -> bool {
    matches!(kind, StateKind::Adoptable { .. })
}

/// What is said beside a target that is looked at as if it were adopted.
pub(crate) fn adopted(kind: &StateKind) -> Option<String> {
    match kind {
        StateKind::Adoptable { how: Some(how), .. } => Some(format!("(adopted: {})", how.as_str())),
        _ => None,
    }
}

fn missing_platform(reference: &Reference, wanted: &Platform, offered: &[Platform]) -> String {
    let offers: Vec<String> = offered.iter().map(ToString::to_string).collect();
    let offers = match offers.len() {
        0 => "no platform at all".to_owned(),
        n if n <= MANY => sentence_list(&offers),
        n => format!("{} and {} more", offers[..MANY].join(", "), n - MANY),
    };
    let reference = reference.familiar();
    format!("{reference} does not offer {wanted}; it offers {offers}")
}
