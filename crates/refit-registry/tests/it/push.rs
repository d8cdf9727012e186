//! Writing to a registry that behaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use refit_oci::{Descriptor, Digest, Document, Exact, Manifest, Reference, Repository, media_type};
use refit_registry::{
    BlobSource, Deleted, Layout, Registries, Registry, RegistryError, Uploaded, referrers_tag,
};
use refit_testkit::{
    engines::DockerRegistry,
    registry::{Fault, Options},
};

use crate::{Open, image, quick, write};

/// Incompressible and larger than one block of the stream.
fn large() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = Digest::sha256(b"seed");
    while bytes.len() < 300_000 {
        bytes.extend_from_slice(block.hex().as_bytes());
        block = Digest::sha256(block.as_str().as_bytes());
    }
    bytes
}

#[tokio::test]
async fn a_blob_is_streamed_in_one_put_and_only_once() {
    let open = Open::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    write(&path, &large());
    let descriptor = Descriptor::of(media_type::OCI_LAYER_GZIP, &large());
    let (client, repository) = (open.client(), open.repository("team/web"));

    for expect in [Uploaded::Uploaded, Uploaded::Existed] {
        let source = BlobSource::from(path.as_path());
        let done = client.push_blob(&repository, &descriptor, source).await;
        assert_eq!(done.unwrap(), expect);
    }
    let stored = open.server.blob("team/web", &descriptor.digest);
    assert_eq!(stored, Some(large()));
    let requests = open.registries.requests();
    assert_eq!((requests.head, requests.post, requests.put), (2, 1, 1));
    let put = open
        .server
        .requests()
        .into_iter()
        .find(|r| r.method == "PUT");
    let put = put.unwrap();
    assert_eq!(
        put.header("content-length"),
        Some(large().len().to_string().as_str())
    );
    assert_eq!(put.query[0], ("_state".to_owned(), "x=".to_owned()));
}

#[tokio::test]
async fn an_empty_blob_can_be_pushed() {
    let open = Open::start();
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"");
    let source = BlobSource::Bytes(Bytes::new());
    let (client, repository) = (open.client(), open.repository("a"));
    let done = client.push_blob(&repository, &descriptor, source).await;
    assert_eq!(done.unwrap(), Uploaded::Uploaded);
    let read = client.blob_bytes(&repository, &descriptor, 10).await;
    assert!(read.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_of_another_length_is_refused_before_anything_is_sent() {
    let open = Open::start();
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"four");
    let source = BlobSource::from(b"fourteen".to_vec());
    let (client, repository) = (open.client(), open.repository("a"));
    let error = client.push_blob(&repository, &descriptor, source).await;
    assert!(matches!(
        error.unwrap_err(),
        RegistryError::SizeMismatch { actual: 8, .. }
    ));
    assert_eq!(open.server.count("*", ""), 0);
}

#[tokio::test]
async fn content_that_is_not_its_digest_is_refused_by_the_registry() {
    let open = Open::start();
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"four");
    let source = BlobSource::from(b"five".to_vec());
    let (client, repository) = (open.client(), open.repository("a"));
    let error = client.push_blob(&repository, &descriptor, source).await;
    assert!(matches!(
        error.unwrap_err(),
        RegistryError::Refused { status: 400, .. }
    ));
}

#[tokio::test]
async fn a_document_is_stored_to_the_byte_under_a_tag_or_its_digest() {
    let open = Open::start();
    let image = image();
    open.server.put_image("a", "", &image);
    // Odd white space and an unknown key: anything that re-serialises changes the digest.
    let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let odd = text.replacen('{', "{ \"unknown\": 1,\n", 1).into_bytes();
    let document = Document::decode(None, odd.clone()).unwrap();
    let (client, repository) = (open.client(), open.repository("a"));

    for tag in [None, Some("1.0")] {
        let pushed = client.push_document(&repository, &document, tag).await;
        assert_eq!(&pushed.unwrap(), document.digest());
    }
    assert_eq!(open.server.document("a", document.digest()), Some(odd));
    assert_eq!(
        open.server.tag("a", "1.0").as_ref(),
        Some(document.digest())
    );
}

