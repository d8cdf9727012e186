//! Archives that are a function of their entries and one time: no owner, no order but the paths', no clock.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use flate2::{Compression, write::GzEncoder};

/// What lies at a path.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A file that is read.
    File(Vec<u8>),
    /// A file that is run.
    Program(Vec<u8>),
    /// A symbolic link.
    Link(&'static str),
    /// A folder that everybody writes to, and nobody removes what is another's.
    Shared,
}

/// Entries by their path, without folders: whoever unpacks makes them.
pub(super) type Entries = BTreeMap<String, Entry>;

/// The tar of entries, all as old as `time`, in seconds since 1970.
pub(super) fn tar(entries: &Entries, time: u64) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, entry) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match entry {
            Entry::File(bytes) | Entry::Program(bytes) => {
                let is_program = matches!(entry, Entry::Program(_));
                header.set_mode(if is_program { 0o755 } else { 0o644 });
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice())?;
            }
            Entry::Link(to) => {
                header.set_mode(0o777);
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, path, to)?;
            }
            Entry::Shared => {
                header.set_mode(0o1777);
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, path, io::empty())?;
            }
        }
    }
    tar.into_inner()
}

/// The same, compressed; gzip's own header has no time and no name in it.
pub(super) fn tar_gz(entries: &Entries, time: u64) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&tar(entries, time)?)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, process::Command};

    use super::*;

    /// A folder of this process and test.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn entries(order: [usize; 3]) -> Entries {
        let all = [
            ("a/refit", Entry::Program(b"#!/bin/sh\n".to_vec())),
            ("a/README.md", Entry::File(b"# refit\n".to_vec())),
            ("a/git-refit", Entry::Link("refit")),
        ];
        let all = order.map(|at| all[at].clone());
        all.map(|(path, entry)| (path.to_owned(), entry)).into()
    }

    #[test]
    fn an_archive_is_the_same_whatever_the_order_and_the_hour() {
        let first = tar_gz(&entries([0, 1, 2]), 1_700_000_000).unwrap();
        let second = tar_gz(&entries([2, 0, 1]), 1_700_000_000).unwrap();
        assert_eq!(first, second);
        assert_ne!(first, tar_gz(&entries([0, 1, 2]), 1_700_000_001).unwrap());
    }

    #[test]
    fn tar_reads_what_was_written() {
        let folder = folder("archive");
        let file = folder.join("a.tar.gz");
        fs::write(&file, tar_gz(&entries([0, 1, 2]), 1_700_000_000).unwrap()).unwrap();
        let listed = Command::new("tar")
            .args(["--numeric-owner", "--utc", "--full-time", "-tvzf"])
            .arg(&file)
            .output()
            .unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let listed: Vec<String> = { listed.lines() }
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            listed,
            [
                "-rw-r--r-- 0/0 8 2023-11-14 22:13:20 a/README.md",
                "lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 a/git-refit -> refit",
                "-rwxr-xr-x 0/0 10 2023-11-14 22:13:20 a/refit",
            ]
        );
    }
}
