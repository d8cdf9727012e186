//! The real docker-registry, seen through skopeo and through its own API.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

use refit_oci::{Digest, Document, Exact, Index, Platform, Repository, media_type};
use refit_registry::{Registries, Settings};
use refit_testkit::{
    engines::{BaseImage, DockerRegistry},
    registry::{Image, Login},
};
use serde_json::Value;

use crate::said::Said;

/// A registry with what tests ask of it.
pub(crate) struct Hub {
    registry: DockerRegistry,
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self {
            registry: DockerRegistry::start().unwrap(),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.registry.host()
    }

    /// Moves `base/os:1` to busyboxes whose `/etc/os-patch` says which patch they have.
    pub(crate) fn push_base(&self, amd64: &str, arm64: &str) -> Digest {
        self.push_base_to("base/os", amd64, arm64)
    }

    /// The same for the tag `1` of another repository.
    pub(crate) fn push_base_to(&self, path: &str, amd64: &str, arm64: &str) -> Digest {
        push_base(&self.host(), path, amd64, arm64)
    }

    /// Pushes an image of one platform under a tag.
    pub(crate) fn push_image(&self, path: &str, tag: &str, image: &Image) {
        let repository: Repository = format!("{}/{path}", self.host()).parse().unwrap();
        let registries = Registries::new(Settings::default());
        let registry = registries.registry(&self.host());
        let manifest = &image.manifest.value;
        let layers = manifest.layers.iter().zip(&image.layers);
        let config = (&manifest.config, &image.config);
        block_on(async {
            for (descriptor, bytes) in layers.chain([config]) {
                let source = bytes.clone().into();
                let pushed = registry.push_blob(&repository, descriptor, source).await;
                pushed.unwrap();
            }
            let document = Document::Manifest(image.manifest.clone());
            let pushed = registry
                .push_document(&repository, &document, Some(tag))
                .await;
            pushed.unwrap();
        });
    }

    /// A manifest or index, its exact bytes as skopeo has them.
    pub(crate) fn raw(&self, name: &str) -> String {
        let reference = format!("docker://{}/{name}", self.host());
        skopeo(&["inspect", "--raw", "--tls-verify=false", &reference])
            .exits(0)
            .stdout
    }

