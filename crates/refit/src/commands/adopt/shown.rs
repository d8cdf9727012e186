//! What is known of images that other tools published, for people and as JSON.

use std::collections::BTreeSet;

use refit_deps::{
    adopt::{AdoptPlan, AdoptedManifest, Adoption, Explained},
    observe::Line,
    pin::Pin,
    plan::state_json,
};
use refit_logs::RunId;
use refit_oci::{Platform, Reference};
use refit_registry::Requests;
use serde_json::{Value, json};

use crate::ui::{self, GOOD, Table, Ui, count};

/// One line for the platforms of an image that were built alike.
pub(super) fn print(ui: &Ui, plan: &AdoptPlan, dry_run: bool) {
    let mut table = Table::new();
    for adoption in &plan.adoptions {
        for (platforms, explained) in alike(adoption) {
            let lead = adoption.tags.first().map(Reference::familiar);
            let cells = vec![
                "adopt".to_owned(),
                adoption.image.clone(),
                ui::platforms(platforms, &all(adoption)),
                format!("{}@{}", lead.unwrap_or_default(), adoption.index.short()),
                explained.how.as_str().to_owned(),
                adoption.commit.short().to_owned(),
                built_on(explained),
            ];
            table.row(cells, GOOD);
        }
    }
    ui.table(&table);
    ui::states(ui, &plan.states);
    let n = plan.adoptions.len();
    match (n, plan.known.len()) {
        (0, 0) => ui.note("there is nothing to adopt"),
        (0, known) => ui.note(&format!(
            "there is nothing to adopt: {} {} known already",
            count(known, "image"),
            if known == 1 { "is" } else { "are" }
        )),
        (n, _) => {
            ui.note(&super::adopted(n, dry_run));
            ui.hint(if dry_run {
                "run `refit adopt` to record that"
            } else {
                "run `refit sweep --dry-run` to see what is stale"
            });
        }
    }
}

fn all(adoption: &Adoption) -> Vec<Platform> {
    let explained = adoption.platforms.iter();
    let explained = explained.filter(|(_, adopted)| adopted.explained.is_some());
    explained.map(|(platform, _)| platform.clone()).collect()
}

/// The platforms that the same is known of.
fn alike(adoption: &Adoption) -> Vec<(BTreeSet<&Platform>, &Explained)> {
    let mut groups: Vec<(BTreeSet<&Platform>, &Explained)> = Vec::new();
    for (platform, adopted) in &adoption.platforms {
        let Some((_, explained)) = &adopted.explained else {
            continue;
        };
        let same = |known: &Explained| {
            known.how == explained.how && built_on(known) == built_on(explained)
        };
        match groups.iter_mut().find(|(_, known)| same(known)) {
            Some((platforms, _)) => _ = platforms.insert(platform),
            None => groups.push((BTreeSet::from([platform]), explained)),
        }
    }
    groups
}

/// `debian:12-slim 1f3c09aa71c2, node:20 9ab0d4417e55 assumed, alpine:3 unknown`.
fn built_on(explained: &Explained) -> String {
    let pin = |pin: &Pin| {
        let digest = pin.index.as_ref().or(pin.manifest.as_ref());
        let digest = digest.map(|digest| digest.short().to_owned());
        format!(
            "{} {}",
            ui::reference(&pin.reference),
            digest.unwrap_or_default()
        )
    };
    let proven = explained.pins.iter().map(pin);
    let assumed = explained.assumed.iter();
    let assumed = assumed.map(|assumed| format!("{} assumed", pin(assumed)));
    let unknown = explained.unknown.iter();
    let unknown = unknown.map(|reference| format!("{} unknown", ui::reference(reference)));
    // What one image is used for twice is one line's worth.
    let mut all: Vec<String> = Vec::new();
    for said in proven.chain(assumed).chain(unknown) {
        if !all.contains(&said) {
            all.push(said);
        }
    }
    if all.is_empty() {
        return "scratch".to_owned();
    }
    all.join(", ")
}

/// The document of one line.
pub(super) fn json(
    plan: &AdoptPlan,
    line: &Line,
    (run, requests): (Option<RunId>, Requests),
) -> Value {
    let adoptions: Vec<Value> = plan
        .adoptions
        .iter()
        .map(|adoption| adoption_json(adoption, line))
        .collect();
    json!({
        "format_version": 1,
        "run": run.map(|run| run.to_string()),
        "adoptions": adoptions,
        "known": plan.known,
        "states": plan.states.iter().map(state_json).collect::<Vec<_>>(),
        "requests": { "head": requests.head, "get": requests.get },
    })
}

fn adoption_json(adoption: &Adoption, line: &Line) -> Value {
    let platforms = adoption.platforms.iter();
    let platforms: Vec<Value> = platforms
        .map(|(platform, adopted)| platform_json(platform, adopted))
        .collect();
    let lead = adoption.tags.first().map(Reference::repository);
    json!({
        "image": adoption.image,
        "reference": lead.map(|repository| repository.at(&adoption.index)),
        "tags": adoption.tags,
        "line": line.name,
        "commit": adoption.commit,
        "recipe": adoption.recipe,
        "after": adoption.after,
        "platforms": platforms,
    })
}

fn platform_json(platform: &Platform, adopted: &AdoptedManifest) -> Value {
    let explained = adopted.explained.as_ref();
    json!({
        "platform": platform,
        "manifest": adopted.manifest,
        "source": explained.map(|(source, _)| source),
        "how": explained.map(|(_, explained)| explained.how),
        "pins": explained.map(|(_, explained)| &explained.pins),
        "assumed": explained.map(|(_, explained)| &explained.assumed),
        "unknown": explained.map(|(_, explained)| &explained.unknown),
    })
}

/// One document for all lines. Requests are counted from the first line on, so the last one's are all of them.
pub(super) fn merged(documents: Vec<Value>) -> Value {
    let mut documents = documents.into_iter();
    let Some(mut merged) = documents.next() else {
        return json!({ "format_version": 1 });
    };
    for document in documents {
        for key in ["adoptions", "known", "states"] {
            if let (Some(Value::Array(all)), Some(Value::Array(more))) =
                (merged.get_mut(key), document.get(key))
            {
                all.extend(more.iter().cloned());
            }
        }
        merged["requests"] = document["requests"].clone();
        if merged["run"].is_null() {
            merged["run"] = document["run"].clone();
        }
    }
    merged
}
