//! What importers find, whatever the format: images as a source describes them, and what of it has no place here.

use std::{collections::BTreeMap, fmt};

use refit_oci::{Platform, Reference};

/// A line of a file of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file, relative to the repository's root.
    pub(crate) file: String,
    /// From 1; 0 stands for the whole file.
    pub(crate) line: usize,
}

impl Place {
    pub(crate) fn new(file: &str, line: usize) -> Self {
        Self {
            file: file.to_owned(),
            line,
        }
    }
}

impl fmt::Display for Place {
    /// `compose.yaml:12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something that a source says and the configuration will not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NotImported {
    pub(crate) place: Place,
    /// `web: cache-from`.
    pub(crate) what: String,
    /// As a fragment in lower case.
    pub(crate) why: String,
}

impl fmt::Display for NotImported {
    /// `compose.yaml:12: web: cache-from: no cache is imported or exported`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.what, self.why)
    }
}

/// A named build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BuildContext {
    /// An image of a registry.
    Image(Reference),
    /// Nothing.
    Scratch,
    /// The image of the same source with this `id`.
    Sibling(String),
}

/// A tag that the source gives the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    /// The repository; without a host in it as in the source (`web`), or fully (`ghcr.io/team/web`).
    pub(crate) repository: String,
    /// The tag; may use `{{.Line}}`, and `{{.Run.Commit}}` where it is unique.
    pub(crate) name: String,
    /// Whether it is written once.
    pub(crate) is_unique: bool,
}

/// One image as a source describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportedImage {
    /// Where it is described.
    pub(crate) from: Place,
    /// Its name in the source, by which siblings refer to it.
    pub(crate) id: String,
    /// What it is best called; not yet a slug.
    pub(crate) name: String,
    /// Folder of the build context; empty for the root.
    pub(crate) context: String,
    /// Path of the Dockerfile.
    pub(crate) dockerfile: String,
    /// The target stage.
    pub(crate) target: Option<String>,
    pub(crate) build_args: BTreeMap<String, String>,
    pub(crate) build_contexts: BTreeMap<String, BuildContext>,
    /// Empty where the source says nothing.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// By id: `env:NAME` or `file:PATH`.
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) network: Option<String>,
}

/// All that one source says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) images: Vec<ImportedImage>,
    pub(crate) left_out: Vec<NotImported>,
    /// Dockerfiles that the source builds, imported or not: a scan does not list them again.
    pub(crate) dockerfiles: Vec<String>,
    /// Dockerfiles of builds that make files, not images.
    pub(crate) ignore: Vec<String>,
}

impl Imported {
    /// Leaves something out, with a word on why.
    pub(crate) fn leave_out(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.left_out.push(NotImported {
            place: place.clone(),
            what: what.into(),
            why: why.into(),
        });
    }
}
