//! Bases from a few words, builds from a Dockerfile and a handful of files, layers as `tar` lists them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use refit_build::{
    engine::{Built, ContextTar, Engine, EngineError, LayerSource, PinnedBase, Recipe, Refusal},
    native::{
        NativeEngine,
        file_table::FileTable,
        layer_entries::{LayerReadError, visit_layer},
    },
};
use refit_context::{Ignore, LayerWriter, Location, TarEntry, TarKind, list, pack};
use refit_dockerfile::{FoundSource, Settings, parse, resolve};
use refit_oci::{
    Descriptor, Digest, Document, Exact, History, ImageConfig, Manifest, Platform, Reference,
    Repository, RootFs, media_type,
};
use refit_registry::{BlobSource, Layout, Registry};
use serde_json::Value;
use tempfile::TempDir;

/// A layout with bases, and an engine.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) layout: Arc<dyn Registry>,
    pub(crate) engine: NativeEngine,
    bases: BTreeMap<(String, Platform), Digest>,
}

/// What is built; `build` fills the rest in.
pub(crate) struct Wanted<'a> {
    pub(crate) dockerfile: &'a str,
    /// `path=content`, `path -> target`; a `!` before the path makes the file executable.
    pub(crate) context: &'a [&'a str],
    pub(crate) build_args: &'a [(&'a str, &'a str)],
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) platform: Platform,
}

