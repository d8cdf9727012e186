//! The image of refit, which refit itself builds: an OCI layout in an archive, with an index over all platforms.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Built, Release,
    archive::{self, Entries, Entry},
};
use crate::shell::{Failure, Outcome, io_failure, output};

/// A host that no request is ever sent to: a folder stands for it.
const HOST: &str = "refit.invalid";

const DOCKERFILE: &str = "\
FROM scratch
ARG TARGETARCH
COPY ca-certificates.crt /etc/ssl/certs/
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/refit/
COPY --chmod=755 $TARGETARCH/refit /usr/local/bin/
ADD tmp.tar /
ENV PATH=/usr/local/bin
WORKDIR /work
ENTRYPOINT [\"refit\"]
";

/// Builds it with `refit`, in a repository of its own under `work`, and gives the archive's entries.
pub(super) fn build(
    refit: &Path,
    built: &[Built],
    release: &Release,
    work: &Path,
) -> Outcome<Entries> {
    let (repository, layout) = (work.join("repository"), work.join("layout"));
    write(&layout.join("oci-layout"), OCI_LAYOUT)?;
    write(&layout.join("index.json"), EMPTY_INDEX)?;
    let settings = work.join("config.toml");
    write(
        &settings,
        format!("[registries.\"{HOST}\"]\nlayout = \"layout\"\n"),
    )?;
    for built in built {
        let program = fs::read(&built.program).map_err(io_failure(&built.program))?;
        write(
            &repository.join(built.target.docker_arch).join("refit"),
            program,
        )?;
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        write(&repository.join(name), super::of_repository(name)?)?;
    }
    write(&repository.join("ca-certificates.crt"), authorities())?;
    // What git has no word for: builds keep what is theirs for a while in it, whoever runs them.
    let temporary = Entries::from([("tmp/".to_owned(), Entry::Shared)]);
    let temporary = archive::tar(&temporary, release.time);
    let path = repository.join("tmp.tar");
    write(&path, temporary.map_err(io_failure(&path))?)?;
    write(&repository.join("Dockerfile"), DOCKERFILE)?;
    write(
        &repository.join(".config/refit.toml"),
        inventory(built, release),
    )?;
    let commands: [(&Path, &[&str]); 4] = [
        (
            Path::new("git"),
            &["init", "--quiet", "--initial-branch=main"],
        ),
        (Path::new("git"), &["add", "."]),
        (Path::new("git"), &["commit", "--quiet", "--message=refit"]),
        (refit, &["build", "--push", "--quiet"]),
    ];
    for (program, args) in commands {
        let mut command = Command::new(program);
        command.args(args).current_dir(&repository);
        output(with_environment(&mut command, release, &settings))?;
    }
    let (name, tag) = (
        format!("{HOST}/refit:{}", release.version),
        &release.version,
    );
    pack(&layout, &name, tag)
}

const OCI_LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
const EMPTY_INDEX: &str = "{\"schemaVersion\":2,\"manifests\":[]}";

/// What the bytes of the image depend on is in here, and nothing of this machine.
fn with_environment<'c>(
    command: &'c mut Command,
    release: &Release,
    settings: &Path,
) -> &'c mut Command {
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "refit")
            .env(format!("GIT_{role}_EMAIL"), "refit@refit.invalid")
            .env(
                format!("GIT_{role}_DATE"),
                format!("{} +0000", release.time),
            );
    }
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "REFIT_LINE"] {
        command.env_remove(variable);
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("SOURCE_DATE_EPOCH", release.time.to_string())
        .env("REFIT_CONFIG", settings)
}

fn inventory(built: &[Built], release: &Release) -> String {
    let platforms: Vec<String> = built
        .iter()
        .map(|built| format!("\"linux/{}\"", built.target.docker_arch))
        .collect();
    format!(
        "version = 1\npush-to = [\"{HOST}\"]\n\n[[image]]\nname = \"refit\"\ncontext = \".\"\nengine = \"native\"\n\
         platforms = [{}]\ntags = [\"{version}\"]\n\n[image.labels]\n\
         \"org.opencontainers.image.title\" = \"refit\"\n\
         \"org.opencontainers.image.version\" = \"{version}\"\n\
         \"org.opencontainers.image.revision\" = \"{}\"\n\
         \"org.opencontainers.image.licenses\" = \"MIT OR Apache-2.0\"\n",
        platforms.join(", "),
        release.commit,
        version = release.version,
    )
}

/// Mozilla's authorities, as the file in which refit looks for a system's own: HTTPS works, and whoever has other
/// authorities mounts another file there.
fn authorities() -> String {
    let mut text = String::from(
        "# Mozilla's certificate authorities, from the crate `webpki-root-certs` (CDLA-Permissive-2.0).\n",
    );
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate.as_ref());
        for line in encoded.as_bytes().chunks(64) {
            text.extend(line.iter().map(|byte| char::from(*byte)));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// The layout's entries that one tag leads to, under an index of their own: staging tags stay behind.
fn pack(layout: &Path, name: &str, tag: &str) -> Outcome<Entries> {
    let index = read_json(&layout.join("index.json"))?;
    let of_tag = array(&index["manifests"])
        .iter()
        .find(|manifest| manifest["annotations"]["org.opencontainers.image.ref.name"] == name);
    let mut root = of_tag
        .cloned()
        .ok_or_else(|| Failure(format!("`{}` has no `{name}`", layout.display())))?;
    let mut entries = Entries::new();
    let mut todo = vec![root.clone()];
    while let Some(descriptor) = todo.pop() {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        let path = format!("blobs/{}", digest.replace(':', "/"));
        let file = layout.join(&path);
        let bytes = fs::read(&file).map_err(io_failure(&file))?;
        let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
        if media_type.ends_with(".index.v1+json") || media_type.ends_with(".manifest.v1+json") {
            let document = read_json(&file)?;
            todo.extend(array(&document["manifests"]).iter().cloned());
            todo.extend(array(&document["layers"]).iter().cloned());
            todo.extend(document.get("config").cloned());
        }
        entries.insert(path, Entry::File(bytes));
    }
    // The second one is what Docker Engine calls the image that it loads.
    root["annotations"] = json!({
        "org.opencontainers.image.ref.name": tag,
        "io.containerd.image.name": format!("docker.io/library/refit:{tag}"),
    });
    let index = json!({ "schemaVersion": 2, "manifests": [root] });
    entries.insert(
        "index.json".to_owned(),
        Entry::File(index.to_string().into_bytes()),
    );
    entries.insert("oci-layout".to_owned(), Entry::File(OCI_LAYOUT.into()));
    Ok(entries)
}

fn read_json(path: &Path) -> Outcome<Value> {
    let bytes = fs::read(path).map_err(io_failure(path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure(format!("`{}` is no JSON: {error}", path.display())))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Outcome {
    let folder: PathBuf = path.parent().unwrap_or(path).to_owned();
    fs::create_dir_all(&folder).map_err(io_failure(&folder))?;
    fs::write(path, bytes).map_err(io_failure(path))
}
