//! The same against independent implementations: skopeo reads what refit writes, docker-registry is what refit talks to.

use std::{collections::BTreeMap, path::Path, process::Command};

use refit_oci::{Digest, Document, Repository};
use refit_registry::{
    Deleted, HostSettings, Layout, Place, Registries, Registry as _, RegistryError, Settings,
    copy_image,
};
use refit_testkit::{
    engines::{DockerRegistry, Setup},
    registry::{Image, index},
    tls::{Authority, Certificate},
};

use crate::{image, push, quick};

/// What skopeo prints.
fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn two() -> [Image; 2] {
    [
        image(),
        Image::new("linux/arm64", &[&[("etc/base", "arm\n")]]),
    ]
}

async fn push_index(layout: &Layout, repository: &Repository, tag: &str) -> Digest {
    for image in two() {
        push(layout, repository, &image, None).await;
    }
    let document = Document::Index(index(&two()));
    let pushed = layout.push_document(repository, &document, Some(tag)).await;
    pushed.unwrap()
}

fn oci(folder: &Path, reference: &str) -> String {
    format!("oci:{}:{reference}", folder.display())
}

#[tokio::test]
async fn needs_skopeo_to_read_a_layout_of_many_repositories() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let (web, debian) = (
        "refit.local/team/web".parse().unwrap(),
        "debian".parse().unwrap(),
    );
    push(&layout, &web, &image(), Some("1.0")).await;
    let digest = push_index(&layout, &debian, "12-slim").await;

    let text = skopeo(&["inspect", &oci(folder.path(), "refit.local/team/web:1.0")]);
    assert!(
        text.contains(&format!("\"Digest\": \"{}\"", image().digest())),
        "{text}"
    );
    let name = oci(folder.path(), "docker.io/library/debian:12-slim");
    let raw = skopeo(&["inspect", "--raw", &name]);
    assert_eq!(Digest::sha256(raw.as_bytes()), digest);

    // It can also be copied from, whole.
    let copy = tempfile::tempdir().unwrap();
    let to = format!("dir:{}", copy.path().display());
    skopeo(&["--insecure-policy", "copy", "--all", &name, &to]);
    let copied = std::fs::read(copy.path().join("manifest.json")).unwrap();
    assert_eq!(Digest::sha256(&copied), digest);
}

#[tokio::test]
async fn needs_skopeo_to_write_a_layout_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path().join("ours")).unwrap();
    let debian: Repository = "debian".parse().unwrap();
    push(&layout, &debian, &image(), Some("12")).await;
    let theirs = folder.path().join("theirs");
    let from = oci(&folder.path().join("ours"), "docker.io/library/debian:12");
    let to = oci(&theirs, "debian:bookworm");
    skopeo(&["--insecure-policy", "copy", &from, &to]);

    let read = Layout::open(&theirs).unwrap();
    let head = read
        .head(&"debian:bookworm".parse().unwrap())
        .await
        .unwrap();
    let digest = head.digest().unwrap();
    let document = read.document(&debian, digest).await.unwrap();
    let Document::Manifest(manifest) = document else {
        panic!("an index: {document:?}")
    };
    assert_eq!(manifest.value.layers.len(), 2);
    assert_eq!(read.tags(&debian).await.unwrap(), ["bookworm"]);
}

#[tokio::test]
async fn needs_docker_registry_for_a_push_a_mount_and_a_copy_back() {
    let real = DockerRegistry::start().unwrap();
    let registries = Registries::new(quick());
    let client = registries.registry(&real.host());
    let repository = |path: &str| format!("{}/{path}", real.host()).parse().unwrap();
    let (base, web): (Repository, Repository) = (repository("team/base"), repository("team/web"));
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let local: Repository = "refit.local/base".parse().unwrap();
    let digest = push_index(&layout, &local, "1").await;
    let place = |repository| Place {
        registry: &*client,
        repository,
    };
    let store = Place {
        registry: &layout,
        repository: &local,
    };

    let copied = copy_image(store, place(&base), &digest).await.unwrap();
    let tagged = client.push_document(&base, &copied, Some("1.0")).await;
    assert_eq!(tagged.unwrap(), digest);
    let head = client.head(&base.tagged("1.0").unwrap()).await.unwrap();
    assert_eq!(head.digest(), Some(&digest));
    assert_eq!(client.tags(&base).await.unwrap(), ["1.0"]);

    // Beside it, without a byte of a layer.
    let before = registries.requests();
    copy_image(place(&base), place(&web), &digest)
        .await
        .unwrap();
    let manifests_only = two().len() as u64 + 1;
    let after = registries.requests();
    assert_eq!(after.put - before.put, manifests_only);
    assert_eq!(after.get - before.get, manifests_only);

    // And back into another layout, to the byte.
    let back = tempfile::tempdir().unwrap();
    let other = Layout::open_or_create(back.path()).unwrap();
    let into = Place {
        registry: &other,
        repository: &local,
    };
    copy_image(place(&web), into, &digest).await.unwrap();
    let (there, here) = (
        layout.document(&local, &digest).await.unwrap(),
        other.document(&local, &digest).await.unwrap(),
    );
    assert_eq!(there, here);
}

