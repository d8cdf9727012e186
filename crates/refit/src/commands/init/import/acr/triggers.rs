//! When a task runs: said elsewhere.

use super::{
    super::{model::Imported, yaml::Node},
    Task,
};

impl Task<'_> {
    pub(super) fn triggers(&self, imported: &mut Imported) {
        let Some(trigger) = self.node.filled("trigger") else {
            return;
        };
        let enabled = |node: &&Node| {
            node.text_at("status")
                .is_none_or(|status| !status.eq_ignore_ascii_case("disabled"))
        };
        for timer in trigger
            .get("timerTriggers")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter(enabled)
        {
            let schedule = timer.text_at("schedule").unwrap_or_default();
            let why = "when sweeps run is said where they are run: the schedule of the CI job that runs `refit sweep`";
            self.leave_out(imported, &format!("timer `{schedule}`"), why);
        }
        for source in trigger
            .get("sourceTriggers")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter(enabled)
        {
            let events: Vec<String> = source
                .get("sourceTriggerEvents")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(Node::text)
                .collect();
            let why = "a commit is released by the CI job that runs `refit build --push`";
            self.leave_out(
                imported,
                &format!("source trigger ({})", events.join(", ")),
                why,
            );
        }
    }
}
