//! What others make of the results, and of the same Dockerfiles.

use std::{collections::BTreeMap, process::Command, sync::Arc};

use refit_build::{
    docker::{Address, DockerEngine},
    engine::{Built, Engine as _, Recipe},
    native::{
        file_table::FileTable,
        image_path::ImagePath,
        node::{Content, Node, NodeKind},
    },
};
use refit_context::{TarEntry, TarError, TarKind, TarWriter, gzip_deterministic, read_tar};
use refit_oci::{Digest, Platform};
use refit_testkit::engines::{Dockerd, Version};

use super::fixture::{Bytes, Wanted, World, publish};

const BASE: &[&str] = &[
    "etc/",
    "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
    "etc/group=web:x:33:\n",
    "usr/",
    "usr/bin/",
    "bin -> usr/bin",
    "opt -> /usr/local/opt",
    "755 3:4 srv/",
    "4755 srv/tool=tool",
    "4755 srv/same == srv/tool",
];

#[tokio::test]
async fn needs_skopeo_to_read_a_result() {
    let world = World::with_base(&[BASE]).await;
    let image = world
        .build(
            "FROM base\nCOPY a /bin/\nLABEL l=1\nCMD [\"a\"]\n",
            &["!a=1"],
        )
        .await;
    publish(&world, &image.built).await;

    let layout = world.folder.path().join("layout");
    let source = format!("oci:{}:docker.io/library/result:1", layout.display());
    let inspected = skopeo(&["inspect", &source]);
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Labels"]["l"], "1");
    assert_eq!(inspected["Architecture"], "amd64");
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
    // Copying reads and verifies every blob.
    let copy = format!("dir:{}", world.folder.path().join("copy").display());
    skopeo(&["copy", "--insecure-policy", &source, &copy]);
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .expect("skopeo is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every rule that the old engine knows; `differential` has those of the new one.
const DOCKERFILE: &str = "\
FROM base AS stage
ARG NAME=app
COPY conf /conf
FROM base
ARG NAME=app
ENV E=env-$NAME
LABEL of=both
WORKDIR /opt/work
COPY run.sh /bin/run
COPY --chown=app conf rel/
COPY --chown=$NAME:web a.txt b.txt /new/deep/
COPY conf/*.conf alias /patterns/
COPY --from=stage /conf/sub /srv
COPY --from=base /srv /copy
COPY --chmod=700 a.txt /usr/
ADD files.tar /unpacked/
ADD files.tar.gz /
ADD a.txt /added
USER app
WORKDIR mine
WORKDIR /opt
EXPOSE 80
VOLUME /data
ENTRYPOINT [\"/bin/run\"]
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
";

const CONTEXT: &[&str] = &[
    "!run.sh=#!/bin/sh\n",
    "conf/a.conf=a",
    "conf/b.conf=b",
    "conf/sub/c=c",
    "conf/sub/link -> ../a.conf",
    "alias -> conf/sub",
    "a.txt=a",
    "b.txt=b",
];

#[tokio::test]
async fn needs_engine_docker20_builds_the_same_tree() {
    let dockerd = Dockerd::start(Version::V20).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let docker = DockerEngine::connect(&address).await.unwrap();
    let world = World::with_base(&[BASE]).await;
    let recipe = || {
        let recipe = world.recipe(&Wanted {
            platform: Platform::linux_amd64(),
            ..Wanted::of(DOCKERFILE, CONTEXT)
        });
        with_archives(recipe)
    };
    let native = world
        .engine
        .build(&recipe(), &mut Vec::new())
        .await
        .unwrap();
    let mut log = Vec::new();
    let docker = docker.build(&recipe(), &mut log).await;
    let docker =
        docker.unwrap_or_else(|error| panic!("{error:?}\n{}", String::from_utf8_lossy(&log)));

    let ours = world.tree("base", &native).await;
    let theirs = world.tree("base", &docker).await;
    assert_eq!(described(&ours), described(&theirs));
    let config = |built: &Built| {
        let mut config = serde_json::to_value(&built.image.config).unwrap();
        // 20.10 does not set it.
        config.as_object_mut().unwrap().remove("ArgsEscaped");
        config
    };
    assert_eq!(config(&native), config(&docker));
}

/// The lines of a history but those that BuildKit has come to write otherwise.
pub(crate) fn history(built: &Built) -> Vec<&str> {
    let history = built.image.history.iter();
    let lines = history.filter_map(|entry| entry.created_by.as_deref());
    let same = lines.filter(|line| !line.starts_with("EXPOSE") && !line.starts_with("HEALTHCHECK"));
    same.collect()
}

/// Adds two archives to a packed context.
fn with_archives(recipe: Recipe) -> Recipe {
    let plain = archive();
    let mut gzip = Vec::new();
    gzip_deterministic(plain.as_slice(), &mut gzip).unwrap();
    with_files(recipe, &[("files.tar", &plain), ("files.tar.gz", &gzip)])
}

/// A tar with what an archive may hold, of other owners.
pub(crate) fn archive() -> Vec<u8> {
    let mut archive = TarWriter::new(Vec::new());
    for (path, kind, data) in [
        ("bin/unpacked", TarKind::File { size: 2 }, "hi"),
        (
            "linked",
            TarKind::HardLink {
                target: "bin/unpacked".to_owned(),
            },
            "",
        ),
        ("dir", TarKind::Directory, ""),
        (
            "dir/link",
            TarKind::Symlink {
                target: "../bin".to_owned(),
            },
            "",
        ),
        ("dir/link/below", TarKind::File { size: 0 }, ""),
        ("opt", TarKind::Directory, ""),
    ] {
        let mut entry = TarEntry::new(path, kind, 0o751);
        (entry.uid, entry.gid) = (11, 12);
        archive.append(&entry, data.as_bytes()).unwrap();
    }
    archive.finish().unwrap()
}

/// Adds files to a packed context.
pub(crate) fn with_files(mut recipe: Recipe, files: &[(&str, &[u8])]) -> Recipe {
    let packed = std::fs::read(&recipe.context.path).unwrap();
    let path = recipe.work_dir.join("with-archives.tar");
    let mut tar = TarWriter::new(std::fs::File::create(&path).unwrap());
    read_tar(packed.as_slice(), |entry, data| tar.append(entry, data))
        .map_err(|error: TarError| error)
        .unwrap();
    for (name, bytes) in files {
        tar.append(&TarEntry::file(name, bytes.len() as u64), *bytes)
            .unwrap();
    }
    tar.finish().unwrap();
    recipe.context.path = path;
    recipe
}

fn xattrs(node: &Node) -> String {
    let named = node.xattrs.iter();
    let text = named.map(|(name, value)| format!(" {name}={}", hex::encode(value)));
    text.collect()
}

/// Everything of a tree but times: what is where, whose, and which files are one.
pub(crate) fn described((tree, bytes): &(FileTable, Bytes)) -> Vec<String> {
    let mut first_names = BTreeMap::new();
    let lines = tree.below(&ImagePath::root()).map(|(path, node)| {
        let owner = format!("{}:{}", node.uid, node.gid);
        let kind = match &node.kind {
            NodeKind::File(data) => {
                let first = first_names.entry(Arc::as_ptr(data)).or_insert(path);
                let Content::Member { layer, number } = &data.content else {
                    panic!("{data:?}");
                };
                let digest = &bytes[&(Digest::clone(layer), *number)];
                format!("file {}, first {first}", digest.short())
            }
            // A link's mode means nothing.
            NodeKind::Symlink(target) => return format!("{path} -> {target} {owner}"),
            other => format!("{other:?}"),
        };
        format!("{path} {:o} {owner} {kind}{}", node.mode, xattrs(node))
    });
    lines.collect()
}
