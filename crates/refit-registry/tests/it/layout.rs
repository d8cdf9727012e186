//! OCI layouts on disk.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use refit_oci::{Descriptor, Digest, Document, Reference, Repository, media_type};
use refit_registry::{
    BlobSource, Collect, Deleted, EMBEDDED_HOST, Garbage, Head, HostSettings, Layout, Registries,
    Registry as _, RegistryError, Settings, Uploaded,
};
use refit_testkit::registry::{Image, index};

use crate::{image, push};

fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

#[tokio::test]
async fn one_layout_holds_many_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/team/web");
    let debian = repository("debian");
    let other = Image::new("linux/arm64", &[&[("a", "b")]]);
    push(&layout, &web, &image(), Some("1")).await;
    push(&layout, &debian, &other, Some("12")).await;
    push(&layout, &debian, &image(), None).await;

    let head = layout.head(&"debian:12".parse().unwrap()).await.unwrap();
    assert_eq!(head.digest(), Some(other.digest()));
    assert!(
        matches!(head, Head::Found { media_type: Some(t), .. } if t == media_type::OCI_MANIFEST)
    );
    let tags = (
        layout.tags(&web).await.unwrap(),
        layout.tags(&debian).await.unwrap(),
    );
    assert_eq!(tags, (vec!["1".to_owned()], vec!["12".to_owned()]));

    let read = layout.document(&web, image().digest()).await.unwrap();
    assert_eq!(read, Document::Manifest(image().manifest));
    let layer = &image().manifest.value.layers[0];
    let file = layout.blob(&web, layer).await.unwrap();
    assert!(file.path().starts_with(folder.path()));
    assert_eq!(std::fs::read(file.path()).unwrap(), image().layers[0]);

    // Another process sees the same.
    let again = Layout::open(folder.path()).unwrap();
    assert_eq!(again.tags(&web).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_moved_tag_leaves_its_old_document_behind() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/web");
    let new = Image::new("linux/amd64", &[&[("a", "b")]]);
    push(&layout, &web, &image(), Some("latest")).await;
    push(&layout, &web, &new, Some("latest")).await;
    let head = layout.head(&web.tagged("latest").unwrap()).await.unwrap();
    assert_eq!(head.digest(), Some(new.digest()));
    let old = layout.head(&web.at(image().digest())).await.unwrap();
    assert_eq!(old.digest(), Some(image().digest()));
    // Listed without a name, so that nobody's garbage collection takes it.
    let text = std::fs::read_to_string(folder.path().join("index.json")).unwrap();
    assert!(text.contains(image().digest().as_str()));

    assert_eq!(
        layout.delete_tag(&web, "latest").await.unwrap(),
        Deleted::Deleted
    );
    assert_eq!(
        layout.delete_tag(&web, "latest").await.unwrap(),
        Deleted::Missing
    );
    assert_eq!(layout.tags(&web).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_document_needs_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/web");
    for document in [
        Document::Manifest(image().manifest),
        Document::Index(index(&[image()])),
    ] {
        let error = layout.push_document(&web, &document, None).await;
        assert!(error.unwrap_err().is_missing());
    }
    assert!(!folder.path().join("index.json").exists());
}

#[tokio::test]
async fn damaged_blobs_are_found_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/web");
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"content");
    let path = folder
        .path()
        .join("blobs/sha256")
        .join(descriptor.digest.hex());
    for damage in ["c0ntent", "con"] {
        std::fs::write(&path, damage).unwrap();
        // A view of its own: a process trusts what it has verified itself.
        let fresh = Layout::open(folder.path()).unwrap();
        let error = fresh.blob(&web, &descriptor).await.unwrap_err();
        assert!(
            matches!(
                error,
                RegistryError::DigestMismatch { .. } | RegistryError::SizeMismatch { .. }
            ),
            "{error}"
        );
        let source = BlobSource::from(b"content".to_vec());
        let pushed = fresh.push_blob(&web, &descriptor, source).await;
        assert_eq!(pushed.unwrap(), Uploaded::Uploaded, "{damage}");
    }
    assert!(layout.blob(&web, &descriptor).await.is_ok());
}

#[tokio::test]
async fn a_blob_that_is_not_its_digest_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"content");
    let source = BlobSource::from(b"c0ntent".to_vec());
    let error = layout
        .push_blob(&repository("refit.local/web"), &descriptor, source)
        .await;
    assert!(matches!(error, Err(RegistryError::DigestMismatch { .. })));
    let names = std::fs::read_dir(folder.path()).unwrap();
    let partial = names.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("partial")
    });
    assert_eq!(partial.count(), 0);
    let has = layout
        .has_blob(&repository("refit.local/web"), &descriptor.digest)
        .await;
    assert!(!has.unwrap());
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let web = repository("refit.local/web");
    let writers = (0..12).map(|n| {
        let (path, web) = (folder.path().to_owned(), web.clone());
        tokio::spawn(async move {
            let layout = Layout::open_or_create(path).unwrap();
            push(&layout, &web, &image(), Some(&format!("t{n:02}"))).await;
        })
    });
    for writer in futures_util::future::join_all(writers).await {
        writer.unwrap();
    }
    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.tags(&web).await.unwrap().len(), 12);
}

