//! Registries that misbehave.

use std::{num::NonZeroUsize, time::Duration};

use refit_oci::{Descriptor, Digest, Reference, media_type};
use refit_registry::{Head, HostSettings, Patience, Registries, RegistryError, Settings, Uploaded};
use refit_testkit::registry::{Fault, Gate};

use crate::{Open, image, quick};

/// A registry with one image, and the reference to it.
fn with_image() -> (Open, Reference) {
    let open = Open::start();
    open.server.put_image("web", "1", &image());
    let reference = open.repository("web").tagged("1").unwrap();
    (open, reference)
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::TooManyRequests(0),
        Fault::Disconnect,
    ] {
        let (open, reference) = with_image();
        open.server.fail("HEAD", "", 2, fault.clone());
        let head = open.client().head(&reference).await;
        assert!(head.unwrap().digest().is_some(), "{fault:?}");
        assert_eq!(open.registries.requests().head, 3, "{fault:?}");
        assert_eq!(open.registries.requests().get, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn patience_ends() {
    let (open, reference) = with_image();
    open.server.fail("HEAD", "", 9, Fault::Status(502));
    let error = open.client().head(&reference).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Refused { status: 502, .. }),
        "{error}"
    );
    assert_eq!(open.registries.requests().head, 3);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (open, reference) = with_image();
    open.server.fail("HEAD", "", 1, Fault::TooManyRequests(1));
    let began = std::time::Instant::now();
    assert!(open.client().head(&reference).await.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_rate_limit_of_an_hour_is_not_waited_for() {
    let (open, reference) = with_image();
    open.server
        .fail("HEAD", "", 1, Fault::TooManyRequests(3600));
    let error = open.client().head(&reference).await.unwrap_err();
    let hour = Duration::from_hours(1);
    assert!(
        matches!(&error, RegistryError::RateLimited { retry_after: Some(wait), .. } if *wait == hour)
    );
    assert_eq!(open.registries.requests().head, 1);
    assert_eq!(open.registries.requests().get, 0);
}

#[tokio::test]
async fn a_registry_that_does_not_name_digests_is_read_instead() {
    let (open, reference) = with_image();
    let without = Fault::Without("docker-content-digest");
    open.server.fail("*", "/manifests/", 2, without);
    let head = open.client().head(&reference).await.unwrap();
    assert_eq!(head.digest(), Some(image().digest()));
    let requests = open.registries.requests();
    assert_eq!((requests.head, requests.get), (1, 1));
}

#[tokio::test]
async fn a_digest_that_is_not_the_one_asked_for_is_refused() {
    let (open, reference) = with_image();
    let pinned = reference.pinned(image().digest());
    open.server.fail("HEAD", "", 1, Fault::WrongDigest);
    let error = open.client().head(&pinned).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::DigestMismatch { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn forged_content_is_refused() {
    let image = image();
    let layer = &image.manifest.value.layers[0];
    for fault in [Fault::Corrupt, Fault::TwiceAsLong] {
        let (open, reference) = with_image();
        let repository = reference.repository();
        open.server.fail("GET", "", 9, fault.clone());
        let document = open.client().document(repository, image.digest()).await;
        assert!(
            matches!(document, Err(RegistryError::DigestMismatch { .. })),
            "{fault:?}"
        );
        let blob = open.client().blob(repository, layer).await;
        assert!(
            matches!(
                blob,
                Err(RegistryError::DigestMismatch { .. } | RegistryError::TooLarge { .. })
            ),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_document_larger_than_the_limit_is_not_read_to_its_end() {
    let open = Open::start();
    let huge = format!(
        r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{}"}}}}"#,
        "x".repeat(5 << 20)
    );
    let document = refit_oci::Document::decode(Some(media_type::OCI_INDEX), huge.into_bytes());
    let document = document.unwrap();
    open.server.put_document("web", "1", &document);
    let read = open
        .client()
        .document(&open.repository("web"), document.digest())
        .await;
    assert!(matches!(read, Err(RegistryError::TooLarge { .. })));
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let (open, reference) = with_image();
    let image = image();
    let layer = &image.manifest.value.layers[1];
    open.server.fail("GET", "/blobs/", 2, Fault::Truncated(20));
    let file = open.client().blob(reference.repository(), layer).await;
    assert_eq!(
        std::fs::read(file.unwrap().path()).unwrap(),
        image.layers[1]
    );
    let requests = open.server.requests();
    let ranges: Vec<_> = requests.iter().map(|r| r.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=20-"), Some("bytes=40-")]);
}

#[tokio::test]
async fn a_truncated_document_is_read_again() {
    let (open, reference) = with_image();
    open.server
        .fail("GET", "/manifests/", 2, Fault::Truncated(5));
    let digest = image().digest().clone();
    let document = open
        .client()
        .document(reference.repository(), &digest)
        .await;
    assert_eq!(document.unwrap().digest(), &digest);
}

#[tokio::test]
async fn an_upload_that_breaks_off_begins_again() {
    let layer = refit_testkit::registry::layer(&[("a", "b")]);
    let descriptor = Descriptor::of(media_type::OCI_LAYER_GZIP, &layer);
    for fault in [
        Fault::Disconnect,
        Fault::Status(503),
        Fault::TooManyRequests(0),
    ] {
        let open = Open::start();
        open.server.fail("PUT", "/blobs/uploads/", 2, fault.clone());
        let (client, repository) = (open.client(), open.repository("web"));
        let done = client
            .push_blob(&repository, &descriptor, layer.clone().into())
            .await;
        assert_eq!(done.unwrap(), Uploaded::Uploaded, "{fault:?}");
        let requests = open.registries.requests();
        assert_eq!((requests.post, requests.put), (3, 3), "{fault:?}");
        assert!(open.server.blob("web", &descriptor.digest).is_some());
    }
}

#[tokio::test]
async fn an_upload_without_an_address_is_the_registrys_fault() {
    let open = Open::start();
    open.server.fail("POST", "", 1, Fault::Without("location"));
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"x");
    let (client, repository) = (open.client(), open.repository("web"));
    let done = client
        .push_blob(&repository, &descriptor, b"x".to_vec().into())
        .await;
    let error = done.unwrap_err();
    assert!(
        matches!(&error, RegistryError::Protocol { message, .. } if message.contains("Location")),
        "{error}"
    );
}

#[tokio::test]
async fn a_pushed_document_that_the_registry_changed_is_an_error() {
    let (open, reference) = with_image();
    open.server
        .fail("PUT", "/manifests/", 1, Fault::WrongDigest);
    let document = refit_oci::Document::Manifest(image().manifest);
    let pushed = open
        .client()
        .push_document(reference.repository(), &document, None)
        .await;
    assert!(matches!(pushed, Err(RegistryError::DigestMismatch { .. })));
}

#[tokio::test]
async fn silence_is_a_timeout_that_counts_as_offline() {
    let (open, reference) = with_image();
    open.server
        .fail("HEAD", "", 9, Fault::Slow(Duration::from_mins(1)));
    let registries = Registries::new(Settings {
        patience: Patience {
            attempts: 2,
            connect_timeout: Duration::from_millis(50),
            read_timeout: Duration::from_millis(50),
            ..quick().patience
        },
        ..quick()
    });
    let client = registries.registry(&open.server.host());
    let error = client.head(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error}");
    assert!(error.is_offline());
    assert_eq!(registries.requests().head, 2);
}

#[tokio::test]
async fn a_body_that_drips_is_not_waited_for() {
    let (open, reference) = with_image();
    let image = image();
    let registries = Registries::new(Settings {
        patience: Patience {
            attempts: 2,
            read_timeout: Duration::from_millis(100),
            ..quick().patience
        },
        ..quick()
    });
    let client = registries.registry(&open.server.host());
    let drip = Fault::Drip(Duration::from_millis(20));
    open.server.fail("GET", "", 4, drip);
    let document = client.document(reference.repository(), image.digest());
    let error = document.await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error}");
    let layer = &image.manifest.value.layers[1];
    let blob = client.blob(reference.repository(), layer).await;
    assert!(matches!(blob, Err(RegistryError::TimedOut { .. })));
    assert_eq!(registries.requests().get, 4);
    assert_eq!(open.server.faults_left(), 0);
}

#[tokio::test]
async fn a_registry_that_is_down_is_offline_and_one_that_comes_back_is_used() {
    let (mut open, reference) = with_image();
    let client = open.client();
    open.server.stop();
    let error = client.head(&reference).await.unwrap_err();
    assert!(error.is_offline(), "{error}");
    let message = format!("`{}` cannot be reached", open.server.host());
    assert_eq!(error.to_string(), message);
    open.server.resume();
    assert!(client.head(&reference).await.is_ok());
}

#[tokio::test]
async fn a_portals_login_page_is_no_image() {
    let (open, reference) = with_image();
    open.server.fail("*", "", 2, Fault::Page);
    let error = open.client().head(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Document { .. }), "{error}");
}

#[tokio::test]
async fn redirects_that_lead_nowhere_end() {
    let (open, reference) = with_image();
    let circle = format!("http://{}/v2/web/manifests/1", open.server.host());
    open.server.fail("GET", "", 99, Fault::Redirect(circle));
    let digest = image().digest().clone();
    let error = open
        .client()
        .document(reference.repository(), &digest)
        .await;
    assert!(matches!(error, Err(RegistryError::Protocol { .. })));
    assert_eq!(open.registries.requests().get, 1);
}

#[tokio::test]
async fn what_is_no_tag_never_becomes_part_of_a_url() {
    let (open, reference) = with_image();
    let document = refit_oci::Document::Manifest(image().manifest);
    open.server.forget_requests();
    for tag in ["", "../../x", "a?b", "-x", "a/b", "sha256:1"] {
        let client = open.client();
        let pushed = client
            .push_document(reference.repository(), &document, Some(tag))
            .await;
        assert!(matches!(pushed, Err(RegistryError::Tag(_))), "{tag}");
        let deleted = client.delete_tag(reference.repository(), tag).await;
        assert!(matches!(deleted, Err(RegistryError::Tag(_))), "{tag}");
    }
    assert_eq!(open.server.count("*", ""), 0);
}

#[tokio::test]
async fn a_registry_that_knows_no_head_is_read_instead() {
    for status in [404, 405, 501] {
        let (open, reference) = with_image();
        open.server.fail("HEAD", "", 1, Fault::Bare(status));
        let head = open.client().head(&reference).await.unwrap();
        assert_eq!(head.digest(), Some(image().digest()), "{status}");
        let requests = open.registries.requests();
        assert_eq!((requests.head, requests.get), (1, 1), "{status}");
    }
}

#[tokio::test]
async fn a_head_that_the_registry_itself_does_not_find_costs_no_get() {
    let (open, reference) = with_image();
    let missing = reference.repository().tagged("2").unwrap();
    let head = open.client().head(&missing).await.unwrap();
    assert_eq!((head.digest(), open.registries.requests().get), (None, 0));
}

#[tokio::test]
async fn a_host_that_is_asked_too_often_is_left_alone_by_all() {
    let (open, reference) = with_image();
    let client = open.client();
    // What the host is like is known; then one request meets the limit.
    client.head(&reference).await.unwrap();
    let before = open.registries.requests().head;
    open.server.fail("HEAD", "", 1, Fault::TooManyRequests(1));
    let began = std::time::Instant::now();
    client.head(&reference).await.unwrap();
    let heads = (0..20).map(|_| client.head(&reference));
    let heads = futures_util::future::join_all(heads).await;
    assert!(heads.iter().all(Result::is_ok));
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(open.registries.requests().head - before, 2 + 20);

    open.server
        .fail("HEAD", "", 99, Fault::TooManyRequests(3600));
    let heads = (0..20).map(|_| client.head(&reference));
    let heads = futures_util::future::join_all(heads).await;
    let limited = |head: &Result<_, _>| matches!(head, Err(RegistryError::RateLimited { .. }));
    assert!(heads.iter().all(limited));
    // Those that were under way already, and nobody after them.
    let asked = open.registries.requests().head;
    assert!(matches!(
        client.head(&reference).await,
        Err(RegistryError::RateLimited { retry_after: Some(wait), .. }) if wait > Duration::from_secs(3500)
    ));
    assert_eq!(open.registries.requests().head, asked);
}

#[tokio::test]
async fn a_schema_1_manifest_is_named_as_such_although_its_digest_is_over_a_part_of_it() {
    let open = Open::start();
    let document = br#"{"schemaVersion":1,"name":"old","tag":"1","fsLayers":[],"signatures":[]}"#;
    let payload = Digest::sha256(b"the part that is signed");
    open.server
        .put_raw("old", &payload, media_type::DOCKER_SCHEMA1_SIGNED, document);
    let (client, old) = (open.client(), open.repository("old"));
    let error = client.document(&old, &payload).await.unwrap_err();
    assert!(error.is_schema1(), "{error}");
    let head = client.head(&old.at(&payload)).await;
    assert!(
        matches!(head, Ok(Head::Found { media_type: Some(m), .. }) if media_type::is_schema1(&m))
    );
}

#[tokio::test]
async fn a_host_gets_no_more_requests_at_once_than_its_settings_say() {
    let (open, reference) = with_image();
    let settings = HostSettings {
        concurrency: NonZeroUsize::new(1),
        ..HostSettings::default()
    };
    let registries = Registries::new(Settings {
        hosts: [(open.server.host(), settings)].into(),
        ..quick()
    });
    let client = registries.registry(&open.server.host());
    client.head(&reference).await.unwrap();
    let gate = Gate::default();
    open.server.fail("HEAD", "", 1, Fault::Held(gate.clone()));
    let heads = (0..4).map(|_| client.head(&reference));
    let all = futures_util::future::join_all(heads);
    let opened = async {
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait())
            .await
            .unwrap();
        let under_way = registries.requests().head;
        gate.open();
        under_way
    };
    let (heads, under_way) = tokio::join!(all, opened);
    assert!(heads.iter().all(Result::is_ok));
    assert_eq!(under_way, 2);
}
