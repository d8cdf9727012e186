//! A stage's image while its instructions are applied.

use std::collections::BTreeMap;

use refit_context::Layer;
use refit_dockerfile::{WindowsPathError, windows_path};
use refit_oci::{History, ImageConfig, Platform, RootFs};
use serde_json::Map;

use super::{
    WINDOWS,
    bases::{BaseError, BaseImage, Bases},
    file_table::FileTable,
    image_path::ImagePath,
    scope::Scope,
};
use crate::engine::{BuiltLayer, LayerSource};

/// The time of everything that is made here.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The name of the notation of `created_by`, which readers of histories go by.
const NOTATION: &str = "buildkit.dockerfile.v0";

/// What BuildKit sets where an image sets no PATH.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image in the making.
#[derive(Clone)]
pub(crate) struct Draft {
    /// The image config; its diff ids are always those of `layers`.
    pub(crate) config: ImageConfig,
    /// The layers so far.
    pub(crate) layers: Vec<BuiltLayer>,
    /// The variables so far.
    pub(crate) scope: Scope,
    /// CMD was set in this stage, so that ENTRYPOINT leaves it alone.
    pub(crate) cmd_is_set: bool,
    /// The files so far; those of a base are not read before somebody asks.
    tree: Option<FileTable>,
    /// The found reference that `tree` is to be read from, and how it is written.
    base: Option<(usize, String)>,
    /// What `--link` put on top of a tree that was not read yet.
    linked: Vec<FileTable>,
}

impl Draft {
    /// `FROM scratch`.
    pub(crate) fn scratch(platform: &Platform, escape: char) -> Self {
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            os_version: platform.os_version.clone(),
            config: refit_oci::Config {
                env: default_path(&platform.os).into_iter().collect(),
                working_dir: Some("/".to_owned()),
                ..refit_oci::Config::default()
            },
            rootfs: layers_rootfs(),
            ..ImageConfig::default()
        };
        Self {
            scope: Scope::of_env(&config.config.env, escape),
            config,
            layers: Vec::new(),
            cmd_is_set: false,
            tree: Some(FileTable::default()),
            base: None,
            linked: Vec::new(),
        }
    }

    /// `FROM` an image: the found reference, as written.
    pub(crate) fn of_base(
        found: usize,
        written: &str,
        base: &BaseImage,
        escape: char,
    ) -> Result<Self, WindowsPathError> {
        let mut config = inherited(&base.config);
        config.rootfs = RootFs {
            diff_ids: base.config.rootfs.diff_ids.clone(),
            ..layers_rootfs()
        };
        config.history = aligned(&base.config.history, base.layers.len());
        if !config
            .config
            .env
            .iter()
            .any(|pair| pair.starts_with("PATH="))
        {
            config.config.env.extend(default_path(&config.os));
        }
        let dir = config
            .config
            .working_dir
            .take()
            .filter(|dir| !dir.is_empty());
        let dir = dir.map(|dir| working_dir(&config.os, "/", &dir));
        config.config.working_dir = dir.transpose()?;
        let layer = |descriptor: &refit_oci::Descriptor| BuiltLayer {
            descriptor: descriptor.clone(),
            source: LayerSource::Base(found),
        };
        Ok(Self {
            scope: Scope::of_env(&config.config.env, escape),
            config,
            layers: base.layers.iter().map(layer).collect(),
            cmd_is_set: false,
            tree: None,
            base: Some((found, written.to_owned())),
            linked: Vec::new(),
        })
    }

    /// Whether it is a Windows image.
    pub(crate) fn is_windows(&self) -> bool {
        self.config.os == WINDOWS
    }

    /// `FROM` this stage.
    pub(crate) fn child(&self) -> Self {
        let mut child = self.clone();
        child.config.config.on_build.clear();
        child.cmd_is_set = false;
        child
    }

    /// The files so far.
    pub(crate) fn tree(&mut self, bases: &mut Bases) -> Result<&FileTable, BaseError> {
        let tree = self.take_tree(bases)?;
        Ok(self.tree.insert(tree))
    }

    /// The files so far, for an instruction to change and to give back.
    pub(crate) fn take_tree(&mut self, bases: &mut Bases) -> Result<FileTable, BaseError> {
        let mut tree = match (self.tree.take(), &self.base) {
            (Some(tree), _) => tree,
            (None, Some((found, written))) => bases.tree(*found, written)?,
            (None, None) => FileTable::default(),
        };
        for upper in self.linked.drain(..) {
            tree.lay_over(&upper);
        }
        Ok(tree)
    }

    /// Gives back what an instruction made of the tree.
    pub(crate) fn set_tree(&mut self, tree: FileTable) {
        self.tree = Some(tree);
    }

    /// Puts a tree that was made apart on top.
    pub(crate) fn link(&mut self, upper: FileTable) {
        self.linked.push(upper);
    }

    /// Adds a layer and the line of history that made it.
    pub(crate) fn add_layer(&mut self, layer: &Layer, created_by: String) {
        self.config.rootfs.diff_ids.push(layer.diff_id.clone());
        self.layers.push(BuiltLayer {
            descriptor: layer.descriptor(),
            source: LayerSource::File(layer.path.clone()),
        });
        self.add_history(created_by, false);
    }

    /// Adds the line of history of an instruction without a layer.
    pub(crate) fn add_empty(&mut self, created_by: String) {
        self.add_history(created_by, true);
    }

    fn add_history(&mut self, created_by: String, empty_layer: bool) {
        self.config.history.push(History {
            created: Some(EPOCH.to_owned()),
            created_by: Some(created_by),
            comment: Some(NOTATION.to_owned()),
            author: None,
            empty_layer,
        });
    }

    /// The finished config: for `platform`, with the configuration's labels.
    pub(crate) fn finish(
        mut self,
        platform: &Platform,
        labels: &BTreeMap<String, String>,
    ) -> (ImageConfig, Vec<BuiltLayer>) {
        let config = &mut self.config;
        config.config.labels.extend(
            labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let is_same = config.os == platform.os && config.architecture == platform.architecture;
        let variant = match &platform.variant {
            None if is_same => config.variant.take(),
            variant => variant.clone(),
        };
        if platform.os_version.is_some() || !is_same {
            config.os_version.clone_from(&platform.os_version);
        }
        let normal = Platform::new(&platform.os, &platform.architecture, variant.as_deref());
        config.os.clone_from(&normal.os);
        config.architecture.clone_from(&normal.architecture);
        config.variant.clone_from(&normal.variant);
        config.created = Some(EPOCH.to_owned());
        (self.config, self.layers)
    }
}

