//! Everything that is known, put together for the stages that the target reaches.

use std::collections::BTreeMap;

use refit_oci::Platform;

use super::{
    Found, FoundSource, Kind, Link, NamedContext, Resolved, Settings, Source, StageBase, StageView,
    effects::{Effects, Place},
    globals::Globals,
    links::{Linked, To},
    stages::Base,
};
use crate::{
    SyntaxError,
    model::{Dockerfile, Instruction, Spanned},
};

/// What a stage executes first, and what that refers to, instruction by instruction.
pub(super) struct Triggered<'a> {
    pub(super) instructions: Vec<Instruction>,
    pub(super) links: Vec<Vec<Linked<'a>>>,
}

/// The parts.
pub(super) struct Assembly<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) settings: &'a Settings<'a>,
    pub(super) bases: &'a [Base<'a>],
    /// By stage, reached or not.
    pub(super) links: &'a [Vec<Linked<'a>>],
    /// The stages that are reached.
    pub(super) triggered: BTreeMap<usize, Triggered<'a>>,
    /// The target, its base, and so on to the root.
    pub(super) chain: Vec<usize>,
}

/// What is collected on the way.
#[derive(Default)]
struct Collected {
    found: Vec<Found>,
    links: Vec<Link>,
}

impl Assembly<'_> {
    /// Goes through the reached stages in file order.
    pub(super) fn resolved(
        self,
        frontend: Option<Found>,
        globals: Globals,
    ) -> Result<Resolved, SyntaxError> {
        let (target, root) = (self.chain[0], self.chain[self.chain.len() - 1]);
        let mut collected = Collected::default();
        collected.found.extend(frontend.map(|found| Found {
            stage: target,
            ..found
        }));
        let mut views = Vec::with_capacity(self.triggered.len());
        let mut effects = Effects::new(self.file, self.settings, &globals);
        for (&stage, triggered) in &self.triggered {
            let base = &self.bases[stage];
            let from = &self.file.stages[stage].from.image;
            let kind = if stage == root {
                Kind::Base
            } else {
                Kind::Stage
            };
            let from = self.site(stage, from, kind, &base.platform);
            let view = StageView {
                from: collected.source(&base.to, from),
                platform: base.platform.clone(),
                replaced: base.replaces_stage(),
                triggers: triggered.instructions.clone(),
            };
            effects.enter(stage, base);
            for (i, instruction) in triggered.instructions.iter().enumerate() {
                let place = self.place(stage, instruction, true);
                self.collect(&triggered.links[i], &place, Some(i), &mut collected)?;
                effects.apply(&place, instruction)?;
            }
            self.collect_own(stage, &view, &mut collected, &mut effects)?;
            views.push(view);
        }
        let stages: Vec<usize> = self.triggered.keys().copied().collect();
        let of_root = stages.iter().position(|stage| *stage == root);
        let base = match &views[of_root.expect("a target reaches its root")].from {
            Source::Found(found) => StageBase::External(*found),
            Source::Files(name) => StageBase::Files(name.clone()),
            Source::Scratch | Source::Stage(_) => StageBase::Scratch,
        };
        let mut effects = effects.finish();
        // One of each target is kept for as long as anything is.
        collected.found.shrink_to_fit();
        collected.links.shrink_to_fit();
        effects.inputs.shrink_to_fit();
        effects.input_spans.shrink_to_fit();
        effects.required.shrink_to_fit();
        effects.executes.shrink_to_fit();
        Ok(Resolved {
            target,
            stages,
            chain: self.chain,
            found: collected.found,
            inputs: effects.inputs,
            input_spans: effects.input_spans,
            required: effects.required,
            remote: effects.remote,
            executes: effects.executes,
            base,
            views,
            links: collected.links,
            globals: globals.scope,
            any_platform: !globals.platform_counts.get(),
            opaque: false,
        })
    }

    fn collect_own(
        &self,
        stage: usize,
        view: &StageView,
        collected: &mut Collected,
        effects: &mut Effects<'_>,
    ) -> Result<(), SyntaxError> {
        let whole = self.place_of_from(stage);
        self.collect(&self.links[stage], &whole, None, collected)?;
        if view.replaced {
            return Ok(());
        }
        for instruction in &self.file.stages[stage].instructions {
            effects.apply(&self.place(stage, instruction, false), instruction)?;
        }
        Ok(())
    }

    /// A trigger of an external base has no place in this file but the FROM that brings it.
    fn place(&self, stage: usize, instruction: &Instruction, is_trigger: bool) -> Place {
        if is_trigger && self.bases[stage].stage().is_none() {
            return Place {
                outside: true,
                ..self.place_of_from(stage)
            };
        }
        Place {
            stage,
            span: instruction.span.clone(),
            outside: false,
        }
    }

    fn place_of_from(&self, stage: usize) -> Place {
        Place {
            stage,
            span: self.file.stages[stage].from.image.span.clone(),
            outside: false,
        }
    }

    /// What the instructions at `place` refer to.
    fn collect(
        &self,
        links: &[Linked<'_>],
        place: &Place,
        trigger: Option<usize>,
        collected: &mut Collected,
    ) -> Result<(), SyntaxError> {
        for link in links {
            let mut written = link.written.clone();
            if place.outside {
                written.span = place.span.clone();
            }
            // A named context that stands for a later stage is there from the start.
            let is_late =
                |stage: &usize| *stage >= place.stage && !self.bases[*stage].replaces_stage();
            if let Some(later) = link.stage().filter(is_late) {
                let line = self.file.stages[later].from.line;
                let name = &written.value;
                let message =
                    format!("the stage `{name}` is used before it is defined (line {line})");
                return Err(SyntaxError::new(&self.file.text, written.span, message));
            }
            let kind = trigger.map_or(link.kind, |_| Kind::Onbuild);
            let site = self.site(place.stage, &written, kind, self.settings.platform);
            let source = collected.source(&link.to, site);
            collected.links.push(Link {
                stage: place.stage,
                trigger,
                span: link.written.span.clone(),
                source,
                by_index: link.by_index,
            });
        }
        Ok(())
    }

    fn site(
        &self,
        stage: usize,
        written: &Spanned<String>,
        kind: Kind,
        platform: &Platform,
    ) -> Site {
        Site {
            kind,
            written: written.clone(),
            line: self.file.line_number(written.span.start),
            platform: platform.clone(),
            stage,
        }
    }
}

/// A reference before it is known whether it leads out of the file.
struct Site {
    kind: Kind,
    written: Spanned<String>,
    line: usize,
    platform: Platform,
    stage: usize,
}

impl Collected {
    /// Records the reference at `site`, if it leads to an image.
    fn source(&mut self, to: &To<'_>, site: Site) -> Source {
        let (kind, source) = match to {
            To::Stage(stage) => return Source::Stage(*stage),
            To::Scratch | To::Context(_, NamedContext::Scratch) => return Source::Scratch,
            To::Context(name, NamedContext::Files) => return Source::Files((*name).to_owned()),
            To::Image(reference) => (site.kind, FoundSource::Reference(reference.clone())),
            To::Context(_, NamedContext::Image(reference)) => {
                (Kind::Context, FoundSource::Reference(reference.clone()))
            }
            To::Context(_, NamedContext::InRepo(name)) => {
                (Kind::Context, FoundSource::InRepo(name.clone()))
            }
        };
        self.found.push(Found {
            kind,
            written: site.written.value,
            source,
            platform: site.platform,
            line: site.line,
            span: site.written.span,
            stage: site.stage,
        });
        Source::Found(self.found.len() - 1)
    }
}
