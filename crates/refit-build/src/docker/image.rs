//! The image that a build leaves in the engine, until it is pushed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    Docker,
    query_parameters::{
        PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use refit_oci::Reference;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use crate::engine::EngineError;

/// How often an image that lost its last name is named again to be removed.
const ATTEMPTS: usize = 5;

/// How long an engine may take to remove what a build that was given up left in it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends the image to the loopback registry.
pub(super) async fn push(client: &Docker, output: &Reference) -> Result<(), EngineError> {
    let options = PushImageOptionsBuilder::default().tag(output.tag().unwrap_or_default());
    let repository = output.repository().to_string();
    let mut pushing = client.push_image(&repository, Some(options.build()), None);
    while let Some(progress) = pushing.next().await {
        let refused = |source| EngineError::Engine {
            action: "push the result to refit's registry".to_owned(),
            source,
        };
        let progress = progress.map_err(|e| refused(e.into()))?;
        if let Some(message) = progress.error_detail.and_then(|detail| detail.message) {
            return Err(refused(message.into()));
        }
    }
    Ok(())
}

/// Images of builds that were given up, on their way out.
static REMOVALS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Waits until what was begun for builds that were given up is gone from the engine.
pub async fn clean_up() {
    let removals = std::mem::take(&mut *REMOVALS.lock().unwrap_or_else(PoisonError::into_inner));
    for removal in removals {
        // One that panicked has nothing left to wait for.
        let _ = removal.await;
    }
}

/// The image that a build may have left in the engine. It goes with the build, also with one that is given up: then it is
/// removed in the background, which [`clean_up`] waits for.
pub(super) struct Left {
    client: Option<Docker>,
    output: Reference,
}

impl Left {
    pub(super) fn behind(client: &Docker, output: &Reference) -> Self {
        Self {
            client: Some(client.clone()),
            output: output.clone(),
        }
    }

    /// Removes it now.
    pub(super) async fn remove(mut self) {
        if let Some(client) = &self.client {
            remove(client, &self.output).await;
        }
        self.client = None;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let (Some(client), Ok(runtime)) = (self.client.take(), Handle::try_current()) else {
            return;
        };
        let output = self.output.clone();
        let removal = runtime.spawn(async move {
            // One that says nothing any more keeps what it has.
            let _ = timeout(PATIENCE, remove(&client, &output)).await;
        });
        let mut removals = REMOVALS.lock().unwrap_or_else(PoisonError::into_inner);
        removals.retain(|removal| !removal.is_finished());
        removals.push(removal);
    }
}

/// Removes the image; its layers stay in the engine's build cache.
///
/// Two runs may build one image under two names. An engine that is asked to remove both names at once can take either for
/// not the last, and keep the image without any: it is named and removed again then. Never by its id: that would take the
/// other run's name along. What is left over for another reason is harmless, and the engine's next clean-up takes it.
async fn remove(client: &Docker, output: &Reference) {
    let name = output.to_string();
    let id = client.inspect_image(&name).await.ok().and_then(|i| i.id);
    for _ in 0..ATTEMPTS {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        let _ = client.remove_image(&name, Some(options), None).await;
        let Some(id) = &id else { return };
        let Ok(left) = client.inspect_image(id).await else {
            return;
        };
        if left.repo_tags.is_some_and(|names| !names.is_empty()) {
            return;
        }
        let options = TagImageOptionsBuilder::default()
            .repo(&output.repository().to_string())
            .tag(output.tag().unwrap_or_default())
            .build();
        if client.tag_image(id, Some(options)).await.is_err() {
            return;
        }
    }
}
