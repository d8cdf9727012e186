//! A private engine, a registry with bases for both platforms, and recipes on them.

use std::{collections::BTreeMap, fs, io::Read as _, path::PathBuf, sync::Arc};

use refit_build::{
    buildkit::{BuildKitEngine, Endpoint},
    docker::{Address, DockerEngine},
    engine::{
        Built, Caches, ContextTar, Engine, EngineError, LayerSource, PinnedBase, Recipe,
        SecretValues,
    },
};
use refit_dockerfile::{Settings, parse, resolve_with_triggers};
use refit_oci::{Digest, Platform, Repository};
use refit_registry::{Registries, Registry};
use refit_testkit::engines::{BaseImage, BuildKitd, DockerRegistry, Dockerd, Podman, Version};
use tempfile::TempDir;

/// Everything that a build needs; dropped, all of it is gone.
pub(crate) struct Site {
    pub(crate) engine: Box<dyn Engine>,
    native: Platform,
    pub(crate) daemon: Daemon,
    pub(crate) registry: Arc<dyn Registry>,
    docker_registry: DockerRegistry,
    folder: TempDir,
}

/// What the engine is a client of.
pub(crate) enum Daemon {
    Docker(Dockerd),
    BuildKit(BuildKitd),
    Podman(Podman),
}

impl Daemon {
    /// Of Docker's API.
    pub(crate) fn socket(&self) -> PathBuf {
        match self {
            Self::Docker(dockerd) => dockerd.socket(),
            Self::BuildKit(buildkitd) => buildkitd.dockerd().socket(),
            Self::Podman(podman) => podman.socket(),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::Docker(dockerd) => dockerd.log(),
            Self::BuildKit(buildkitd) => buildkitd.dockerd().log(),
            Self::Podman(podman) => podman.log(),
        }
    }
}

/// What varies between the recipes of the tests.
pub(crate) struct Wanted<'a> {
    pub(crate) dockerfile: &'a str,
    pub(crate) platform: Platform,
    pub(crate) context: &'a [(&'a str, &'a str)],
    pub(crate) build_args: &'a [(&'a str, &'a str)],
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) secrets: &'a [(&'a str, &'a str)],
    pub(crate) no_cache: bool,
    /// The `OnBuild` of the base that the stage with this index names.
    pub(crate) triggers: &'a [(usize, &'a str)],
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(dockerfile: &'a str, platform: Platform) -> Self {
        Self {
            dockerfile,
            platform,
            context: &[],
            build_args: &[],
            labels: &[],
            secrets: &[],
            no_cache: false,
            triggers: &[],
        }
    }
}

impl Site {
    pub(crate) async fn start(version: Version) -> Self {
        Self::with(Dockerd::start(version).unwrap()).await
    }

    pub(crate) async fn with(dockerd: Dockerd) -> Self {
        let address: Address = dockerd.host().parse().unwrap();
        let engine = DockerEngine::connect(&address).await.unwrap();
        let native = engine.facts().native.clone();
        Self::of(Box::new(engine), native, Daemon::Docker(dockerd))
    }

    /// The classic builder of a Docker Engine that has BuildKit as well.
    pub(crate) async fn classic(dockerd: Dockerd) -> Self {
        let address: Address = dockerd.host().parse().unwrap();
        let engine = DockerEngine::connect_for(&address, Some(false)).await;
        let engine = engine.unwrap();
        let native = engine.facts().native.clone();
        Self::of(Box::new(engine), native, Daemon::Docker(dockerd))
    }

    pub(crate) async fn podman() -> Self {
        let podman = Podman::start().unwrap();
        let address: Address = podman.host().parse().unwrap();
        let engine = DockerEngine::connect(&address).await.unwrap();
        let native = engine.facts().native.clone();
        Self::of(Box::new(engine), native, Daemon::Podman(podman))
    }

    /// The engine `buildkit` on the BuildKit inside Docker Engine.
    pub(crate) async fn buildkit_inside(dockerd: Dockerd) -> Self {
        let endpoint = Endpoint::Docker(dockerd.host().parse().unwrap());
        Self::buildkit(&endpoint, Daemon::Docker(dockerd)).await
    }

    /// The engine `buildkit` on what is a buildkitd to it.
    pub(crate) async fn buildkitd() -> Self {
        let buildkitd = BuildKitd::start().unwrap();
        let endpoint = Endpoint::Daemon(buildkitd.host().parse().unwrap());
        Self::buildkit(&endpoint, Daemon::BuildKit(buildkitd)).await
    }

    pub(crate) async fn buildkit(endpoint: &Endpoint, daemon: Daemon) -> Self {
        let engine = BuildKitEngine::connect(endpoint).await.unwrap();
        let native = engine.facts().native.clone();
        Self::of(Box::new(engine), native, daemon)
    }

    fn of(engine: Box<dyn Engine>, native: Platform, daemon: Daemon) -> Self {
        let docker_registry = DockerRegistry::start().unwrap();
        let registries = Registries::new(refit_registry::Settings::default());
        Self {
            engine,
            native,
            daemon,
            registry: registries.registry(&docker_registry.host()),
            docker_registry,
            folder: TempDir::new().unwrap(),
        }
    }