#[tokio::test]
async fn a_document_without_its_blobs_is_refused_in_the_registrys_words() {
    let open = Open::start();
    let document = Document::Manifest(image().manifest);
    let (client, repository) = (open.client(), open.repository("a"));
    let error = client
        .push_document(&repository, &document, Some("1"))
        .await;
    let error = error.unwrap_err();
    assert!(
        matches!(&error, RegistryError::Refused { status: 400, what, message, .. }
        if what.ends_with("/a:1") && message.starts_with("sha256:")),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_neighbour() {
    let open = Open::start();
    let image = image();
    open.server.put_image("base", "1", &image);
    let digest = &image.manifest.value.layers[0].digest;
    let (to, from) = (open.repository("web"), open.repository("base"));
    assert!(open.client().mount_blob(&to, &from, digest).await.unwrap());
    assert!(open.server.blob("web", digest).is_some());

    let elsewhere = "example.com/base".parse().unwrap();
    open.server.forget_requests();
    let mounted = open.client().mount_blob(&to, &elsewhere, digest).await;
    assert!(!mounted.unwrap());
    assert_eq!(open.server.count("*", ""), 0);
}

#[tokio::test]
async fn a_registry_that_would_rather_have_an_upload_gets_its_session_back() {
    let open = Open::with(Options {
        mounts: false,
        ..Options::default()
    });
    let image = image();
    open.server.put_image("base", "1", &image);
    let digest = &image.manifest.value.layers[0].digest;
    let (to, from) = (open.repository("web"), open.repository("base"));
    assert!(!open.client().mount_blob(&to, &from, digest).await.unwrap());
    let methods: Vec<_> = open
        .server
        .requests()
        .into_iter()
        .map(|r| (r.method, r.status))
        .collect();
    assert_eq!(
        methods,
        [
            ("POST".to_owned(), Some(202)),
            ("DELETE".to_owned(), Some(204))
        ]
    );
}

#[tokio::test]
async fn a_tag_is_deleted_and_what_it_pointed_at_stays() {
    let open = Open::start();
    let digest = open.server.put_image("a", "old", &image());
    let (client, repository) = (open.client(), open.repository("a"));
    for expect in [Deleted::Deleted, Deleted::Missing] {
        let done = client.delete_tag(&repository, "old").await;
        assert_eq!(done.unwrap(), expect);
    }
    let head = client.head(&repository.at(&digest)).await.unwrap();
    assert_eq!(head.digest(), Some(&digest));
}

#[tokio::test]
async fn a_document_is_deleted_with_its_tags_and_whoever_deletes_nothing_says_so() {
    let open = Open::start();
    let digest = open.server.put_image("a", "1", &image());
    let (client, repository) = (open.client(), open.repository("a"));
    for (status, expect) in [(405, Deleted::Unsupported), (501, Deleted::Unsupported)] {
        open.server.fail("DELETE", "", 1, Fault::Status(status));
        let done = client.delete_document(&repository, &digest).await;
        assert_eq!(done.unwrap(), expect, "{status}");
    }
    // A tag is taken for a digest that is malformed; of a digest, that is an error.
    open.server.fail("DELETE", "", 2, Fault::Status(400));
    let done = client.delete_tag(&repository, "1").await;
    assert_eq!(done.unwrap(), Deleted::Unsupported);
    let refused = client.delete_document(&repository, &digest).await;
    assert!(matches!(
        refused,
        Err(RegistryError::Refused { status: 400, .. })
    ));
    for expect in [Deleted::Deleted, Deleted::Missing] {
        let done = client.delete_document(&repository, &digest).await;
        assert_eq!(done.unwrap(), expect);
    }
    assert_eq!(client.tags(&repository).await.unwrap(), [""; 0]);
}

/// A manifest about the image.
async fn push_note(to: &dyn Registry, repository: &Repository, text: &str) -> Digest {
    let (empty, note) = (b"{}".to_vec(), text.as_bytes().to_vec());
    let config = Descriptor::of(media_type::OCI_EMPTY, &empty);
    let layer = Descriptor::of("text/plain", &note);
    to.push_blob(repository, &config, empty.into())
        .await
        .unwrap();
    to.push_blob(repository, &layer, note.into()).await.unwrap();
    let manifest = Manifest {
        artifact_type: Some("text/plain".to_owned()),
        subject: Some(image().manifest.descriptor()),
        ..Manifest::new(config, vec![layer], BTreeMap::new())
    };
    let manifest = Exact::encode(media_type::OCI_MANIFEST, manifest);
    to.push_referrer(repository, &manifest).await.unwrap()
}

#[tokio::test]
async fn what_is_about_an_image_is_found_with_the_registrys_list_and_without() {
    for referrers in [true, false] {
        let open = Open::with(Options {
            referrers,
            ..Options::default()
        });
        let (client, repository) = (open.client(), open.repository("team/web"));
        crate::push(client.as_ref(), &repository, &image(), Some("1")).await;
        let none = client.referrers(&repository, image().digest()).await;
        assert_eq!(none.unwrap(), []);
        let mut notes = Vec::new();
        for text in ["one", "two", "one"] {
            notes.push(push_note(client.as_ref(), &repository, text).await);
        }
        let found = client.referrers(&repository, image().digest()).await;
        let found = found.unwrap();
        let digests: BTreeSet<_> = found.iter().map(|d| d.digest.clone()).collect();
        assert_eq!(digests, notes.into_iter().collect(), "{referrers}");
        let kinds = found.iter().map(|d| d.artifact_type.as_deref());
        assert!(kinds.eq([Some("text/plain"); 2]));
        let tag = referrers_tag(image().digest());
        let tags = open.server.tags("team/web");
        assert_eq!(tags.contains(&tag), !referrers, "{tags:?}");
    }
}

#[tokio::test]
async fn needs_docker_registry_and_a_layout_to_keep_what_is_about_an_image() {
    let registry = DockerRegistry::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path().join("layout")).unwrap();
    let registries = Registries::new(quick());
    let endpoints: [Arc<dyn Registry>; 2] =
        [registries.registry(&registry.host()), Arc::new(layout)];
    for endpoint in endpoints {
        let repository: Reference = format!("{}/web", registry.host()).parse().unwrap();
        let repository = repository.repository();
        crate::push(endpoint.as_ref(), repository, &image(), Some("1")).await;
        let note = push_note(endpoint.as_ref(), repository, "one").await;
        let found = endpoint.referrers(repository, image().digest()).await;
        assert_eq!(found.unwrap()[0].digest, note);
    }
}
