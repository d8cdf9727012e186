//! Builds the stages of a recipe, one after the other, on a thread that may block.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

use refit_dockerfile::{Dockerfile, Instruction, Keyword, Link, Resolved, Source, StageView};
use refit_oci::Platform;
use refit_registry::Downloads;
use tokio::{runtime::Handle, sync::mpsc::UnboundedSender};

use super::{
    bases::Bases,
    check::DOCKER_CAN,
    contents::Contents,
    context_table::context_table,
    draft::Draft,
    failure::{StepError, failed, files, later_stage},
    fetch::Fetcher,
    file_table::FileTable,
    layer_tables::LayerTables,
    metadata,
    onbuild::triggers,
    request::Request,
    scope::Arguments,
    transfer::{Origin, Workbench, transfer, workdir},
};
use crate::engine::{Built, EngineError, PinnedBase, Recipe};

/// What a build needs of a recipe, owned.
pub(crate) struct Job {
    file: Dockerfile,
    resolved: Resolved,
    platform: Platform,
    build_args: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    context: PathBuf,
    pins: Vec<PinnedBase>,
    work_dir: PathBuf,
}

impl Job {
    pub(crate) fn of(recipe: &Recipe) -> Self {
        Self {
            file: recipe.file.clone(),
            resolved: recipe.resolved.clone(),
            platform: recipe.platform.clone(),
            build_args: recipe.build_args.clone(),
            labels: recipe.labels.clone(),
            context: recipe.context.path.clone(),
            pins: recipe.pins.clone(),
            work_dir: recipe.work_dir.clone(),
        }
    }

    /// Builds; lines of the log go to `log`. Whoever no longer listens to it ends the build.
    pub(crate) fn run(
        &self,
        handle: Handle,
        (tables, downloads): (LayerTables, Arc<Downloads>),
        log: UnboundedSender<String>,
    ) -> Result<Built, EngineError> {
        let mut builder = Builder {
            job: self,
            bench: Workbench {
                fetcher: Fetcher::new(handle.clone(), downloads),
                bases: Bases::new(handle, tables, &self.pins),
                contents: Contents::new(&self.work_dir),
            },
            context: None,
            images: BTreeMap::new(),
            drafts: BTreeMap::new(),
            log,
        };
        for &stage in &self.resolved.stages {
            let draft = builder.stage(stage)?;
            builder.drafts.insert(stage, draft);
        }
        let target = builder.drafts.remove(&self.resolved.target);
        let target = target
            .ok_or_else(|| failed("the target's stage is not among those that were resolved"))?;
        let (image, layers) = target.finish(&self.platform, &self.labels);
        let config = serde_json::to_vec(&image).map_err(|error| failed(&error.to_string()))?;
        Ok(Built {
            config,
            image,
            layers,
            attested: Vec::new(),
        })
    }
}

struct Builder<'a> {
    job: &'a Job,
    bench: Workbench,
    /// The main context, once something copies from it.
    context: Option<FileTable>,
    /// Images that are copied from, by found reference.
    images: BTreeMap<usize, FileTable>,
    drafts: BTreeMap<usize, Draft>,
    log: UnboundedSender<String>,
}

/// An instruction and the place that its errors are told of.
struct Step<'a> {
    stage: usize,
    /// Its number among the triggers of the stage.
    trigger: Option<usize>,
    instruction: &'a Instruction,
    span: Range<usize>,
}

