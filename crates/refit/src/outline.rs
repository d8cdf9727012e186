//! What the images of a commit are made of, path by path: remembered, so that the hooks of a commit that concerns no
//! image need not read a single Dockerfile.

use std::{collections::BTreeSet, path::PathBuf};

use refit_context::ignore_candidates;
use refit_deps::{config::CONFIG_PATH, glob_matches};
use refit_dockerfile::looks_like_dockerfile;
use refit_git::Mode;
use refit_oci::ObjectId;
use serde::{Deserialize, Serialize};

use crate::project::{Project, Snapshot, entry_at};

/// The version of the file: another one is not read.
const VERSION: u32 = 1;

/// The outline of one commit. A commit that differs from it in no configuration and no Dockerfile has the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outline {
    version: u32,
    commit: ObjectId,
    /// Sorted, each once.
    images: BTreeSet<Paths>,
    /// What they match is a Dockerfile by any name.
    globs: Vec<String>,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Paths {
    dockerfile: String,
    context: String,
}

impl Outline {
    /// The outline of a snapshot; none where paths alone do not tell what a commit concerns: an ignore file that is a
    /// link leads elsewhere.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let commit = snapshot.commit.clone()?;
        let mut images = BTreeSet::new();
        for image in &snapshot.inventory.images {
            let ignore_files = ignore_candidates(&image.dockerfile, &image.context);
            let is_link = |path: &String| {
                let entry = entry_at(&snapshot.entries, path);
                entry.is_some_and(|entry| entry.mode == Mode::Symlink)
            };
            if ignore_files.iter().any(is_link) {
                return None;
            }
            images.insert(Paths {
                dockerfile: image.dockerfile.clone(),
                context: image.counted_folder().to_owned(),
            });
        }
        Some(Self {
            version: VERSION,
            commit,
            images,
            globs: snapshot.inventory.globs.clone(),
        })
    }

    /// What was remembered last; none if that is of no use for `commit`.
    pub(crate) fn recall(project: &Project, commit: &ObjectId) -> Option<Self> {
        let bytes = std::fs::read(file(project)).ok()?;
        let outline: Self = serde_json::from_slice(&bytes).ok()?;
        if outline.version != VERSION {
            return None;
        }
        // It may be of another branch, or of a commit that is gone.
        let same = outline.commit == *commit
            || project
                .repo
                .paths_between(Some(&outline.commit), commit)
                .is_ok_and(|paths| !outline.is_outdated_by(&paths));
        same.then_some(outline)
    }

    /// Remembers it. What can't be written costs the next hook a little time.
    pub(crate) fn remember(&self, project: &Project) {
        let file = file(project);
        let Some(folder) = file.parent() else { return };
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| tempfile::NamedTempFile::new_in(folder))
            .and_then(|temporary| {
                std::fs::write(temporary.path(), serde_json::to_vec(self)?)?;
                Ok(temporary.persist(&file)?)
            });
        drop(written);
    }

    /// Whether a change of these paths may be one of which images there are, or of what they are built on.
    pub(crate) fn is_outdated_by(&self, paths: &[String]) -> bool {
        let is_listed = |path: &str| {
            let first = Paths {
                dockerfile: path.to_owned(),
                context: String::new(),
            };
            let mut from = self.images.range(first..);
            from.next().is_some_and(|image| image.dockerfile == path)
        };
        let name = |path: &String| path.rfind('/').map_or(0, |slash| slash + 1);
        paths.iter().any(|path| {
            path == CONFIG_PATH
                || looks_like_dockerfile(&path[name(path)..])
                || is_listed(path)
                || self.globs.iter().any(|glob| glob_matches(glob, path))
        })
    }

    /// Whether one of these paths, which are sorted, may count for an image.
    pub(crate) fn is_touched_by(&self, paths: &[String]) -> bool {
        self.images
            .iter()
            .any(|image| crate::changed::may_concern((&image.dockerfile, &image.context), paths))
    }
}

fn file(project: &Project) -> PathBuf {
    project.own_dir().join("outline")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(images: &[(&str, &str)]) -> Outline {
        let paths = images.iter().map(|(dockerfile, context)| Paths {
            dockerfile: (*dockerfile).to_owned(),
            context: (*context).to_owned(),
        });
        Outline {
            version: VERSION,
            commit: "a".repeat(40).parse().unwrap(),
            images: paths.collect(),
            globs: vec!["docker/*.build".to_owned()],
        }
    }

    #[test]
    fn a_path_is_told_to_change_the_images_to_touch_one_or_to_do_neither() {
        let web = outline(&[
            ("web/Dockerfile", "web"),
            ("build/api.docker", "services/api"),
        ]);
        for (path, outdated, touched) in [
            ("README.md", false, false),
            ("web/README.md", false, true),
            ("webs/README.md", false, false),
            ("web", false, true),
            ("services/api/.dockerignore", false, true),
            ("services/other/a", false, false),
            ("build/api.docker", true, true),
            ("build/api.docker.dockerignore", false, true),
            ("build/other.docker", false, false),
            ("web/Dockerfile", true, true),
            ("new/Dockerfile", true, false),
            ("new/Dockerfile.dev", true, false),
            ("new/Containerfile", true, false),
            (CONFIG_PATH, true, false),
            ("docker/new.build", true, false),
            ("docker/new.sh", false, false),
        ] {
            let paths = [path.to_owned()];
            let told = (web.is_outdated_by(&paths), web.is_touched_by(&paths));
            assert_eq!(told, (outdated, touched), "{path}");
        }
        assert!(outline(&[("Dockerfile", "")]).is_touched_by(&["anything".to_owned()]));
        assert!(!outline(&[("Dockerfile", "")]).is_touched_by(&[]));
    }
}
