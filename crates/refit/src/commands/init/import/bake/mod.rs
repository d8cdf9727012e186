//! `docker-bake.hcl` and `docker-bake.json`: targets become images.

mod eval;
mod file;
mod functions;
mod image;
mod refer;
mod resolve;
mod target;
mod template;
mod value;

use std::collections::BTreeMap;

pub(crate) use self::{
    image::{Details, Reader, Selected, build_context},
    resolve::Bake,
    target::Target,
};
use super::{
    Source,
    model::{Imported, Place},
};

/// The names of bake files, in the order in which they are laid over one another.
pub(super) const FILES: [&str; 4] = [
    "docker-bake.json",
    "docker-bake.override.json",
    "docker-bake.hcl",
    "docker-bake.override.hcl",
];

/// The targets of these files over services of compose files. A file that can't be read is left out.
pub(super) fn read(
    source: &Source<'_>,
    files: &[String],
    services: BTreeMap<String, Target>,
) -> (Bake, Imported) {
    let mut imported = Imported::default();
    let mut blocks = file::Blocks::default();
    for path in files {
        let Some(text) = source.text(path) else {
            imported.leave_out(&Place::new(path, 0), "the file", "it can't be read");
            continue;
        };
        if let Err((line, why)) = blocks.read(path, &text) {
            imported.leave_out(&Place::new(path, line), "the file", why);
        }
    }
    let bake = Bake::of(services, blocks);
    imported.left_out.extend(bake.left_out.iter().cloned());
    (bake, imported)
}

/// The images of these files.
pub(super) fn import(
    source: &Source<'_>,
    files: &[String],
    services: BTreeMap<String, Target>,
) -> Imported {
    let (bake, mut imported) = read(source, files, services);
    let folders: Vec<String> = files
        .iter()
        .map(|file| refit_deps::names::folder(file).to_owned())
        .collect();
    let reader = Reader {
        source,
        folders: &folders,
    };
    let mut targets = bake.selected();
    // Made by a workflow for others to inherit from; it builds nothing itself.
    targets.remove("docker-metadata-action");
    reader.images(Selected(targets), &mut imported);
    imported
}
