use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::Command,
};

use refit_logs::{Archive, LogError, Outcome, Retention, RunRecord};
use refit_oci::Digest;

use crate::{archive, start, stopped_clock};

/// Records these writes as the one log of one run.
fn record(archive: &Archive, number: u8, writes: &[&[u8]]) -> (RunRecord, Digest) {
    let run = start(archive, number, &[]);
    let mut recorder = run.recorder("web", "rebuild").unwrap();
    for bytes in writes {
        recorder.write_all(bytes).unwrap();
    }
    let digest = recorder.finish().unwrap();
    (run.finish(Outcome::Succeeded).unwrap(), digest)
}

fn plain(archive: &Archive, digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive
        .log(digest)
        .unwrap()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn file(dir: &Path, digest: &Digest) -> std::path::PathBuf {
    dir.join(format!("refit/logs/sha256/{}.zst", digest.hex()))
}

#[test]
fn every_line_has_its_time_and_the_digest_is_that_of_the_text() {
    let (dir, archive) = archive();
    for (number, writes, expect) in [
        (1, &[&b"one\ntwo\n"[..]][..], &["one", "two"][..]),
        (2, &[b"o", b"ne", b"\n", b"two"], &["one", "two"]),
        (3, &[b"\n\nlast\n"], &["", "", "last"]),
        (4, &[], &[]),
        (5, &[b"not \xff UTF-8\r\n"], &["not \u{fffd} UTF-8\r"]),
    ] {
        let (_, digest) = record(&archive, number, writes);
        let text = plain(&archive, &digest);
        assert_eq!(digest, Digest::sha256(&text));
        let lines: Vec<_> = archive
            .log(&digest)
            .unwrap()
            .unwrap()
            .lines()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            lines
                .iter()
                .map(|line| line.text.as_str())
                .collect::<Vec<_>>(),
            expect
        );
        assert!(lines.iter().all(|line| line.at == Some(stopped_clock())));
        let compressed = fs::read(file(dir.path(), &digest)).unwrap();
        assert_eq!(zstd::decode_all(compressed.as_slice()).unwrap(), text);
    }
    let (_, digest) = record(&archive, 6, &[b"one\ntwo\n"]);
    assert_eq!(
        plain(&archive, &digest),
        b"2023-11-14T22:13:20.000Z one\n2023-11-14T22:13:20.000Z two\n"
    );
}

#[test]
fn the_real_zstd_reads_a_log() {
    let (dir, archive) = archive();
    let line = [&b"x".repeat(99)[..], b"\n"].concat();
    let (_, digest) = record(&archive, 1, &vec![line.as_slice(); 20_000]);
    match Command::new("zstd")
        .arg("-dc")
        .arg(file(dir.path(), &digest))
        .output()
    {
        Ok(output) => {
            assert!(output.status.success());
            assert_eq!(Digest::sha256(&output.stdout), digest);
        }
        // Without the program there is still the library, which the other tests use.
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn the_end_of_a_long_log_is_read_from_its_last_frames() {
    let (dir, archive) = archive();
    let text: Vec<String> = (0..50_000_u64)
        .map(|n| format!("line {n} {:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect();
    let writes: Vec<&[u8]> = text.iter().map(String::as_bytes).collect();
    let (record, digest) = record(&archive, 1, &writes);
    let path = file(dir.path(), &digest);
    let table = zeekstd::SeekTable::from_seekable(&mut fs::File::open(&path).unwrap()).unwrap();
    assert!(table.num_frames() > 8);
    assert_eq!(table.size_decomp(), plain(&archive, &digest).len() as u64);
    assert!(fs::metadata(&path).unwrap().len() < table.size_decomp() / 2);

    for n in [0, 1, 3, 2_000, 49_999, 50_000, 60_000] {
        let tail = archive
            .target_log(&record, "web")
            .unwrap()
            .unwrap()
            .tail(n)
            .unwrap();
        assert_eq!(tail.len(), n.min(50_000));
        let expect = text[50_000 - tail.len()..]
            .iter()
            .map(|line| line.trim_end());
        assert!(tail.iter().map(|line| line.text.as_str()).eq(expect), "{n}");
    }

    // The frames before the last are not needed for it.
    let mut bytes = fs::read(&path).unwrap();
    bytes[..1000].fill(0);
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        archive.log(&digest).unwrap().unwrap().tail(2).unwrap()[1].text,
        text[49_999].trim_end()
    );
}

#[test]
fn a_damaged_log_is_noticed() {
    let (dir, archive) = archive();
    let (_, digest) = record(&archive, 1, &[b"the truth\n"]);
    let (_, other) = record(&archive, 2, &[b"something else\n"]);
    assert!(archive.verify(&digest).unwrap());
    assert!(!archive.verify(&Digest::sha256(b"unknown")).unwrap());
    fs::copy(file(dir.path(), &other), file(dir.path(), &digest)).unwrap();
    assert!(matches!(archive.verify(&digest), Err(LogError::Damaged(of)) if of == digest));
    fs::write(file(dir.path(), &digest), "no zstd at all").unwrap();
    assert!(matches!(archive.verify(&digest), Err(LogError::Io { .. })));
}

#[test]
fn equal_logs_are_stored_once_and_parts_are_removed() {
    let (dir, archive) = archive();
    let (_, one) = record(&archive, 1, &[b"same\n"]);
    let (_, two) = record(&archive, 2, &[b"sa", b"me\n"]);
    assert_eq!(one, two);
    assert_eq!(
        fs::read_dir(dir.path().join("refit/logs/sha256"))
            .unwrap()
            .count(),
        1
    );
    let left: Vec<_> = fs::read_dir(dir.path().join("refit/runs").join(crate::id(1).to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_retention_plans_is_deleted_and_nothing_else() {
    let (dir, archive) = archive();
    let (_, old) = record(&archive, 1, &[b"old\n"]);
    let (kept, new) = record(&archive, 2, &[b"new\n"]);
    let retention = Retention {
        newest: 1,
        since: None,
    };
    let removal = retention.plan(&archive.runs().unwrap().0);
    assert_eq!(removal.logs, std::slice::from_ref(&old));
    for _ in 0..2 {
        archive.remove(&removal).unwrap();
        assert_eq!(archive.runs().unwrap().0, std::slice::from_ref(&kept));
        assert!(archive.log(&old).unwrap().is_none());
        assert!(archive.verify(&new).unwrap());
    }
    assert_eq!(
        fs::read_dir(dir.path().join("refit/runs")).unwrap().count(),
        1
    );
}
