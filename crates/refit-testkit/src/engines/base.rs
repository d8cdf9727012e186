//! Base images out of a static busybox: a whole image for each architecture, made offline.

use std::{fs, io};

use flate2::{Compression, write::GzEncoder};
use refit_oci::{
    Config, Descriptor, Digest, Document, Exact, History, ImageConfig, Manifest, Platform, RootFs,
    media_type,
};
use refit_registry::{Registry, RegistryError};

use super::{EngineError, installed, io_error};

/// What a shell script in a Dockerfile is likely to call.
const APPLETS: [&str; 40] = [
    "[",
    "adduser",
    "addgroup",
    "awk",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dirname",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "head",
    "id",
    "ls",
    "mkdir",
    "mv",
    "printf",
    "pwd",
    "rm",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "test",
    "touch",
    "true",
    "uname",
    "wc",
    "tar",
];

/// One platform's image of one layer, ready to be pushed.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// The manifest, OCI media types.
    pub manifest: Exact<Manifest>,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The gzip layer.
    pub layer: Vec<u8>,
}

impl BaseImage {
    /// busybox for `platform` (amd64 or arm64) with further text files, each a path without a leading `/` and its
    /// content; other files make another digest, as a patched base has one.
    pub fn busybox(platform: &Platform, files: &[(&str, &str)]) -> Result<Self, EngineError> {
        Self::of(platform, &busybox_rootfs(platform, files)?)
    }

    /// An image of one root file system, a plain tar.
    pub fn of(platform: &Platform, rootfs: &[u8]) -> Result<Self, EngineError> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let written = io::Write::write_all(&mut gzip, rootfs);
        let layer = written.and_then(|()| gzip.finish()).map_err(in_memory)?;
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            config: Config {
                env: vec!["PATH=/bin".to_owned()],
                cmd: Some(vec!["/bin/sh".to_owned()]),
                ..Config::default()
            },
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: vec![Digest::sha256(rootfs)],
            },
            history: vec![History {
                created_by: Some("busybox".to_owned()),
                ..History::default()
            }],
            ..ImageConfig::default()
        };
        let config = Exact::encode(media_type::OCI_CONFIG, config);
        let manifest = Manifest::new(
            config.descriptor(),
            vec![Descriptor::of(media_type::OCI_LAYER_GZIP, &layer)],
            std::collections::BTreeMap::new(),
        );
        Ok(Self {
            manifest: Exact::encode(media_type::OCI_MANIFEST, manifest),
            config: config.bytes,
            layer,
        })
    }

    /// An index entry of this image.
    pub fn entry(&self, platform: &Platform) -> Descriptor {
        Descriptor {
            platform: Some(platform.clone()),
            ..self.manifest.descriptor()
        }
    }

    /// Pushes the image, under a tag or by digest alone.
    pub async fn push(
        &self,
        registry: &dyn Registry,
        repository: &refit_oci::Repository,
        tag: Option<&str>,
    ) -> Result<Digest, RegistryError> {
        let manifest = &self.manifest.value;
        for (descriptor, bytes) in [
            (&manifest.config, &self.config),
            (&manifest.layers[0], &self.layer),
        ] {
            registry
                .push_blob(repository, descriptor, bytes.clone().into())
                .await?;
        }
        let document = Document::Manifest(self.manifest.clone());
        registry.push_document(repository, &document, tag).await
    }
}

fn in_memory(source: io::Error) -> EngineError {
    io_error("(memory)".as_ref())(source)
}

/// A root file system with busybox and its usual links, as a deterministic plain tar.
pub fn busybox_rootfs(platform: &Platform, files: &[(&str, &str)]) -> Result<Vec<u8>, EngineError> {
    let path = installed(&format!("busybox/{}/busybox", platform.architecture))?;
    let busybox = fs::read(&path).map_err(io_error(&path))?;
    let mut tar = tar::Builder::new(Vec::new());
    for (folder, mode) in [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("proc", 0o755),
        ("root", 0o700),
        ("sys", 0o755),
        ("tmp", 0o1777),
    ] {
        append(&mut tar, &format!("{folder}/"), mode, b"")?;
    }
    append(&mut tar, "bin/busybox", 0o755, &busybox)?;
    for applet in APPLETS {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")
            .map_err(in_memory)?;
    }
    let accounts = [
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
    ];
    for (path, content) in accounts.iter().chain(files) {
        append(&mut tar, path, 0o644, content.as_bytes())?;
    }
    tar.into_inner().map_err(in_memory)
}

/// Adds a file, or a folder if the path ends with `/`.
fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    mode: u32,
    content: &[u8],
) -> Result<(), EngineError> {
    let kind = if path.ends_with('/') {
        tar::EntryType::Directory
    } else {
        tar::EntryType::Regular
    };
    let mut header = header(kind, mode, content.len() as u64);
    tar.append_data(&mut header, path, content)
        .map_err(in_memory)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_engine_busybox_a_base_is_the_same_each_time_and_differs_by_its_files() {
        let platform = Platform::linux_arm64();
        let one = BaseImage::busybox(&platform, &[]).unwrap();
        let again = BaseImage::busybox(&platform, &[]).unwrap();
        let patched = BaseImage::busybox(&platform, &[("etc/patch", "1")]).unwrap();
        assert_eq!(one.manifest.digest, again.manifest.digest);
        assert_ne!(one.manifest.digest, patched.manifest.digest);
        let config: ImageConfig = serde_json::from_slice(&one.config).unwrap();
        assert_eq!(config.platform(), platform);
    }
}
