//! What `dist` writes is what CI files and `action.yml` look for.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Output},
    sync::Arc,
};

use serde_json::Value;

use super::*;

const PROGRAM: &str = "#!/bin/sh\necho \"the one from the release: $*\"\n";

/// A release in a folder of its own, with a program for this machine's processor.
fn release(name: &str) -> (Release, PathBuf) {
    let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let release = Release {
        commit: "0".repeat(40),
        time: 1_700_000_000,
        folder: releases(&folder, &version),
        version,
    };
    fs::create_dir_all(&release.folder).unwrap();
    let native = TARGETS
        .iter()
        .find(|t| t.triple.starts_with(std::env::consts::ARCH));
    publish(&release, &release.name(native.unwrap()), PROGRAM.as_bytes()).unwrap();
    sums::write(&release.folder).unwrap();
    (release, folder)
}

/// Serves a folder on loopback for as long as the test runs, and gives its URL.
fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder: Arc<Path> = folder.into();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &folder);
        }
    });
    url
}

fn answer(mut stream: TcpStream, folder: &Path) {
    let mut request = String::new();
    let mut lines = BufReader::new(&stream);
    lines.read_line(&mut request).unwrap();
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|n| n > 2) {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may be gone already.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}

/// The shell step of the action.
fn step() -> String {
    let text = fs::read_to_string(root().join("action.yml")).unwrap();
    let action: Value = serde_saphyr::from_str(&text).unwrap();
    action["runs"]["steps"][0]["run"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn run_step(url: &str, version: &str, home: &Path) -> Output {
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step()])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .env("GITHUB_PATH", home.join("path"))
        .env("REFIT_VERSION", version)
        .env("REFIT_RELEASES", url);
    command.output().unwrap()
}

#[test]
fn the_action_takes_what_dist_writes_and_nothing_that_was_changed() {
    let (release, folder) = release("action");
    let url = serve(&folder);
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let right = run_step(&url, &release.version, &folder);
    assert!(
        said(&right).ends_with("the one from the release: --version\n"),
        "{right:?}"
    );
    fs::remove_file(folder.join(".local/bin/refit")).unwrap();
    for entry in fs::read_dir(&release.folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("SHA256SUMS") {
            fs::write(path, PROGRAM.replace("the one", "not the one")).unwrap();
        }
    }
    let wrong = run_step(&url, &release.version, &folder);
    assert!(
        !wrong.status.success() && !said(&wrong).contains("not the one"),
        "{wrong:?}"
    );
    let older = run_step(&url, "0.0.0", &folder);
    assert!(!older.status.success(), "{older:?}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn ci_files_get_refit_by_the_steps_of_the_action() {
    let path = root().join("crates/refit/src/commands/init/ci/templates/get.sh");
    let template = fs::read_to_string(path).unwrap();
    let filled = template
        .replace("@SUM_AMD64@", "$REFIT_SHA256")
        .replace("@SUM_ARM64@", "$REFIT_SHA256")
        .replace(
            "@KEEP_PATH@",
            "echo \"$HOME/.local/bin\" >>\"$GITHUB_PATH\"",
        );
    assert_eq!(step(), filled);
}

#[test]
fn sums_are_those_that_sha256sum_checks() {
    let (release, folder) = release("sums");
    publish(&release, "another", b"text").unwrap();
    sums::write(&release.folder).unwrap();
    let check = |release: &Release| {
        let mut command = Command::new("sha256sum");
        command
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&release.folder);
        command.output().unwrap()
    };
    let checked = check(&release);
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(String::from_utf8_lossy(&checked.stdout).lines().count(), 2);
    fs::write(release.folder.join("another"), "text!").unwrap();
    assert!(!check(&release).status.success());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_target_that_there_is_not_is_named() {
    let failure = dist(&["riscv64gc-unknown-linux-musl"])
        .unwrap_err()
        .to_string();
    assert_eq!(
        failure,
        "no target `riscv64gc-unknown-linux-musl`; there are `x86_64-unknown-linux-musl`, \
         `aarch64-unknown-linux-musl`"
    );
}
