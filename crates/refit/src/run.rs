//! A run: a plan shown, applied, recorded, and told of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use refit_build::{
    apply::{self, Applied, Done, Engines, Failed, Outcome, Published, Site},
    docker::{Address, AddressError, DockerEngine},
    engine::Engine,
    native::NativeEngine,
};
use refit_deps::{
    key::EngineKind,
    plan::{Action, Plan, PlanView, Step},
    reason::{Reason, State, StateKind},
    record::Record,
    sentence::{self, BaseMove},
};
use refit_git::notes::Batch;
use refit_logs::{RunId, RunKind, RunSettings, Secrets};
use refit_oci::Reference;
use refit_platform::Target;
use refit_registry::Requests;
use serde_json::{Value, json};

use crate::{
    commands::App,
    error::{CommandError, Exit},
    observe::Observer,
    ui::{GOOD, Table, Ui, count, sentence_list},
    workshop::{LineWorkshop, Watch},
};

/// How many targets are built at the same time on this machine.
const SLOTS: usize = 2;

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) id: RunId,
    pub(crate) applied: Applied,
}

/// Applies a plan as one run: logs kept, records written after every wave, a sentence for people at the end.
pub(crate) async fn apply(
    app: &App,
    observer: &Observer<'_>,
    plan: &Plan,
    kind: RunKind,
    remote: Option<String>,
) -> Result<Ran, CommandError> {
    let engines = engines(app, plan).await?;
    let project = observer.project;
    let id = RunId::new(Timestamp::now(), randomness());
    let scratch = tempfile::Builder::new().prefix("refit-").tempdir();
    let scratch = scratch.map_err(|e| CommandError::new(format!("cannot make a temporary folder: {e}")))?;
    let settings = RunSettings { clock: Timestamp::now, secrets: Secrets::default() };
    let run = project.archive().start(id, kind, settings)?;
    let watch = TerminalWatch { ui: &app.ui };
    let workshop = LineWorkshop {
        observer,
        watch: &watch,
        message: format!("refit: {} {id}", kind.as_str()),
        remote,
        kept: Mutex::default(),
    };
    let site = Site {
        registries: &observer.registries,
        engines: &engines,
        workshop: &workshop,
        run: &run,
        clock: Timestamp::now,
        scratch: scratch.path().to_owned(),
        slots: SLOTS,
    };
    let applied = match apply::apply(plan, &site).await {
        Ok(applied) => applied,
        Err(failed) => {
            run.finish(refit_logs::Outcome::Failed)?;
            return Err(command_error(&failed));
        }
    };
    let outcome = if applied.failed() { refit_logs::Outcome::Failed } else { refit_logs::Outcome::Succeeded };
    run.finish(outcome)?;
    if let Some(commit) = &observer.line.commit {
        let kept = workshop.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(text) = sentence_of(plan, &applied, kind, id, &kept) {
            let sentences = BTreeMap::from([(commit.clone(), vec![text])]);
            let message = format!("refit: {} {id}", kind.as_str());
            workshop.append(&Batch { records: BTreeMap::new(), sentences, message })?;
        }
    }
    Ok(Ran { id, applied })
}

fn randomness() -> [u8; 10] {
    let bytes = ulid::Ulid::new().to_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&bytes[6..]);
    random
}

fn command_error(failed: &Failed) -> CommandError {
    let error = CommandError::new(&failed.message);
    match &failed.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The engines that the plan's rebuilds name. One that is missing fails what needs it; where nothing else is to be
/// done, that is said before a run begins.
async fn engines(app: &App, plan: &Plan) -> Result<Engines, CommandError> {
    let needed: BTreeSet<Option<EngineKind>> =
        plan.steps.iter().map(|step| (step.action == Action::Rebuild).then_some(step.engine)).collect();
    let mut engines = Engines::default();
    for kind in needed.iter().flatten().copied() {
        engines = match connect(app, kind).await {
            Ok(engine) => engines.with(kind, engine),
            Err(error) if needed.len() == 1 => return Err(error),
            Err(error) => {
                let hint = error.hints.into_iter().next();
                engines.without(kind, Failed { message: error.message, excerpt: None, hint })
            }
        };
    }
    Ok(engines)
}

async fn connect(app: &App, kind: EngineKind) -> Result<Arc<dyn Engine>, CommandError> {
    if kind == EngineKind::Native {
        return Ok(Arc::new(NativeEngine::new()));
    }
    let address = app.environment.docker_host.as_deref().unwrap_or_default().parse();
    let address: Address =
        address.map_err(|error: AddressError| CommandError::because(&error).hint("mend DOCKER_HOST"))?;
    let connected = DockerEngine::connect(&address).await.map_err(|error| {
        CommandError::because(&error)
            .hint("start Docker Engine, or set DOCKER_HOST")
            .hint("`refit doctor` says what is there; Dockerfiles without RUN need no engine")
    })?;
    Ok(Arc::new(connected))
}

/// Writes builds and outcomes to the terminal.
struct TerminalWatch<'a> {
    ui: &'a Ui,
}

