//! Reasons and states in words, and what helps.

use std::collections::{BTreeSet, HashMap};

use refit_deps::{
    adopt::How,
    reason::{Level, Reason, State, StateKind, TagOwner, Unaffected, Wait},
};
use refit_oci::{Platform, Reference};

use super::{Ui, sentence_list};

/// More names than this in one command are not read.
const MANY: usize = 5;
/// How many names stand for many more.
const FEW: usize = 3;

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
    format!(
        "{} {from} → {to} is {same}",
        super::reference(&fact.reference)
    )
}

/// States of which the same is said.
struct Alike<'s> {
    kind: &'s StateKind,
    /// Whether they are about registries' answers for more than one reference.
    of_many: bool,
    names: Vec<String>,
    images: BTreeSet<&'s str>,
}

/// The states that a person should know of, equal ones in one line, each with a way out.
pub(crate) fn states(ui: &Ui, states: &[State]) {
    for alike in alike(states) {
        let kind = alike.kind;
        let said = match kind {
            StateKind::Unreachable { message, .. } if alike.of_many => message.clone(),
            kind => state_words(kind),
        };
        let text = format!("{}: {}: {said}", some_of(&alike.names), kind.word());
        // Nobody has to do anything about an image that is meant to be so.
        match kind {
            StateKind::Unpublished | StateKind::NoMovingTag | StateKind::Adoptable { .. } => {
                ui.note(&text);
            }
            _ => ui.warning(&text),
        }
        if let Some(hint) = hint(kind) {
            ui.hint(&for_images(&hint, &alike.images));
        }
    }
}

fn alike(states: &[State]) -> Vec<Alike<'_>> {
    let widespread = widespread(states.iter().map(|state| &state.kind));
    let mut groups: Vec<Alike<'_>> = Vec::new();
    let mut by_text: HashMap<String, usize> = HashMap::new();
    for state in states {
        let of = match &state.platform {
            Some(platform) if !is_adoptable(&state.kind) => format!("{}@{platform}", state.image),
            _ => state.image.clone(),
        };
        let of_many = matches!(&state.kind, StateKind::Unreachable { message, .. } if widespread.contains(message.as_str()));
        let text = match &state.kind {
            StateKind::Unreachable { message, .. } if of_many => message.clone(),
            // Each holds something else, and that is not said.
            kind if is_adoptable(kind) => state_words(kind),
            kind => format!("{kind:?}"),
        };
        let at = *by_text.entry(text).or_insert_with(|| {
            groups.push(Alike {
                kind: &state.kind,
                of_many,
                names: Vec::new(),
                images: BTreeSet::new(),
            });
            groups.len() - 1
        });
        if is_adoptable(&state.kind) && groups[at].images.contains(state.image.as_str()) {
            continue;
        }
        groups[at].names.push(of);
        groups[at].images.insert(&state.image);
    }
    groups
}

/// What went wrong with so many references that each of them is not worth a line: a registry is down.
pub(crate) fn widespread<'s>(states: impl Iterator<Item = &'s StateKind>) -> BTreeSet<&'s str> {
    let mut of_message: HashMap<&str, BTreeSet<&Reference>> = HashMap::new();
    for state in states {
        if let StateKind::Unreachable { reference, message } = state {
            of_message.entry(message).or_default().insert(reference);
        }
    }
    let many = of_message.into_iter().filter(|(_, of)| of.len() > MANY);
    many.map(|(message, _)| message).collect()
}

/// A list of names, of many the first few.
fn some_of(names: &[String]) -> String {
    match names.get(..FEW) {
        Some(few) if names.len() > 2 * MANY => {
            format!("{} and {} more", few.join(", "), names.len() - FEW)
        }
        _ => sentence_list(names),
    }
}

/// A hint with the images' names in it, unless they are too many to be read.
pub(crate) fn for_images(hint: &str, images: &BTreeSet<&str>) -> String {
    if images.len() > MANY {
        return hint.replace("IMAGE", "IMAGE…");
    }
    let names: Vec<&str> = images.iter().copied().collect();
    hint.replace("IMAGE", &names.join(" "))
}

