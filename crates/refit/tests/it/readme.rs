//! The README's session: every command is run, and says what the README says it says.

use crate::sandbox::Sandbox;

const README: &str = include_str!("../../../../README.md");

/// The repository that the session is in.
const SHOP: &str = "\
//- base/Dockerfile
FROM debian:12-slim
COPY ca.pem /etc/ssl/certs/
//- base/ca.pem
certificate
//- web/Dockerfile
FROM registry.example.com/shop/base
COPY site /srv/
//- web/site
hello
//- worker/Dockerfile
FROM registry.example.com/shop/web
CMD [\"worker\"]
//- billing/Dockerfile
FROM node:20
CMD [\"billing\"]
";

/// Registries that are folders, and the repository that fills one of them with bases.
const REGISTRIES: &str = "\
//- ../home/config/refit/config.toml
[registries.\"docker.io\"]
layout = \"hub\"
[registries.\"registry.example.com\"]
layout = \"shop\"
//- ../home/config/refit/hub/oci-layout
{\"imageLayoutVersion\":\"1.0.0\"}
//- ../home/config/refit/hub/index.json
{\"schemaVersion\":2,\"manifests\":[]}
//- ../home/config/refit/shop/oci-layout
{\"imageLayoutVersion\":\"1.0.0\"}
//- ../home/config/refit/shop/index.json
{\"schemaVersion\":2,\"manifests\":[]}
//- ../hub/.config/refit.toml
push-to = [\"docker.io/library\"]
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
[[image]]
name = \"debian\"
context = \"debian\"
tags = [\"12-slim\"]
[[image]]
name = \"node\"
context = \"node\"
tags = [\"20\"]
//- ../hub/debian/Dockerfile
FROM scratch
ARG TARGETARCH
COPY $TARGETARCH /
//- ../hub/debian/amd64/libssl
one
//- ../hub/debian/arm64/libssl
one
//- ../hub/node/Dockerfile
FROM scratch
COPY node /
//- ../hub/node/node
node
";

/// The blocks of a language in the README, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let blocks = README.split("\n```").skip(1).step_by(2);
    let of_language = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    of_language.collect()
}

fn release_bases(sandbox: &Sandbox) {
    sandbox.git(&["-C", "../hub", "add", "-A"]);
    sandbox.git(&["-C", "../hub", "commit", "-q", "-m", "bases"]);
    sandbox.refit(&["-C", "../hub", "build", "--push"]).ok();
}

/// Runs the commands of a block. Digests and the like are not the same every time.
#[track_caller]
fn play(sandbox: &Sandbox, block: &str) {
    let mut said = Vec::new();
    for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(words[0], "refit", "{command}");
        let ran = sandbox.refit(&words[1..]);
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        said.push(format!("$ {command}\n{}{}", ran.stdout, ran.stderr));
    }
    assert_eq!(masked(&said.join("\n")), masked(&format!("{block}\n")));
}

/// Words of twelve hexadecimal digits are digests.
fn masked(text: &str) -> String {
    let is_digest = |word: &str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line
            .split(' ')
            .map(|word| if is_digest(word) { "DIGEST" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_session_is_what_refit_says() {
    let sandbox = Sandbox::with(SHOP);
    let [looking, patching, ..] = blocks("console")[..] else {
        panic!("the README has lost its session");
    };
    play(&sandbox, looking);

    sandbox.write(".config/refit.toml", blocks("toml")[0]);
    sandbox.commit("Add refit");
    sandbox.write_all(REGISTRIES);
    sandbox.git(&["init", "-q", "-b", "main", "../hub"]);
    release_bases(&sandbox);
    sandbox.refit(&["build", "--push"]).ok();
    sandbox.write("../hub/debian/arm64/libssl", "two\n");
    release_bases(&sandbox);
    play(&sandbox, patching);
}
