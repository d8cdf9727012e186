//! One build with a BuildKit that does not reach the registry on loopback: bases are read from, and the result is written
//! to, stores that the build's session serves.

use std::{collections::BTreeMap, sync::Arc};

use refit_oci::{Descriptor, Reference};
use refit_registry::{
    RegistryError,
    contents::{Contents, Failure},
    loopback::Pushed,
};
use serde_json::Value;

use super::{output::BaseLayers, request::spooling};
use crate::engine::{EngineError, Recipe};

/// A host that is nowhere (RFC 2606): what is not found in the session is found in no registry.
const NOWHERE: &str = "refit.invalid";

/// The layout of all bases, and what its store is called in the session.
const BASES: &str = "bases";
const BASES_STORE: &str = "oci:bases";

/// The store of BuildKit's exporter `oci`.
const RESULT_STORE: &str = "export";

/// What one build's session hands out and takes in.
pub(super) struct Carried {
    pub(super) contents: Arc<Contents>,
    /// The bases' references in the reduced Dockerfile, by their index among what was found.
    pub(super) bases: BTreeMap<usize, Reference>,
    /// What the bases consist of.
    pub(super) layers: Vec<BaseLayers>,
}

impl Carried {
    /// Makes the bases' store for a recipe.
    pub(super) async fn open(recipe: &Recipe) -> Result<Self, EngineError> {
        let contents = Contents::new(&recipe.work_dir).map_err(spooling)?;
        let mut layers = Vec::new();
        let mut bases = BTreeMap::new();
        for pin in &recipe.pins {
            layers.push(BaseLayers::read(pin).await?);
            let (registry, repository) = (Arc::clone(&pin.registry), pin.repository.clone());
            contents.allow(BASES_STORE, registry, repository, pin.manifest.clone());
            let reference = format!("{NOWHERE}/base-{}@{}", pin.found_index, pin.manifest);
            let reference = reference.parse().map_err(spooling)?;
            bases.insert(pin.found_index, reference);
        }
        Ok(Self {
            contents: Arc::new(contents),
            bases,
            layers,
        })
    }

    /// Makes the result's store; layers of bases, and these others, need not be sent.
    pub(super) fn accept(&self, others: impl IntoIterator<Item = Descriptor>) {
        let known = self.layers.iter().flat_map(BaseLayers::blobs).chain(others);
        self.contents.output(RESULT_STORE, known.collect());
    }

    /// What was written.
    pub(super) fn take(&self) -> Result<Pushed, EngineError> {
        let bad = |reason: String| EngineError::BadResult { reason };
        let taken = self.contents.take(RESULT_STORE);
        let taken = taken.map_err(|error| match error {
            RegistryError::Io { path, source } => EngineError::Io { path, source },
            other => bad(other.to_string()),
        })?;
        taken.ok_or_else(|| bad("the engine wrote no manifest".to_owned()))
    }

    /// Why a build failed, where BuildKit's words for it are those that it was told here.
    pub(super) fn failure(&self, message: &str) -> Option<EngineError> {
        let mut failures = self.contents.failures().into_iter();
        let failure = failures.find(|failure| message.contains(&failure.to_string()))?;
        Some(match failure {
            Failure::Unread { repository, source } => EngineError::Base {
                repository,
                source: Box::new(source),
            },
            Failure::Forged(reason) => EngineError::BadResult { reason },
        })
    }
}

/// Where BuildKit's frontend finds a base.
pub(super) fn context(base: &Reference) -> String {
    let digest = base.digest().map(ToString::to_string);
    format!("oci-layout://{BASES}@{}", digest.unwrap_or_default())
}

/// A statement of BuildKit's with bases as images, as if they had come from a registry.
pub(super) fn renamed(bases: &BTreeMap<usize, Reference>, statement: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(statement).into_owned();
    for base in bases.values() {
        let image = format!("docker-image://{base}");
        text = text.replace(&format!("oci-layout://{base}"), &image);
        text = text.replace(&context(base), &image);
    }
    let Ok(mut statement) = serde_json::from_str(&text) else {
        return text.into_bytes();
    };
    forget_session(&mut statement);
    statement.to_string().into_bytes()
}

/// Which session a base came by is nobody's business.
fn forget_session(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, _| !matches!(key.as_str(), "oci.session" | "oci.store"));
            members.values_mut().for_each(forget_session);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_session),
        _ => {}
    }
}
