//! One repository as refit sees it: its images at the working tree, the index or a commit, its records, its registries.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use refit_deps::{
    config::{self, CONFIG_PATH},
    edges::Edges,
    graph::Graph,
    image::EngineChoice,
    image::Image,
    inventory::{self, Files, Inventory, Parsed, Paths},
    problem::Problem,
    record::Records,
    scan::Scans,
};
use refit_dockerfile::Kind;
use refit_git::{Entry, Head, Mode, Repo, notes};
use refit_oci::{Digest, ObjectId, Platform};
use refit_platform::Target;
use refit_registry::{Registries, Settings};

use crate::{
    engines,
    environment::Environment,
    error::CommandError,
    paths::{Listed, OnDisk},
    recorded::{self, Recorded},
    secrets,
    trust::Trust,
    ui::Place,
    user_config::{self, UserConfig},
};

pub(crate) use crate::paths::entry_at;

/// A repository, and the user's settings.
pub(crate) struct Project {
    /// The repository.
    pub(crate) repo: Repo,
    /// The user's configuration file.
    pub(crate) user: UserConfig,
    /// Which repositories' commands the user lets run.
    pub(crate) trust: Trust,
    /// What the process was started with.
    pub(crate) environment: Environment,
    /// The Dockerfiles of all states that were looked at.
    parsed: Parsed,
}

/// The images of a repository at one state of its files.
pub(crate) struct Snapshot {
    /// The commit; none for the working tree and the index.
    pub(crate) commit: Option<ObjectId>,
    /// The commit that has these very files: `commit`, or HEAD's for a working tree that does not differ from it.
    pub(crate) revision: Option<ObjectId>,
    /// The digest of the configuration, where there is one: what `refit trust` accepts.
    pub(crate) config: Option<Digest>,
    /// Every entry of the commit or the index; none of the working tree.
    pub(crate) entries: Vec<Entry>,
    /// These are the index's files: what the next commit would hold.
    pub(crate) is_index: bool,
    /// The images.
    pub(crate) inventory: Inventory,
    /// Their Dockerfiles, resolved for every target.
    pub(crate) scans: Scans,
    /// Which references are images of this repository.
    pub(crate) edges: Edges,
    /// The dependency graph.
    pub(crate) graph: Graph,
    /// Everything that is wrong, the inventory's own problems included.
    pub(crate) problems: Vec<Problem>,
}

impl Project {
    /// Opens the repository that holds `dir`.
    pub(crate) fn open(dir: &Path, environment: &Environment) -> Result<Self, CommandError> {
        let repo = Repo::discover(dir)?.looking_once();
        let user = user_config::read(environment.user_config.as_deref())?;
        let mut project = Self {
            repo,
            user,
            trust: Trust::read(environment)?,
            environment: environment.clone(),
            parsed: Parsed::default(),
        };
        let text = project.working_config()?;
        // Hooks open a project for every commit, and few files say anything of this.
        if text.contains("sign") {
            let (config, _) = config::parse(CONFIG_PATH, &text);
            project.repo.sign_notes(config.notes.sign);
        }
        Ok(project)
    }

    /// The repository's own name: its folder's.
    pub(crate) fn name(&self) -> String {
        let folder = match self.repo.work_dir() {
            Some(dir) => dir.to_owned(),
            // A bare repository is `NAME.git`.
            None => self.repo.common_dir().to_owned(),
        };
        let folder = folder.canonicalize().unwrap_or(folder);
        let name = folder
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        name.strip_suffix(".git").unwrap_or(&name).to_owned()
    }

    /// Where refit keeps what is its own: under the git directory that all worktrees share.
    pub(crate) fn own_dir(&self) -> PathBuf {
        self.repo.common_dir().join("refit")
    }

    /// The archive of runs.
    pub(crate) fn archive(&self) -> refit_logs::Archive {
        refit_logs::Archive::open(&self.own_dir())
    }

    /// The embedded store's folder, an OCI layout.
    pub(crate) fn store_dir(&self) -> PathBuf {
        self.own_dir().join("store")
    }

    /// The platform that `$BUILDPLATFORM` stands for.
    pub(crate) fn build_platform(&self) -> &Platform {
        &self.environment.build_platform
    }

    /// The branch or other name of what is checked out.
    pub(crate) fn current_line(&self) -> Result<String, CommandError> {
        Ok(match self.repo.head()? {
            Head::Unborn { branch } | Head::Commit { branch, .. } => {
                branch.unwrap_or_else(|| "HEAD".to_owned())
            }
        })
    }