#[tokio::test]
async fn needs_docker_registry_for_what_is_not_there() {
    let real = DockerRegistry::start().unwrap();
    let registries = Registries::new(quick());
    let client = registries.registry(&real.host());
    let nothing: Repository = format!("{}/nothing", real.host()).parse().unwrap();
    let head = client.head(&nothing.tagged("1").unwrap()).await.unwrap();
    assert_eq!(head.digest(), None);
    assert!(client.tags(&nothing).await.unwrap().is_empty());
    let digest = Digest::sha256(b"nothing");
    let document = client.document(&nothing, &digest).await;
    assert!(document.unwrap_err().is_missing());
    assert!(!client.has_blob(&nothing, &digest).await.unwrap());
    let document = Document::Manifest(image().manifest);
    let refused = client.push_document(&nothing, &document, Some("1")).await;
    assert!(refused.is_err());
    // 2.8 cannot delete tags; later ones can.
    let deleted = client.delete_tag(&nothing, "1").await.unwrap();
    assert_ne!(deleted, Deleted::Deleted);
    let deleted = client.delete_document(&nothing, &digest).await;
    assert_eq!(deleted.unwrap(), Deleted::Missing);
}

#[tokio::test]
async fn needs_skopeo_and_needs_docker_registry_to_agree_on_a_pushed_image() {
    let real = DockerRegistry::start().unwrap();
    let registries = Registries::new(quick());
    let client = registries.registry(&real.host());
    let web: Repository = format!("{}/web", real.host()).parse().unwrap();
    push(&*client, &web, &image(), Some("1")).await;
    let name = format!("docker://{web}:1");
    let text = skopeo(&["inspect", "--tls-verify=false", &name]);
    assert!(text.contains(image().digest().as_str()), "{text}");
}

/// What a registry was asked: method, path and protocol, by refit (or by who is not refit).
fn asked(registry: &DockerRegistry, by_refit: bool) -> Vec<String> {
    let log = registry.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("\"refit/") == by_refit);
    let requests = lines.filter_map(|line| line.split('"').nth(1));
    let requests =
        requests.filter(|request| request.contains(" /v2/") && !request.contains(" /v2/ "));
    requests.map(str::to_owned).collect()
}

fn with_settings(host: String, settings: HostSettings) -> Registries {
    Registries::new(Settings {
        hosts: BTreeMap::from([(host, settings)]),
        ..quick()
    })
}

#[tokio::test]
async fn needs_docker_registry_behind_tls_whose_authority_the_settings_name() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    for (i, certificate) in [authority.issue(), Certificate::self_signed()]
        .iter()
        .enumerate()
    {
        let tls = Some(certificate);
        let real = DockerRegistry::start_as(Setup {
            tls,
            ..Setup::default()
        })
        .unwrap();
        let ca = folder.path().join("ca.pem");
        let signer = if i == 0 {
            authority.pem()
        } else {
            certificate.pem.clone()
        };
        crate::write(&ca, signer.as_bytes());
        let trusting = HostSettings {
            ca: Some(ca),
            ..HostSettings::default()
        };
        let insecure = HostSettings {
            insecure: true,
            ..HostSettings::default()
        };
        let web: Repository = format!("{}/team/web", real.host()).parse().unwrap();
        for settings in [trusting, insecure] {
            let registries = with_settings(real.host(), settings);
            let client = registries.registry(&real.host());
            push(&*client, &web, &image(), Some("1")).await;
            let head = client.head(&web.tagged("1").unwrap()).await.unwrap();
            assert_eq!(head.digest(), Some(image().digest()));
            let layer = &image().manifest.value.layers[0];
            client.blob(&web, layer).await.unwrap();
        }
        let log = asked(&real, true);
        assert!(log.len() > 10, "{log:?}");
        assert!(
            log.iter().all(|line| line.ends_with(" HTTP/2.0")),
            "{log:?}"
        );

        let https = HostSettings {
            plain_http: Some(false),
            ..HostSettings::default()
        };
        let registries = with_settings(real.host(), https);
        let head = registries.registry(&real.host());
        let error = head.head(&web.tagged("1").unwrap()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Tls { .. }), "{error}");
    }
}

