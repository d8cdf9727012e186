//! What a COPY or ADD says besides its sources.

use refit_context::Ignore;

use crate::native::{
    edit::NewFolders,
    image_path::ImagePath,
    mode_change::ModeChange,
    node::{Node, NodeKind},
    owner::Owner,
};

/// How a COPY or ADD changes what it copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyRules {
    /// `--chown`; without it everything keeps its owner.
    pub(crate) owner: Option<Owner>,
    /// `--chmod`.
    pub(crate) mode: Option<ModeChange>,
    /// `--parents`: only what these rules match.
    pub(crate) include: Option<Ignore>,
    /// `--exclude`: nothing that these rules match.
    pub(crate) exclude: Option<Ignore>,
}

/// Where a COPY or ADD goes: absolute, its ending told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) path: ImagePath,
    /// It ends with `/` or `/.`: a folder, whatever the sources are.
    pub(crate) is_folder: bool,
}

impl Destination {
    /// Reads a destination as written, relative to the folder of WORKDIR.
    pub(crate) fn parse(working_dir: &str, written: &str) -> Self {
        let path = match written.strip_prefix('/') {
            Some(_) => ImagePath::clean(written),
            None => ImagePath::clean(working_dir).join(written),
        };
        let is_folder =
            matches!(written, "" | ".") || written.ends_with('/') || written.ends_with("/.");
        Self { path, is_folder }
    }
}

impl CopyRules {
    /// How folders are made on the way to a destination.
    pub(crate) fn new_folders(&self) -> NewFolders {
        NewFolders {
            mode: ModeChange::of_new_folders(self.mode.as_ref()),
            owner: self.owner.unwrap_or_default(),
        }
    }

    /// Whether a path below a source is copied.
    pub(super) fn takes(&self, relative: &str) -> bool {
        let included = self
            .include
            .as_ref()
            .is_none_or(|rules| rules.excludes(relative));
        included
            && !self
                .exclude
                .as_ref()
                .is_some_and(|rules| rules.excludes(relative))
    }

    /// A source's node as it is put down. Its time stays: the context's are all 0, an image's are as fixed as its digest.
    pub(super) fn changed(&self, node: &Node) -> Node {
        let mut node = node.clone();
        if let Some(owner) = self.owner {
            (node.uid, node.gid) = (owner.uid, owner.gid);
        }
        if let Some(mode) = &self.mode
            && !matches!(node.kind, NodeKind::Symlink(_))
        {
            node.mode = mode.apply(node.mode, node.kind == NodeKind::Directory);
        }
        node
    }
}
