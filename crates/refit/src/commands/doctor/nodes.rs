//! What there is to say about `[[node]]`s: whether each answers, what it is, and what none of them executes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use refit_deps::key::EngineKind;
use refit_oci::Platform;
use refit_platform::{Placement, runs_on, satisfies};

use super::Check;
use crate::{
    environment::Environment,
    nodes::{self, Connected, NodeSettings},
    ui::{count, sentence_list},
    user_config::EngineSettings,
};

const NAME: &str = "node";

/// The nodes, looked at.
pub(super) struct Nodes {
    kinds: BTreeSet<EngineKind>,
    pub(super) checks: Vec<Check>,
}

impl Nodes {
    /// Whether it is they who execute for a kind of engine.
    pub(super) fn stand_for(&self, kind: EngineKind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Every node, and what of `platforms` none can execute.
pub(super) async fn checks(
    environment: &Environment,
    user: &EngineSettings,
    platforms: &[Platform],
) -> Nodes {
    let connecting = user.nodes.iter().map(|node| async move {
        match nodes::left_aside(node.kind(), environment) {
            Some(variable) => (node, Err(variable)),
            None => (node, Ok(node.connect(environment).await)),
        }
    });
    let mut found = Nodes {
        kinds: BTreeSet::new(),
        checks: Vec::new(),
    };
    let mut connected = Vec::new();
    for (node, answer) in join_all(connecting).await {
        found.checks.push(check(node, answer.as_ref()));
        if let Ok(answer) = answer {
            found.kinds.insert(node.kind());
            connected.extend(answer.ok().map(|engine| (node, engine)));
        }
    }
    if !found.kinds.is_empty() {
        found.checks.extend(unexecuted(&connected, platforms));
    }
    found
}

fn check(node: &NodeSettings, answer: Result<&Result<Connected, String>, &&'static str>) -> Check {
    let NodeSettings { name, endpoint, .. } = node;
    match answer {
        Err(variable) => Check::missing(
            NAME,
            format!("`{name}` is left aside, as {variable} counts more"),
            format!("run `unset {variable}`"),
        ),
        Ok(Ok(engine)) => Check::ok(NAME, described(node, engine)),
        Ok(Err(why)) => Check::wrong(
            NAME,
            format!("`{name}` at {endpoint} is not used: {why}"),
            Some(
                "mend its `[[node]]` in the user's configuration, or start the engine there"
                    .to_owned(),
            ),
        ),
    }
}

/// `arm: Docker Engine 26.1.5 at ssh://arm.corp, linux/arm64, emulates linux/amd64; 2 slots`
fn described(node: &NodeSettings, engine: &Connected) -> String {
    let NodeSettings { name, endpoint, .. } = node;
    let (what, native) = (&engine.what, &engine.native);
    let list = |platforms: &[Platform]| {
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        sentence_list(&platforms)
    };
    let emulated = match engine.emulated.as_slice() {
        [] => String::new(),
        emulated => format!(", emulates {}", list(emulated)),
    };
    let only = match node.platforms.as_slice() {
        [] => String::new(),
        only => format!("; only for {}", list(only)),
    };
    let slots = count(node.slots(), "slot");
    format!("`{name}`: {what} at {endpoint}, {native}{emulated}{only}; {slots}")
}

/// Platforms for which no node executes anything.
fn unexecuted(connected: &[(&NodeSettings, Connected)], platforms: &[Platform]) -> Option<Check> {
    let executes = |platform: &&Platform| {
        connected.iter().any(|(node, engine)| {
            let listed = &node.platforms;
            (listed.is_empty() || listed.iter().any(|listed| satisfies(platform, listed)))
                && runs_on(platform, &engine.native, &engine.emulated) != Placement::No
        })
    };
    let missing: BTreeSet<&Platform> = platforms.iter().filter(|p| !executes(p)).collect();
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| {
        Check::missing(
            "nodes",
            format!("no node executes RUN for {}", sentence_list(&missing)),
            "add a `[[node]]` for it to the user's configuration (`refit config --help`)",
        )
    })
}
