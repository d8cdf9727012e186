//! A published target that may be stale: what comes of building it anew.

use std::sync::Arc;

use refit_oci::{ObjectId, Platform};
use refit_platform::Target;

use super::{
    Action, InTheWay, OrElse, Rebase, Step,
    checks::Checked,
    evaluate::{Candidate, Evaluator, Verdict},
    onbuild::Wanted,
    rebase::Moved,
    released_source::unlisted,
    wait::{Compared, Known},
};
use crate::{
    image::{Image, RebaseChoice},
    key::Chosen,
    observe::Release,
    publication::{Published, proven},
    reason::{Reason, StateKind},
    scan::Triggers,
    source::Source,
};

/// A published target that is not plainly fresh.
pub(super) struct Suspect<'s> {
    pub(super) image: &'s Image,
    /// What was released, as it is treated now.
    pub(super) entry: &'s Image,
    pub(super) platform: &'s Platform,
    pub(super) published: &'s Published,
    pub(super) release: &'s Release,
    pub(super) commit: Option<ObjectId>,
    /// How it may have been built.
    pub(super) candidates: &'s [Candidate<'s>],
    pub(super) checked: Checked,
    /// What was seen of its dependencies.
    pub(super) known: Option<Known<'s>>,
    /// Why nothing may be built from its release.
    pub(super) gone: Option<StateKind>,
}

/// Why nothing can be built from the source: it lacks what the Dockerfile copies. A working tree is packed as it is.
pub(super) fn ungenerated(
    entry: &Image,
    source: &Source,
    commit: Option<&ObjectId>,
) -> Option<StateKind> {
    let missing = &source.missing;
    let is_ungenerated = commit.is_some() && entry.prepare.is_empty() && !missing.is_empty();
    is_ungenerated.then(|| StateKind::NeedsGeneratedFiles {
        missing: missing.clone(),
    })
}

/// What was released is one commit's; what a Dockerfile copies, each platform has for itself.
fn of_kind<'p>(kind: &StateKind, platform: &'p Platform) -> Option<&'p Platform> {
    matches!(kind, StateKind::NeedsGeneratedFiles { .. }).then_some(platform)
}

impl Evaluator<'_> {
    /// Builds a target anew, unless what its bases make it execute shows that nothing differs.
    pub(super) fn built_anew(&self, suspect: Suspect<'_>) -> Option<Verdict> {
        let Suspect {
            image,
            entry,
            platform,
            published,
            release,
            commit,
            candidates,
            mut checked,
            known,
            gone,
        } = suspect;
        let manifest = published.platforms.get(platform);
        let Some(source) = release.sources.get(platform) else {
            return Some(self.state(&image.name, Some(platform), unlisted(published, platform)));
        };
        let wanted = Wanted {
            image: entry,
            platform,
            commit: commit.as_ref(),
            source: &source.id,
        };
        let target = Compared {
            image: entry,
            platform,
            candidates,
            published: Some(published),
            known: known.into(),
        };
        // While that is not known it is asked for, and children go on as if it were: a chain needs no rounds of its own.
        if !published.adopted
            && let Some(Err(kind)) = proven(&self.lookup, image, published)
        {
            return Some(self.state(&image.name, None, kind));
        }
        let whole = match self.whole(wanted, &|file| self.taken(&target, file))? {
            Ok(whole) => whole,
            Err(kind) => return Some(self.state(&image.name, Some(platform), kind)),
        };
        let added = vec![Reason::PlatformAdded];
        let mut reasons = manifest.map_or(added, |_| whole.compared.reasons.clone());
        if let (true, Checked::Fine, Some(manifest)) = (reasons.is_empty(), checked, manifest) {
            checked = self.verdict_of_check(image, platform, manifest, &whole.pins)?;
        }
        reasons.extend((checked == Checked::Stale).then_some(Reason::CheckFailed));
        reasons.extend(self.scope.force.then_some(Reason::Forced));
        if let (true, Some(manifest)) = (reasons.is_empty(), manifest) {
            if let Some(kind) = gone {
                return Some(self.state(&image.name, None, kind));
            }
            self.note_unaffected(image, platform, &whole.compared);
            return Some(Verdict::Kept(manifest.clone()));
        }
        if let Err(kind) = self.not_taken_back((image, platform), Some(published), &whole)? {
            return Some(self.state(&image.name, Some(platform), kind));
        }
        let gone = gone.or_else(|| ungenerated(entry, source, commit.as_ref()));
        let chosen = Chosen::of(image.engine, entry, &whole.file);
        let moved = Moved {
            policy: match image.rebase {
                RebaseChoice::Never if self.scope.rebase => RebaseChoice::Auto,
                policy => policy,
            },
            entry,
            whole: &whole,
            candidates,
            published: manifest,
            reasons: &reasons,
        };
        let rebase = moved.rebase();
        if let (Ok(_), Some(kind)) = (&rebase, &gone) {
            // It can be patched in this way only, and somebody ought to know.
            self.state(&image.name, of_kind(kind, platform), kind.clone());
        }
        let (action, in_the_way) = match self.action(rebase, gone) {
            Ok(chosen) => chosen,
            Err(kind) => {
                let of_kind = of_kind(&kind, platform);
                return Some(self.state(&image.name, of_kind, kind));
            }
        };
        let target = (image.name.clone(), platform.clone());
        let step = Step {
            target: Target::from(target),
            action,
            in_the_way,
            wave: 0,
            line: Some(self.line().to_owned()),
            commit,
            source: whole.source,
            pins: whole.pins,
            triggers: whole.triggers,
            engine: chosen.kind,
            because: chosen.because,
            repository: image.destination().clone(),
            replaces: manifest.cloned(),
            // With layers from a cache the result would be what the check found fault with.
            no_cache: self.scope.force || checked == Checked::Stale,
            reasons,
        };
        self.staged(step)
    }

    /// What is done, and what is in the way of a rebase; `gone`: nothing may be built.
    fn action(
        &self,
        rebase: Result<Rebase, Option<InTheWay>>,
        gone: Option<StateKind>,
    ) -> Result<(Action, Option<Box<InTheWay>>), StateKind> {
        match (rebase, gone) {
            (Ok(rebase), gone)
                if rebase.or_else == OrElse::Rebuild && (gone.is_some() || self.scope.rebase) =>
            {
                Ok((Action::Rebase(rebase.or_nothing().into()), None))
            }
            (Ok(rebase), _) => Ok((Action::Rebase(rebase.into()), None)),
            (Err(_), Some(kind)) => Err(kind),
            (Err(in_the_way), None) => Ok((Action::Rebuild, in_the_way.map(Box::new))),
        }
    }

    /// The Dockerfile as it is compared. No record has what triggers of its bases brought into what another tool made.
    pub(super) fn file_as_built(
        &self,
        (image, entry): (&Image, &Image),
        platform: &Platform,
        published: &Published,
    ) -> Option<Result<Arc<refit_dockerfile::Resolved>, StateKind>> {
        let triggers = match published.platforms.get(platform) {
            Some(manifest) if published.adopted => {
                let tag = (&published.index, manifest);
                self.triggers_as_built((image, entry), platform, tag)?
            }
            _ => Ok(Triggers::new()),
        };
        Some(triggers.and_then(|triggers| self.scanned(entry, platform, &triggers)))
    }
}
