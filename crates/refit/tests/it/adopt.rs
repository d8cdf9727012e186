//! What is said of images that other tools published. Here the other tool is another repository's refit.

use crate::{assert_snapshot, sandbox::Sandbox};

/// Docker Hub is a folder. `legacy` publishes under the names of `shop`'s images, on a base that moves.
const FILES: &str = "\
//- ../home/config/refit/config.toml
[registries.\"docker.io\"]
layout = \"hub\"
//- ../home/config/refit/hub/oci-layout
{\"imageLayoutVersion\":\"1.0.0\"}
//- ../home/config/refit/hub/index.json
{\"schemaVersion\":2,\"manifests\":[]}
//- ../legacy/.config/refit.toml
push-to = [\"docker.io/library\"]
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
[[image]]
name = \"debian\"
tags = [\"12-slim\"]
context = \"debian\"
[[image]]
name = \"old-web\"
repository = \"docker.io/library/web\"
context = \"web\"
[[image]]
name = \"old-tools\"
repository = \"docker.io/library/tools\"
context = \"tools\"
//- ../legacy/debian/Dockerfile
FROM scratch
COPY libssl /
//- ../legacy/debian/libssl
one
//- ../legacy/web/Dockerfile
FROM debian:12-slim
COPY page /srv/
//- ../legacy/web/page
one
//- ../legacy/tools/Dockerfile
FROM debian:12-slim
COPY --from=debian:12-slim libssl /copy
//- .config/refit.toml
push-to = [\"docker.io/library\"]
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
//- web/Dockerfile
FROM debian:12-slim
COPY page /srv/
//- web/page
one
//- tools/Dockerfile
FROM debian:12-slim
COPY --from=debian:12-slim libssl /copy
";

fn published() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_all(FILES);
    sandbox.commit("Add images");
    sandbox.git(&["init", "-q", "-b", "main", "../legacy"]);
    release(&sandbox);
    sandbox
}

fn release(sandbox: &Sandbox) {
    sandbox.git(&["-C", "../legacy", "add", "-A"]);
    sandbox.git(&["-C", "../legacy", "commit", "-q", "-m", "legacy"]);
    sandbox.refit(&["-C", "../legacy", "build", "--push"]).ok();
}

/// Only the base goes on.
fn stale() -> Sandbox {
    let sandbox = published();
    sandbox.write("../legacy/debian/libssl", "two\n");
    sandbox.git(&["-C", "../legacy", "add", "-A"]);
    sandbox.git(&["-C", "../legacy", "commit", "-q", "-m", "patched"]);
    let patch = ["-C", "../legacy", "build", "--push", "debian"];
    sandbox.refit(&patch).ok();
    sandbox
}

macro_rules! assert_masked {
    ($name:expr, $value:expr) => {
        insta::with_settings!({ filters => vec![
            (r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "RUN"),
            (r"\b[0-9a-f]{64}\b", "DIGEST"),
            (r"\b[0-9a-f]{40}\b", "COMMIT"),
            (r"\b[0-9a-f]{12}\b", "SHORT"),
        ] }, { assert_snapshot!($name, $value); });
    };
}

#[test]
fn what_other_tools_published_is_told_in_words_and_in_json() {
    let sandbox = stale();
    assert_masked!("status-adoptable", sandbox.refit(&["status"]).all());
    let json = ["status", "--format", "json"];
    assert_masked!("status-adoptable-json", sandbox.refit(&json).ok());
    assert_masked!("sweep-adoptable", sandbox.refit(&["sweep"]).all());
    let unknown = sandbox.refit(&["adopt", "--dry-run"]);
    assert_masked!("adopt-source-unknown", unknown.all());
    let dry = ["adopt", "--source", "HEAD", "--dry-run"];
    assert_masked!("adopt-dry-run", sandbox.refit(&dry).all());
    let json = [&dry[..], &["--format", "json"]].concat();
    assert_masked!("adopt-dry-run-json", sandbox.refit(&json).ok());
    assert_masked!("adopt", sandbox.refit(&["adopt", "--source", "HEAD"]).all());
    assert_masked!("adopt-again", sandbox.refit(&["adopt"]).all());
    let log = sandbox.git(&["log", "-1", "--notes=refit", "--format=%N"]);
    assert_masked!("adopt-sentence", log);
    assert_masked!(
        "adopt-then-sweep",
        sandbox.refit(&["sweep", "--dry-run"]).all()
    );
}