/// A state in words.
#[expect(clippy::too_many_lines, reason = "one arm a state")]
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
        } => {
            let was = published.as_ref();
            let was = was.map(|p| format!(", and {} was published last", p.short()));
            let (tag, was) = (tag.familiar(), was.unwrap_or_default());
            format!("{tag} holds {}{was}; it is left alone", digest.short())
        }
        StateKind::Held { reason } => reason.clone(),
        StateKind::BaseHeld {
            reference,
            digest,
            until,
            reason,
        } => {
            let until = until.as_ref().map(|until| format!(" until {until}"));
            let why = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            let (base, digest) = (reference.familiar(), digest.short());
            format!(
                "{base} {digest} is not taken{}{why}",
                until.unwrap_or_default()
            )
        }
        StateKind::Deferred {
            reference,
            digest,
            until,
            wait,
        } => {
            let what = match wait {
                Wait::Cooldown => "is new",
                Wait::Platforms => "has platforms still to come",
            };
            let (base, digest) = (reference.familiar(), digest.short());
            format!("deferred until {}: {base} {digest} {what}", moment(*until))
        }
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
        StateKind::MissingTag { tag, owner } => {
            let gone = match owner {
                TagOwner::Base => "is not there, and something is built on it",
                TagOwner::Image => "is not there, although it was published",
            };
            format!("{} {gone}", tag.familiar())
        }
        StateKind::MissingPlatform {
            reference,
            platform,
            offered,
        } => missing_platform(reference, platform, offered),
        StateKind::Schema1 { reference } => format!(
            "{} is in Docker's schema 1, which no engine of today pulls",
            reference.familiar()
        ),
        StateKind::RateLimited {
            reference,
            until,
            message,
        } => {
            let until = until.map_or_else(String::new, |at| format!(" until {}", moment(at)));
            format!("{}: {message}{until}", reference.familiar())
        }
        StateKind::Unreachable { reference, message }
        | StateKind::Unauthorized {
            reference, message, ..
        } => {
            format!("{}: {message}", reference.familiar())
        }
        StateKind::ReleaseSourceUnknown { reasons } => source_unknown(reasons),
        StateKind::ReleaseSourceKnown { commit } => {
            format!("its own index says that it was built from commit {}", commit.short())
        }
        StateKind::Adoptable { how, .. } => adoptable(*how),
        StateKind::NewerIsPublished { commit } => {
            let commit = commit.short();
            format!("commit {commit} is published, which is newer; nothing moves")
        }
        StateKind::ReleaseSourceGone { message }
        | StateKind::Broken { message }
        | StateKind::CheckError { message } => message.clone(),
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
        } => {
            let (tag, published) = (tag.familiar(), published.short());
            match digest {
                Some(digest) => {
                    format!(
                        "{tag} holds {}, and {published} is published",
                        digest.short()
                    )
                }
                None => format!("{tag} does not hold {published}, which is published"),
            }
        }
        StateKind::Unpublished => "nothing is published yet".to_owned(),
        StateKind::Unreleased { reasons } => {
            let why: Vec<String> = reasons.iter().map(reason).collect();
            why.join("; ")
        }
    }
}

