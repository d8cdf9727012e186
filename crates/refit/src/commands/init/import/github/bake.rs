//! A `docker/bake-action` step: which bake files are used, and with which tags.

use super::{
    super::{
        model::{Imported, Place},
        paths::join,
        yaml::Node,
    },
    job::Job,
    metadata::filled,
    views::with_env,
};

/// Bake files that a workflow builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::init::import) struct BakeUse {
    /// None for those that bake finds by itself.
    pub(in crate::commands::init::import) files: Vec<String>,
    /// Tags of the target `docker-metadata-action`, which others inherit from.
    pub(in crate::commands::init::import) tags: Vec<String>,
}

/// What metadata-action calls the target that it makes.
pub(in crate::commands::init::import) const METADATA_TARGET: &str = "docker-metadata-action";

pub(super) fn read(job: &Job<'_>, step: &Node, imported: &mut Imported) -> Option<BakeUse> {
    let with = step.get("with");
    let text = |key: &str| with.and_then(|with| with.text_at(key)).unwrap_or_default();
    let place = Place::new(&job.file, step.line);
    let scope = with_env(&job.views.plain, step);
    let folder = scope.text(&text("workdir")).unwrap_or_default();
    let mut found = BakeUse {
        files: Vec::new(),
        tags: Vec::new(),
    };
    let files = text("files");
    for line in filled(&files)
        .flat_map(|line| line.split(','))
        .map(str::trim)
    {
        let metadata = job
            .output(line, "bake-file")
            .or_else(|| job.output(line, "bake-file-tags"));
        if let Some(metadata) = metadata {
            found.tags.extend(metadata.tags.iter().cloned());
            continue;
        }
        match scope.text(line) {
            Ok(file) => {
                let path = join(&folder, &file).filter(|path| job.source.paths.contains(path));
                match path {
                    Some(path) => found.files.push(path),
                    None => imported.leave_out(
                        &place,
                        format!("{}: {file}", job.name),
                        "it is not in this repository",
                    ),
                }
            }
            Err(expression)
                if line.contains("bake-file-labels") || line.contains("bake-file-annotations") =>
            {
                drop(expression);
            }
            Err(expression) => {
                imported.leave_out(
                    &place,
                    job.name.clone(),
                    format!("its files depend on the run: `{expression}`"),
                );
                return None;
            }
        }
    }
    if !text("set").trim().is_empty() {
        let why = "overrides of a run are not part of the bake file";
        imported.leave_out(&place, format!("{}: set", job.name), why);
    }
    Some(found)
}