/// A finished build.
pub(crate) struct Image {
    pub(crate) built: Built,
    pub(crate) log: String,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(dockerfile: &'a str, context: &'a [&'a str]) -> Self {
        Self {
            dockerfile,
            context,
            build_args: &[],
            labels: &[],
            platform: Platform::linux_amd64(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let layout = Layout::open_or_create(folder.path().join("layout")).unwrap();
        Self {
            layout: Arc::new(layout),
            folder,
            engine: NativeEngine::new(),
            bases: BTreeMap::new(),
        }
    }

    /// A world with the base `base` of these layers for linux/amd64, without a config of its own.
    pub(crate) async fn with_base(layers: &[&[&str]]) -> Self {
        let mut world = Self::new();
        world.base("base", layers, "{}").await;
        world
    }

    /// Makes a base for linux/amd64; `config` is its config's `config` part.
    pub(crate) async fn base(&mut self, name: &str, layers: &[&[&str]], config: &str) {
        self.base_for(&Platform::linux_amd64(), name, layers, config)
            .await;
    }

    /// Makes a base out of layers in the notation of [`member`].
    pub(crate) async fn base_for(
        &mut self,
        platform: &Platform,
        name: &str,
        layers: &[&[&str]],
        config: &str,
    ) {
        let repository = self.repository(name);
        let (mut descriptors, mut diff_ids) = (Vec::new(), Vec::new());
        for members in layers {
            let path = self.folder.path().join("layer-of-a-base");
            let mut writer = LayerWriter::create(&path).unwrap();
            for text in *members {
                let (entry, content) = member(text);
                writer.append(&entry, content.as_bytes()).unwrap();
            }
            let layer = writer.finish().unwrap();
            let bytes = fs::read(&path).unwrap();
            let descriptor = layer.descriptor();
            self.push(&repository, &descriptor, bytes).await;
            descriptors.push(descriptor);
            diff_ids.push(layer.diff_id);
        }
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            created: Some("2026-01-02T03:04:05Z".to_owned()),
            history: vec![
                History {
                    created_by: Some("base".to_owned()),
                    ..History::default()
                };
                layers.len()
            ],
            config: serde_json::from_str(config).unwrap(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids,
            },
            ..ImageConfig::default()
        };
        let config = Exact::encode(media_type::OCI_CONFIG, config);
        self.push(&repository, &config.descriptor(), config.bytes.clone())
            .await;
        let manifest = Manifest::new(config.descriptor(), descriptors, BTreeMap::new());
        let manifest = Document::Manifest(Exact::encode(media_type::OCI_MANIFEST, manifest));
        let digest = self
            .layout
            .push_document(&repository, &manifest, None)
            .await
            .unwrap();
        self.bases
            .insert((reference(name), platform.clone()), digest);
    }

    pub(crate) async fn push(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        bytes: Vec<u8>,
    ) {
        let source = BlobSource::from(bytes);
        self.layout
            .push_blob(repository, descriptor, source)
            .await
            .unwrap();
    }

    #[expect(clippy::unused_self, reason = "a world has one registry")]
    pub(crate) fn repository(&self, name: &str) -> Repository {
        name.parse::<Reference>().unwrap().repository().clone()
    }

    /// The recipe of a build, its references pinned to the bases of this world.
    pub(crate) fn recipe(&self, wanted: &Wanted<'_>) -> Recipe {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let pairs = pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()));
            pairs.collect()
        };
        let build_args = text(wanted.build_args);
        let file = parse(wanted.dockerfile).unwrap();
        let settings = Settings {
            target: None,
            platform: &wanted.platform,
            build_platform: &Platform::linux_amd64(),
            build_args: &build_args,
            contexts: &BTreeMap::new(),
        };
        let resolved = resolve(&file, &settings).unwrap();
        let pins = resolved
            .found
            .iter()
            .enumerate()
            .map(|(found_index, found)| {
                let FoundSource::Reference(reference) = &found.source else {
                    panic!("{found:?}");
                };
                let key = (reference.to_string(), found.platform.clone());
                PinnedBase {
                    found_index,
                    registry: Arc::clone(&self.layout),
                    repository: reference.repository().clone(),
                    manifest: self
                        .bases
                        .get(&key)
                        .unwrap_or_else(|| panic!("no base {key:?}"))
                        .clone(),
                }
            });
        Recipe {
            pins: pins.collect(),
            dockerfile_text: wanted.dockerfile.to_owned(),
            file_name: "Dockerfile".to_owned(),
            file,
            resolved,
            platform: wanted.platform.clone(),
            target_stage: None,
            build_args,
            labels: text(wanted.labels),
            network: Some("none".to_owned()),
            no_cache: false,
            context: self.pack(wanted.context),
            work_dir: tempfile::tempdir_in(self.folder.path()).unwrap().keep(),
        }
    }

    /// Packs the context as refit does.
    fn pack(&self, files: &[&str]) -> ContextTar {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let dir = folder.join("context");
        fs::create_dir(&dir).unwrap();
        for text in files {
            write(&dir, text);
        }
        let location = Location::Dir {
            dir: &dir,
            repo: None,
        };
        let entries = list(&location, &Ignore::default()).unwrap();
        let path = folder.join("context.tar");
        pack(&location, &entries, File::create(&path).unwrap()).unwrap();
        ContextTar { path, entries }
    }

    pub(crate) async fn try_build(&self, wanted: &Wanted<'_>) -> Result<Image, EngineError> {
        let mut log = Vec::new();
        let built = self.engine.build(&self.recipe(wanted), &mut log).await?;
        Ok(Image {
            built,
            log: String::from_utf8(log).unwrap(),
        })
    }

    /// Builds for linux/amd64.
    pub(crate) async fn build(&self, dockerfile: &str, context: &[&str]) -> Image {
        let built = self.try_build(&Wanted::of(dockerfile, context)).await;
        built.unwrap_or_else(|error| panic!("{error:?}\n{dockerfile}"))
    }

    /// The error of a build: `line: the bytes it points at: message`.
    pub(crate) async fn error(&self, dockerfile: &str, context: &[&str]) -> String {
        match self.try_build(&Wanted::of(dockerfile, context)).await {
            Ok(image) => panic!("{:?}", image.layers()),
            Err(error) => told(dockerfile, error),
        }
    }

    /// The tree of a finished image, and the digests of its files' bytes, from the layers that it is made of.
    pub(crate) async fn tree(&self, base: &str, built: &Built) -> (FileTable, Bytes) {
        let repository = self.repository(base);
        let (mut tree, mut bytes) = (FileTable::default(), Bytes::new());
        for (layer, diff_id) in built.layers.iter().zip(&built.image.rootfs.diff_ids) {
            let descriptor = &layer.descriptor;
            let path = match &layer.source {
                LayerSource::File(path) => path.clone(),
                LayerSource::Base(_) => {
                    let blob = self.layout.blob(&repository, descriptor).await.unwrap();
                    blob.path().to_owned()
                }
            };
            let mut entries = Vec::new();
            visit_layer(
                &path,
                &descriptor.media_type,
                diff_id,
                |number, entry, data| {
                    let mut content = Vec::new();
                    data.read_to_end(&mut content).unwrap();
                    bytes.insert((diff_id.clone(), number), Digest::sha256(&content));
                    entries.push(entry.clone());
                    Ok::<_, LayerReadError>(())
                },
            )
            .unwrap();
            tree.apply_layer(diff_id, &entries).unwrap();
        }
        (tree, bytes)
    }
}

/// The digest of what a layer's member holds, by diff id and number.
pub(crate) type Bytes = BTreeMap<(Digest, usize), Digest>;

impl Image {
    /// Every own layer as the real `tar` lists it: `-rw-r--r-- 0/0 3 path`, and the time where it is not 1970's first
    /// minute.
    pub(crate) fn layers(&self) -> Vec<Vec<String>> {
        self.files().iter().map(|path| listed(path)).collect()
    }

    /// The last own layer.
    pub(crate) fn last(&self) -> Vec<String> {
        self.layers().pop().unwrap_or_default()
    }

