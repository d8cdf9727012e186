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

/// A program, and other files that are needed to run it.
pub(super) struct Program {
    path: PathBuf,
    linked: BTreeSet<PathBuf>,
}

impl Program {
    /// The one that runs.
    pub(super) fn running() -> io::Result<Self> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        Ok(Self {
            linked: linked(&maps, &env::current_exe()?),
            // Also of one that was replaced meanwhile.
            path: "/proc/self/exe".into(),
        })
    }

    /// Its image's tag in [`REPOSITORY`]: other bytes, another tag.
    pub(super) fn tag(&self) -> io::Result<String> {
        let mut all = Hashed::new(io::sink());
        for (name, path) in self.files() {
            let mut file = Hashed::new(io::sink());
            io::copy(&mut File::open(path)?, &mut file)?;
            writeln!(all, "{} {}", file.digest().1, name.display())?;
        }
        Ok(all.digest().1.short().to_owned())
    }

    /// The image, which answers to `arguments`, as `docker save` writes one.
    pub(super) fn pack(
        &self,
        name: &str,
        (arguments, platform): (&[&str], &Platform),
    ) -> io::Result<NamedTempFile> {
        let (layer, diff_id) = self.layer()?;
        let config = json!({
            "architecture": platform.architecture,
            "variant": platform.variant,
            "os": platform.os,
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": NOBODY,
                "Entrypoint": entrypoint(&self.linked, arguments),
                "Labels": { "org.opencontainers.image.title": "refit relay" },
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "refit relay" }],
        });
        let config = config.to_string();
        let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": [name],
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
        archive.into_inner()
    }

    /// The image's one layer, at its start, and the digest of its bytes.
    fn layer(&self) -> io::Result<(File, Digest)> {
        let mut layer = tar::Builder::new(Hashed::new(tempfile::tempfile()?));
        let folders = self.linked.iter().flat_map(|path| path.ancestors().skip(1));
        let folders: BTreeSet<&Path> = folders.map(within).collect();
        // An engine would give folders that are not named to root alone.
        for folder in folders.into_iter().filter(|f| !f.as_os_str().is_empty()) {
            let mut header = header(0, 0o755);
            header.set_entry_type(tar::EntryType::Directory);
            layer.append_data(&mut header, folder, io::empty())?;
        }
        for (name, path) in self.files() {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            append(&mut layer, name, (size, 0o755), file)?;
        }
        let (mut file, digest) = layer.into_inner()?.digest();
        file.rewind()?;
        Ok((file, digest))
    }

    /// All files, by their names in the image.
    fn files(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let program = (Path::new(PROGRAM), self.path.as_path());
        let linked = self.linked.iter();
        std::iter::once(program).chain(linked.map(|path| (within(path), path.as_path())))
    }
}

/// A path from the root on.
fn within(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
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

/// What is written, and the digest of it.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W> Hashed<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            hash: Sha256::new(),
        }
    }

    fn digest(self) -> (W, Digest) {
        (self.out, Digest::from_sha256(&self.hash.finalize().into()))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
            let program = Program {
                path: path.clone(),
                linked: BTreeSet::from([path.clone()]),
            };
            let file = program.pack("a:b", (&["relay"], &Platform::linux_amd64()));
            (
                program.tag().unwrap(),
                fs::read(file.unwrap().path()).unwrap(),
            )
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
