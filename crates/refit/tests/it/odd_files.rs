//! `deps scan` on what is no ordinary Dockerfile: an error of that path alone, and no waiting.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
};

use crate::sandbox::Sandbox;

/// A folder with a good file and an odd one, scanned.
struct Odd(Sandbox);

impl Odd {
    fn made(make: impl FnOnce(&Path)) -> Self {
        let sandbox = Sandbox::bare();
        sandbox.write_all("//- good/Dockerfile\nFROM debian:12\n");
        fs::create_dir(sandbox.root().join("odd")).unwrap();
        make(&sandbox.root().join("odd/Dockerfile"));
        Self(sandbox)
    }

    /// What each file came to, `error: …` or its references, and the exit code.
    fn scanned(&self, path: &str) -> (BTreeMap<String, String>, i32) {
        let ran = self.0.refit(&["deps", "scan", "--format", "json", path]);
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let results = answer["results"].as_array().unwrap();
        let told = results.iter().map(|result| {
            let told = if let Some(error) = result["error"].as_str() {
                format!("error: {error}")
            } else {
                let dependencies = result["dependencies"].as_array().unwrap();
                let references = dependencies
                    .iter()
                    .map(|d| d["reference"].as_str().unwrap());
                references.collect::<Vec<_>>().join(" ")
            };
            (result["file"].as_str().unwrap().to_owned(), told)
        });
        (told.collect(), ran.code)
    }

    /// The odd file is an error, whether its folder is walked or it is named, and the good one is told all the same.
    #[track_caller]
    fn is_refused(&self, expect: &str) {
        let (told, code) = self.scanned(".");
        assert_eq!(told["./good/Dockerfile"], "docker.io/library/debian:12");
        let odd = &told["./odd/Dockerfile"];
        assert!(odd.starts_with("error: ") && odd.contains(expect), "{odd}");
        assert_eq!(code, 1);
        let (named, code) = self.scanned("odd/Dockerfile");
        assert_eq!((&named["odd/Dockerfile"], code), (odd, 1));
    }

    #[track_caller]
    fn is_read(&self, expect: &str) {
        let (told, code) = self.scanned(".");
        assert_eq!((told["./odd/Dockerfile"].as_str(), code), (expect, 0));
        assert_eq!(told.len(), 2);
    }
}

#[test]
fn what_is_no_file_is_refused_without_opening_it() {
    let fifo = Odd::made(|path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    });
    fifo.is_refused("is a FIFO, not a file");
    // Its name stays behind when the listener is gone.
    let socket = Odd::made(|path| drop(UnixListener::bind(path).unwrap()));
    socket.is_refused("is a socket, not a file");
    let device = Odd::made(|path| symlink("/dev/zero", path).unwrap());
    device.is_refused("is a device, not a file");
}

#[test]
fn a_file_beyond_all_measure_is_refused() {
    let sparse = |length: u64| {
        Odd::made(|path| {
            let file = File::create(path).unwrap();
            file.set_len(length).unwrap();
        })
    };
    sparse((16 << 20) + 1).is_refused("has more than the 16 MiB");
    sparse(1 << 40).is_refused("has more than the 16 MiB");
    sparse(16 << 20).is_refused("a line has more than 65535 bytes");
}

#[test]
fn a_file_that_fails_when_it_is_read_is_an_error() {
    // The kernel opens it, and has nothing mapped where it starts.
    let unreadable = Odd::made(|path| symlink("/proc/self/mem", path).unwrap());
    unreadable.is_refused("os error 5");
}

#[test]
fn a_link_counts_as_what_it_leads_to() {
    let inside = Odd::made(|path| symlink("../good/Dockerfile", path).unwrap());
    inside.is_read("docker.io/library/debian:12");
    let elsewhere = Sandbox::bare();
    elsewhere.write("other", "FROM alpine\n");
    let outside = Odd::made(|path| symlink(elsewhere.root().join("other"), path).unwrap());
    outside.is_read("docker.io/library/alpine:latest");
    let dangling = Odd::made(|path| symlink("nowhere", path).unwrap());
    dangling.is_refused("No such file");
    let circle = Odd::made(|path| symlink("Dockerfile", path).unwrap());
    circle.is_refused("symbolic links");
}

#[test]
fn a_folder_is_no_dockerfile_whatever_its_name() {
    let folder = Odd::made(|path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("Dockerfile"), "FROM alpine\n").unwrap();
    });
    let (told, code) = folder.scanned(".");
    let names: Vec<_> = told.keys().map(String::as_str).collect();
    assert_eq!(names, ["./good/Dockerfile", "./odd/Dockerfile/Dockerfile"]);
    assert_eq!(code, 0);
    let linked = Odd::made(|path| symlink("..", path).unwrap());
    assert_eq!(linked.scanned(".").0.len(), 1);
}

#[test]
fn bytes_that_are_no_text_count_only_where_they_mean_something() {
    let odd = |bytes: &'static [u8]| Odd::made(|path| fs::write(path, bytes).unwrap());
    odd(b"# caf\xe9\nFROM alpine\nRUN echo \xff\xfe\n").is_read("docker.io/library/alpine:latest");
    odd(b"FROM alpine\nRUN a\0b\n").is_read("docker.io/library/alpine:latest");
    odd(b"FROM alp\xe9ne\n").is_refused("line 1:6: ");
    odd(b"FROM alpine\0\n").is_refused("line 1:6: ");
    odd(b"\xff\xfeF\0R\0O\0M\0").is_refused("unknown instruction");
    odd(b"\0\0\0\0").is_refused("unknown instruction");
    odd(b"").is_refused("the file has no instructions");
}

#[test]
fn a_name_that_is_no_text_is_told_as_well_as_it_can_be() {
    let odd = Odd::made(|path| {
        let name = OsStr::from_bytes(b"Dockerfile.\xff");
        fs::write(path.with_file_name(name), "FROM alpine\n").unwrap();
    });
    let (told, code) = odd.scanned(".");
    let expect = "docker.io/library/alpine:latest";
    assert_eq!(
        (told["./odd/Dockerfile.\u{fffd}"].as_str(), code),
        (expect, 0)
    );
}
