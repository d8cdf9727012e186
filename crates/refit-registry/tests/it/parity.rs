//! The test registry answers as the real docker-registry does: what refit is tested against is no invention.

use refit_oci::{Descriptor, Digest};
use refit_registry::Registries;
use refit_testkit::{
    engines::DockerRegistry,
    registry::{Image, Options, TestRegistry},
};

use crate::{image, quick};

/// One raw request.
struct Raw {
    method: &'static str,
    /// Below `/v2/`; `@` with a query stands for where the last `Location` points.
    path: String,
    header: Option<(&'static str, String)>,
    body: Vec<u8>,
}

fn raw(method: &'static str, path: impl Into<String>) -> Raw {
    Raw {
        method,
        path: path.into(),
        header: None,
        body: Vec::new(),
    }
}

impl Raw {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.header = Some((name, value.to_owned()));
        self
    }

    fn body(mut self, bytes: &[u8]) -> Self {
        self.body = bytes.to_vec();
        self
    }
}

/// Request, status, and the digest that the answer names.
type Answer = (String, u16, Option<String>);

async fn answers(host: &str, requests: &[Raw]) -> Vec<Answer> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut upload = String::new();
    let mut answers = Vec::new();
    for asked in requests {
        let url = match asked.path.strip_prefix('@') {
            Some("") => upload.clone(),
            Some(query) if upload.contains('?') => format!("{upload}&{query}"),
            Some(query) => format!("{upload}?{query}"),
            None => format!("http://{host}/v2/{}", asked.path),
        };
        let request = http.request(asked.method.parse().unwrap(), url);
        let mut request = request.body(asked.body.clone());
        if let Some((name, value)) = &asked.header {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        let text = |name: &str| {
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        if let Some(location) = text("location") {
            upload = answer.url().join(&location).unwrap().to_string();
        }
        let line = format!("{} {}", asked.method, asked.path);
        let digest = text("docker-content-digest");
        answers.push((line, answer.status().as_u16(), digest));
    }
    answers
}

/// Blobs by every way there is, and by ways there are not.
fn blobs(image: &Image, none: &Digest) -> Vec<Raw> {
    let [one, two] = [0, 1].map(|n: usize| &image.manifest.value.layers[n].digest);
    let config = &image.manifest.value.config.digest;
    let (first, second) = image.layers[1].split_at(image.layers[1].len() / 2);
    vec![
        raw("HEAD", format!("a/blobs/{one}")),
        raw("POST", "a/blobs/uploads/"),
        raw("PUT", format!("@digest={one}")).body(&image.layers[0]),
        raw("HEAD", format!("a/blobs/{one}")),
        raw("HEAD", format!("b/blobs/{one}")),
        raw("POST", "a/blobs/uploads/"),
        raw("PUT", format!("@digest={none}")).body(b"other"),
        raw("POST", "a/blobs/uploads/"),
        raw("PATCH", "@").body(first),
        raw("GET", "@"),
        raw("PATCH", "@").body(second),
        raw("PUT", format!("@digest={two}")),
        raw("POST", "a/blobs/uploads/"),
        raw("DELETE", "@"),
        raw("PATCH", "@").body(first),
        raw("PUT", "a/manifests/1")
            .header("content-type", &image.manifest.media_type)
            .body(&image.manifest.bytes),
        raw("POST", "a/blobs/uploads/"),
        raw("PUT", format!("@digest={config}")).body(&image.config),
        raw("GET", format!("a/blobs/{two}")).header("range", "bytes=10-"),
        raw("GET", format!("a/blobs/{two}")).header("range", "bytes=99999-"),
        raw("POST", format!("b/blobs/uploads/?mount={one}&from=a")),
        raw("HEAD", format!("b/blobs/{one}")),
        raw("POST", format!("b/blobs/uploads/?mount={none}&from=a")),
        raw("DELETE", "@"),
    ]
}

/// Manifests, once their blobs are there.
fn manifests(image: &Image, none: &Digest) -> Vec<Raw> {
    let Descriptor {
        media_type, digest, ..
    } = image.manifest.descriptor();
    let put = |reference: &str| {
        raw("PUT", format!("a/manifests/{reference}"))
            .header("content-type", &media_type)
            .body(&image.manifest.bytes)
    };
    // Without an Accept the real one hides manifests of OCI's type.
    let read = |method, path: String| raw(method, path).header("accept", &media_type);
    vec![
        put(none.as_str()),
        put(digest.as_str()),
        put("1"),
        raw("GET", "a/tags/list"),
        read("HEAD", "a/manifests/1".to_owned()),
        read("GET", format!("a/manifests/{digest}")),
        read("GET", "a/manifests/2".to_owned()),
        read("GET", format!("b/manifests/{digest}")),
        raw("DELETE", format!("a/manifests/{digest}")),
        read("HEAD", "a/manifests/1".to_owned()),
        raw("DELETE", format!("a/manifests/{digest}")),
    ]
}

#[tokio::test]
async fn needs_docker_registry_to_answer_as_the_test_registry_does() {
    let real = DockerRegistry::start().unwrap();
    let ours = TestRegistry::start(Options::default());
    // Installs the TLS provider that the plain client needs as well.
    let _ = Registries::new(quick());
    let none = Digest::sha256(b"nothing");
    let mut requests = vec![raw("GET", ""), raw("GET", "a/tags/list")];
    requests.extend(blobs(&image(), &none));
    requests.extend(manifests(&image(), &none));
    let expected = answers(&real.host(), &requests).await;
    let actual = answers(&ours.host(), &requests).await;
    for (actual, expected) in actual.into_iter().zip(expected) {
        assert_eq!(actual, expected);
    }
}
