//! A plan, and what became of it, for people.

use std::collections::{BTreeMap, HashMap, HashSet};

use refit_build::apply::{Done, Outcome, Published};
use refit_deps::{
    plan::{Action, Plan, Step},
    reason::{Reason, StateKind},
};
use refit_logs::RunId;
use refit_oci::{Digest, Reference};
use refit_platform::Target;

use super::Ran;
use crate::ui::{self, GOOD, Table, Ui, count};

/// A plan with more steps than this has scrolled by: its sum is told at its end.
const LONG: usize = 20;

/// Shows a plan that is asked for: it is the result.
pub(crate) fn show_plan(ui: &Ui, plan: &Plan) {
    ui.table(&mirrors(plan));
    ui.table(&steps(plan));
    ui.table(&moves(plan));
    remarks(ui, plan);
    if let (Some(last), true) = (plan.steps.last(), plan.steps.len() > LONG) {
        let (steps, waves) = (count(plan.steps.len(), "step"), count(last.wave, "wave"));
        let kept = count(plan.kept.len(), "target");
        ui.note(&format!("{steps} in {waves}; {kept} kept"));
    }
}

/// Says what is about to be done.
pub(crate) fn announce(ui: &Ui, plan: &Plan) {
    ui.note_table(&mirrors(plan));
    ui.note_table(&steps(plan));
    ui.note_table(&moves(plan));
    remarks(ui, plan);
}

/// What is built, and why.
fn steps(plan: &Plan) -> Table {
    let mut table = Table::new();
    let published = plan.publications.iter().filter(|p| !p.tags.is_empty());
    let published: HashSet<&str> = published.map(|p| p.image.as_str()).collect();
    let adopted = plan.states.iter().filter_map(|state| {
        let target = Target {
            image: state.image.clone(),
            platform: state.platform.clone()?,
        };
        Some((target, ui::adopted(&state.kind)?))
    });
    let adopted: HashMap<Target, String> = adopted.collect();
    for step in &plan.steps {
        let moves_tags = published.contains(step.target.image.as_str());
        let (action, mut why) = action(step, moves_tags);
        if let Some(mark) = adopted.get(&step.target) {
            why = format!("{why}  {mark}");
        }
        let wave = format!("wave {}", step.wave);
        table.row(
            vec![action.to_owned(), step.target.to_string(), wave, why],
            GOOD,
        );
    }
    table
}

fn action(step: &Step, moves_tags: bool) -> (&'static str, String) {
    let mut why: Vec<String> = step.reasons.iter().map(ui::reason).collect();
    match &step.action {
        Action::Rebuild => return ("rebuild", why.join("; ")),
        Action::Rebase(_) => return ("rebase", why.join("; ")),
        Action::Publish { .. } => {}
    }
    if step.reasons == [Reason::NeverBuilt] {
        why.clear();
    }
    why.push("it is built already".to_owned());
    let word = if moves_tags { "publish" } else { "keep" };
    (word, why.join("; "))
}

/// Which bases are in the mirror before.
fn mirrors(plan: &Plan) -> Table {
    let mut table = Table::new();
    for copy in &plan.mirrors {
        let base = format!("{} {}", copy.from.familiar(), copy.manifest.short());
        let cells = ["mirror".to_owned(), base, format!("→ {}", copy.to)];
        table.row(cells.to_vec(), GOOD);
    }
    table
}

/// Which tags move then.
fn moves(plan: &Plan) -> Table {
    let mut table = Table::new();
    for publication in plan.publications.iter().filter(|p| !p.tags.is_empty()) {
        let tags: Vec<String> = publication.tags.iter().map(Reference::familiar).collect();
        let kept: Vec<String> = publication.kept.keys().map(ToString::to_string).collect();
        let kept = if kept.is_empty() {
            String::new()
        } else {
            format!("{} kept", kept.join(", "))
        };
        let cells = ["move", &publication.image, &tags.join(", "), &kept];
        table.row(cells.map(str::to_owned).to_vec(), GOOD);
    }
    table
}

/// What else a person should know of a plan.
fn remarks(ui: &Ui, plan: &Plan) {
    for publication in &plan.publications {
        if let (Some(over), Some(expects)) = (&publication.over, &publication.expects) {
            let what = match over {
                StateKind::Foreign { .. } => "refit did not publish",
                _ => "was put there since",
            };
            ui.warning(&format!(
                "{}: this writes over {}, which {what}",
                publication.image,
                expects.short()
            ));
        }
    }
    ui::states(ui, &plan.states);
    if !ui.is_verbose() {
        return;
    }
    for step in &plan.steps {
        if let Some(why) = &step.in_the_way {
            ui.note(&format!("{}: no rebase: {why}", step.target));
        }
    }
    let mut facts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fact in &plan.unaffected {
        let targets = facts.entry(ui::unaffected(fact)).or_default();
        targets.push(fact.target.to_string());
    }
    for (fact, targets) in facts {
        ui.note(&format!("{}: kept: {fact}", ui::sentence_list(&targets)));
    }
}

