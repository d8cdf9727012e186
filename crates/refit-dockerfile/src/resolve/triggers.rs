//! ONBUILD: which instructions a stage executes first.

use std::{cell::Cell, collections::BTreeMap};

use super::stages::Base;
use crate::{
    SyntaxError,
    model::{Dockerfile, Instruction, Trigger},
    parse::parse_trigger,
};

/// How many triggers, and how many bytes of them.
#[derive(Clone, Copy, Default)]
struct Amount {
    number: usize,
    bytes: usize,
}

/// What the config of one base may make a stage execute. An image has 127 layers at most; the config is somebody else's,
/// and every image on it would be charged with it.
const OF_A_BASE: Amount = Amount {
    number: 256,
    bytes: 256 << 10,
};

/// What all reached stages may execute: the triggers of one stage are executed by each that starts from it, which is the
/// square of the file.
const OF_A_FILE: Amount = Amount {
    number: 10_000,
    bytes: 16 << 20,
};

/// The triggers of stages and of external bases' configs.
pub(super) struct Triggers<'a> {
    file: &'a Dockerfile,
    bases: &'a [Base<'a>],
    /// By the index of the stage whose FROM names the base.
    external: &'a BTreeMap<usize, Vec<String>>,
    /// What was given out so far.
    spent: Cell<Amount>,
}

impl<'a> Triggers<'a> {
    pub(super) fn new(
        file: &'a Dockerfile,
        bases: &'a [Base<'a>],
        external: &'a BTreeMap<usize, Vec<String>>,
    ) -> Self {
        Self {
            file,
            bases,
            external,
            spent: Cell::default(),
        }
    }

    /// What a stage executes before its own instructions.
    pub(super) fn of(&self, stage: usize) -> Result<Vec<Instruction>, SyntaxError> {
        let base = &self.bases[stage];
        if let Some(parent) = base.stage() {
            // What a replaced stage would have left to its children is dead with it.
            let instructions = self.file.stages[parent].instructions.iter();
            let live = instructions.filter(|_| !self.bases[parent].replaces_stage());
            let triggers: Vec<&Trigger> = live.filter_map(Instruction::trigger).collect();
            self.spend(stage, triggers.iter().map(|trigger| &trigger.expression))?;
            let triggers = triggers.into_iter();
            return triggers
                .map(|trigger| trigger.instruction.clone())
                .collect();
        }
        let expressions = self.external.get(&stage).map_or(&[][..], Vec::as_slice);
        if !base.is_external() || base.replaces_stage() {
            return Ok(Vec::new());
        }
        let amount = Amount::of(expressions);
        if let Some(too_much) = amount.beyond(OF_A_BASE) {
            let message = format!("this base's config has {too_much}");
            let hint = "start from a base whose config has fewer";
            return Err(self.at_from(stage, message).hint(hint));
        }
        self.spend(stage, expressions)?;
        let parsed = expressions
            .iter()
            .map(|text| parse_trigger(text).map_err(|e| self.at(stage, e)));
        parsed.collect()
    }

    /// An error in a trigger of an external base, told of the `FROM` that brings it: its own text is elsewhere.
    pub(super) fn at(&self, stage: usize, error: SyntaxError) -> SyntaxError {
        if self.bases[stage].stage().is_some() {
            return error;
        }
        let message = format!("an ONBUILD trigger of this base: {}", error.message);
        SyntaxError {
            hint: error.hint,
            ..self.at_from(stage, message)
        }
    }

    fn at_from(&self, stage: usize, message: String) -> SyntaxError {
        let span = self.file.stages[stage].from.image.span.clone();
        SyntaxError::new(&self.file.text, span, message)
    }

    fn spend<'t>(
        &self,
        stage: usize,
        triggers: impl IntoIterator<Item = &'t String>,
    ) -> Result<(), SyntaxError> {
        let (so_far, more) = (self.spent.get(), Amount::of(triggers));
        let all = Amount {
            number: so_far.number.saturating_add(more.number),
            bytes: so_far.bytes.saturating_add(more.bytes),
        };
        self.spent.set(all);
        let Some(too_much) = all.beyond(OF_A_FILE) else {
            return Ok(());
        };
        let message = format!("up to this stage the target executes {too_much}");
        Err(self.at_from(stage, message))
    }
}

impl Amount {
    fn of<'t>(triggers: impl IntoIterator<Item = &'t String>) -> Self {
        let each = triggers.into_iter();
        each.fold(Self::default(), |so_far, trigger| Self {
            number: so_far.number + 1,
            bytes: so_far.bytes.saturating_add(trigger.len()),
        })
    }

    /// What is too much, as the object of a sentence.
    fn beyond(self, limit: Self) -> Option<String> {
        if self.number > limit.number {
            let (number, limit) = (self.number, limit.number);
            return Some(format!(
                "{number} ONBUILD triggers, and {limit} are the limit"
            ));
        }
        let (kib, limit) = (self.bytes.div_ceil(1 << 10), limit.bytes >> 10);
        (kib > limit)
            .then(|| format!("{kib} KiB of ONBUILD triggers, and {limit} KiB are the limit"))
    }
}