    /// The branches that `[sweep]` names.
    pub(crate) fn swept_branches(&self) -> Result<Vec<String>, CommandError> {
        let (config, _) = config::parse(CONFIG_PATH, &self.working_config()?);
        Ok(config.sweep.branches)
    }

    /// The git tags that `[sweep]` names.
    pub(crate) fn swept_releases(&self) -> Result<Vec<config::ReleaseKeys>, CommandError> {
        let (config, _) = config::parse(CONFIG_PATH, &self.working_config()?);
        Ok(config.sweep.releases)
    }

    /// The configuration in the working tree, or in HEAD where there is no working tree.
    fn working_config(&self) -> Result<String, CommandError> {
        let bytes = match self.repo.work_dir() {
            Some(root) => std::fs::read(root.join(CONFIG_PATH)).ok(),
            None => match self.repo.head()? {
                Head::Commit { id, .. } => {
                    let found = self.repo.blob_at(&id, CONFIG_PATH)?;
                    found.map(|(_, bytes)| bytes)
                }
                Head::Unborn { .. } => None,
            },
        };
        let bytes = bytes.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The images of the working tree; of HEAD where there is no working tree.
    pub(crate) fn working(&self) -> Result<Snapshot, CommandError> {
        let Some(root) = self.repo.work_dir().map(Path::to_owned) else {
            return match self.repo.head()? {
                Head::Commit { id, .. } => self.at(&id),
                Head::Unborn { .. } => {
                    Ok(self.snapshot(None, &BTreeSet::new(), &|_| None, &self.current_line()?))
                }
            };
        };
        let checkout = self.repo.checkout()?;
        let revision = match self.repo.head()? {
            Head::Commit { id, .. } if checkout.changes().is_empty() => Some(id),
            Head::Commit { .. } | Head::Unborn { .. } => None,
        };
        let paths = OnDisk::of(&self.repo, &checkout, &root)?;
        let read = |path: &str| std::fs::read(root.join(path)).ok();
        let snapshot = self.snapshot(None, &paths, &read, &self.current_line()?);
        Ok(Snapshot {
            revision,
            ..snapshot
        })
    }

    /// Every path that git would know of the working tree.
    pub(crate) fn working_paths(&self) -> Result<BTreeSet<String>, CommandError> {
        let Some(root) = self.repo.work_dir() else {
            return Ok(BTreeSet::new());
        };
        let checkout = self.repo.checkout()?;
        let paths = OnDisk::of(&self.repo, &checkout, root)?;
        Ok(paths.iter().map(str::to_owned).collect())
    }

    /// The images of the index: what the next commit would hold.
    pub(crate) fn staged(&self) -> Result<Snapshot, CommandError> {
        Ok(self.of_entries(None, self.repo.staged()?, &self.current_line()?))
    }

    /// The images at a commit, for the line that is checked out.
    pub(crate) fn at(&self, commit: &ObjectId) -> Result<Snapshot, CommandError> {
        self.at_on(commit, &self.current_line()?)
    }

    /// The images at a commit, for a line: `{{.Line}}` in tags stands for it.
    pub(crate) fn at_on(&self, commit: &ObjectId, line: &str) -> Result<Snapshot, CommandError> {
        Ok(self.of_entries(Some(commit.clone()), self.repo.tree(commit)?, line))
    }

    /// The images at a commit, from the snapshot of another one, or of the index, that differs from it at these paths.
    pub(crate) fn at_beside(
        &self,
        commit: &ObjectId,
        line: &str,
        near: &Snapshot,
        differing: &[String],
    ) -> Result<Snapshot, CommandError> {
        let entries = self.repo.tree_beside(&near.entries, differing, commit)?;
        Ok(self.of_entries(Some(commit.clone()), entries, line))
    }

    /// The images at HEAD, whose `commit` it is: right after a commit the index is near, and read at once.
    pub(crate) fn at_head(&self, commit: &ObjectId) -> Result<Snapshot, CommandError> {
        let repo = &self.repo;
        let near = repo
            .staged()
            .and_then(|staged| match repo.staged_paths()?.as_slice() {
                [] => Ok(staged),
                differing => repo.tree_beside(&staged, differing, commit),
            });
        match near {
            Ok(entries) => {
                Ok(self.of_entries(Some(commit.clone()), entries, &self.current_line()?))
            }
            // What is wrong with the index is nothing that a commit has to do with.
            Err(_) => self.at(commit),
        }
    }

    /// Before the first commit: no files, no images.
    pub(crate) fn before_all(&self) -> Result<Snapshot, CommandError> {
        Ok(self.of_entries(None, Vec::new(), &self.current_line()?))
    }

    fn of_entries(&self, commit: Option<ObjectId>, entries: Vec<Entry>, line: &str) -> Snapshot {
        let read = |path: &str| self.repo.blob(&entry_at(&entries, path)?.id).ok();
        let is_index = commit.is_none();
        let snapshot = self.snapshot(commit, &Listed(&entries), &read, line);
        Snapshot {
            entries,
            is_index,
            ..snapshot
        }
    }

    fn snapshot(
        &self,
        commit: Option<ObjectId>,
        paths: &dyn Paths,
        read: &dyn Fn(&str) -> Option<Vec<u8>>,
        line: &str,
    ) -> Snapshot {
        let name = self.name();
        // A Dockerfile is looked at before it is parsed.
        let known: RefCell<HashMap<String, Option<Vec<u8>>>> = RefCell::default();
        let read_once = |path: &str| {
            let mut known = known.borrow_mut();
            known
                .entry(path.to_owned())
                .or_insert_with(|| read(path))
                .clone()
        };
        let config = paths
            .contains(CONFIG_PATH)
            .then(|| read_once(CONFIG_PATH))
            .flatten();
        let config = config.map(|bytes| Digest::sha256(&bytes));
        let files = Files {
            paths,
            read: &read_once,
            name: &name,
            line,
        };
        let mut inventory = inventory::read_with(&files, &self.parsed);
        for image in &mut inventory.images {
            if image.stale_when.is_empty() {
                image.stale_when.extend_from_slice(self.user.stale_when());
            }
            if let EngineChoice::Auto(executor) = &mut image.engine {
                *executor = engines::executor(&self.environment, &self.user.engines);
            }
        }
        let scans = Scans::of(&inventory.images, self.build_platform());
        let edges = Edges::of(&inventory, &scans);
        let graph = Graph::of(&inventory, &scans, &edges);
        let mut problems = inventory.problems.clone();
        problems.extend(scans.problems());
        problems.extend(secrets::problems(&inventory, &scans));
        problems.extend(graph.problems(&inventory));
        Snapshot {
            revision: commit.clone(),
            commit,
            config,
            entries: Vec::new(),
            is_index: false,
            inventory,
            scans,
            edges,
            graph,
            problems,
        }
    }

    /// Every record of the notes.
    pub(crate) fn records(&self) -> Result<Records, CommandError> {
        let present = !self.repo.notes_absent(notes::RECORDS)?;
        let notes = self.repo.notes_by(notes::RECORDS, recorded::KEYS)?;
        let damaged = notes.damaged().len();
        let mut records = Records::over(Arc::new(Recorded(notes)), present);
        records.damaged = damaged;
        Ok(records)
    }

    /// The registries, as the user has set them up.
    pub(crate) fn registries(&self) -> Registries {
        self.registries_with(refit_registry::Patience::default())
    }

    /// The same, for verbs that only look: they wait less.
    pub(crate) fn registries_with(&self, patience: refit_registry::Patience) -> Registries {
        Registries::new(self.registry_settings(patience))
    }

    /// What the user says of registries, and of the hosts of other files.
    pub(crate) fn registry_settings(&self, patience: refit_registry::Patience) -> Settings {
        Settings {
            hosts: self.user.hosts(),
            embedded: Some(self.store_dir()),
            credentials: self.environment.credentials.clone(),
            spool_dir: None,
            patience,
        }
    }
}

impl Snapshot {
    /// The commit's file at a path.
    pub(crate) fn blob(&self, path: &str) -> Option<&ObjectId> {
        let entry = entry_at(&self.entries, path)?;
        (entry.mode != Mode::Submodule).then_some(&entry.id)
    }

    /// The line of a Dockerfile that names a target's base.
    pub(crate) fn base_place(&self, target: &Target) -> Option<Place<'_>> {
        let image = self.inventory.image(&target.image)?;
        let resolved = self.scans.target(&target.image, &target.platform)?;
        let base = resolved.found.iter().find(|f| f.kind == Kind::Base)?;
        Some(Place {
            file: &image.dockerfile,
            position: Some((base.line, 1)),
        })
    }

    /// The image of that name, or an error with the nearest ones.
    pub(crate) fn image(&self, name: &str) -> Result<&Image, CommandError> {
        self.inventory.image(name).ok_or_else(|| {
            let known = self
                .inventory
                .images
                .iter()
                .map(|image| image.name.as_str());
            let near = refit_deps::problem::nearest(name, known);
            let error = CommandError::new(format!("there is no image `{name}`"));
            match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`refit images` lists them"),
            }
        })
    }
}