    /// Fails if something is there.
    #[track_caller]
    pub(crate) fn is_missing(&self, name: &str) {
        let reference = format!("docker://{}/{name}", self.host());
        skopeo(&["inspect", "--raw", "--tls-verify=false", &reference])
            .exits(1)
            .mentions("unknown");
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.raw(name)).unwrap()
    }

    /// The digest of what a tag holds.
    pub(crate) fn digest(&self, name: &str) -> Digest {
        Digest::sha256(self.raw(name).as_bytes())
    }

    /// The manifests of an index by platform (`amd64`, `arm64`).
    pub(crate) fn manifests(&self, name: &str) -> BTreeMap<String, String> {
        let index = self.json(name);
        let manifests = index["manifests"].as_array().unwrap().iter();
        manifests
            .map(|m| (text(&m["platform"]["architecture"]), text(&m["digest"])))
            .collect()
    }

    /// The config of one platform's image.
    pub(crate) fn config(&self, name: &str, architecture: &str) -> Value {
        let reference = format!("docker://{}/{name}", self.host());
        let architecture = format!("--override-arch={architecture}");
        let said = skopeo(&[
            &architecture,
            "inspect",
            "--config",
            "--raw",
            "--tls-verify=false",
            &reference,
        ]);
        said.exits(0).json()
    }

    /// All tags of a repository and what they hold.
    pub(crate) fn tags(&self, repository: &str) -> BTreeMap<String, Digest> {
        let reference = format!("docker://{}/{repository}", self.host());
        let listed = skopeo(&["list-tags", "--tls-verify=false", &reference])
            .exits(0)
            .json();
        let tags = listed["Tags"].as_array().unwrap().iter().map(text);
        tags.map(|tag| (tag.clone(), self.digest(&format!("{repository}:{tag}"))))
            .collect()
    }

    /// Points a tag at something that the repository holds, as an operator does by hand.
    pub(crate) fn retag(&self, repository: &str, digest: &str, tag: &str) {
        self.copy(
            &format!("{repository}@{digest}"),
            &format!("{repository}:{tag}"),
        );
    }

    /// Copies an image with all its platforms, as it is.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.convert(self, from, to, &["--preserve-digests"]);
    }

    /// Copies an image to another registry, by its name, for a user of that.
    pub(crate) fn copy_to(&self, other: &str, name: &str, user: &Login) {
        let credentials = format!("{}:{}", user.user, user.password);
        skopeo(&[
            "copy",
            "--quiet",
            "--all",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--dest-creds",
            &credentials,
            &format!("docker://{}/{name}", self.host()),
            &format!("docker://{other}/{name}"),
        ])
        .exits(0);
    }

    /// Copies an image of another registry, with skopeo's flags to convert it.
    pub(crate) fn convert(&self, other: &Self, from: &str, to: &str, flags: &[&str]) {
        let from = format!("docker://{}/{from}", other.host());
        let to = format!("docker://{}/{to}", self.host());
        let args = [
            "copy",
            "--quiet",
            "--all",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ];
        skopeo(&[&args[..], flags, &[&from, &to]].concat()).exits(0);
    }

    /// A file of one platform's image: from the last layer that has it.
    pub(crate) fn file(&self, repository: &str, manifest: &str, path: &str) -> Option<String> {
        let manifest = self.json(&format!("{repository}@{manifest}"));
        let repository: Repository = format!("{}/{repository}", self.host()).parse().unwrap();
        let registries = Registries::new(Settings::default());
        let registry = registries.registry(&self.host());
        let layers = manifest["layers"].as_array().unwrap().iter().rev();
        layers.into_iter().find_map(|layer| {
            let layer = serde_json::from_value(layer.clone()).unwrap();
            let blob = block_on(registry.blob(&repository, &layer)).unwrap();
            let tar = Said::by(
                Command::new("tar")
                    .arg("-xzOf")
                    .arg(blob.path())
                    .arg("--")
                    .arg(path),
            );
            (tar.code == Some(0)).then_some(tar.stdout)
        })
    }

    /// The bytes of a small blob.
    pub(crate) fn blob(&self, repository: &str, descriptor: &Value) -> Vec<u8> {
        let repository: Repository = format!("{}/{repository}", self.host()).parse().unwrap();
        let registries = Registries::new(Settings::default());
        let registry = registries.registry(&self.host());
        let descriptor = serde_json::from_value(descriptor.clone()).unwrap();
        block_on(registry.blob_bytes(&repository, &descriptor, 1 << 20)).unwrap()
    }

    /// The requests so far, as the registry itself logged them: `PUT /v2/… 201`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.registry.log();
        let lines = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" \"")?;
            let (request, rest) = rest.split_once(" HTTP/1.1\" ")?;
            Some(format!("{request} {}", rest.split(' ').next()?))
        });
        lines.collect()
    }
}

/// Moves the tag `1` of a repository of any registry to busyboxes whose `/etc/os-patch` says which patch they have.
pub(crate) fn push_base(host: &str, path: &str, amd64: &str, arm64: &str) -> Digest {
    let repository: Repository = format!("{host}/{path}").parse().unwrap();
    let registries = Registries::new(Settings::default());
    let registry = registries.registry(host);
    block_on(async {
        let mut entries = Vec::new();
        for (platform, patch) in [
            (Platform::linux_amd64(), amd64),
            (Platform::linux_arm64(), arm64),
        ] {
            let image = BaseImage::busybox(&platform, &[("etc/os-patch", patch)]).unwrap();
            image
                .push(registry.as_ref(), &repository, None)
                .await
                .unwrap();
            entries.push(image.entry(&platform));
        }
        let index = Exact::encode(media_type::OCI_INDEX, Index::new(entries, BTreeMap::new()));
        registry
            .push_document(&repository, &Document::Index(index), Some("1"))
            .await
            .unwrap()
    })
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// Runs skopeo.
pub(crate) fn skopeo(args: &[&str]) -> Said {
    Said::by(Command::new("skopeo").args(args))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A GET of Docker Engine's API.
pub(crate) fn engine_api(socket: &Path, path: &str) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}
