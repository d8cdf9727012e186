//! The image that a build leaves in the engine, until it is pushed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error::DockerResponseServerError,
    query_parameters::{
        PushImageOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
        TagImageOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use refit_oci::Reference;
use tokio::{runtime::Handle, task::JoinHandle, time::timeout};

use crate::engine::EngineError;

/// How often an image that lost its last name is named again to be removed.
const ATTEMPTS: u32 = 5;

/// How long an image that is in use is left alone; longer with every attempt.
const PAUSE: Duration = Duration::from_millis(200);

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
    engine: Option<Docker>,
    what: Arc<What>,
}

/// What goes.
pub(super) enum What {
    /// The result of BuildKit, whose cache is its own affair.
    Result(Reference),
    /// What a builder from before BuildKit was given and has made; its cache are images without a name.
    Images(Images),
    /// A container, by its id.
    Container(String),
}

/// Ids, as they are told of.
pub(super) type Made = Arc<Mutex<Vec<String>>>;

/// Names in the engine.
pub(super) struct Images {
    pub(super) result: Reference,
    /// What was pulled.
    pub(super) bases: Vec<Reference>,
    /// Images without a name that a build says it has made, by their ids, and that are of no use to another build.
    pub(super) made: Made,
    /// Whether what they are made of stays for the next build.
    pub(super) stay: bool,
}

impl Left {
    pub(super) fn behind(engine: &Docker, what: What) -> Self {
        Self {
            engine: Some(engine.clone()),
            what: Arc::new(what),
        }
    }

    /// Removes it now.
    pub(super) async fn remove(mut self) {
        if let Some(engine) = &self.engine {
            remove(engine, &self.what).await;
        }
        self.engine = None;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let (Some(engine), Ok(runtime)) = (self.engine.take(), Handle::try_current()) else {
            return;
        };
        let what = Arc::clone(&self.what);
        let removal = runtime.spawn(async move {
            // One that says nothing any more keeps what it has.
            let _ = timeout(PATIENCE, remove(&engine, &what)).await;
        });
        let mut removals = REMOVALS.lock().unwrap_or_else(PoisonError::into_inner);
        removals.retain(|removal| !removal.is_finished());
        removals.push(removal);
    }
}

async fn remove(engine: &Docker, what: &What) {
    match what {
        What::Result(result) => remove_result(engine, result).await,
        What::Images(images) => images.remove(engine).await,
        What::Container(id) => remove_container(engine, id).await,
    }
}

/// Removes a container, which mostly goes by itself: an engine that is about to do so may refuse, or say so too early.
async fn remove_container(engine: &Docker, id: &str) {
    for attempt in 1..=ATTEMPTS {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let _ = engine.remove_container(id, Some(options)).await;
        if let Err(DockerResponseServerError {
            status_code: 404, ..
        }) = engine.inspect_container(id, None).await
        {
            return;
        }
        tokio::time::sleep(PAUSE * attempt).await;
    }
}

impl Images {
    async fn remove(&self, engine: &Docker) {
        for name in std::iter::once(&self.result).chain(&self.bases) {
            self.remove_name(engine, &name.to_string()).await;
        }
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        // The last one is built on those before it. What is gone with a name is not there to be removed.
        for id in made.iter().rev() {
            let options = RemoveImageOptionsBuilder::default().build();
            let _ = engine.remove_image(id, Some(options), None).await;
        }
    }

    /// What others are made of stays, without a name.
    async fn remove_name(&self, engine: &Docker, name: &str) {
        for attempt in 1..=ATTEMPTS {
            let options = RemoveImageOptionsBuilder::default().noprune(self.stay);
            let removed = engine.remove_image(name, Some(options.build()), None).await;
            if removed.is_ok() || engine.inspect_image(name).await.is_err() {
                return;
            }
            // A container of a build that was given up is on its way out.
            tokio::time::sleep(PAUSE * attempt).await;
        }
    }
}

/// Removes the image; its layers stay in the engine's build cache.
///
/// Two runs may build one image under two names. An engine that is asked to remove both names at once can take either for
/// not the last, and keep the image without any: it is named and removed again then. Never by its id: that would take the
/// other run's name along. What is left over for another reason is harmless, and the engine's next clean-up takes it.
async fn remove_result(client: &Docker, output: &Reference) {
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
