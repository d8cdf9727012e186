//! The image that a relay runs from: this very program, and the libraries that it is linked to.

use std::{
    collections::BTreeSet,
    env, fs,
    fs::File,
    io::{self, Seek as _, Write},
    path::{Path, PathBuf},
};

use refit_oci::{Digest, Platform};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

/// The image's repository in the engine.
pub(super) const REPOSITORY: &str = "localhost/refit-relay";

/// Where the program is in the image.
const PROGRAM: &str = "refit";

/// Whoever runs it need not be anybody.
const NOBODY: &str = "65534:65534";

/// An image as `docker save` writes one.
pub(super) struct Archive {
    pub(super) file: NamedTempFile,
    /// Its tag in [`REPOSITORY`]: other bytes, another tag.
    pub(super) tag: String,
}

impl Archive {
    /// Packs the running program, which answers to `arguments`.
    pub(super) fn of_this_program(arguments: &[&str], platform: &Platform) -> io::Result<Self> {
        let program = env::current_exe()?;
        let linked = linked(&fs::read_to_string("/proc/self/maps")?, &program);
        Self::of(&program, &linked, (arguments, platform))
    }

    fn of(
        program: &Path,
        linked: &BTreeSet<PathBuf>,
        (arguments, platform): (&[&str], &Platform),
    ) -> io::Result<Self> {
        let (layer, diff_id) = layer(program, linked)?;
        let config = json!({
            "architecture": platform.architecture,
            "variant": platform.variant,
            "os": platform.os,
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": NOBODY,
                "Entrypoint": entrypoint(linked, arguments),
                "Labels": { "org.opencontainers.image.title": "refit relay" },
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "refit relay" }],
        });
        let config = config.to_string();
        let id = Digest::sha256(config.as_bytes());
        let tag = id.short().to_owned();
        let config_name = format!("{}.json", id.hex());
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": [format!("{REPOSITORY}:{tag}")],
            "Layers": ["layer.tar"],
        }]);
        let mut archive = tar::Builder::new(NamedTempFile::new()?);
        let size = layer.metadata()?.len();
        append(&mut archive, "layer.tar", (size, 0o644), layer)?;
        for (name, text) in [
            (config_name.as_str(), config),
            ("manifest.json", manifest.to_string()),
        ] {
            append(
                &mut archive,
                name,
                (text.len() as u64, 0o644),
                text.as_bytes(),
            )?;
        }
        let file = archive.into_inner()?;
        Ok(Self { file, tag })
    }
}

/// Other files than the program that hold code of this process, out of its `/proc/self/maps`: the libraries, and the
/// loader that finds them. None of a program that is linked statically.
fn linked(maps: &str, program: &Path) -> BTreeSet<PathBuf> {
    let mapped = maps.lines().filter_map(|line| {
        let mut fields = line.splitn(6, ' ');
        let is_code = fields.nth(1)?.contains('x');
        let path = fields.nth(3)?.trim_start();
        (is_code && path.starts_with('/')).then(|| PathBuf::from(path))
    });
    mapped.filter(|path| path != program).collect()
}

/// What is executed. The loader is called by its name, and told where the libraries are: so they are found wherever they
/// were.
fn entrypoint(linked: &BTreeSet<PathBuf>, arguments: &[&str]) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let is_loader = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("ld-")
    };
    let mut entrypoint = Vec::new();
    if let Some(loader) = linked.iter().find(is_loader) {
        let folders: BTreeSet<String> = linked
            .iter()
            .filter_map(|path| path.parent())
            .map(text)
            .collect();
        let folders: Vec<String> = folders.into_iter().collect();
        entrypoint.extend([text(loader), "--library-path".to_owned(), folders.join(":")]);
    }
    entrypoint.push(format!("/{PROGRAM}"));
    entrypoint.extend(arguments.iter().map(|&argument| argument.to_owned()));
    entrypoint
}

/// The image's one layer, at its start, and the digest of its bytes.
fn layer(program: &Path, linked: &BTreeSet<PathBuf>) -> io::Result<(File, Digest)> {
    let mut layer = tar::Builder::new(Hashed {
        file: tempfile::tempfile()?,
        hash: Sha256::new(),
    });
    let within = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    let folders: BTreeSet<PathBuf> = linked
        .iter()
        .flat_map(|path| path.ancestors().skip(1))
        .map(within)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    // An engine would give folders that are not named to root alone.
    for folder in folders {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        layer.append_data(&mut header, folder, io::empty())?;
    }
    let program = std::iter::once((PathBuf::from(PROGRAM), program));
    let linked = linked.iter().map(|path| (within(path), path.as_path()));
    for (name, path) in program.chain(linked) {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        append(&mut layer, name, (size, 0o755), file)?;
    }
    let Hashed { mut file, hash } = layer.into_inner()?;
    file.rewind()?;
    Ok((file, Digest::from_sha256(&hash.finalize().into())))
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: impl AsRef<Path>,
    (size, mode): (u64, u32),
    bytes: impl io::Read,
) -> io::Result<()> {
    tar.append_data(&mut header(size, mode), name, bytes)
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header
}

struct Hashed {
    file: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0100000 r--p 00000000 fe:00 12                         /opt/a b/refit
55d0c0100000-55d0c0200000 r-xp 00100000 fe:00 12                         /opt/a b/refit
7f0000000000-7f0000100000 r-xp 00026000 fe:00 13                         /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000200000-7f0000300000 r-xp 00026000 fe:00 14                         /usr/lib/x86_64-linux-gnu/libc.so.6
7f0000400000-7f0000500000 r--p 00000000 fe:00 15                         /usr/share/locale/some
7f0000600000-7f0000700000 r-xp 00001000 fe:00 16                         /usr/lib64/ld-linux-x86-64.so.2
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
7ffd00003000-7ffd00004000 rw-p 00000000 00:00 0 
";

    #[test]
    fn what_a_process_is_linked_to_is_executed_by_its_loader() {
        let linked = linked(MAPS, Path::new("/opt/a b/refit"));
        let paths: Vec<&str> = linked.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/usr/lib/x86_64-linux-gnu/libc.so.6",
                "/usr/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert_eq!(
            entrypoint(&linked, &["relay"]),
            [
                "/usr/lib64/ld-linux-x86-64.so.2",
                "--library-path",
                "/usr/lib/x86_64-linux-gnu:/usr/lib64",
                "/refit",
                "relay"
            ]
        );
        assert_eq!(
            entrypoint(&BTreeSet::new(), &["relay"]),
            ["/refit", "relay"]
        );
    }

    #[test]
    fn the_same_program_is_the_same_image_and_another_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let packed = |bytes: &str| {
            fs::write(&path, bytes).unwrap();
            let library = BTreeSet::from([path.clone()]);
            let archive = Archive::of(&path, &library, (&["relay"], &Platform::linux_amd64()));
            let archive = archive.unwrap();
            (archive.tag, fs::read(archive.file.path()).unwrap())
        };
        let (tag, bytes) = packed("a");
        assert_eq!(packed("a"), (tag.clone(), bytes.clone()));
        assert_ne!(packed("b").0, tag);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names = archive.entries().unwrap();
        let names: Vec<PathBuf> = names
            .map(|e| e.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}