impl Watch for TerminalWatch<'_> {
    fn line(&self, target: &Target, line: &str) {
        self.ui.note(&format!("{target} | {line}"));
    }

    fn done(&self, done: &Done) {
        let target = &done.target;
        match &done.outcome {
            Outcome::Built(manifest) => self.ui.note(&format!("{target}: built {}", manifest.short())),
            Outcome::Staged(manifest) => {
                self.ui.note(&format!("{target}: built before, {} is taken", manifest.short()));
            }
            Outcome::Kept(manifest) => self.ui.note(&format!("{target}: unchanged, {} is kept", manifest.short())),
            Outcome::Skipped(why) => self.ui.warning(&format!("{target}: skipped, {why}")),
            Outcome::Failed(failed) => {
                self.ui.error(&format!("{target}: {}", failed.message));
                for line in failed.excerpt.iter().flat_map(|e| e.lines()) {
                    self.ui.note(&format!("  {line}"));
                }
                if let Some(hint) = &failed.hint {
                    self.ui.hint(hint);
                }
                if done.log.is_some() {
                    self.ui.hint(&format!("`refit logs {}` shows its output", target.image));
                }
            }
        }
    }

    fn warn(&self, message: &str) {
        self.ui.warning(message);
    }
}

/// The run's line in `git log --notes=refit`; none if nothing was published.
fn sentence_of(plan: &Plan, applied: &Applied, kind: RunKind, id: RunId, kept: &[Record]) -> Option<String> {
    let published: BTreeSet<String> = kept
        .iter()
        .filter_map(|record| match record {
            Record::Publish(publish) => Some(publish.image.clone()),
            _ => None,
        })
        .collect();
    if published.is_empty() {
        return None;
    }
    let mut moves: BTreeSet<BaseMove> = BTreeSet::new();
    for reason in plan.steps.iter().flat_map(|step| &step.reasons) {
        if let Reason::BaseChanged { reference, from, to, .. } = reason {
            moves.insert(BaseMove { reference: reference.clone(), from: from.clone(), to: to.clone() });
        }
    }
    let kept_targets = plan.kept.len() + applied.done.iter().filter(|d| matches!(d.outcome, Outcome::Kept(_))).count();
    let moves: Vec<BaseMove> = moves.into_iter().collect();
    let date = Timestamp::now().strftime("%Y-%m-%d").to_string();
    Some(sentence::run(&date, kind.as_str(), &id.to_string(), &published, kept_targets, &moves))
}

/// Shows a plan to a person: what is built and why, then which tags move.
pub(crate) fn show_plan(ui: &Ui, plan: &Plan) {
    let mut steps = Table::new();
    for step in &plan.steps {
        let mut why: Vec<String> = step.reasons.iter().map(reason).collect();
        let action = match step.action {
            Action::Rebuild => "rebuild",
            Action::Publish { .. } => {
                if step.reasons == [Reason::NeverBuilt] {
                    why.clear();
                }
                why.push("it is built already".to_owned());
                "publish"
            }
        };
        let wave = format!("wave {}", step.wave);
        steps.row(vec![action.to_owned(), step.target.to_string(), wave, why.join("; ")], GOOD);
    }
    ui.data(&steps.render());
    let mut moves = Table::new();
    for publication in plan.publications.iter().filter(|p| !p.tags.is_empty()) {
        let tags: Vec<String> = publication.tags.iter().map(Reference::familiar).collect();
        let kept: Vec<String> = publication.kept.keys().map(ToString::to_string).collect();
        let kept = if kept.is_empty() { String::new() } else { format!("{} kept", kept.join(", ")) };
        moves.row(vec!["move".to_owned(), publication.image.clone(), tags.join(", "), kept], GOOD);
    }
    ui.data(&moves.render());
    for publication in &plan.publications {
        if let (Some(over), Some(expects)) = (&publication.over, &publication.expects) {
            let what = if matches!(over, StateKind::Foreign { .. }) { "refit did not publish" } else { "was put there since" };
            ui.warning(&format!("{}: this writes over {}, which {what}", publication.image, expects.short()));
        }
    }
    states(ui, &plan.states);
    for problem in &plan.problems {
        ui.problem(problem);
    }
}

