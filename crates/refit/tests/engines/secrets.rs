//! Build secrets: RUN sees them, and nothing that is kept does.

use std::{fs, path::Path, process::Command};

use refit_testkit::engines::Version;

use crate::{bench::Bench, hub::Hub, said::Said};

const TOKEN: &str = "correct-horse-battery-staple";
const KEY: &str = "-----BEGIN KEY-----\nbm90aGluZyB0byBzZWU=\n-----END KEY-----\n";

#[test]
fn needs_engine_docker26_a_build_sees_its_secrets_and_nothing_keeps_them() {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(Version::V26);
    let host = hub.host();
    bench.write(&[
        (
            ".config/refit.toml",
            &format!(
                "version = 1\npush-to = [\"{host}/team\"]\n[[image]]\nname = \"app\"\nnetwork = \"none\"\n\
                 secrets = {{ token = \"env:APP_TOKEN\", key = \"file:~/key.pem\", spare = \"env:NOBODY_SETS_THIS\" }}\n"
            ),
        ),
        (
            "Dockerfile",
            &format!(
                "FROM {host}/base/os:1\n\
                 RUN --mount=type=secret,id=token,required=true --mount=type=secret,id=key,target=/key \
                 --mount=type=secret,id=spare \\\n\
                 \x20   cat /run/secrets/token && wc -c < /run/secrets/token > /sizes && wc -c < /key >> /sizes && \\\n\
                 \x20   test ! -e /run/secrets/spare\n"
            ),
        ),
    ]);
    bench.commit("an image with secrets");
    fs::write(bench.beside("home/key.pem"), KEY).unwrap();
    let refit = |args: &[&str], token: Option<&str>| {
        let mut command: Command = bench.refit_command(&bench.repository(), args);
        if let Some(token) = token {
            command.env("APP_TOKEN", token);
        }
        Said::by(&mut command)
    };

    let without = refit(&["build", "--push"], None).exits(1);
    let said = format!("{}{}", without.stdout, without.stderr);
    assert!(
        said.contains("Dockerfile:2:5: the secret `token` is required: `APP_TOKEN` is not set"),
        "{said}"
    );
    assert!(said.contains("set `APP_TOKEN` where refit runs"), "{said}");

    let built = refit(&["-v", "build", "--push"], Some(TOKEN)).exits(0);
    let said = format!("{}{}", built.stdout, built.stderr);
    assert!(said.contains("***"), "the value is printed, hidden: {said}");
    assert!(!said.contains(TOKEN), "{said}");
    let manifest = hub.manifests("team/app:latest")["amd64"].clone();
    let sizes = hub.file("team/app", &manifest, "sizes").unwrap();
    let sizes: Vec<usize> = sizes
        .lines()
        .map(|size| size.trim().parse().unwrap())
        .collect();
    assert_eq!(sizes, [TOKEN.len(), KEY.len()]);

    let logs = bench.refit(&["logs"]).exits(0).stdout;
    assert!(logs.contains("***") && !logs.contains(TOKEN), "{logs}");
    let notes = bench
        .git(&["log", "-p", "--all", "--format=%B"])
        .exits(0)
        .stdout;
    assert!(
        notes.contains("\"type\":\"build\"") && !notes.contains(TOKEN),
        "{notes}"
    );
    nothing_below(&bench.repository().join(".git/refit"), TOKEN);
    let config = hub.config("team/app:latest", "amd64").to_string();
    assert!(
        !config.contains(TOKEN) && !hub.raw("team/app:latest").contains(TOKEN),
        "{config}"
    );
}

fn nothing_below(folder: &Path, text: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nothing_below(&path, text);
        } else {
            let bytes = fs::read(&path).unwrap();
            let found = bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}
