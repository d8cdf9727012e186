//! One image of the configuration that is to be written.

use refit_deps::{config::ImageKeys, image::Image};

/// An image, with the keys that it needs beside its name, context and Dockerfile.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Path in the repository.
    pub(super) dockerfile: String,
    /// Folder in the repository.
    pub(super) context: String,
    /// Without `context` and `dockerfile`.
    pub(super) keys: ImageKeys,
    /// Whether all that is known is that there is a Dockerfile.
    pub(super) is_scanned: bool,
}

impl Entry {
    /// What a scan finds.
    pub(super) fn scanned(image: &Image) -> Self {
        Self {
            name: image.name.clone(),
            dockerfile: image.dockerfile.clone(),
            context: image.context.clone(),
            keys: ImageKeys::default(),
            is_scanned: true,
        }
    }
}