/// Tells a person what became of a run: its images as results, everything else beside them.
pub(crate) fn show_applied(ui: &Ui, ran: &Ran) {
    show_published(ui, ran);
    ui.note(&summary(ran.id, &ran.applied.done));
}

/// Tells what became of tags.
pub(crate) fn show_published(ui: &Ui, ran: &Ran) {
    let mut table = Table::new();
    for published in &ran.applied.published {
        if let Some(cells) = result(published) {
            table.row(cells, GOOD);
        }
    }
    ui.table(&table);
    for published in &ran.applied.published {
        complain(ui, published);
    }
}

/// The image, and where it is: its tags and what they hold, else the reference by digest that alone leads to it.
fn result(published: &Published) -> Option<Vec<String>> {
    let reference = published.reference.as_ref()?;
    if published.failed.is_some() || stays(published) {
        return None;
    }
    let moved = published.tags.iter().filter(|(_, moved)| moved.is_ok());
    let moved: Vec<String> = moved.map(|(tag, _)| tag.familiar()).collect();
    let image = published.image.clone();
    if moved.is_empty() {
        return Some(vec![image, reference.to_string(), String::new()]);
    }
    let now = reference.digest().map(Digest::short).unwrap_or_default();
    let change = match &published.previous {
        Some(previous) => format!("{} → {now}", previous.short()),
        None => now.to_owned(),
    };
    Some(vec![image, moved.join(", "), change])
}

/// Whether everything came to what is published already.
fn stays(published: &Published) -> bool {
    let digest = published.reference.as_ref().and_then(Reference::digest);
    published.failed.is_none()
        && published.previous.is_some()
        && digest == published.previous.as_ref()
}

fn complain(ui: &Ui, published: &Published) {
    let image = &published.image;
    if let Some(why) = &published.failed {
        ui.error(&format!("{image}: {why}"));
        return;
    }
    if stays(published) {
        ui.note(&format!("{image}: what is published stays"));
        return;
    }
    for (tag, moved) in &published.tags {
        if let Err(why) = moved {
            ui.warning(&format!("{image}: {} did not move: {why}", tag.familiar()));
        }
    }
}

/// `run 01J…: 3 targets built, 2 taken as built before`, and where the output is if there is any.
fn summary(id: RunId, done: &[Done]) -> String {
    let counted = [
        ("built", count_of(done, |o| matches!(o, Outcome::Built(_)))),
        (
            "rebased",
            count_of(done, |o| matches!(o, Outcome::Rebased(_))),
        ),
        (
            "taken as built before",
            count_of(done, |o| matches!(o, Outcome::Staged(_))),
        ),
        ("kept", count_of(done, |o| matches!(o, Outcome::Kept(_)))),
        (
            "failed",
            count_of(done, |o| matches!(o, Outcome::Failed(_))),
        ),
        (
            "skipped",
            count_of(done, |o| matches!(o, Outcome::Skipped(_))),
        ),
    ];
    let mut parts = Vec::new();
    for (what, n) in counted.into_iter().filter(|(_, n)| *n > 0) {
        parts.push(if parts.is_empty() {
            format!("{} {what}", count(n, "target"))
        } else {
            format!("{n} {what}")
        });
    }
    let output = if done.iter().any(|done| done.log.is_some()) {
        "; see `refit logs`"
    } else {
        ""
    };
    format!("run {id}: {}{output}", parts.join(", "))
}

fn count_of(done: &[Done], is_meant: impl Fn(&Outcome) -> bool) -> usize {
    done.iter().filter(|done| is_meant(&done.outcome)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use refit_build::apply::Failed;

    fn said(outcomes: &[Outcome]) -> String {
        let done: Vec<Done> = outcomes
            .iter()
            .map(|outcome| Done {
                target: "web@linux/amd64".parse().unwrap(),
                outcome: outcome.clone(),
                log: matches!(outcome, Outcome::Built(_)).then(|| Digest::sha256(b"log")),
                node: None,
            })
            .collect();
        let id = RunId::new(Timestamp::UNIX_EPOCH, [0; 10]);
        let text = summary(id, &done);
        text.strip_prefix(&format!("run {id}: "))
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_run_says_what_was_built_and_what_was_not() {
        let manifest = Digest::sha256(b"m");
        let (built, staged) = (
            Outcome::Built(manifest.clone()),
            Outcome::Staged(manifest.clone()),
        );
        let failed = Outcome::Failed(Failed {
            message: "RUN".to_owned(),
            excerpt: None,
            hint: None,
        });
        let skipped = Outcome::Skipped("its parent failed".to_owned());
        for (outcomes, expect) in [
            (vec![built.clone()], "1 target built; see `refit logs`"),
            (
                vec![staged.clone(), staged.clone()],
                "2 targets taken as built before",
            ),
            (
                vec![
                    built,
                    staged,
                    Outcome::Kept(manifest),
                    failed.clone(),
                    skipped.clone(),
                ],
                "1 target built, 1 taken as built before, 1 kept, 1 failed, 1 skipped; see `refit logs`",
            ),
            (vec![failed, skipped], "1 target failed, 1 skipped"),
        ] {
            assert_eq!(said(&outcomes), expect);
        }
    }
}
