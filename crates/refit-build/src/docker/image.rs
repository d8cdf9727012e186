//! The image that a build leaves in the engine, until it is pushed.

use bollard::{
    Docker,
    query_parameters::{
        PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use refit_oci::Reference;

use crate::engine::EngineError;

/// How often an image that lost its last name is named again to be removed.
const ATTEMPTS: usize = 5;

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

/// Removes the image; its layers stay in the engine's build cache.
///
/// Two runs may build one image under two names. An engine that is asked to remove both names at once can take either for
/// not the last, and keep the image without any: it is named and removed again then. Never by its id: that would take the
/// other run's name along. What is left over for another reason is harmless, and the engine's next clean-up takes it.
pub(super) async fn remove(client: &Docker, output: &Reference) {
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
