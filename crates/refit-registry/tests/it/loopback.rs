//! The loopback server, spoken to as engines do.

use std::sync::Arc;

use refit_oci::{Descriptor, Digest, Document, Reference, media_type};
use refit_registry::{Layout, Registries, loopback::Loopback};
use refit_testkit::registry::{Image, index, layer};
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use tempfile::TempDir;

use crate::{Open, image};

/// An engine with its loopback registry.
struct Engine {
    server: Loopback,
    http: Client,
    spool: TempDir,
}

impl Engine {
    async fn start() -> Self {
        // Installs the TLS provider that the client here needs as well.
        let _ = Registries::new(crate::quick());
        let spool = tempfile::tempdir().unwrap();
        Self {
            server: Loopback::start(spool.path()).await.unwrap(),
            http: Client::builder().no_proxy().build().unwrap(),
            spool,
        }
    }

    /// A request below a reference's repository, with a body and headers.
    async fn call(
        &self,
        method: Method,
        url: &str,
        header: Option<(&str, &str)>,
        body: Vec<u8>,
    ) -> Response {
        let url = if url.starts_with('/') {
            format!("http://{}{url}", self.server.host())
        } else {
            url.to_owned()
        };
        let mut request = self.http.request(method, url).body(body);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    async fn status(&self, method: Method, url: &str) -> u16 {
        let response = self.call(method, url, None, Vec::new()).await;
        response.status().as_u16()
    }

    /// Uploads as Docker Engine does: POST, one PATCH, PUT.
    async fn upload(&self, to: &str, bytes: &[u8]) -> Response {
        let begun = self
            .call(Method::POST, &format!("{to}/blobs/uploads/"), None, vec![])
            .await;
        assert_eq!(begun.status(), StatusCode::ACCEPTED);
        let sent = self
            .call(Method::PATCH, &location(&begun), None, bytes.to_vec())
            .await;
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
        let last = format!("0-{}", bytes.len() - 1);
        assert_eq!(text(&sent, "range"), last);
        let digest = Digest::sha256(bytes);
        let end = format!("{}?digest={digest}", location(&sent));
        self.call(Method::PUT, &end, None, vec![]).await
    }

    async fn put_manifest(&self, to: &str, key: &str, document: &Document) -> Response {
        let url = format!("{to}/manifests/{key}");
        let header = Some((CONTENT_TYPE.as_str(), document.media_type()));
        self.call(Method::PUT, &url, header, document.bytes().to_vec())
            .await
    }
}

fn base(reference: &Reference) -> String {
    format!("/v2/{}", reference.repository().path())
}

fn location(response: &Response) -> String {
    text(response, LOCATION.as_str())
}

fn text(response: &Response, header: &str) -> String {
    response.headers()[header].to_str().unwrap().to_owned()
}

/// An upstream with two images, of which one is planned.
fn planned(engine: &Engine) -> (Open, Reference, Image) {
    let open = Open::start();
    let image = image();
    open.server.put_image("library/debian", "12", &image);
    let digest = image.digest().clone();
    let repository = open.repository("library/debian");
    let reference = engine
        .server
        .allow_base("base-1", open.client(), repository, digest);
    (open, reference.unwrap(), image)
}

#[tokio::test]
async fn an_engine_pulls_a_planned_base_by_digest() {
    let engine = Engine::start().await;
    let (_upstream, reference, image) = planned(&engine);
    assert_eq!(reference.digest(), Some(image.digest()));
    assert_eq!(reference.repository().registry(), engine.server.host());

    let ping = engine.call(Method::GET, "/v2/", None, vec![]).await;
    assert_eq!(
        text(&ping, "docker-distribution-api-version"),
        "registry/2.0"
    );
    let at = base(&reference);
    let url = format!("{at}/manifests/{}", image.digest());
    let manifest = engine.call(Method::GET, &url, None, vec![]).await;
    assert_eq!(text(&manifest, "content-type"), media_type::OCI_MANIFEST);
    assert_eq!(
        text(&manifest, "docker-content-digest"),
        image.digest().as_str()
    );
    assert_eq!(manifest.bytes().await.unwrap(), image.manifest.bytes);

    for (descriptor, bytes) in image.manifest.value.layers.iter().zip(&image.layers) {
        let url = format!("{at}/blobs/{}", descriptor.digest);
        let head = engine.call(Method::HEAD, &url, None, vec![]).await;
        assert_eq!(text(&head, "content-length"), bytes.len().to_string());
        let blob = engine.call(Method::GET, &url, None, vec![]).await;
        assert_eq!(blob.bytes().await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn upstream_is_asked_once_however_often_the_engine_asks() {
    let engine = Engine::start().await;
    let (upstream, reference, image) = planned(&engine);
    let config = &image.manifest.value.config;
    let url = format!("{}/blobs/{}", base(&reference), config.digest);
    for _ in 0..3 {
        assert_eq!(engine.status(Method::HEAD, &url).await, 200);
        assert_eq!(engine.status(Method::GET, &url).await, 200);
    }
    assert_eq!(upstream.server.count("GET", "/manifests/"), 1);
    assert_eq!(upstream.server.count("GET", "/blobs/"), 1);
}

#[tokio::test]
async fn a_broken_off_pull_goes_on_where_it_was() {
    let engine = Engine::start().await;
    let (_upstream, reference, image) = planned(&engine);
    let url = format!(
        "{}/blobs/{}",
        base(&reference),
        image.manifest.value.config.digest
    );
    let size = image.config.len();
    let range = Some((RANGE.as_str(), "bytes=10-"));
    let rest = engine.call(Method::GET, &url, range, vec![]).await;
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        text(&rest, CONTENT_RANGE.as_str()),
        format!("bytes 10-{}/{size}", size - 1)
    );
    assert_eq!(rest.bytes().await.unwrap(), image.config[10..]);
    let beyond = Some((RANGE.as_str(), "bytes=999999-"));
    let beyond = engine.call(Method::GET, &url, beyond, vec![]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn only_what_was_planned_is_served() {
    let engine = Engine::start().await;
    let (upstream, reference, image) = planned(&engine);
    let other = Image::new("linux/amd64", &[&[("secret", "x")]]);
    upstream.server.put_image("library/debian", "13", &other);
    let (at, digest) = (base(&reference), image.digest());
    let stranger = at.replacen(|c: char| c.is_ascii_hexdigit(), "z", 6);
    let layer = &image.manifest.value.layers[0].digest;
    let other_layer = &other.manifest.value.layers[0].digest;
    for url in [
        format!("{at}/manifests/12"),
        format!("{at}/manifests/{}", other.digest()),
        format!("{at}/blobs/{other_layer}"),
        format!("{at}/blobs/{digest}"),
        format!("{at}/tags/list"),
        format!("{stranger}/manifests/{digest}"),
        format!("{stranger}/blobs/{layer}"),
        format!("/v2/library/debian/manifests/{digest}"),
        format!("/v2/library/debian/blobs/{layer}"),
        "/v2/_catalog".to_owned(),
        "/".to_owned(),
    ] {
        assert_eq!(engine.status(Method::GET, &url).await, 404, "{url}");
    }
    // A base is not a place to push to.
    let uploads = format!("{at}/blobs/uploads/");
    assert_eq!(engine.status(Method::POST, &uploads).await, 404);
}

#[tokio::test]
async fn what_upstream_cannot_give_is_said_in_its_words() {
    let engine = Engine::start().await;
    let (mut upstream, reference, image) = planned(&engine);
    let host = upstream.server.host();
    upstream.server.stop();
    let url = format!("{}/manifests/{}", base(&reference), image.digest());
    let answer = engine.call(Method::GET, &url, None, vec![]).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let words = answer.text().await.unwrap();
    assert!(
        words.contains(&format!("`{host}` cannot be reached")),
        "{words}"
    );
}

#[tokio::test]
async fn an_engine_pushes_its_layers_and_nothing_that_is_known() {
    let engine = Engine::start().await;
    let (_upstream, _reference, parent) = planned(&engine);
    let known = parent.manifest.value.layers.clone();
    let target = engine.server.output("out-1", known.clone()).unwrap();
    let (at, tag) = (base(&target), target.tag().unwrap());
    let own = layer(&[("app", "new\n")]);
    let built = Image::new(
        "linux/amd64",
        &[
            &[("etc/base", "base\n")],
            &[("app", "app\n")],
            &[("app", "new\n")],
        ],
    );
    assert_eq!(built.layers[2], own);

    for descriptor in &known {
        let url = format!("{at}/blobs/{}", descriptor.digest);
        let head = engine.call(Method::HEAD, &url, None, vec![]).await;
        assert_eq!(text(&head, "content-length"), descriptor.size.to_string());
    }
    let own_digest = Digest::sha256(&own);
    let own_url = format!("{at}/blobs/{own_digest}");
    assert_eq!(engine.status(Method::HEAD, &own_url).await, 404);
    let created = engine.upload(&at, &own).await;
    assert_eq!(created.status(), StatusCode::CREATED);
    assert_eq!(text(&created, "docker-content-digest"), own_digest.as_str());
    assert_eq!(engine.status(Method::HEAD, &own_url).await, 200);

    // Not before its config is there.
    let document = Document::Manifest(built.manifest.clone());
    let early = engine.put_manifest(&at, tag, &document).await;
    assert_eq!(early.status(), StatusCode::BAD_REQUEST);
    assert!(engine.server.take("out-1").is_none());
    engine.upload(&at, &built.config).await;
    let pushed = engine.put_manifest(&at, tag, &document).await;
    assert_eq!(pushed.status(), StatusCode::CREATED);
    assert_eq!(
        text(&pushed, "docker-content-digest"),
        built.digest().as_str()
    );
    let again = format!("{at}/manifests/{tag}");
    let again = engine.call(Method::GET, &again, None, vec![]).await;
    assert_eq!(again.bytes().await.unwrap(), built.manifest.bytes);

    let result = engine.server.take("out-1").unwrap();
    assert_eq!(result.manifest, document);
    let config_digest = Digest::sha256(&built.config);
    let sent: Vec<_> = result.blobs.keys().cloned().collect();
    let mut expected = vec![own_digest.clone(), config_digest];
    expected.sort();
    assert_eq!(sent, expected);
    let file = &result.blobs[&own_digest];
    assert!(file.starts_with(engine.spool.path()));
    assert_eq!(std::fs::read(file).unwrap(), own);
    assert!(engine.server.take("out-1").is_none());
}

#[tokio::test]
async fn uploads_come_in_one_piece_in_chunks_or_broken_off() {
    let engine = Engine::start().await;
    let target = engine.server.output("out-1", vec![]).unwrap();
    let at = base(&target);
    let uploads = format!("{at}/blobs/uploads/");
    let (one, two) = (b"first half, ".to_vec(), b"second half".to_vec());
    let whole = [one.clone(), two.clone()].concat();
    let digest = Digest::sha256(&whole);

    // One POST.
    let url = format!("{uploads}?digest={digest}");
    let posted = engine.call(Method::POST, &url, None, whole.clone()).await;
    assert_eq!(posted.status(), StatusCode::CREATED);

    // POST, then a PUT with everything.
    let begun = engine.call(Method::POST, &uploads, None, vec![]).await;
    let url = format!("{}?digest={digest}", location(&begun));
    let put = engine.call(Method::PUT, &url, None, whole.clone()).await;
    assert_eq!(put.status(), StatusCode::CREATED);

    // Chunks, of which one comes out of order.
    let begun = engine.call(Method::POST, &uploads, None, vec![]).await;
    let url = location(&begun);
    let range = format!("0-{}", one.len() - 1);
    let range = Some((CONTENT_RANGE.as_str(), range.as_str()));
    let sent = engine.call(Method::PATCH, &url, range, one.clone()).await;
    assert_eq!(sent.status(), StatusCode::ACCEPTED);
    let again = engine.call(Method::PATCH, &url, range, one.clone()).await;
    assert_eq!(again.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let asked = engine.call(Method::GET, &url, None, vec![]).await;
    assert_eq!(asked.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(&asked, "range"), format!("0-{}", one.len() - 1));
    let end = format!("{url}?digest={digest}");
    let range = format!("{}-{}", one.len(), whole.len() - 1);
    let range = Some((CONTENT_RANGE.as_str(), range.as_str()));
    let put = engine.call(Method::PUT, &end, range, two).await;
    assert_eq!(put.status(), StatusCode::CREATED);

    // The wrong digest, and after it nothing is left of the upload.
    let begun = engine.call(Method::POST, &uploads, None, vec![]).await;
    let url = format!("{}?digest={digest}", location(&begun));
    let put = engine.call(Method::PUT, &url, None, one.clone()).await;
    assert_eq!(put.status(), StatusCode::BAD_REQUEST);
    assert_eq!(engine.status(Method::GET, &location(&begun)).await, 404);

    // Cancelled.
    let begun = engine.call(Method::POST, &uploads, None, vec![]).await;
    let url = location(&begun);
    assert_eq!(engine.status(Method::DELETE, &url).await, 204);
    assert_eq!(engine.status(Method::PATCH, &url).await, 404);
}

#[tokio::test]
async fn a_base_blob_is_mounted_anything_else_is_asked_for() {
    let engine = Engine::start().await;
    let (_upstream, reference, parent) = planned(&engine);
    let target = engine.server.output("out-1", vec![]).unwrap();
    let (at, from) = (base(&target), reference.repository().path());
    let layer = &parent.manifest.value.layers[0].digest;
    let url = |digest: &Digest| format!("{at}/blobs/uploads/?mount={digest}&from={from}");
    assert_eq!(engine.status(Method::POST, &url(layer)).await, 201);
    let blob = format!("{at}/blobs/{layer}");
    assert_eq!(engine.status(Method::HEAD, &blob).await, 200);
    assert_eq!(engine.status(Method::GET, &blob).await, 200);
    let nothing = Digest::sha256(b"nothing");
    assert_eq!(engine.status(Method::POST, &url(&nothing)).await, 202);
}

#[tokio::test]
async fn an_index_arrives_with_its_children() {
    let engine = Engine::start().await;
    let images = [image(), Image::new("linux/arm64", &[])];
    let mut known: Vec<Descriptor> = Vec::new();
    for image in &images {
        known.extend(image.manifest.value.layers.iter().cloned());
        known.push(image.manifest.value.config.clone());
    }
    let target = engine.server.output("out-1", known).unwrap();
    let (at, tag) = (base(&target), target.tag().unwrap());
    let index = Document::Index(index(&images));
    assert_eq!(engine.put_manifest(&at, tag, &index).await.status(), 400);
    for image in &images {
        let child = Document::Manifest(image.manifest.clone());
        let pushed = engine
            .put_manifest(&at, child.digest().as_str(), &child)
            .await;
        assert_eq!(pushed.status(), StatusCode::CREATED);
    }
    assert!(engine.server.take("out-1").is_none());
    assert_eq!(engine.put_manifest(&at, tag, &index).await.status(), 201);
    let result = engine.server.take("out-1").unwrap();
    assert_eq!(result.manifest, index);
    assert_eq!(result.children.len(), 2);
    assert!(result.blobs.is_empty());
}

#[tokio::test]
async fn manifests_that_are_none_are_refused() {
    let engine = Engine::start().await;
    let target = engine.server.output("out-1", vec![]).unwrap();
    let url = format!("{}/manifests/{}", base(&target), target.tag().unwrap());
    let header = Some((CONTENT_TYPE.as_str(), media_type::OCI_MANIFEST));
    for (body, status) in [
        (b"{".to_vec(), 400),
        (b"null".to_vec(), 400),
        (vec![b' '; 5 << 20], 413),
    ] {
        let put = engine.call(Method::PUT, &url, header, body).await;
        assert_eq!(put.status().as_u16(), status);
    }
    let index = Document::Index(index(&[]));
    let other_tag = engine.put_manifest(&base(&target), "other", &index).await;
    assert_eq!(other_tag.status(), StatusCode::BAD_REQUEST);
    let digest = Digest::sha256(b"other").to_string();
    let other_digest = engine.put_manifest(&base(&target), &digest, &index).await;
    assert_eq!(other_digest.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_layout_can_be_behind_it_and_it_stops_when_dropped() {
    let engine = Engine::start().await;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(folder.path()).unwrap();
    let repository = "refit.local/base".parse().unwrap();
    crate::push(&layout, &repository, &image(), None).await;
    let digest = image().digest().clone();
    let reference = engine
        .server
        .allow_base("base-1", Arc::new(layout), repository, digest);
    let reference = reference.unwrap();
    let url = format!(
        "{}/blobs/{}",
        base(&reference),
        image().manifest.value.layers[0].digest
    );
    assert_eq!(engine.status(Method::GET, &url).await, 200);

    let Engine {
        server,
        http,
        spool,
    } = engine;
    let ping = format!("http://{}/v2/", server.host());
    drop(server);
    // The signal to stop is taken up by the server's task, some time; the spool goes with its last request.
    let gone = async {
        while http.get(&ping).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
        while std::fs::read_dir(spool.path()).unwrap().next().is_some() {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(10), gone).await;
    assert!(gone.is_ok());
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let engine = Engine::start().await;
    for name in ["", "Out", "a//b", "../x"] {
        assert!(engine.server.output(name, vec![]).is_err(), "{name}");
    }
}
