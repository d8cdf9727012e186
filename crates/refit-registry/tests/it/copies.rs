//! Images copied between registries and layouts.

use refit_oci::{Digest, Document, Repository};
use refit_registry::{Layout, Place, Registry, RegistryError, Uploaded, copy_image, copy_once};
use refit_testkit::registry::{Image, Options};

use crate::{Open, image};

fn place<'a>(registry: &'a dyn Registry, repository: &'a Repository) -> Place<'a> {
    Place {
        registry,
        repository,
    }
}

fn two() -> [Image; 2] {
    let arm = Image::new("linux/arm64", &[&[("etc/base", "arm\n")]]);
    [image(), arm]
}

/// Copies an image of the repository `base` to the repository `web` of the same registry.
async fn copy_to_web(open: &Open, digest: &Digest) -> Result<Document, RegistryError> {
    let (client, from, to) = (
        open.client(),
        open.repository("base"),
        open.repository("web"),
    );
    copy_image(place(&*client, &from), place(&*client, &to), digest).await
}

#[tokio::test]
async fn an_index_is_copied_with_everything_below_it() {
    let open = Open::start();
    let digest = open.server.put_index("base", "1", &two());
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let (client, base) = (open.client(), open.repository("base"));
    let local: Repository = "refit.local/base".parse().unwrap();
    let from = place(&*client, &base);
    let copied = copy_image(from, place(&layout, &local), &digest)
        .await
        .unwrap();
    assert_eq!(copied.digest(), &digest);

    // And back, to another registry.
    let other = Open::start();
    let (target, mirror) = (other.client(), other.repository("mirror/base"));
    let to = place(&*target, &mirror);
    copy_image(place(&layout, &local), to, &digest)
        .await
        .unwrap();
    assert_eq!(
        other.server.document("mirror/base", &digest),
        open.server.document("base", &digest)
    );
    for image in two() {
        for layer in &image.manifest.value.layers {
            assert!(other.server.blob("mirror/base", &layer.digest).is_some());
        }
    }
}

#[tokio::test]
async fn within_a_registry_blobs_are_mounted_not_sent() {
    let open = Open::start();
    let digest = open.server.put_index("base", "1", &two());
    copy_to_web(&open, &digest).await.unwrap();
    assert!(open.server.document("web", &digest).is_some());
    assert_eq!(open.server.count("GET", "/blobs/"), 0);
    assert_eq!(open.server.count("PUT", "/blobs/"), 0);
}

#[tokio::test]
async fn without_mounts_blobs_are_sent() {
    let open = Open::with(Options {
        mounts: false,
        ..Options::default()
    });
    let digest = open.server.put_image("base", "1", &image());
    copy_to_web(&open, &digest).await.unwrap();
    assert!(open.server.document("web", &digest).is_some());
}

#[tokio::test]
async fn what_is_there_already_costs_two_requests() {
    let open = Open::start();
    let digest = open.server.put_image("base", "1", &image());
    open.server.put_image("web", "1", &image());
    copy_to_web(&open, &digest).await.unwrap();
    assert_eq!(open.server.count("*", ""), 2);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_missing() {
    let open = Open::start();
    let digest = Digest::sha256(b"nothing");
    let copied = copy_to_web(&open, &digest).await;
    assert!(copied.unwrap_err().is_missing());
}

#[tokio::test]
async fn what_a_tag_keeps_is_copied_once_and_then_costs_one_request() {
    let (origin, mirror) = (Open::start(), Open::start());
    let digest = origin.server.put_image("base", "1", &image());
    let (from, to) = (origin.repository("base"), mirror.repository("hub/base"));
    let (source, target) = (origin.client(), mirror.client());
    let copy = async || {
        let places = (place(&*source, &from), place(&*target, &to));
        copy_once(places.0, places.1, &digest, "base-1").await
    };
    assert_eq!(copy().await.unwrap(), Uploaded::Uploaded);
    assert_eq!(
        mirror.server.tag("hub/base", "base-1"),
        Some(digest.clone())
    );
    let layer = &image().manifest.value.layers[0].digest;
    assert!(mirror.server.blob("hub/base", layer).is_some());

    origin.server.forget_requests();
    mirror.server.forget_requests();
    assert_eq!(copy().await.unwrap(), Uploaded::Existed);
    assert_eq!(origin.server.count("*", ""), 0);
    assert_eq!(
        (
            mirror.server.count("HEAD", ""),
            mirror.server.count("*", "")
        ),
        (1, 1)
    );

    // A tag that was taken away, or put on something else, is mended; nothing is sent again.
    let other = Image::new("linux/amd64", &[&[("etc/base", "other\n")]]);
    mirror.server.put_image("hub/base", "base-1", &other);
    mirror.server.forget_requests();
    assert_eq!(copy().await.unwrap(), Uploaded::Uploaded);
    assert_eq!(
        mirror.server.tag("hub/base", "base-1"),
        Some(digest.clone())
    );
    assert_eq!(mirror.server.count("*", "/blobs/"), 0);
}
