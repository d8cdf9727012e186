//! Registries, clones of a repository, and a user's hermetic environment around them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use refit_oci::{Digest, Document, Exact, Index};
use refit_testkit::registry::{Image, Options, TestRegistry, read_layer};
use serde_json::Value;
use tempfile::TempDir;

use crate::checkout::Checkout;

/// A folder that goes with the test, and the registry that images come from and go to.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) hub: TestRegistry,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("refit-offline-").unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        Self {
            folder,
            hub: TestRegistry::start(Options::default()),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where commands keep what is theirs for a while.
    pub(crate) fn scratch(&self) -> PathBuf {
        let scratch = self.folder.path().join("tmp");
        fs::create_dir_all(&scratch).unwrap();
        scratch
    }

    /// Text with `HUB` replaced by the registry's host.
    pub(crate) fn hosted(&self, text: &str) -> String {
        text.replace("HUB", &self.hub.host())
    }

    /// A repository `shop` on the branch `main` with these files (`//- path`, then the text) committed.
    pub(crate) fn repository(&self, files: &str) -> Checkout<'_> {
        self.repository_named("shop", files)
    }

    pub(crate) fn repository_named(&self, name: &str, files: &str) -> Checkout<'_> {
        let checkout = self.folder_of(name);
        fs::create_dir(checkout.dir()).unwrap();
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        if !files.is_empty() {
            checkout.write(files);
            checkout.commit("Add images");
        }
        checkout
    }

    /// A bare repository that has everything of `of`, which from now on has it as its remote.
    pub(crate) fn remote(&self, of: &Checkout<'_>) -> Checkout<'_> {
        let remote = self.folder_of("remote.git");
        let path = remote.dir().to_string_lossy().into_owned();
        of.git(&["clone", "--quiet", "--bare", ".", &path]);
        of.git(&["remote", "add", "origin", &path]);
        of.git(&["fetch", "--quiet", "origin"]);
        of.git(&["remote", "set-head", "origin", "main"]);
        remote
    }

    /// Another clone of `remote`, as `git clone` makes it with these options.
    pub(crate) fn clone_of(
        &self,
        remote: &Checkout<'_>,
        name: &str,
        options: &[&str],
    ) -> Checkout<'_> {
        let clone = self.folder_of(name);
        // A path would be copied file by file: shallow clones need a URL.
        let url = format!("file://{}", remote.dir().display());
        let path = clone.dir().to_string_lossy().into_owned();
        remote.git(&[&["clone", "--quiet"], options, &[&url, &path]].concat());
        clone
    }

    pub(crate) fn folder_of(&self, name: &str) -> Checkout<'_> {
        Checkout::new(self, self.folder.path().join(name))
    }

    /// The user's configuration file, which need not be there.
    pub(crate) fn user_config(&self) -> PathBuf {
        self.folder.path().join("home/refit.toml")
    }

    /// Moves `base/os:TAG`, for two platforms, to an image whose `/etc/patch` says this.
    pub(crate) fn push_base(&self, tag: &str, amd64: &str, arm64: &str) {
        let images = [os("linux/amd64", amd64), os("linux/arm64", arm64)];
        self.hub.put_index("base/os", tag, &images);
    }

    /// What `team/IMAGE:latest` holds.
    #[track_caller]
    pub(crate) fn published(&self, image: &str) -> Digest {
        self.hub.tag(&format!("team/{image}"), "latest").unwrap()
    }

    /// What the `latest` of these images hold.
    pub(crate) fn all_published(&self, images: &[&str]) -> BTreeMap<String, Digest> {
        let published = images
            .iter()
            .map(|image| ((*image).to_owned(), self.published(image)));
        published.collect()
    }

    /// The index that `team/IMAGE:latest` holds.
    #[track_caller]
    pub(crate) fn index(&self, image: &str) -> Index {
        self.index_at(&format!("team/{image}"), &self.published(image))
    }

    #[track_caller]
    pub(crate) fn index_at(&self, repository: &str, digest: &Digest) -> Index {
        match self.document(repository, digest) {
            Document::Index(index) => index.value,
            Document::Manifest(_) => panic!("{repository}@{digest} is no index"),
        }
    }

    /// The manifests of `team/IMAGE:latest` by platform.
    #[track_caller]
    pub(crate) fn manifests(&self, image: &str) -> BTreeMap<String, Digest> {
        by_platform(&self.index(image))
    }

    fn document(&self, repository: &str, digest: &Digest) -> Document {
        let bytes = self.hub.document(repository, digest).unwrap();
        Document::decode(None, bytes).unwrap()
    }

    /// A file of `team/IMAGE:latest` on one platform: from the last layer that has it.
    #[track_caller]
    pub(crate) fn file(&self, image: &str, platform: &str, path: &str) -> Option<String> {
        let (repository, index) = (format!("team/{image}"), self.published(image));
        self.file_at(&repository, &index, platform, path)
    }

    /// The same of any index.
    #[track_caller]
    pub(crate) fn file_at(
        &self,
        repository: &str,
        index: &Digest,
        platform: &str,
        path: &str,
    ) -> Option<String> {
        let manifest = &by_platform(&self.index_at(repository, index))[platform];
        let Document::Manifest(Exact { value, .. }) = self.document(repository, manifest) else {
            panic!("{manifest} is no manifest");
        };
        let mut layers = value.layers.iter().rev();
        layers.find_map(|layer| {
            let bytes = self.hub.blob(repository, &layer.digest).unwrap();
            read_layer(&bytes).remove(path)
        })
    }

    /// The digests of the configs of `team/IMAGE:latest`.
    pub(crate) fn configs(&self, image: &str) -> Vec<String> {
        let manifests = self.manifests(image);
        let configs = manifests.values().map(|manifest| {
            match self.document(&format!("team/{image}"), manifest) {
                Document::Manifest(manifest) => manifest.value.config.digest.to_string(),
                Document::Index(_) => panic!("{manifest} is no manifest"),
            }
        });
        configs.collect()
    }

    /// The layers of `team/IMAGE:latest` on one platform, the lowest first.
    #[track_caller]
    pub(crate) fn layers(&self, image: &str, platform: &str) -> Vec<Digest> {
        self.layers_at(&format!("team/{image}"), &self.published(image), platform)
    }

    /// The same of any index.
    #[track_caller]
    pub(crate) fn layers_at(
        &self,
        repository: &str,
        index: &Digest,
        platform: &str,
    ) -> Vec<Digest> {
        let manifest = &by_platform(&self.index_at(repository, index))[platform];
        match self.document(repository, manifest) {
            Document::Manifest(manifest) => {
                let layers = manifest.value.layers.into_iter();
                layers.map(|layer| layer.digest).collect()
            }
            Document::Index(_) => panic!("{manifest} is no manifest"),
        }
    }

    /// Points `team/IMAGE:latest` at something that the repository holds, as somebody does by hand.
    pub(crate) fn retag(&self, image: &str, digest: &Digest) {
        self.retag_as(image, digest, "latest");
    }

    /// The same of `team/IMAGE:TAG`.
    pub(crate) fn retag_as(&self, image: &str, digest: &Digest, tag: &str) {
        let repository = format!("team/{image}");
        let document = self.document(&repository, digest);
        self.hub.put_document(&repository, tag, &document);
    }

    /// How many blobs were sent since the log was emptied, but for statements of provenance: what is published anew gets
    /// a new one, as it says when and by which run.
    pub(crate) fn uploads(&self) -> usize {
        let n_statements = self.hub.count("PUT", "/manifests/sha256-");
        self.hub.count("POST", "/blobs/uploads/") - n_statements
    }

    /// How many requests changed something since the log was emptied.
    pub(crate) fn writes(&self) -> usize {
        let requests = self.hub.requests();
        let writes = requests
            .iter()
            .filter(|request| !["GET", "HEAD"].contains(&request.method.as_str()));
        writes.count()
    }
}

fn by_platform(index: &Index) -> BTreeMap<String, Digest> {
    let platforms = index
        .platforms()
        .map(|(platform, descriptor)| (platform.to_string(), descriptor.digest.clone()));
    platforms.collect()
}

/// An operating system of one file.
pub(crate) fn os(platform: &str, patch: &str) -> Image {
    Image::new(platform, &[&[("etc/patch", patch)]])
}

/// The texts of a JSON list.
#[track_caller]
pub(crate) fn texts(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter()
        .map(|value| if key.is_empty() { value } else { &value[key] })
        .map(|value| {
            value
                .as_str()
                .unwrap_or_else(|| panic!("no text: {value}"))
                .to_owned()
        })
        .collect()
}
