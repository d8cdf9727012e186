//! Values of build secrets: read when a run begins, given to its builds, hidden in its logs, and kept nowhere.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use refit_build::engine::SecretValues;
use refit_deps::{
    config::CONFIG_PATH,
    image::{Image, SecretSource},
    inventory::Inventory,
    problem::Problem,
    scan::Scans,
};
use refit_dockerfile::{Dockerfile, Resolved, SecretMount, secret_mounts};
use refit_logs::Secrets;

use crate::{error::CommandError, project::Project};

/// The values that a run's images may ask for.
#[derive(Default)]
pub(crate) struct SecretStore {
    values: BTreeMap<SecretSource, Result<Vec<u8>, String>>,
}

impl SecretStore {
    /// Reads what these images name. What is not there is an error only for a build that needs it.
    pub(crate) fn of<'i>(project: &Project, images: impl IntoIterator<Item = &'i Image>) -> Self {
        let mut values = BTreeMap::new();
        for source in images.into_iter().flat_map(|image| image.secrets.values()) {
            if !values.contains_key(source) {
                values.insert(source.clone(), read(project, source));
            }
        }
        Self { values }
    }

    /// What no log may contain.
    pub(crate) fn hidden(&self) -> Secrets {
        Secrets::new(self.values.values().flatten())
    }

    /// The values that one build of `image` gets, if none is missing that its Dockerfile requires.
    pub(crate) fn given(
        &self,
        image: &Image,
        file: &Dockerfile,
        resolved: &Resolved,
    ) -> Result<SecretValues, CommandError> {
        let mut given = SecretValues::default();
        for (id, source) in &image.secrets {
            if let Some(Ok(value)) = self.values.get(source) {
                given.0.insert(id.clone(), value.clone());
            }
        }
        let mounts = secret_mounts(file, resolved);
        let mut missing = mounts
            .iter()
            .filter(|mount| mount.required && !given.0.contains_key(&mount.id));
        match missing.next() {
            Some(mount) => Err(self.missing(image, file, mount)),
            None => Ok(given),
        }
    }

    fn missing(&self, image: &Image, file: &Dockerfile, mount: &SecretMount) -> CommandError {
        let id = &mount.id;
        let source = image.secrets.get(id);
        let unread = source.and_then(|source| match self.values.get(source) {
            Some(Err(why)) => Some((source, why)),
            Some(Ok(_)) | None => None,
        });
        let (why, hint) = match unread {
            Some((SecretSource::Env(name), why)) => {
                (format!(": {why}"), format!("set `{name}` where refit runs"))
            }
            Some((SecretSource::File(path), why)) => {
                (format!(": {why}"), format!("put the secret into `{path}`"))
            }
            None => {
                let problem = without_a_source(image, file, mount);
                let error = CommandError::new(problem.to_string());
                return problem.hint.into_iter().fold(error, CommandError::hint);
            }
        };
        let message = format!("the secret `{id}` is required{why}");
        let span = mount.span.clone();
        let problem = Problem::at(&image.dockerfile, &file.text, span, message);
        CommandError::new(problem.to_string()).hint(hint)
    }
}

/// Secrets that Dockerfiles require and the configuration does not name: no build of these images can succeed, wherever
/// refit runs. Without a configuration nobody has said what is built.
pub(crate) fn problems(inventory: &Inventory, scans: &Scans) -> Vec<Problem> {
    let images = inventory.images.iter().filter(|_| inventory.configured);
    let mut problems: Vec<Problem> = Vec::new();
    for image in images {
        let Some(file) = &image.file else { continue };
        for resolved in image
            .platforms
            .iter()
            .filter_map(|platform| scans.target(&image.name, platform))
        {
            let mounts = secret_mounts(file, resolved).into_iter();
            let unnamed = mounts.filter(|m| m.required && !image.secrets.contains_key(&m.id));
            for mount in unnamed {
                let problem = without_a_source(image, file, &mount);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
    problems
}

fn without_a_source(image: &Image, file: &Dockerfile, mount: &SecretMount) -> Problem {
    let (id, span) = (&mount.id, mount.span.clone());
    let message = format!("the secret `{id}` is required, and the image has none of that name");
    let hint = format!(
        "give `{}` in `{CONFIG_PATH}` `secrets = {{ {id} = \"env:NAME\" }}`",
        image.name
    );
    Problem::at(&image.dockerfile, &file.text, span, message).with_hint(hint)
}

fn read(project: &Project, source: &SecretSource) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::Env(name) => {
            let value = project.environment.variable(name);
            let value = value.ok_or_else(|| format!("`{name}` is not set"))?;
            Ok(value.into_encoded_bytes())
        }
        SecretSource::File(path) => {
            let full = full_path(project, path);
            let full = full.ok_or_else(|| format!("`{path}` is below no known folder"))?;
            fs::read(full).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => format!("there is no file `{path}`"),
                _ => format!("cannot read `{path}`: {error}"),
            })
        }
    }
}

fn full_path(project: &Project, path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        Some(below) => Some(project.environment.home.as_ref()?.join(below)),
        None if path.starts_with('/') => Some(path.into()),
        None => Some(project.repo.work_dir()?.join(path)),
    }
}
