//! Reading from a registry that behaves.

use refit_oci::{Digest, Document, Reference};
use refit_registry::{Head, HostSettings, Registries, RegistryError, Requests, Settings};
use refit_testkit::registry::{Options, index};

use crate::{Open, image, quick};

#[tokio::test]
async fn a_head_tells_digest_type_and_size_and_counts_as_a_head() {
    let open = Open::start();
    let digest = open.server.put_index("library/debian", "12", &[image()]);
    let reference = open.repository("library/debian").tagged("12").unwrap();

    let head = open.client().head(&reference).await.unwrap();
    let index = index(&[image()]);
    assert_eq!(
        head,
        Head::Found {
            digest,
            media_type: Some(index.media_type.clone()),
            size: Some(index.bytes.len() as u64),
        }
    );
    let expected = Requests {
        head: 1,
        ..Requests::default()
    };
    assert_eq!(open.registries.requests(), expected);
}

#[tokio::test]
async fn what_is_not_there_is_missing_not_an_error() {
    let open = Open::start();
    open.server.put_image("a", "1", &image());
    let digest = Digest::sha256(b"nothing");
    for reference in [
        open.repository("a").tagged("2").unwrap(),
        open.repository("b").tagged("1").unwrap(),
        open.repository("a").at(&digest),
    ] {
        let head = open.client().head(&reference).await.unwrap();
        assert_eq!(head, Head::Missing, "{reference}");
    }
    let document = open.client().document(&open.repository("a"), &digest).await;
    assert!(document.unwrap_err().is_missing());
    let has = open.client().has_blob(&open.repository("a"), &digest).await;
    assert!(!has.unwrap());
    let tags = open.client().tags(&open.repository("b")).await.unwrap();
    assert!(tags.is_empty());
}

#[tokio::test]
async fn the_digest_of_a_reference_wins_over_its_tag() {
    let open = Open::start();
    let old = open.server.put_image("a", "1", &image());
    let other = refit_testkit::registry::Image::new("linux/amd64", &[]);
    let new = open.server.put_image("a", "1", &other);
    let tagged: Reference = open.repository("a").tagged("1").unwrap();

    let now = open.client().head(&tagged).await.unwrap();
    let pinned = open.client().head(&tagged.pinned(&old)).await.unwrap();
    assert_eq!((now.digest(), pinned.digest()), (Some(&new), Some(&old)));
}

#[tokio::test]
async fn documents_come_with_their_exact_bytes() {
    let open = Open::start();
    let image = image();
    let digest = open.server.put_image("a", "", &image);
    let read = open.client().document(&open.repository("a"), &digest).await;
    assert_eq!(read.unwrap(), Document::Manifest(image.manifest));
}

#[tokio::test]
async fn blobs_are_files_that_go_when_nobody_needs_them() {
    let open = Open::start();
    let image = image();
    open.server.put_image("a", "", &image);
    let descriptor = &image.manifest.value.layers[1];
    let file = open.client().blob(&open.repository("a"), descriptor).await;
    let file = file.unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), image.layers[1]);

    let path = file.path().to_owned();
    let clone = file.clone();
    drop(file);
    assert!(path.exists());
    drop(clone);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_config_is_read_into_memory_within_a_limit() {
    let open = Open::start();
    let image = image();
    open.server.put_image("a", "", &image);
    let (repository, config) = (open.repository("a"), &image.manifest.value.config);
    let client = open.client();
    let read = client.blob_bytes(&repository, config, 1 << 20).await;
    assert_eq!(read.unwrap(), image.config);

    open.server.forget_requests();
    let refused = client.blob_bytes(&repository, config, 10).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { limit: 10, .. }));
    assert_eq!(open.server.count("*", ""), 0);
}

#[tokio::test]
async fn tags_are_listed_over_all_pages() {
    let open = Open::with(Options {
        page: 2,
        ..Options::default()
    });
    for tag in ["e", "b", "d", "a", "c"] {
        open.server.put_image("x/y", tag, &image());
    }
    let tags = open.client().tags(&open.repository("x/y")).await.unwrap();
    assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    assert_eq!(open.server.count("GET", "/tags/list"), 3);
}

#[tokio::test]
async fn a_host_that_is_no_address_is_an_error_without_a_panic() {
    let open = Open::start();
    let reference: Reference = "example.com:99999/x:1".parse().unwrap();
    let client = open.registries.registry(reference.repository().registry());
    let error = client.head(&reference).await.unwrap_err();
    assert!(error.to_string().contains("`example.com:99999`"), "{error}");
}

/// A registry host with settings of its own.
fn with_host(open: &Open, host: HostSettings) -> Registries {
    Registries::new(Settings {
        hosts: [(open.server.host(), host)].into(),
        ..quick()
    })
}

#[tokio::test]
async fn https_is_not_given_up_for_a_host_that_does_not_speak_it() {
    let open = Open::start();
    open.server.put_image("a", "1", &image());
    let registries = with_host(
        &open,
        HostSettings {
            plain_http: Some(false),
            ..HostSettings::default()
        },
    );
    let client = registries.registry(&open.server.host());
    let reference = open.repository("a").tagged("1").unwrap();
    let error = client.head(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "{error}");
    assert!(!error.is_offline());
    assert_eq!(open.registries.requests().head, 0);
    assert_eq!(registries.requests().head, 1);
}

#[tokio::test]
async fn a_certificate_file_that_is_none_is_named() {
    let open = Open::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    for content in [
        None,
        Some("no certificate"),
        Some("-----BEGIN CERTIFICATE-----\n!\n"),
    ] {
        if let Some(content) = content {
            crate::write(&path, content.as_bytes());
        }
        let registries = with_host(
            &open,
            HostSettings {
                ca: Some(path.clone()),
                ..HostSettings::default()
            },
        );
        let client = registries.registry(&open.server.host());
        let reference = open.repository("a").tagged("1").unwrap();
        let error = client.head(&reference).await.unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
