//! What a run needs of git and the terminal: sources packed from commits, records kept in notes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufWriter},
    path::Path,
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use refit_build::{
    apply::{Broken, Described, Done, Failed, Mirrored, Prepared, Tested, Workshop},
    engine::{ContextTar, SshAgent},
};
use refit_context::Location;
use refit_deps::{
    image::{EMBEDDED_HOST, Image},
    inventory::clean,
    plan::Step,
    record::Record,
    scan,
};
use refit_git::notes::{Batch, NotesError, Pushed};
use refit_oci::{Digest, ObjectId};
use refit_platform::Target;

use crate::{
    error::{CommandError, chain},
    gate,
    generated::{self, Checkouts},
    observe::Observer,
    project::Project,
    secrets::SecretStore,
    sources::{seen, with_location},
};

/// What happens while a plan is applied, for whoever watches.
pub(crate) trait Watch: Send + Sync {
    /// What became of a base on its way to the mirror.
    fn mirrored(&self, mirrored: &Mirrored);
    /// A node gets nothing more, and why.
    fn drained(&self, node: &str, why: &str);
    /// A line of a target's build.
    fn line(&self, target: &Target, line: &str);
    /// What became of a target.
    fn done(&self, done: &Done);
    /// Something that a person should know, and that stops nothing.
    fn warn(&self, message: &str);
}

/// The workshop of one line's run.
pub(crate) struct LineWorkshop<'a> {
    pub(crate) observer: &'a Observer<'a>,
    pub(crate) watch: &'a dyn Watch,
    /// The values of build secrets.
    pub(crate) secrets: &'a SecretStore,
    /// Where `prepare` commands run.
    pub(crate) checkouts: Checkouts,
    /// The images that are published: their `test` is run.
    pub(crate) tested: BTreeSet<String>,
    /// The message of the notes' commits.
    pub(crate) message: String,
    /// The remote that notes are pushed to after every batch.
    pub(crate) remote: Option<String>,
    /// Records of what was observed: they go with the first batch, or alone where there is none.
    pub(crate) observed: Mutex<Vec<Record>>,
    /// The records that were kept, for the run's sentence.
    pub(crate) kept: Mutex<Vec<Record>>,
}

impl LineWorkshop<'_> {
    /// The blob of an image's Dockerfile at a commit: what its records are notes on. A working tree's records are
    /// kept with HEAD's Dockerfile; one that was never committed has no place for them.
    fn dockerfile_blob(
        &self,
        image: &str,
        commit: Option<&ObjectId>,
    ) -> Result<Option<ObjectId>, CommandError> {
        let snapshot = self.observer.source(commit)?;
        let Some(image) = self.observer.image_at(&snapshot, image) else {
            return Ok(None);
        };
        let repo = &self.observer.project.repo;
        let head = match (commit, repo.head()?) {
            (Some(commit), _) => commit.clone(),
            (None, refit_git::Head::Commit { id, .. }) => id,
            (None, refit_git::Head::Unborn { .. }) => return Ok(None),
        };
        Ok(repo
            .blob_at(&head, &clean(&image.dockerfile))?
            .map(|(id, _)| id))
    }

    /// Keeps what was observed, unless it was kept with a batch.
    pub(crate) fn keep_observed(&self) -> Result<(), CommandError> {
        let observed = self.take_observed();
        if observed.is_empty() {
            return Ok(());
        }
        self.append(&self.batch(&observed)?)
    }

    /// What was kept is in the run's sentence.
    fn remember(&self, records: &[Record]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(records.iter().cloned());
    }

    fn take_observed(&self) -> Vec<Record> {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *observed)
    }

    /// Appends to the notes, and pushes them where they are pushed.
    pub(crate) fn append(&self, batch: &Batch) -> Result<(), CommandError> {
        let repo = &self.observer.project.repo;
        repo.notes_append(batch)?;
        if let Some(remote) = &self.remote {
            repo.notes_push(remote)?;
        }
        Ok(())
    }

    /// The notes batch of some records.
    fn batch(&self, records: &[Record]) -> Result<Batch, CommandError> {
        let mut lines: BTreeMap<ObjectId, BTreeSet<String>> = BTreeMap::new();
        for record in records {
            let commit = match record {
                Record::Build(build) => build.commit.as_ref(),
                Record::Publish(publish) => publish.commit.as_ref(),
                Record::Deps(deps) => Some(&deps.commit),
                Record::Seen(_)
                | Record::Swept(_)
                | Record::Hold(_)
                | Record::Failure(_)
                | Record::Had(_)
                | Record::Compacted { .. } => self.observer.line.commit.as_ref(),
                Record::Adopt(adopt) => Some(&adopt.commit),
                Record::Rollback(rollback) => rollback.commit.as_ref(),
            };
            match self.dockerfile_blob(record.image(), commit)? {
                Some(blob) => {
                    lines.entry(blob).or_default().insert(record.to_line());
                }
                None => self.watch.warn(&format!(
                    "`{}` has no committed Dockerfile to keep its record with",
                    record.image()
                )),
            }
        }
        Ok(Batch {
            records: lines,
            sentences: BTreeMap::new(),
            message: self.message.clone(),
        })
    }
}