/// A reason in words.
pub(crate) fn reason(reason: &Reason) -> String {
    match reason {
        Reason::BaseChanged { reference, from: Some(from), to, .. } => {
            format!("{} {} → {}", reference.familiar(), from.short(), to.short())
        }
        Reason::BaseChanged { reference, from: None, to, .. } => {
            format!("{} {} is new to it", reference.familiar(), to.short())
        }
        Reason::ParentRebuilt { parent } => format!("its parent {} is rebuilt", parent.image),
        Reason::PlatformAdded => "the platform is not published yet".to_owned(),
        Reason::Forced => "forced".to_owned(),
        Reason::NeverBuilt => "there is no build of it yet".to_owned(),
        Reason::SourceChanged => "its Dockerfile changed".to_owned(),
        Reason::ConfigChanged => "its configuration changed".to_owned(),
        Reason::ContextChanged => "files of its context changed".to_owned(),
    }
}

/// The states that a person should act on, as warnings with a way out; equal ones in one line.
pub(crate) fn states(ui: &Ui, states: &[State]) {
    let mut groups: Vec<(&StateKind, Vec<String>)> = Vec::new();
    for state in states {
        let of = match &state.platform {
            Some(platform) => format!("{}@{platform}", state.image),
            None => state.image.clone(),
        };
        match groups.iter_mut().find(|(kind, _)| **kind == state.kind) {
            Some((_, names)) => names.push(of),
            None => groups.push((&state.kind, vec![of])),
        }
    }
    for (kind, names) in groups {
        let (message, hint) = state_words(kind);
        let word = kind.word();
        if matches!(kind, StateKind::Unpublished | StateKind::NoMovingTag) {
            ui.note(&format!("{word}: {}: {message}", sentence_list(&names)));
        } else {
            ui.warning(&format!("{}: {word}: {message}", sentence_list(&names)));
        }
        if let Some(hint) = hint {
            let image = names[0].split('@').next().unwrap_or_default();
            ui.hint(&hint.replace("IMAGE", if names.len() == 1 { image } else { "IMAGE" }));
        }
    }
}

/// The exit code for what a run could not even try. A sweep reports what others decided and is fine; a build was
/// asked for its images.
pub(crate) fn exit_of_states(states: &[State], asked: bool) -> Exit {
    let of = |state: &State| match state.kind {
        StateKind::Unreachable { .. } => Exit::CannotDo,
        StateKind::Broken { .. } | StateKind::MissingTag { .. } | StateKind::MissingPlatform { .. } => Exit::Partial,
        StateKind::Foreign { .. }
        | StateKind::MovedElsewhere { .. }
        | StateKind::NewerIsPublished { .. }
        | StateKind::ReleaseSourceGone { .. }
        | StateKind::ReleaseSourceUnknown
            if asked =>
        {
            Exit::Partial
        }
        _ => Exit::Fine,
    };
    states.iter().map(of).max_by_key(|exit| exit.code()).unwrap_or(Exit::Fine)
}

/// The worse of two exit codes.
pub(crate) fn worse(a: Exit, b: Exit) -> Exit {
    if a.code() >= b.code() { a } else { b }
}

/// A state in words, and what helps.
pub(crate) fn state_words(kind: &StateKind) -> (String, Option<&'static str>) {
    match kind {
        StateKind::Foreign { tag, digest } => (
            format!("{} holds {}, which refit did not publish", tag.familiar(), digest.short()),
            Some("`refit build IMAGE --push --take-over` writes over it"),
        ),
        StateKind::MovedElsewhere { tag, digest, published } => {
            let was = published.as_ref().map_or_else(String::new, |p| format!(", and {} was published last", p.short()));
            let message = format!("{} holds {}{was}; it is left alone", tag.familiar(), digest.short());
            (message, Some("`refit build IMAGE --push --take-over` moves on from it"))
        }
        StateKind::Held { reason } => (reason.clone(), None),
        StateKind::Pinned { reference, pinned, current } => (
            format!("{} is {} now, and the pin is {}", reference.familiar(), current.short(), pinned.short()),
            Some("change the digest in the Dockerfile, or set `pinned = \"follow\"`"),
        ),
        StateKind::NoMovingTag => ("it has no moving tag, so it is built by name only".to_owned(), None),
        StateKind::MissingTag { tag } => (format!("{} is not there", tag.familiar()), None),
        StateKind::MissingPlatform { reference, platform } => {
            (format!("{} does not offer {platform}", reference.familiar()), None)
        }
        StateKind::Unreachable { reference, message } => {
            (format!("{}: {message}", reference.familiar()), Some("`refit doctor` says what is missing"))
        }
        StateKind::ReleaseSourceGone { message } => {
            (message.clone(), Some("`refit build IMAGE --push` releases what is there now"))
        }
        StateKind::ReleaseSourceUnknown => (
            "nothing says which commit was released".to_owned(),
            Some("`refit build IMAGE --push` releases what is there now"),
        ),
        StateKind::NewerIsPublished { commit } => {
            let message = format!("commit {} is published, which is newer; nothing moves", commit.short());
            (message, Some("run `git fetch`, or check out a newer commit"))
        }
        StateKind::Broken { message } => (message.clone(), None),
        StateKind::Behind { tag, digest, published } => {
            let message = match digest {
                Some(digest) => format!("{} holds {}, and {} is published", tag.familiar(), digest.short(), published.short()),
                None => format!("{} does not hold {}, which is published", tag.familiar(), published.short()),
            };
            (message, None)
        }
        StateKind::Unpublished => {
            ("nothing is published yet".to_owned(), Some("`refit build IMAGE --push` releases it"))
        }
        StateKind::Unreleased { reasons } => {
            let why: Vec<String> = reasons.iter().map(reason).collect();
            (why.join("; "), Some("`refit build IMAGE --push` releases it"))
        }
    }
}