impl Builder<'_> {
    fn stage(&mut self, stage: usize) -> Result<Draft, EngineError> {
        let job = self.job;
        let (Some(view), Some(parsed)) = (job.resolved.view(stage), job.file.stages.get(stage))
        else {
            return Err(failed("a stage was not resolved"));
        };
        let from = |error: StepError| error.told(&job.file, &parsed.from.span);
        let prefix = self.prefix(stage);
        self.say(format!("{prefix}FROM {}", parsed.from.image.value))?;
        let (mut draft, triggers) = self.start(view).map_err(&from)?;
        if view.replaced {
            return Ok(draft);
        }
        // A trigger of another stage is in this file; one of an image is told of the FROM that brings it.
        let in_file = matches!(view.from, Source::Stage(_));
        let triggers = triggers
            .iter()
            .enumerate()
            .map(|(number, instruction)| Step {
                stage,
                trigger: Some(number),
                instruction,
                span: if in_file {
                    instruction.span.clone()
                } else {
                    parsed.from.span.clone()
                },
            });
        let own = parsed.instructions.iter().map(|instruction| Step {
            stage,
            trigger: None,
            instruction,
            span: instruction.span.clone(),
        });
        for step in triggers.chain(own) {
            let onbuild = if step.trigger.is_some() {
                "ONBUILD "
            } else {
                ""
            };
            self.say(format!("{prefix}{onbuild}{}", step.instruction.code))?;
            let n_layers = draft.layers.len();
            self.step(&mut draft, &step)
                .map_err(|error| error.told(&job.file, &step.span))?;
            for layer in &draft.layers[n_layers..] {
                let descriptor = &layer.descriptor;
                self.say(format!(
                    "{prefix}layer {} of {} bytes",
                    descriptor.digest.short(),
                    descriptor.size
                ))?;
            }
        }
        Ok(draft)
    }

    /// What a stage begins with, and what its base makes it execute first.
    fn start(&mut self, view: &StageView) -> Result<(Draft, Vec<Instruction>), StepError> {
        let escape = self.job.file.escape;
        Ok(match &view.from {
            Source::Scratch => (Draft::scratch(&self.job.platform, escape), Vec::new()),
            Source::Stage(parent) => {
                let parent = self
                    .drafts
                    .get(parent)
                    .ok_or_else(|| later_stage(&self.job.name(*parent)))?;
                (parent.child(), view.triggers.clone())
            }
            Source::Found(found) => {
                let written = self.job.written(*found);
                let base = self.bench.bases.image(*found, &written)?;
                let triggers = triggers(&base.config.config.on_build, view)?;
                (Draft::of_base(*found, &written, &base, escape)?, triggers)
            }
            Source::Files(name) => return Err(files(name)),
        })
    }

    fn step(&mut self, draft: &mut Draft, step: &Step<'_>) -> Result<(), StepError> {
        let globals = &self.job.resolved.globals;
        let arguments = Arguments {
            given: &self.job.build_args,
            globals: &|name| globals.get(name).map(Cow::into_owned),
        };
        if metadata::apply(draft, step.instruction, arguments)? {
            return Ok(());
        }
        match step.instruction.keyword {
            Keyword::Workdir => Ok(workdir(
                draft,
                metadata::word(step.instruction),
                &mut self.bench,
            )?),
            Keyword::Copy | Keyword::Add => self.copy(draft, step),
            _ => Err(StepError::Refused {
                message: "the native engine executes nothing".to_owned(),
                hint: DOCKER_CAN.to_owned(),
            }),
        }
    }

    fn copy(&mut self, draft: &mut Draft, step: &Step<'_>) -> Result<(), StepError> {
        let Some(request) = Request::read(step.instruction, &draft.scope)? else {
            return Ok(());
        };
        let job = self.job;
        let from = step.instruction.flag("from");
        let from = from.filter(|from| !from.value.is_empty());
        let link = from.map(|from| job.link(step, &from.span)).transpose()?;
        let bench = &mut self.bench;
        let empty = FileTable::default();
        let origin = match link.map(|link| &link.source) {
            None => Origin {
                tree: match &mut self.context {
                    Some(tree) => tree,
                    none => none.insert(context_table(&job.context)?),
                },
                place: "the build context".to_owned(),
            },
            Some(Source::Scratch) => Origin {
                tree: &empty,
                place: "`scratch`".to_owned(),
            },
            Some(Source::Stage(other)) => {
                let name = job.name(*other);
                let draft = self
                    .drafts
                    .get_mut(other)
                    .ok_or_else(|| later_stage(&name))?;
                Origin {
                    tree: draft.tree(&mut bench.bases)?,
                    place: format!("the stage `{name}`"),
                }
            }
            Some(Source::Found(found)) => {
                let written = job.written(*found);
                if !self.images.contains_key(found) {
                    let tree = bench.bases.tree(*found, &written)?;
                    self.images.insert(*found, tree);
                }
                Origin {
                    tree: &self.images[found],
                    place: format!("the image `{written}`"),
                }
            }
            Some(Source::Files(name)) => return Err(files(name)),
        };
        Ok(transfer(draft, &request, &origin, bench)?)
    }

    /// Says which stage a line is of, where there are several: `[build] `, or `[2/3] ` of one without a name.
    fn prefix(&self, stage: usize) -> String {
        match (self.job.file.stages.as_slice(), stage) {
            ([_], _) => String::new(),
            (stages, i) => match stages.get(i).and_then(|stage| stage.name.as_ref()) {
                Some(name) => format!("[{name}] "),
                None => format!("[{}/{}] ", i + 1, stages.len()),
            },
        }
    }

    fn say(&self, line: String) -> Result<(), EngineError> {
        self.log.send(line).map_err(|_| failed("it was given up"))
    }
}

impl Job {
    /// The stage's name, or its number.
    fn name(&self, stage: usize) -> String {
        let name = self
            .file
            .stages
            .get(stage)
            .and_then(|stage| stage.name.clone());
        name.unwrap_or_else(|| stage.to_string())
    }

    fn written(&self, found: usize) -> String {
        let found = self.resolved.found.get(found);
        found.map_or_else(String::new, |found| found.source.to_string())
    }

    /// What a `--from` means.
    fn link(&self, step: &Step<'_>, span: &Range<usize>) -> Result<&Link, StepError> {
        let mut links = self.resolved.links.iter();
        let link = links.find(|link| {
            link.stage == step.stage && link.trigger == step.trigger && link.span == *span
        });
        link.ok_or_else(|| StepError::Refused {
            message: format!(
                "what `{}` copies from was not resolved",
                step.instruction.code
            ),
            hint: DOCKER_CAN.to_owned(),
        })
    }
}