impl Workshop for LineWorkshop<'_> {
    fn generate<'w>(
        &'w self,
        step: &'w Step,
        log: &'w mut (dyn io::Write + Send),
    ) -> BoxFuture<'w, Result<(), Broken>> {
        Box::pin(async move {
            let described = describe(self.observer, step).map_err(failed)?;
            let Some(commit) = prepared_at(step, &described.image) else {
                return Ok(());
            };
            let snapshot = self.observer.source(Some(commit)).map_err(failed)?;
            let source = generated::Source {
                repo: &self.observer.project.repo,
                commit,
                may_run: self.observer.may_prepare(&described.image, &snapshot),
                snapshot: &snapshot,
            };
            self.checkouts.make(&described.image, source, log).await
        })
    }

    fn prepare(&self, step: &Step, work_dir: &Path) -> Result<Prepared, Failed> {
        self.try_prepare(step, work_dir).map_err(failed)
    }

    fn is_tested(&self, step: &Step) -> bool {
        self.tested.contains(&step.target.image)
    }

    fn test<'w>(
        &'w self,
        step: &'w Step,
        manifest: &'w Digest,
        line: &'w (dyn Fn(&str) + Sync),
    ) -> BoxFuture<'w, Tested> {
        Box::pin(gate::test(self.observer, step, manifest, line))
    }

    fn describe(&self, step: &Step) -> Result<Described, Failed> {
        describe(self.observer, step).map_err(failed)
    }

    fn keep(&self, records: &[Record]) -> Result<(), Failed> {
        let mut all = self.take_observed();
        all.extend_from_slice(records);
        let batch = self.batch(&all).map_err(failed)?;
        self.append(&batch).map_err(failed)?;
        self.remember(records);
        Ok(())
    }

    fn decide(&self, record: &Record) -> Result<(), Failed> {
        let records = std::slice::from_ref(record);
        let batch = self.batch(records).map_err(failed)?;
        let project = self.observer.project;
        decide(project, &batch, self.remote.as_deref()).map_err(failed)?;
        self.remember(records);
        Ok(())
    }

    fn mirrored(&self, mirrored: &Mirrored) {
        self.watch.mirrored(mirrored);
    }

    fn drained(&self, node: &str, why: &str) {
        self.watch.drained(node, why);
    }

    fn line(&self, target: &Target, line: &str) {
        self.watch.line(target, line);
    }

    fn done(&self, done: &Done) {
        self.watch.done(done);
    }
}

impl LineWorkshop<'_> {
    /// The user's SSH agent, for an image that asks for it. Where there is none, a mount that requires it says so.
    fn ssh_agent(&self, image: &Image) -> Option<SshAgent> {
        let socket = self.observer.project.environment.ssh_agent.clone()?;
        let ids = image.ssh.clone();
        (!ids.is_empty()).then_some(SshAgent { ids, socket })
    }

    fn try_prepare(&self, step: &Step, work_dir: &Path) -> Result<Prepared, CommandError> {
        let Described {
            image,
            file,
            resolved,
        } = describe(self.observer, step)?;
        let project = self.observer.project;
        let snapshot = self.observer.source(step.commit.as_ref())?;
        let secrets = self.secrets.given(&image, &file, &resolved)?;
        let path = work_dir.join("context.tar");
        let out = File::create(&path)
            .map_err(|e| CommandError::new(format!("cannot write `{}`: {e}", path.display())))?;
        let pack = |location: &Location<'_>, dockerfile: &str| {
            let ignore = refit_context::ignore_file(location, dockerfile)?;
            let listed = refit_context::list(location, &ignore.ignore)?;
            let entries = seen(&listed, &resolved.inputs).into_iter().cloned();
            let entries: Vec<_> = entries.collect();
            refit_context::pack(location, &entries, BufWriter::new(out))?;
            Ok(entries)
        };
        let checkout =
            prepared_at(step, &image).and_then(|commit| self.checkouts.root(&image, commit));
        let entries = match checkout {
            Some(root) => {
                let dir = root.join(&image.context);
                let location = Location::Dir {
                    dir: &dir,
                    repo: None,
                };
                pack(&location, &root.join(&image.dockerfile).to_string_lossy())?
            }
            None => with_location(project, &snapshot, &image, pack)?,
        };
        Ok(Prepared {
            file,
            resolved,
            ssh: self.ssh_agent(&image),
            image,
            context: ContextTar { path, entries },
            secrets,
        })
    }
}