/// Tells a person what became of a run's tags.
pub(crate) fn show_applied(ui: &Ui, ran: &Ran) {
    for published in &ran.applied.published {
        show_published(ui, published);
    }
    let built = ran.applied.done.iter().filter(|d| matches!(d.outcome, Outcome::Built(_))).count();
    let failed = ran.applied.done.iter().filter(|d| d.outcome.manifest().is_none()).count();
    let mut text = format!("{} built", count(built, "target"));
    if failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    ui.note(&format!("run {}: {text}; `refit logs {}` shows the output", ran.id, ran.id));
}

fn show_published(ui: &Ui, published: &Published) {
    let moved: Vec<String> =
        published.tags.iter().filter(|(_, moved)| moved.is_ok()).map(|(tag, _)| tag.familiar()).collect();
    if published.reference.as_ref().and_then(Reference::digest) == published.previous.as_ref()
        && published.failed.is_none()
        && published.previous.is_some()
    {
        ui.note(&format!("{}: what is published stays", published.image));
        return;
    }
    match (&published.reference, moved.is_empty()) {
        (Some(reference), false) => ui.data(&format!("{}  {}  → {}", published.image, reference, moved.join(", "))),
        (Some(reference), true) if published.failed.is_none() => ui.data(&format!("{}  {reference}", published.image)),
        _ => {}
    }
    if let Some(why) = &published.failed {
        ui.error(&format!("{}: {why}", published.image));
        return;
    }
    for (tag, moved) in &published.tags {
        if let Err(why) = moved {
            ui.warning(&format!("{}: {} did not move: {why}", published.image, tag.familiar()));
        }
    }
}

/// The plan as JSON.
pub(crate) fn plan_json(plan: &Plan, rebuild_from: &str, requests: Requests) -> Value {
    let mut value = serde_json::to_value(PlanView::of(plan, rebuild_from)).unwrap_or_default();
    value["requests"] = json!({ "head": requests.head, "get": requests.get });
    value
}

/// What a run did, as JSON.
pub(crate) fn ran_json(plan: &Plan, ran: &Ran) -> Value {
    let images: Vec<Value> = ran.applied.published.iter().map(|p| image_json(plan, ran, p)).collect();
    let failed: Vec<Value> = ran.applied.done.iter().filter_map(failure_json).collect();
    let states: Vec<Value> = plan.states.iter().map(refit_deps::plan::state_json).collect();
    json!({ "format_version": 1, "run": ran.id.to_string(), "images": images, "failed": failed, "states": states })
}

fn image_json(plan: &Plan, ran: &Ran, published: &Published) -> Value {
    let tags: Vec<Value> =
        published.tags.iter().map(|(tag, moved)| json!({ "tag": tag, "moved": moved.is_ok(), "why": moved.as_ref().err() })).collect();
    let targets = published.platforms.iter().map(|(platform, manifest)| {
        let target = Target { image: published.image.clone(), platform: platform.clone() };
        let done = ran.applied.done.iter().find(|done| done.target == target);
        let action = match done.map(|done| &done.outcome) {
            Some(Outcome::Built(_)) => "rebuild",
            Some(Outcome::Staged(_)) => "publish",
            _ => "keep",
        };
        let engine = plan.step(&target).map(|step: &Step| step.engine.as_str());
        json!({ "platform": platform, "action": action, "manifest": manifest, "engine": engine })
    });
    json!({
        "name": published.image,
        "reference": published.reference,
        "previous": published.previous,
        "tags": tags,
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn failure_json(done: &Done) -> Option<Value> {
    let (kind, message) = match &done.outcome {
        Outcome::Failed(failed) => ("failed", failed.message.clone()),
        Outcome::Skipped(why) => ("skipped", why.clone()),
        _ => return None,
    };
    Some(json!({ "target": done.target.to_string(), "kind": kind, "message": message, "log": done.log }))
}

/// The exit code of a run.
pub(crate) fn exit(ran: &Ran) -> Exit {
    if ran.applied.failed() { Exit::Partial } else { Exit::Fine }
}
