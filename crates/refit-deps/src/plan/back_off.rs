//! What failed a short while ago, on the same bases and from the same source, is not tried in every sweep.

use super::{Action, Step, evaluate::Evaluator, sweep::known};
use crate::{reason::StateKind, record::FailureClass};

impl Step {
    /// The staging tag under which its result lies; none while a parent's result is unknown.
    pub fn staging_tag(&self) -> Option<String> {
        let pins = known(&self.pins)?;
        Some(self.key(&pins).tag())
    }
}

impl Evaluator<'_> {
    /// The state of a step that is not tried yet.
    pub(super) fn backing_off(&self, step: &Step) -> Option<StateKind> {
        if !self.scope.backs_off {
            return None;
        }
        let ground = self.lookup.ground;
        let failure = ground.records.failure(&step.staging_tag()?)?;
        // What lies under its staging tag was built, and only its test can have failed.
        let was_built = matches!(step.action, Action::Publish { .. });
        if was_built && failure.class != FailureClass::Test.as_str() {
            return None;
        }
        let until = failure.until().filter(|until| *until > ground.now)?;
        Some(StateKind::BackingOff {
            class: failure.class.clone(),
            count: failure.count,
            until,
        })
    }
}