    /// The paths of the last own layer.
    pub(crate) fn last_paths(&self) -> Vec<String> {
        let name = |line: String| line.splitn(4, ' ').last().unwrap_or_default().to_owned();
        self.last().into_iter().map(name).collect()
    }

    /// What the real `tar` reads of a file in the last own layer that has it.
    pub(crate) fn read(&self, path: &str) -> String {
        let unpacked = self.files().into_iter().rev().find_map(|layer| {
            let output = Command::new("tar")
                .arg("-xzOf")
                .arg(layer)
                .arg(path)
                .output()
                .unwrap();
            output
                .status
                .success()
                .then(|| String::from_utf8(output.stdout).unwrap())
        });
        unpacked.unwrap_or_else(|| panic!("no layer has {path}: {:?}", self.layers()))
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let own = self
            .built
            .layers
            .iter()
            .filter_map(|layer| match &layer.source {
                LayerSource::File(path) => Some(path.clone()),
                LayerSource::Base(_) => None,
            });
        own.collect()
    }

    /// The history's lines, `-` before those without a layer.
    pub(crate) fn history(&self) -> Vec<String> {
        let lines = self.built.image.history.iter().map(|entry| {
            let mark = if entry.empty_layer { "-" } else { "" };
            format!("{mark}{}", entry.created_by.as_deref().unwrap_or_default())
        });
        lines.collect()
    }

    /// The config's `config` part.
    pub(crate) fn config(&self) -> Value {
        let config: Value = serde_json::from_slice(&self.built.config).unwrap();
        config["config"].clone()
    }
}

fn listed(layer: &Path) -> Vec<String> {
    let output = Command::new("tar")
        .args(["--numeric-owner", "--full-time", "-tvzf"])
        .arg(layer)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).unwrap();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = listing
        .lines()
        .map(|line| words(line).replace("1970-01-01 00:00:00 ", ""));
    lines.collect()
}

/// `[MODE] [UID:GID] PATH`, where the path is `folder/`, `file=content`, `link -> target` or `name == other name`.
/// Files are 0644, folders 0755, all root's.
fn member(text: &str) -> (TarEntry, String) {
    let (mut mode, mut owner, mut rest) = (None, (0, 0), text);
    if let Some((word, behind)) = rest.split_once(' ')
        && let Ok(octal) = u32::from_str_radix(word, 8)
    {
        (mode, rest) = (Some(octal), behind);
    }
    if let Some((word, behind)) = rest.split_once(' ')
        && let Some((uid, gid)) = word.split_once(':')
    {
        (owner, rest) = ((uid.parse().unwrap(), gid.parse().unwrap()), behind);
    }
    let (path, kind, default, content) = if let Some((path, target)) = rest.split_once(" -> ") {
        (
            path,
            TarKind::Symlink {
                target: target.to_owned(),
            },
            0o777,
            "",
        )
    } else if let Some((path, target)) = rest.split_once(" == ") {
        (
            path,
            TarKind::HardLink {
                target: target.to_owned(),
            },
            0o644,
            "",
        )
    } else if let Some(path) = rest.strip_suffix('/') {
        (path, TarKind::Directory, 0o755, "")
    } else {
        let (path, content) = rest.split_once('=').unwrap_or((rest, ""));
        (
            path,
            TarKind::File {
                size: content.len() as u64,
            },
            0o644,
            content,
        )
    };
    let mut entry = TarEntry::new(path, kind, mode.unwrap_or(default));
    (entry.uid, entry.gid) = owner;
    (entry, content.to_owned())
}

fn write(dir: &Path, text: &str) {
    let (is_executable, text) = match text.strip_prefix('!') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (name, rest) = text
        .split_once(" -> ")
        .map_or((text, None), |(name, to)| (name, Some(to)));
    let (name, content) = name.split_once('=').unwrap_or((name, ""));
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if let Some(target) = rest {
        return symlink(target, path).unwrap();
    }
    fs::write(&path, content).unwrap();
    let mode = if is_executable { 0o755 } else { 0o644 };
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// An error as `line: the bytes it points at: message (hint)`, or its words if it has no place.
pub(crate) fn told(dockerfile: &str, error: EngineError) -> String {
    let (line, span, message) = match error {
        EngineError::Instruction {
            line,
            span,
            message,
        } => (line, span, message),
        EngineError::Refused(Refusal {
            line,
            span,
            message,
            hint,
        }) => {
            let hint = hint.map(|hint| format!(" ({hint})"));
            (line, span, message + &hint.unwrap_or_default())
        }
        other => return other.to_string(),
    };
    format!("{line}: {}: {message}", &dockerfile[span])
}

fn reference(name: &str) -> String {
    name.parse::<Reference>().unwrap().to_string()
}
