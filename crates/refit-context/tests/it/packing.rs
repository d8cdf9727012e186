use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use refit_context::{
    ContextError, Ignore, Location, Packed, TarError, list, pack, select, with_files,
};
use refit_git::Repo;
use refit_oci::{Digest, ObjectId};

use crate::git::{Fixture, git};

fn packed(location: &Location<'_>, ignore: &Ignore) -> (Packed, Vec<u8>) {
    let mut tar = Vec::new();
    let entries = list(location, ignore).unwrap();
    let packed = pack(location, &entries, &mut tar).unwrap();
    assert_eq!(
        packed,
        Packed {
            digest: Digest::sha256(&tar),
            size: tar.len() as u64
        }
    );
    (packed, tar)
}

fn run_tar(args: &[&str], tar: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(tar).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn web() -> (Fixture, ObjectId) {
    let fixture = Fixture::new();
    fixture.write("web/Dockerfile", "FROM scratch\nCOPY . /\n");
    fixture.write("web/a-b", "sorts between `a` and `a/`");
    fixture.write("web/a/z", "z");
    fixture.write("web/run", "#!/bin/sh\n");
    fixture.write("web/deep/er/file", "x".repeat(1000));
    fixture.write("web/text.txt", "one\r\ntwo\r\n");
    fixture.write("web/ignored/x", "");
    fixture.write(".gitattributes", "*.txt text eol=crlf\n");
    symlink("/etc/passwd", fixture.dir().join("web/absolute")).unwrap();
    symlink("../../up", fixture.dir().join("web/up")).unwrap();
    fs::set_permissions(
        fixture.dir().join("web/run"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let commit = fixture.commit();
    (fixture, commit)
}

fn in_web<'a>(repo: &'a Repo, commit: &'a ObjectId) -> Location<'a> {
    Location::Commit {
        repo,
        commit,
        folder: "web",
    }
}

#[test]
fn a_commit_a_clean_checkout_and_a_bare_repository_pack_to_the_same_bytes() {
    let (fixture, commit) = web();
    let ignore = Ignore::parse("ignored").0;
    let repo = fixture.repo();
    let at = |folder| Location::Commit {
        repo: &repo,
        commit: &commit,
        folder,
    };
    let (from_commit, tar) = packed(&at("web"), &ignore);
    assert_eq!(packed(&at("./web/"), &ignore).0, from_commit);

    let dir = fixture.dir().join("web");
    for repo in [None, Some(&repo)] {
        assert_eq!(
            packed(&Location::Dir { dir: &dir, repo }, &ignore).0,
            from_commit
        );
    }

    let bare_dir = fixture.root.path().join("bare");
    git(
        fixture.root.path(),
        &[
            "clone",
            "--quiet",
            "--bare",
            "--depth=1",
            &format!("file://{}", fixture.dir().display()),
            "bare",
        ],
    );
    let bare = Repo::discover(&bare_dir).unwrap();
    assert!(bare.is_bare());
    let location = in_web(&bare, &commit);
    assert_eq!(packed(&location, &ignore).0, from_commit);

    // The same tree in another commit, unpacked by the real tar: nothing is lost, and nothing of us is in it.
    fixture.git(&["commit", "--quiet", "--amend", "-m", "other words"]);
    let amended = repo.resolve("HEAD").unwrap();
    assert_ne!(amended, commit);
    let location = in_web(&repo, &amended);
    assert_eq!(packed(&location, &ignore).0, from_commit);

    let unpacked = tempfile::tempdir().unwrap();
    run_tar(&["-xf", "-", "-C", unpacked.path().to_str().unwrap()], &tar);
    let location = Location::Dir {
        dir: unpacked.path(),
        repo: None,
    };
    assert_eq!(packed(&location, &ignore).0, from_commit);
}

#[test]
fn the_tar_is_what_the_real_tar_says_it_is() {
    let (fixture, commit) = web();
    let repo = fixture.repo();
    let location = in_web(&repo, &commit);
    let (_, tar) = packed(&location, &Ignore::default());
    let listing = run_tar(&["--utc", "--numeric-owner", "-tvf", "-"], &tar);
    let squeezed: Vec<String> = listing
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        squeezed,
        [
            "-rw-r--r-- 0/0 22 1970-01-01 00:00 Dockerfile",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 a/",
            "-rw-r--r-- 0/0 26 1970-01-01 00:00 a-b",
            "-rw-r--r-- 0/0 1 1970-01-01 00:00 a/z",
            "lrwxrwxrwx 0/0 0 1970-01-01 00:00 absolute -> /etc/passwd",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 deep/",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 deep/er/",
            "-rw-r--r-- 0/0 1000 1970-01-01 00:00 deep/er/file",
            "drwxr-xr-x 0/0 0 1970-01-01 00:00 ignored/",
            "-rw-r--r-- 0/0 0 1970-01-01 00:00 ignored/x",
            "-rwxr-xr-x 0/0 10 1970-01-01 00:00 run",
            "-rw-r--r-- 0/0 10 1970-01-01 00:00 text.txt",
            "lrwxrwxrwx 0/0 0 1970-01-01 00:00 up -> ../../up",
        ]
    );
}

#[test]
fn a_selection_packs_only_itself_and_in_any_order() {
    let (fixture, commit) = web();
    let repo = fixture.repo();
    let location = in_web(&repo, &commit);
    let entries = list(&location, &Ignore::default()).unwrap();
    let mut chosen = select(&entries, ["deep", "a/*"]);
    let mut tar = Vec::new();
    let packed = pack(&location, chosen.iter().copied(), &mut tar).unwrap();
    assert_eq!(
        run_tar(&["-tf", "-"], &tar),
        "a/\na/z\ndeep/\ndeep/er/\ndeep/er/file\n"
    );
    chosen.reverse();
    assert_eq!(pack(&location, chosen, std::io::sink()).unwrap(), packed);
    let mut nothing = Vec::new();
    pack(&location, [], &mut nothing).unwrap();
    assert_eq!(run_tar(&["-tf", "-"], &nothing), "");
}

#[test]
fn files_can_be_added_behind_a_packed_context() {
    let (fixture, commit) = web();
    let repo = fixture.repo();
    let location = in_web(&repo, &commit);
    let (packed, tar) = packed(&location, &Ignore::default());
    let files: BTreeMap<_, _> = [
        ("Dockerfile".to_owned(), b"FROM x\n".to_vec()),
        (".refit".to_owned(), b"y".to_vec()),
    ]
    .into();
    let mut with = Vec::new();
    with_files(tar.as_slice(), &packed, &files, &mut with).unwrap();
    assert_eq!(run_tar(&["-xOf", "-", ".refit"], &with), "y");
    let unpacked = tempfile::tempdir().unwrap();
    run_tar(
        &["-xf", "-", "-C", unpacked.path().to_str().unwrap()],
        &with,
    );
    assert_eq!(
        fs::read_to_string(unpacked.path().join("Dockerfile")).unwrap(),
        "FROM x\n"
    );
    assert_eq!(
        fs::read_to_string(unpacked.path().join("a/z")).unwrap(),
        "z"
    );

    let other = Packed {
        size: packed.size - 512,
        ..packed
    };
    assert!(matches!(
        with_files(tar.as_slice(), &other, &files, &mut Vec::new()),
        Err(TarError::Malformed(_))
    ));
}

#[test]
fn a_submodule_counts_but_cannot_be_packed() {
    let inner = Fixture::new();
    inner.write("x", "x");
    inner.commit();
    let (fixture, _) = web();
    fixture.git(&[
        "submodule",
        "--quiet",
        "add",
        inner.dir().to_str().unwrap(),
        "web/vendor",
    ]);
    let commit = fixture.commit();
    let repo = fixture.repo();
    let location = in_web(&repo, &commit);
    let entries = list(&location, &Ignore::default()).unwrap();
    let error = pack(&location, &entries, std::io::sink()).unwrap_err();
    assert!(
        matches!(&error, ContextError::Submodule(path) if path == "vendor"),
        "{error}"
    );
    assert!(pack(&location, select(&entries, ["a"]), std::io::sink()).is_ok());
    assert!(
        pack(
            &location,
            &list(&location, &Ignore::parse("vendor").0).unwrap(),
            std::io::sink()
        )
        .is_ok()
    );
}

#[test]
fn what_vanishes_before_it_is_packed_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let location = Location::Dir {
        dir: dir.path(),
        repo: None,
    };
    let entries = list(&location, &Ignore::default()).unwrap();
    fs::remove_file(dir.path().join("a")).unwrap();
    let error = pack(&location, &entries, std::io::sink()).unwrap_err();
    assert!(
        matches!(&error, ContextError::Io { path, .. } if path.ends_with("a")),
        "{error}"
    );
}
