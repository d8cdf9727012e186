//! Registries over HTTP, layouts, copies and the loopback server, against the test registry and the real thing.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

mod auth;
mod contents;
mod copies;
mod faults;
mod helpers;
mod layout;
mod loopback;
mod mirrors;
mod parity;
mod pull;
mod push;
mod real;
mod tls;

use std::{path::Path, sync::Arc, time::Duration};

use refit_oci::{Descriptor, Document, Repository, media_type};
use refit_registry::{Patience, Registries, Registry, Settings};
use refit_testkit::registry::{Image, Options, TestRegistry};

/// Settings that do not make a test wait.
fn quick() -> Settings {
    Settings {
        patience: Patience {
            attempts: 3,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_secs(5),
            longest_wait: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        },
        ..Settings::default()
    }
}

/// A registry that is open to everybody, and refit's view of it.
struct Open {
    server: TestRegistry,
    registries: Registries,
}

impl Open {
    fn start() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self {
            server: TestRegistry::start(options),
            registries: Registries::new(quick()),
        }
    }

    fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.server.host()).parse().unwrap()
    }

    fn client(&self) -> Arc<dyn Registry> {
        self.registries.registry(&self.server.host())
    }
}

fn image() -> Image {
    Image::new(
        "linux/amd64",
        &[&[("etc/base", "base\n")], &[("app", "app\n")]],
    )
}

/// Pushes an image with all its parts by way of the trait.
async fn push(to: &dyn Registry, repository: &Repository, image: &Image, tag: Option<&str>) {
    for layer in &image.layers {
        let descriptor = Descriptor::of(media_type::OCI_LAYER_GZIP, layer);
        let source = layer.clone().into();
        to.push_blob(repository, &descriptor, source).await.unwrap();
    }
    let source = image.config.clone().into();
    let config = &image.manifest.value.config;
    to.push_blob(repository, config, source).await.unwrap();
    let document = Document::Manifest(image.manifest.clone());
    to.push_document(repository, &document, tag).await.unwrap();
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