#[tokio::test]
async fn needs_docker_registry_behind_tls_to_tell_who_asks_without() {
    let certificate = Authority::new().issue();
    let tls = Some(&certificate);
    let real = DockerRegistry::start_as(Setup {
        tls,
        ..Setup::default()
    })
    .unwrap();
    let registries = Registries::new(quick());
    let web: Repository = format!("{}/team/web", real.host()).parse().unwrap();
    let client = registries.registry(&real.host());
    let error = client.head(&web.tagged("1").unwrap()).await.unwrap_err();
    let host = real.host();
    let expected =
        format!("`{host}` answered 400 to plain HTTP, in no registry's words: it may want HTTPS");
    assert_eq!(error.to_string(), expected);
    let hint = format!(
        "set `plain-http = false` under `[registries.\"{host}\"]` in the user's configuration"
    );
    assert_eq!(error.hint(), Some(hint));
}

#[tokio::test]
async fn needs_docker_registry_as_a_cache_that_is_a_mirror_of_another() {
    let origin = DockerRegistry::start().unwrap();
    let url = format!("http://{}", origin.host());
    let cache_of = Some(url.as_str());
    let cache = DockerRegistry::start_as(Setup {
        cache_of,
        ..Setup::default()
    })
    .unwrap();
    let host = origin.host();
    let mirrored = |mirror_tags| {
        let mirrors = vec![format!("http://{}", cache.host()).parse().unwrap()];
        let settings = HostSettings {
            mirrors,
            mirror_tags,
            ..HostSettings::default()
        };
        with_settings(host.clone(), settings)
    };
    let debian: Repository = format!("{}/library/debian", origin.host()).parse().unwrap();
    let tag = debian.tagged("12").unwrap();
    let [old, new] = two();
    let direct = Registries::new(quick()).registry(&host);
    push(&*direct, &debian, &old, Some("12")).await;

    // The digest of a tag is the origin's word; what it names comes through the cache, which fetches it once.
    let before = asked(&origin, true).len();
    for _ in 0..2 {
        let registries = mirrored(false);
        let client = registries.registry(&host);
        let head = client.head(&tag).await.unwrap();
        assert_eq!(head.digest(), Some(old.digest()));
        let read = client.document(&debian, old.digest()).await.unwrap();
        assert_eq!(read, Document::Manifest(old.manifest.clone()));
        for layer in &old.manifest.value.layers {
            client.blob(&debian, layer).await.unwrap();
        }
    }
    let head = "HEAD /v2/library/debian/manifests/12 HTTP/1.1";
    assert_eq!(asked(&origin, true)[before..], [head, head]);
    let through = asked(&cache, true);
    assert_eq!(through.len(), 2 * (1 + old.manifest.value.layers.len()));
    assert!(
        through
            .iter()
            .all(|line| line.starts_with("GET ") && line.contains("sha256:"))
    );
    let fetched = asked(&origin, false);
    let manifests = fetched
        .iter()
        .filter(|line| line.starts_with("GET ") && line.contains("/manifests/"));
    assert_eq!(manifests.count(), 1, "{fetched:?}");

    // A tag that moved is seen at once; a mirror that is asked for tags has to be told to be.
    push(&*direct, &debian, &new, Some("12")).await;
    let registries = mirrored(false);
    let moved = registries.registry(&host).head(&tag).await.unwrap();
    assert_eq!(moved.digest(), Some(new.digest()));
    assert!(
        !asked(&cache, true)
            .iter()
            .any(|line| line.contains("/manifests/12 "))
    );
    let registries = mirrored(true);
    let by_mirror = registries.registry(&host).head(&tag).await.unwrap();
    assert_eq!(by_mirror.digest(), Some(new.digest()));
    let asked_for_tags = asked(&cache, true);
    assert!(
        asked_for_tags.contains(&head.to_owned()),
        "{asked_for_tags:?}"
    );

    // With the origin gone, what the cache has is still to be had, by tag only for those who asked for that.
    drop(origin);
    let registries = mirrored(true);
    let head = registries.registry(&host).head(&tag).await.unwrap();
    assert_eq!(head.digest(), Some(new.digest()));
    let registries = mirrored(false);
    let client = registries.registry(&host);
    client.document(&debian, old.digest()).await.unwrap();
    let error = client.head(&tag).await.unwrap_err();
    assert!(error.is_offline(), "{error}");
}
