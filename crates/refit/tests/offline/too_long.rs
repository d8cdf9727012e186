//! Commands that take too long end, with all that they have started.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use crate::bench::Bench;

/// A repository whose image runs a command that waits for two processes of its own; `key` is what it is run for.
const FILES: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "web"
context = "web"
timeout = "3s"
KEY = ["SCRIPT"]
//- web/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- web/page
page
"#;

/// Ends in an error if any of them is there when refit has ended and a moment has passed.
fn leaves_none_of(key: &str, seconds: [&str; 2]) {
    let bench = Bench::new();
    let [one, other] = seconds;
    let script = bench.folder().join("slow.sh");
    let begun: PathBuf = bench.folder().join("begun");
    let text = format!(
        "#!/bin/sh\nsleep {one} &\n(sleep {other}; true) &\ntouch {}\nwait\n",
        begun.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    bench.push_base("1", "one", "one");
    let files = FILES.replace("KEY", key);
    let shop = bench.repository(&files.replace("SCRIPT", &script.display().to_string()));
    shop.refit_with(&[("REFIT_TRUST", "1")], &["build", "--push"])
        .exits(1)
        .mentions("took longer than");
    assert!(begun.exists(), "it ran");
    // What is killed is gone as soon as somebody has asked for how it ended.
    for _ in 0..100 {
        if !seconds.iter().any(|seconds| is_running(seconds)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("`{key}` has left a process");
}

fn is_running(seconds: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut commands = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
    commands.any(|command| command == format!("sleep\0{seconds}\0").into_bytes())
}

#[test]
fn what_prepare_has_started_ends_with_it() {
    leaves_none_of("prepare", ["86421", "86422"]);
}

#[test]
fn what_a_gate_has_started_ends_with_it() {
    leaves_none_of("test", ["86423", "86424"]);
}