/// What a step's source says of how it is built.
pub(crate) fn describe(observer: &Observer<'_>, step: &Step) -> Result<Described, CommandError> {
    let project = observer.project;
    let snapshot = observer.source(step.commit.as_ref())?;
    let image = match observer.image_at(&snapshot, &step.target.image) {
        Some(image) => image,
        None => snapshot.image(&step.target.image)?.clone(),
    };
    let missing = || CommandError::new(format!("`{}` could not be read", image.dockerfile));
    let file = image.file.clone().ok_or_else(missing)?;
    let (platform, triggers) = (&step.target.platform, &step.triggers);
    let scanned = scan::scan_with(&image, platform, project.build_platform(), triggers);
    match scanned {
        Some(Ok(resolved)) => Ok(Described {
            image,
            file,
            resolved,
        }),
        Some(Err(problem)) => Err(CommandError::new(problem.to_string())),
        None => Err(missing()),
    }
}

/// The commit in whose checkout the image's `prepare` runs. A working tree is packed as it is.
fn prepared_at<'s>(step: &'s Step, image: &Image) -> Option<&'s ObjectId> {
    step.commit.as_ref().filter(|_| !image.prepare.is_empty())
}

pub(crate) fn failed(error: CommandError) -> Failed {
    Failed {
        message: error.message,
        excerpt: None,
        hint: error.hints.into_iter().next(),
    }
}

/// The remote whose notes decide, brought in, and proven writable before anything is built where something `writes`.
/// None without a remote, and where every image goes into this clone's own store: that is nobody else's business.
pub(crate) fn notes_remote(
    project: &Project,
    writes: bool,
) -> Result<Option<String>, CommandError> {
    let repo = &project.repo;
    let Some(remote) = repo.default_remote() else {
        return Ok(None);
    };
    let images = project.working()?.inventory.images;
    let embedded = |image: &Image| image.destination().registry() == EMBEDDED_HOST;
    if !images.is_empty() && images.iter().all(embedded) {
        return Ok(None);
    }
    // Notes that can't be reached are an error: without them, rollbacks and holds are unknown.
    let unreachable = |error: NotesError| {
        CommandError::new(format!(
            "the notes of `{remote}` can't be reached: {}",
            chain(&error)
        ))
        .hint(format!("try `git fetch {remote}`"))
    };
    if !writes {
        repo.notes_fetch(&remote).map_err(unreachable)?;
        repo.notes_unite(&remote)?;
    } else if repo.notes_push(&remote).map_err(unreachable)? == Pushed::default() {
        // There was nothing that an earlier run could not push, so the right to push is still to be asked for.
        repo.notes_probe_push(&remote)?;
    }
    Ok(Some(remote))
}

/// Writes a decision down: on the remote as well, or not at all, for one that only this clone knows is none.
pub(crate) fn decide(
    project: &Project,
    batch: &Batch,
    remote: Option<&str>,
) -> Result<(), CommandError> {
    let Some(remote) = remote else {
        project.repo.notes_append(batch)?;
        return Ok(());
    };
    match project.repo.notes_decide(batch, remote) {
        Ok(_) => Ok(()),
        Err(error @ NotesError::Kept(_)) => {
            Err(CommandError::because(&error).hint("`refit notes push` tries it once more"))
        }
        Err(error @ NotesError::Git(_)) => Err(CommandError::new(format!(
            "`{remote}` did not take the notes, so nothing is recorded: {}",
            chain(&error)
        ))
        .hint("whoever may push to `refs/notes/refit*` there can run this")),
        Err(error) => Err(error.into()),
    }
}