/// A point in time, to the minute.
fn moment(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn source_unknown(reasons: &[Reason]) -> String {
    let why = reasons.iter().map(reason);
    let unknown = "nothing says which commit was released".to_owned();
    why.chain([unknown]).collect::<Vec<_>>().join("; ")
}

fn adoptable(how: Option<How>) -> String {
    let published = "another tool published it";
    match how {
        Some(how) => format!("{published}; explained by its {}", how.as_str()),
        None => published.to_owned(),
    }
}

fn is_adoptable(kind: &StateKind) -> bool {
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

/// What helps, with the registry's name in it; `IMAGE` stands for the image.
pub(crate) fn hint(kind: &StateKind) -> Option<String> {
    let hint = way_out(kind)?.to_owned();
    Some(match kind {
        StateKind::Unauthorized { reference, .. } => hint.replace(
            "docker login HOST",
            &login(reference.repository().registry()),
        ),
        _ => hint,
    })
}

/// Docker's command knows its Hub without a name.
fn login(host: &str) -> String {
    match host {
        "docker.io" => "docker login".to_owned(),
        host => format!("docker login {host}"),
    }
}

/// What helps; `IMAGE` and `HOST` stand for the image and the registry.
fn way_out(kind: &StateKind) -> Option<&'static str> {
    Some(match kind {
        StateKind::Foreign { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push --take-over` writes over it"
        }
        StateKind::MovedElsewhere { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push --take-over` moves on from it"
        }
        StateKind::Pinned { .. } => {
            "change the digest in the Dockerfile, or set `pinned = \"follow\"` in `.config/refit.toml`"
        }
        StateKind::Unreachable { .. } => "`refit doctor` says what is missing",
        StateKind::Unauthorized { .. } => "run `docker login HOST`",
        StateKind::RateLimited { .. } => {
            "run it again later, or log in: registries let those they know ask more often"
        }
        StateKind::Schema1 { .. } => {
            "use another tag in the FROM line, or have the base pulled and pushed again by whoever owns it"
        }
        StateKind::MissingTag {
            owner: TagOwner::Base,
            ..
        } => "use a tag that is there in the FROM line; what is published stays as it is",
        StateKind::MissingTag {
            owner: TagOwner::Image,
            ..
        } => "`refit build IMAGE --push` publishes it again",
        StateKind::MissingPlatform { .. } => {
            "use another base, or leave the platform out of the image's `platforms`"
        }
        StateKind::ReleaseSourceGone { .. } => {
            "`refit build IMAGE --push` releases what is there now"
        }
        StateKind::ReleaseSourceUnknown { .. } => {
            "`refit adopt IMAGE --source REV` says so; `refit build IMAGE --push` releases what is there now"
        }
        StateKind::ReleaseSourceKnown { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push` releases another commit"
        }
        StateKind::Adoptable { .. } => "run `refit adopt` so that sweeps patch it",
        StateKind::NewerIsPublished { .. } => "run `git fetch`, or check out a newer commit",
        StateKind::Unpublished | StateKind::Unreleased { .. } => {
            "`refit build IMAGE --push` releases it"
        }
        StateKind::Deferred { .. } => "`refit sweep IMAGE --force` does not wait",
        StateKind::CheckNotAccepted => "`refit trust` accepts the commands of this repository",
        StateKind::CheckStillFails => "`refit sweep IMAGE --force` builds it once more",
        StateKind::Held { .. }
        | StateKind::BaseHeld { .. }
        | StateKind::CheckError { .. }
        | StateKind::NoMovingTag
        | StateKind::Broken { .. }
        | StateKind::Behind { .. } => return None,
        StateKind::Claimed { .. } => {
            "give the image tags of its own on this line, such as `tags = [\"{{.Line}}\"]`"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_images_it_is_for() {
        let hint = "`refit build IMAGE --push` releases it";
        let filled = |images: &[&str]| for_images(hint, &images.iter().copied().collect());
        assert_eq!(filled(&["web"]), "`refit build web --push` releases it");
        assert_eq!(
            filled(&["web", "api"]),
            "`refit build api web --push` releases it"
        );
        assert_eq!(
            filled(&["a", "b", "c", "d", "e", "f"]),
            "`refit build IMAGE… --push` releases it"
        );
    }

    #[test]
    fn a_registry_that_is_down_is_one_line_however_many_images_it_has() {
        let down = |n: usize| State {
            image: format!("s{n}"),
            platform: None,
            kind: StateKind::Unreachable {
                reference: format!("example.com/s{n}").parse().unwrap(),
                message: "example.com is down".to_owned(),
            },
        };
        let states: Vec<State> = (0..10_000).map(down).collect();
        let groups = alike(&states);
        assert_eq!((groups.len(), groups[0].of_many), (1, true));
        assert_eq!(some_of(&groups[0].names), "s0, s1, s2 and 9997 more");
        let few = alike(&states[..3]);
        assert_eq!((few.len(), few[0].of_many), (3, false));
    }
}