#[tokio::test]
async fn an_index_does_not_depend_on_the_order_of_pushes() {
    let mut texts = Vec::new();
    for order in [["a", "b", "c"], ["c", "b", "a"]] {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open_or_create(folder.path()).unwrap();
        for tag in order {
            push(&layout, &repository("refit.local/web"), &image(), Some(tag)).await;
        }
        texts.push(std::fs::read_to_string(folder.path().join("index.json")).unwrap());
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn the_embedded_store_is_empty_until_something_is_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refit/store");
    let registries = Registries::new(Settings {
        embedded: Some(path.clone()),
        ..Settings::default()
    });
    let store = registries.registry(EMBEDDED_HOST);
    let web = repository("refit.local/web");
    let reference: Reference = web.tagged("1").unwrap();
    assert_eq!(store.head(&reference).await.unwrap(), Head::Missing);
    let missing = store.document(&web, &Digest::sha256(b"x")).await;
    assert!(missing.unwrap_err().is_missing());
    assert!(!path.exists());
    push(&*store, &web, &image(), Some("1")).await;
    assert!(store.head(&reference).await.unwrap().digest().is_some());
}

#[tokio::test]
async fn without_an_embedded_store_its_host_is_an_error_not_a_network_name() {
    let registries = Registries::new(Settings::default());
    let reference: Reference = "refit.local/web:1".parse().unwrap();
    let error = registries.registry(EMBEDDED_HOST).head(&reference).await;
    let error = error.unwrap_err();
    assert!(matches!(error, RegistryError::NoStore { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_layout_can_stand_for_docker_hub() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub");
    let layout = Layout::open_or_create(&path).unwrap();
    push(&layout, &repository("debian"), &image(), Some("12")).await;
    let settings = |path: std::path::PathBuf| {
        let hub = HostSettings {
            layout: Some(path),
            ..HostSettings::default()
        };
        Settings {
            hosts: [("docker.io".to_owned(), hub)].into(),
            ..Settings::default()
        }
    };
    let reference: Reference = "debian:12".parse().unwrap();
    let registries = Registries::new(settings(path));
    let head = registries.registry("docker.io").head(&reference).await;
    assert_eq!(head.unwrap().digest(), Some(image().digest()));
    assert_eq!(registries.requests().head, 0);

    // A wrong path is not an empty registry.
    let nowhere = folder.path().join("nowhere");
    let registries = Registries::new(settings(nowhere.clone()));
    let error = registries.registry("docker.io").head(&reference).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&nowhere.display().to_string()), "{error}");
}

#[tokio::test]
async fn what_is_no_layout_is_not_written_into() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.json"), "{}").unwrap();
    assert!(matches!(
        Layout::open_or_create(folder.path()),
        Err(RegistryError::NotALayout { .. })
    ));
    std::fs::write(
        folder.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    assert!(matches!(
        Layout::open(folder.path()),
        Err(RegistryError::NotALayout { .. })
    ));
}

/// Blobs that nobody wrote since.
fn all_before(dry_run: bool) -> Collect {
    Collect {
        before: SystemTime::now() + Duration::from_hours(1),
        without: BTreeSet::new(),
        dry_run,
    }
}

#[tokio::test]
async fn what_no_entry_leads_to_is_garbage_once_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/web");
    push(&layout, &web, &image(), Some("latest")).await;
    let lost = Descriptor::of(media_type::OCI_LAYER, b"lost");
    let source = || BlobSource::from(b"lost".to_vec());
    layout.push_blob(&web, &lost, source()).await.unwrap();
    let young = Collect {
        before: SystemTime::now() - Duration::from_hours(1),
        ..all_before(false)
    };
    let one = Garbage {
        n_blobs: 1,
        bytes: 4,
    };
    for (settings, expect) in [
        (young.clone(), Garbage::default()),
        (all_before(true), one),
        (all_before(false), one),
        (all_before(false), Garbage::default()),
    ] {
        let garbage = layout.collect_garbage(&settings).await.unwrap();
        assert_eq!(garbage, Some(expect), "{settings:?}");
    }
    // One that is old, and that somebody has just found there, is about to be referred to.
    layout.push_blob(&web, &lost, source()).await.unwrap();
    let path = folder.path().join("blobs/sha256").join(lost.digest.hex());
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert!(layout.has_blob(&web, &lost.digest).await.unwrap());
    let garbage = layout.collect_garbage(&young).await.unwrap();
    assert_eq!(garbage, Some(Garbage::default()));

    // What another repository names stays; what nothing names any more does not.
    push(
        &layout,
        &repository("refit.local/api"),
        &image(),
        Some("latest"),
    )
    .await;
    let digest = image().digest().clone();
    let remove = |from: Repository| {
        let (layout, digest) = (layout.clone(), digest.clone());
        async move { layout.delete_document(&from, &digest).await.unwrap() }
    };
    assert_eq!(remove(web.clone()).await, Deleted::Deleted);
    assert_eq!(remove(web.clone()).await, Deleted::Missing);
    let garbage = layout.collect_garbage(&all_before(false)).await.unwrap();
    assert_eq!(garbage, Some(one));
    let api = repository("refit.local/api");
    assert!(layout.document(&api, &digest).await.is_ok());
    assert_eq!(remove(api.clone()).await, Deleted::Deleted);
    let garbage = layout.collect_garbage(&all_before(false)).await.unwrap();
    assert_eq!(garbage.unwrap().n_blobs, 2 + image().layers.len());
    assert!(
        layout
            .document(&api, &digest)
            .await
            .unwrap_err()
            .is_missing()
    );
}

#[tokio::test]
async fn what_can_not_be_read_may_lead_anywhere_so_nothing_is_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let web = repository("refit.local/web");
    push(&layout, &web, &image(), Some("latest")).await;
    let path = folder
        .path()
        .join("blobs/sha256")
        .join(image().digest().hex());
    std::fs::write(path, "damaged").unwrap();
    let collected = layout.collect_garbage(&all_before(false)).await;
    assert!(collected.is_err());
    assert!(
        layout
            .has_blob(&web, &image().manifest.value.config.digest)
            .await
            .unwrap()
    );
}
