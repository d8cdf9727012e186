//! The engine `native`: builds Dockerfiles that execute nothing, without a daemon, for every platform, to the same
//! bytes everywhere.
//!
//! Nothing is unpacked: an image is a table of its layers' members, an instruction changes the table, and the change is
//! the new layer.

pub mod file_table;
pub mod image_path;
pub mod layer_entries;
pub mod node;

pub(crate) mod bases;
mod build;
mod check;
mod contents;
mod context_table;
pub(crate) mod copy;
pub(crate) mod draft;
mod edit;
mod failure;
mod fetch;
mod go_format;
mod items;
mod layer_tables;
pub(crate) mod metadata;
mod mode_change;
mod onbuild;
pub(crate) mod owner;
pub(crate) mod request;
pub(crate) mod scope;
mod signal;
mod transfer;
mod unpack;

use std::{io, sync::Arc};

use async_trait::async_trait;
use refit_registry::{Downloads, Settings};
use tokio::{runtime::Handle, sync::mpsc, task};

use self::build::Job;
pub use self::layer_tables::{LayerTable, LayerTables};
use crate::engine::{Built, Engine, EngineError, EngineKind, Recipe, Refusal};

/// The `os` of Windows images.
pub(crate) const WINDOWS: &str = "windows";

/// The engine. Clones share the tables of the layers that were read.
#[derive(Clone)]
pub struct NativeEngine {
    tables: LayerTables,
    downloads: Arc<Downloads>,
}

impl Default for NativeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeEngine {
    /// An engine that has read nothing yet.
    pub fn new() -> Self {
        Self::with(LayerTables::default(), Downloads::new(Settings::default()))
    }

    /// An engine that shares the tables of layers that others read, and fetches what ADD names this way.
    pub fn with(tables: LayerTables, downloads: Downloads) -> Self {
        let downloads = Arc::new(downloads);
        Self { tables, downloads }
    }
}

#[async_trait]
impl Engine for NativeEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Native
    }

    fn layer_format(&self) -> &'static str {
        "gzip"
    }

    fn check(&self, recipe: &Recipe) -> Result<(), Refusal> {
        check::check(recipe)
    }

    async fn answers(&self) -> Result<(), EngineError> {
        Ok(())
    }

    async fn build(
        &self,
        recipe: &Recipe,
        log: &mut (dyn io::Write + Send),
    ) -> Result<Built, EngineError> {
        self.check(recipe)?;
        let (job, tables) = (Job::of(recipe), self.tables.clone());
        let downloads = Arc::clone(&self.downloads);
        let (sender, mut lines) = mpsc::unbounded_channel();
        let handle = Handle::current();
        let build = task::spawn_blocking(move || job.run(handle, (tables, downloads), sender));
        while let Some(line) = lines.recv().await {
            writeln!(log, "{line}").map_err(|source| EngineError::Io {
                path: "the build's log".into(),
                source,
            })?;
        }
        build.await.map_err(|error| EngineError::Failed {
            message: format!("the native engine broke off: {error}"),
        })?
    }
}