/// BuildKit leaves the PATH of Windows images to Windows.
fn default_path(os: &str) -> Option<String> {
    (os != WINDOWS).then(|| DEFAULT_PATH.to_owned())
}

/// The folder that WORKDIR `written` means where `current` is the working directory of an image for `os`. As in BuildKit,
/// only what is relative is cleaned, and Windows has its own notation.
pub(crate) fn working_dir(
    os: &str,
    current: &str,
    written: &str,
) -> Result<String, WindowsPathError> {
    Ok(match written {
        _ if os == WINDOWS => {
            let path = windows_path(current, written)?;
            ImagePath::clean(&path).to_string().replace('/', "\\")
        }
        "" => current.to_owned(),
        _ if written.starts_with('/') => written.to_owned(),
        _ => ImagePath::clean(current).join(written).to_string(),
    })
}

/// What a build inherits of a base's config: the keys that Docker's and OCI's specifications know.
fn inherited(base: &ImageConfig) -> ImageConfig {
    let mut config = base.clone();
    config.created = None;
    config.config.on_build.clear();
    config.config.other = Map::new();
    config
        .other
        .retain(|key, _| matches!(key.as_str(), "author" | "os.features"));
    config
}

fn layers_rootfs() -> RootFs {
    RootFs {
        kind: "layers".to_owned(),
        diff_ids: Vec::new(),
    }
}

/// A base's history with exactly one entry for each of its layers, as BuildKit's exporter sees to.
pub(crate) fn aligned(history: &[History], n_layers: usize) -> Vec<History> {
    let mut left = n_layers;
    let mut aligned: Vec<History> = Vec::new();
    for entry in history {
        let empty_layer = entry.empty_layer || left == 0;
        left -= usize::from(!empty_layer);
        aligned.push(History {
            empty_layer,
            ..entry.clone()
        });
    }
    let missing = History {
        created: Some(EPOCH.to_owned()),
        ..History::default()
    };
    aligned.extend(std::iter::repeat_n(missing, left));
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> Vec<History> {
        let entries = text.chars().map(|c| History {
            created_by: Some(c.to_string()),
            empty_layer: c == 'e',
            ..History::default()
        });
        entries.collect()
    }

    #[test]
    fn a_history_gets_one_entry_a_layer() {
        for (entries, n_layers, expect) in [
            ("LeL", 2, "LeL"),
            ("", 2, "LL"),
            ("eL", 2, "eLL"),
            ("LLL", 2, "LLe"),
            ("e", 0, "e"),
        ] {
            let aligned = aligned(&history(entries), n_layers);
            let kinds: String = aligned
                .iter()
                .map(|h| if h.empty_layer { 'e' } else { 'L' })
                .collect();
            assert_eq!(kinds, expect, "{entries} with {n_layers} layers");
        }
    }

    #[test]
    fn working_directories_chain() {
        for (os, current, written, expect) in [
            ("linux", "/", "app", "/app"),
            ("linux", "/app", "sub/../x", "/app/x"),
            ("linux", "/app", "..", "/"),
            ("linux", "/app", "/abs/", "/abs/"),
            ("linux", "/app", "", "/app"),
            ("windows", "/", "C:\\app\\", "\\app"),
            ("windows", "\\app", "sub", "\\app\\sub"),
            ("windows", "\\app", "", "\\app"),
        ] {
            let dir = working_dir(os, current, written).unwrap();
            assert_eq!(dir, expect, "{os} {current} {written}");
        }
    }

    #[test]
    fn the_result_is_for_the_target_platform() {
        for (base, target, expect) in [
            ("linux/amd64", "linux/amd64", "linux/amd64"),
            ("linux/amd64", "linux/arm64", "linux/arm64"),
            ("linux/arm/v6", "linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm64", "linux/arm64"),
        ] {
            let draft = Draft::scratch(&base.parse().unwrap(), '\\');
            let (config, _) = draft.finish(&target.parse().unwrap(), &BTreeMap::new());
            assert_eq!(config.platform().to_string(), expect, "{base} for {target}");
        }
    }

    #[test]
    fn of_a_base_only_what_the_specifications_know_is_inherited() {
        let config = r#"{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z","author":"me",
            "container":"x","docker_version":"1","rootfs":{"type":"layers","diff_ids":[]},
            "config":{"Hostname":"h","OnBuild":["RUN x"],"WorkingDir":"app","Env":["A=1"],"Cmd":["sh"]}}"#;
        let base = BaseImage {
            config: serde_json::from_str(config).unwrap(),
            layers: Vec::new(),
        };
        let draft = Draft::of_base(0, "base", &base, '\\').unwrap();
        let text = serde_json::to_string(&draft.config).unwrap();
        for gone in ["container", "docker_version", "Hostname", "OnBuild", "2020"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for kept in [
            "\"author\":\"me\"",
            "\"WorkingDir\":\"/app\"",
            "\"A=1\",\"PATH=/usr/local/sbin",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}