    /// Everything that the engine has logged so far.
    pub(crate) fn engine_log(&self) -> String {
        self.daemon.log()
    }

    pub(crate) fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.docker_registry.host())
            .parse()
            .unwrap()
    }

    /// Pushes a busybox base with some more files to `path`.
    pub(crate) async fn base(
        &self,
        path: &str,
        platform: &Platform,
        files: &[(&str, &str)],
    ) -> BaseImage {
        let image = BaseImage::busybox(platform, files).unwrap();
        image
            .push(self.registry.as_ref(), &self.repository(path), None)
            .await
            .unwrap();
        image
    }

    /// A recipe whose references are pinned in order to these images of the repositories `base-0`, `base-1`, ….
    pub(crate) fn recipe(&self, wanted: &Wanted<'_>, pins: &[(&str, Digest)]) -> Recipe {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs
                .iter()
                .map(|&(k, v)| (k.to_owned(), v.to_owned()))
                .collect()
        };
        let build_args = text(wanted.build_args);
        let file = parse(wanted.dockerfile).unwrap();
        let settings = Settings {
            target: None,
            platform: &wanted.platform,
            build_platform: &self.native,
            build_args: &build_args,
            contexts: &BTreeMap::new(),
        };
        let triggers = wanted.triggers.iter();
        let triggers = triggers.map(|&(stage, code)| (stage, vec![code.to_owned()]));
        let resolved = resolve_with_triggers(&file, &settings, &triggers.collect()).unwrap();
        let pins = pins
            .iter()
            .enumerate()
            .map(|(found_index, (path, manifest))| PinnedBase {
                found_index,
                registry: Arc::clone(&self.registry),
                repository: self.repository(path),
                manifest: manifest.clone(),
            });
        let work_dir = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Recipe {
            dockerfile_text: wanted.dockerfile.to_owned(),
            file_name: "Dockerfile".to_owned(),
            file,
            resolved,
            platform: wanted.platform.clone(),
            target_stage: None,
            build_args,
            labels: text(wanted.labels),
            network: Some("none".to_owned()),
            attest: BTreeMap::new(),
            secrets: SecretValues(
                wanted
                    .secrets
                    .iter()
                    .map(|&(id, value)| (id.to_owned(), value.as_bytes().to_vec()))
                    .collect(),
            ),
            logins: refit_build::engine::Logins::default(),
            ssh: None,
            no_cache: wanted.no_cache,
            caches: Caches::default(),
            context: ContextTar {
                path: self.pack(wanted.context),
                entries: Vec::new(),
            },
            pins: pins.collect(),
            work_dir,
        }
    }

    fn pack(&self, files: &[(&str, &str)]) -> PathBuf {
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        let mut tar = tar::Builder::new(file.as_file());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        tar.finish().unwrap();
        drop(tar);
        file.keep().unwrap().1
    }

    /// Builds, and gives what was printed beside the result.
    pub(crate) async fn build(&self, recipe: &Recipe) -> (Result<Built, EngineError>, String) {
        let mut log = Vec::new();
        let built = self.engine.build(recipe, &mut log).await;
        (built, String::from_utf8(log).unwrap())
    }

    /// How many images the engine has.
    pub(crate) async fn n_images(&self) -> usize {
        self.images().await.len()
    }

    /// The names of all images that have one.
    pub(crate) async fn names(&self) -> Vec<String> {
        let images = self.images().await.into_iter();
        let names = images.flat_map(|image| [image.repo_tags, image.repo_digests].concat());
        // What Docker Engine calls those that have none.
        let names = names.filter(|name| !name.starts_with("<none>"));
        names.collect()
    }

    pub(crate) async fn images(&self) -> Vec<bollard::models::ImageSummary> {
        let socket = self.daemon.socket();
        let client = bollard::Docker::connect_with_unix(
            socket.to_str().unwrap(),
            60,
            bollard::API_DEFAULT_VERSION,
        );
        let client = client.unwrap().negotiate_version().await.unwrap();
        let options = bollard::query_parameters::ListImagesOptionsBuilder::default().all(true);
        client.list_images(Some(options.build())).await.unwrap()
    }
}

/// The files of a finished image's own layers: path and content of the regular ones.
pub(crate) fn own_files(built: &Built) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for layer in &built.layers {
        let LayerSource::File(path) = &layer.source else {
            continue;
        };
        let compressed = fs::read(path).unwrap();
        assert!(layer.descriptor.digest.verifies(&compressed));
        assert_eq!(layer.descriptor.size, compressed.len() as u64);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(compressed.as_slice()));
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.header().entry_type().is_file() {
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                files.insert(path, content);
            }
        }
    }
    files
}

/// The digests of the uncompressed own layers, which the config must name.
pub(crate) fn own_diff_ids(built: &Built) -> Vec<Digest> {
    let own = built.layers.iter().filter_map(|layer| match &layer.source {
        LayerSource::File(path) => Some(path),
        LayerSource::Base(_) | LayerSource::There => None,
    });
    let unpacked = own.map(|path| {
        let mut plain = Vec::new();
        let file = fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut plain)
            .unwrap();
        Digest::sha256(&plain)
    });
    unpacked.collect()
}
