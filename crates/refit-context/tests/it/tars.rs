use std::{
    io::Write,
    process::{Command, Stdio},
};

use proptest::prelude::*;
use refit_context::{TarEntry, TarError, TarKind, TarWriter, read_tar};

fn tar(members: &[(TarEntry, &[u8])]) -> Result<Vec<u8>, TarError> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, data) in members {
        writer.append(entry, *data)?;
    }
    writer.finish()
}

fn members(bytes: &[u8]) -> Result<Vec<(TarEntry, Vec<u8>)>, TarError> {
    let mut found = Vec::new();
    read_tar(bytes, |entry, data| {
        let mut content = Vec::new();
        data.read_to_end(&mut content)
            .map_err(|source| TarError::Io {
                action: "read",
                source,
            })?;
        found.push((entry.clone(), content));
        Ok::<_, TarError>(())
    })?;
    Ok(found)
}

/// What the real tar says of it.
fn listed(bytes: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args([
            "--utc",
            "--numeric-owner",
            "--quoting-style=literal",
            "-tvf",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("LC_ALL", "C.UTF-8")
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn everything() -> Vec<(TarEntry, &'static [u8])> {
    let long = format!("{}/{}", "folder".repeat(20), "name".repeat(20));
    let longer = format!("{}/x", "very-long-folder/".repeat(30).trim_end_matches('/'));
    let with = |path: &str, kind, mode| TarEntry::new(path, kind, mode);
    vec![
        (TarEntry::directory("etc"), b""),
        (TarEntry::file("etc/motd", 6), b"hello\n"),
        (
            TarEntry {
                mode: 0o4755,
                uid: 1000,
                gid: 3_000_000,
                mtime: 1_700_000_000,
                ..TarEntry::file("etc/suid", 0)
            },
            b"",
        ),
        (TarEntry::symlink("etc/up", "../../absolute/../x"), b""),
        (
            with(
                "etc/hard",
                TarKind::HardLink {
                    target: "etc/motd".into(),
                },
                0o644,
            ),
            b"",
        ),
        (
            with(
                "dev/null",
                TarKind::CharDevice { major: 1, minor: 3 },
                0o666,
            ),
            b"",
        ),
        (
            with(
                "dev/sda",
                TarKind::BlockDevice { major: 8, minor: 0 },
                0o660,
            ),
            b"",
        ),
        (with("pipe", TarKind::Fifo, 0o600), b""),
        (TarEntry::file("café/☕", 1), b"c"),
        (TarEntry::file(&long, 2), b"ab"),
        (TarEntry::file(&longer, 600), &[b'x'; 600]),
        (TarEntry::directory(&longer.replace("/x", "/y")), b""),
        (TarEntry::symlink("far", &longer), b""),
        (
            TarEntry {
                xattrs: [("security.capability".to_owned(), vec![1, 0, 0, 2, 0, 10])].into(),
                ..TarEntry::file("ping", 0)
            },
            b"",
        ),
        (TarEntry::file("etc/.wh.gone", 0), b""),
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let written = everything();
    let found = members(&tar(&written).unwrap()).unwrap();
    assert_eq!(found.len(), written.len());
    for ((entry, content), (expect, data)) in found.iter().zip(&written) {
        assert_eq!((entry, content.as_slice()), (expect, *data));
    }
}

#[test]
fn the_real_tar_reads_it() {
    let listing = listed(&tar(&everything()).unwrap());
    let lines: Vec<&str> = listing.lines().collect();
    assert_eq!(lines.len(), everything().len());
    for (line, expect) in [
        (0, "drwxr-xr-x 0/0               0 1970-01-01 00:00 etc/"),
        (
            1,
            "-rw-r--r-- 0/0               6 1970-01-01 00:00 etc/motd",
        ),
        (
            2,
            "-rwsr-xr-x 1000/3000000      0 2023-11-14 22:13 etc/suid",
        ),
        (
            3,
            "lrwxrwxrwx 0/0               0 1970-01-01 00:00 etc/up -> ../../absolute/../x",
        ),
        (
            4,
            "hrw-r--r-- 0/0               0 1970-01-01 00:00 etc/hard link to etc/motd",
        ),
        (
            5,
            "crw-rw-rw- 0/0             1,3 1970-01-01 00:00 dev/null",
        ),
        (8, "-rw-r--r-- 0/0               1 1970-01-01 00:00 café/☕"),
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(lines[line]), squeezed(expect));
    }
    assert!(lines[10].ends_with("very-long-folder/x") && lines[10].contains(" 600 "));
}

#[test]
fn only_what_needs_it_gets_a_pax_header() {
    let plain = tar(&[(TarEntry::file("a", 1), b"x")]).unwrap();
    assert_eq!(plain.len(), 512 + 512 + 1024);
    let split = tar(&[(
        TarEntry::file(&format!("{}/{}", "a".repeat(155), "b".repeat(100)), 0),
        b"",
    )])
    .unwrap();
    assert_eq!(split.len(), 512 + 1024);
    let unsplittable = tar(&[(TarEntry::file(&"a".repeat(101), 0), b"")]).unwrap();
    assert_eq!(unsplittable.len(), 3 * 512 + 1024);
}

#[test]
fn a_path_that_leaves_the_root_is_neither_written_nor_read() {
    for bad in [
        "",
        "/etc",
        "../etc",
        "a/../../b",
        "a/",
        "./a",
        "a//b",
        "a\0b",
        ".",
    ] {
        let result = tar(&[(TarEntry::file(bad, 0), b"")]);
        assert!(matches!(result, Err(TarError::UnsafePath(_))), "{bad:?}");
    }
    let link = TarKind::HardLink {
        target: "../../etc/shadow".to_owned(),
    };
    assert!(tar(&[(TarEntry::new("a", link, 0o644), b"")]).is_err());

    for bad in ["../etc/passwd", "a/../../b"] {
        // A real tar does not write such names, so one of equal length is exchanged.
        let name = "x".repeat(bad.len());
        let mut bytes = tar(&[(TarEntry::file(&name, 0), b"")]).unwrap();
        bytes[..bad.len()].copy_from_slice(bad.as_bytes());
        let mut header = tar::Header::from_byte_slice(&bytes[..512]).clone();
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        assert!(
            matches!(members(&bytes), Err(TarError::UnsafePath(_))),
            "{bad}"
        );
    }
}

#[test]
fn data_must_have_the_announced_length() {
    for data in [&b"12"[..], b"1234"] {
        let result = tar(&[(TarEntry::file("a", 3), data)]);
        assert!(
            matches!(result, Err(TarError::Size { size: 3, .. })),
            "{data:?}"
        );
    }
}

#[test]
fn a_tar_of_the_real_tar_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let long = "d".repeat(120);
    std::fs::create_dir_all(dir.path().join(&long)).unwrap();
    std::fs::write(dir.path().join(&long).join("file"), "content").unwrap();
    std::os::unix::fs::symlink(&long, dir.path().join("link")).unwrap();
    std::fs::hard_link(
        dir.path().join(&long).join("file"),
        dir.path().join("zhard"),
    )
    .unwrap();
    for format in ["gnu", "pax", "ustar", "v7"] {
        let skip_long = matches!(format, "v7" | "ustar");
        let output = Command::new("tar")
            .arg(format!("--format={format}"))
            .args(["--sort=name", "-C"])
            .arg(dir.path())
            .args(if skip_long {
                &["-cf", "-", "./zhard"][..]
            } else {
                &["-cf", "-", "."][..]
            })
            .output()
            .unwrap();
        assert!(output.status.success());
        let found = members(&output.stdout).unwrap();
        let paths: Vec<&str> = found.iter().map(|(entry, _)| entry.path.as_str()).collect();
        if skip_long {
            assert_eq!(paths, ["zhard"], "{format}");
            assert_eq!(found[0].1, b"content");
        } else {
            let file = format!("{long}/file");
            assert_eq!(paths, [&long, &file, "link", "zhard"], "{format}");
            assert_eq!(found[1].1, b"content");
            assert_eq!(
                found[2].0.kind,
                TarKind::Symlink {
                    target: long.clone()
                }
            );
            assert_eq!(found[3].0.kind, TarKind::HardLink { target: file });
        }
    }
}

#[test]
fn numbers_that_a_writer_left_out_are_zero() {
    let mut header = tar::Header::new_ustar();
    header.set_path("a").unwrap();
    header.set_size(1);
    header.set_cksum();
    let bytes = [header.as_bytes().as_slice(), b"x", &[0; 511 + 1024]].concat();
    let (entry, data) = members(&bytes).unwrap().remove(0);
    assert_eq!(
        (entry.mode, entry.uid, entry.gid, entry.mtime),
        (0, 0, 0, 0)
    );
    assert_eq!(
        (entry.kind, data),
        (TarKind::File { size: 1 }, b"x".to_vec())
    );
}

#[test]
fn a_cut_off_tar_is_an_error_wherever_it_is_cut() {
    let bytes = tar(&everything()).unwrap();
    let whole = members(&bytes).unwrap().len();
    for end in (1..bytes.len() - 1024).step_by(37) {
        // Between two members nothing is amiss but the missing end, which other readers forgive too.
        if let Ok(found) = members(&bytes[..end]) {
            assert!(end % 512 == 0 && found.len() < whole, "{end}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(flips in prop::collection::vec((0_usize..8192, any::<u8>()), 1..8)) {
        let mut bytes = tar(&everything()).unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] = value;
            // Past the header's sum, or nothing behind it would ever be reached.
            let block = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&bytes[block..block + 512]).clone();
            if header.as_ustar().is_some() {
                header.set_cksum();
                bytes[block..block + 512].copy_from_slice(header.as_bytes());
            }
        }
        if let Ok(found) = members(&bytes) {
            for (entry, _) in found {
                prop_assert!(!entry.path.starts_with('/') && !entry.path.split('/').any(|n| n == ".."));
            }
        }
    }

    #[test]
    fn paths_of_any_length_come_back(path in "[a-zé☕]{1,90}(/[a-zé☕]{1,90}){0,5}") {
        let bytes = tar(&[(TarEntry::file(&path, 1), b"x"), (TarEntry::symlink("l", &path), b"")]).unwrap();
        let found = members(&bytes).unwrap();
        prop_assert_eq!(&found[0].0.path, &path);
        prop_assert_eq!(&found[1].0.kind, &TarKind::Symlink { target: path });
    }
}
