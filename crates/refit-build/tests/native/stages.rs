//! Stages, other images, triggers.

use std::collections::BTreeMap;

use refit_build::engine::{Engine as _, LayerSource};
use refit_oci::{Document, Exact, Index, media_type};

use super::fixture::{Wanted, World};

#[tokio::test]
async fn stages_hand_on_files_config_and_variables() {
    let world = World::with_base(&[&["etc/", "etc/base=b"]]).await;
    let image = world
        .build(
            "ARG OUT=/out\nFROM scratch AS files\nARG OUT\nCOPY a.txt $OUT/\nCOPY a.txt /unused\n\
             FROM base AS parent\nARG D=sub\nENV E=env\nWORKDIR /w\nCMD [\"parent\"]\nLABEL l=parent\n\
             FROM parent\nCOPY --from=FILES /out/a.txt $D/$E/\nCOPY --from=0 /out /by-number\nLABEL m=child\n",
            &["a.txt=A"],
        )
        .await;
    let layers = image.layers();
    assert_eq!(layers[0], ["drwxr-xr-x 0/0 0 w/"]);
    assert_eq!(
        layers[1],
        [
            "drwxr-xr-x 0/0 0 w/sub/",
            "drwxr-xr-x 0/0 0 w/sub/env/",
            "-rw-r--r-- 0/0 1 w/sub/env/a.txt"
        ]
    );
    assert_eq!(
        layers[2],
        [
            "drwxr-xr-x 0/0 0 by-number/",
            "-rw-r--r-- 0/0 1 by-number/a.txt"
        ]
    );
    assert_eq!(
        layers.len(),
        3,
        "layers of a stage that is only copied from stay there"
    );
    assert!(matches!(image.built.layers[0].source, LayerSource::Base(_)));
    let config = image.config();
    assert_eq!(
        config["Labels"],
        serde_json::json!({"l": "parent", "m": "child"})
    );
    assert_eq!(config["Cmd"], serde_json::json!(["parent"]));
    assert!(
        image.log.contains("[files] COPY a.txt $OUT/"),
        "{}",
        image.log
    );
}

#[tokio::test]
async fn the_log_names_the_stage_where_there_are_several() {
    let world = World::with_base(&[&["etc/"]]).await;
    let log = async |text: &str| {
        let log = world.build(text, &["a=A"]).await.log;
        let lines = log.lines().filter(|line| !line.contains("layer "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        log("FROM base\nCOPY a /\n").await,
        ["FROM base", "COPY a /"]
    );
    assert_eq!(
        log("FROM scratch AS files\nCOPY a /\nFROM base\nCOPY --from=files a /\n").await,
        [
            "[files] FROM scratch",
            "[files] COPY a /",
            "[2/2] FROM base",
            "[2/2] COPY --from=files a /"
        ]
    );
}

#[tokio::test]
async fn files_come_from_the_layers_of_other_images() {
    let mut world = World::with_base(&[&["a/"]]).await;
    world
        .base(
            "tools:1",
            &[
                &[
                    "usr/",
                    "usr/bin/",
                    "bin -> usr/bin",
                    "755 usr/bin/one=first",
                    "755 usr/bin/two=second",
                ],
                &["755 usr/bin/one=first, again", "lib -> /usr/bin"],
            ],
            "{}",
        )
        .await;
    let image = world
        .build("FROM base\nCOPY --from=tools:1 /bin/one /a/\nCOPY --from=tools:1 /lib/t* bin/one /b/\n", &[])
        .await;
    assert_eq!(image.layers()[0], ["-rwxr-xr-x 0/0 12 a/one"]);
    assert_eq!(
        image.layers()[1],
        [
            "drwxr-xr-x 0/0 0 b/",
            "-rwxr-xr-x 0/0 12 b/one",
            "-rwxr-xr-x 0/0 6 b/two"
        ]
    );
    assert_eq!(image.read("b/two"), "second");
    assert_eq!(image.read("a/one"), "first, again");
}

#[tokio::test]
async fn a_base_that_nobody_looks_into_is_not_read() {
    let mut world = World::new();
    world.base("base", &[&["a"]], "{}").await;
    let recipe = world.recipe(&Wanted::of(
        "FROM base\nENV A=1\nWORKDIR /\nCOPY --link f /x\n",
        &["f"],
    ));
    // Without the layer's blob only config and manifest can be had.
    let layer = world.build("FROM base\n", &[]).await.built.layers[0]
        .descriptor
        .digest
        .clone();
    std::fs::remove_file(
        world
            .folder
            .path()
            .join("layout/blobs/sha256")
            .join(layer.hex()),
    )
    .unwrap();
    let built = world.engine.build(&recipe, &mut Vec::new()).await.unwrap();
    assert_eq!(built.layers.len(), 2);
    let error = world.error("FROM base\nCOPY f /x\n", &["f"]).await;
    assert_eq!(error, "cannot read the base `docker.io/library/base`");
}

#[tokio::test]
async fn bases_of_dockers_types_become_ocis_and_an_index_is_refused() {
    let world = World::with_base(&[&["usr/bin/", "bin -> usr/bin"]]).await;
    let (repository, pin) = (
        world.repository("base"),
        world.recipe(&Wanted::of("FROM base\n", &[])),
    );
    let Document::Manifest(manifest) = world
        .layout
        .document(&repository, &pin.pins[0].manifest)
        .await
        .unwrap()
    else {
        panic!("the base is a manifest");
    };
    let mut docker = manifest.value.clone();
    docker.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
    docker.config.media_type = media_type::DOCKER_CONFIG.to_owned();
    docker.layers[0].media_type = media_type::DOCKER_LAYER_GZIP.to_owned();
    let docker = Exact::encode(media_type::DOCKER_MANIFEST, docker);
    let index = Index::new(vec![docker.descriptor()], BTreeMap::new());
    let index = Document::Index(Exact::encode(media_type::OCI_INDEX, index));
    let docker = Document::Manifest(docker);
    world
        .layout
        .push_document(&repository, &docker, None)
        .await
        .unwrap();
    world
        .layout
        .push_document(&repository, &index, None)
        .await
        .unwrap();

    let mut recipe = world.recipe(&Wanted::of("FROM base\nCOPY f /bin/\n", &["f"]));
    recipe.pins[0].manifest = docker.digest().clone();
    let built = world.engine.build(&recipe, &mut Vec::new()).await.unwrap();
    let types: Vec<&str> = built
        .layers
        .iter()
        .map(|layer| layer.descriptor.media_type.as_str())
        .collect();
    assert_eq!(types, [media_type::OCI_LAYER_GZIP; 2]);
    assert_eq!(built.layers[0].descriptor, manifest.value.layers[0]);

    recipe.pins[0].manifest = index.digest().clone();
    let error = world
        .engine
        .build(&recipe, &mut Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("is an index, and a platform's manifest was meant"),
        "{error}"
    );
}

#[tokio::test]
async fn triggers_of_a_base_are_executed_first() {
    let mut world = World::new();
    let triggers = r#"{"OnBuild": ["ARG WHERE=/app", "COPY a.txt $WHERE/", "ENV DONE=yes"], "WorkingDir": "/w"}"#;
    world.base("base", &[], triggers).await;
    let image = world
        .build("FROM base\nCOPY b.txt $DONE\n", &["a.txt", "b.txt"])
        .await;
    assert_eq!(
        image.layers()[0],
        ["drwxr-xr-x 0/0 0 app/", "-rw-r--r-- 0/0 0 app/a.txt"]
    );
    assert_eq!(
        image.layers()[1],
        ["drwxr-xr-x 0/0 0 w/", "-rw-r--r-- 0/0 0 w/yes"]
    );
    assert!(image.config()["OnBuild"].is_null());

    world
        .base("runs", &[], r#"{"OnBuild": ["RUN make"]}"#)
        .await;
    let error = world.error("FROM base AS x\nFROM runs\n", &[]).await;
    assert_eq!(
        error,
        "2: FROM runs: the native engine executes nothing (the docker engine can run it)"
    );
    world
        .base("fails", &[], r#"{"OnBuild": ["COPY missing /"]}"#)
        .await;
    let error = world.error("FROM fails\n", &[]).await;
    assert_eq!(
        error,
        "1: FROM fails: `/missing` is not in the build context"
    );
    world
        .base("copies", &[], r#"{"OnBuild": ["COPY --from=other /x /"]}"#)
        .await;
    let error = world.error("FROM copies\n", &[]).await;
    assert!(
        error.contains("`COPY --from=other /x /` copies from was not resolved"),
        "{error}"
    );
}

#[tokio::test]
async fn triggers_of_a_stage_are_left_to_its_children() {
    let world = World::new();
    let dockerfile = "FROM scratch AS parent\nONBUILD COPY a.txt /from-parent\nFROM parent AS child\nCOPY a.txt /own\nFROM child\n";
    let image = world.build(dockerfile, &["a.txt"]).await;
    assert_eq!(
        image.layers(),
        [["-rw-r--r-- 0/0 0 from-parent"], ["-rw-r--r-- 0/0 0 own"]]
    );
    let parent = world
        .build("FROM scratch\nONBUILD COPY . /\nONBUILD RUN make\n", &[])
        .await;
    assert_eq!(
        parent.config()["OnBuild"],
        serde_json::json!(["COPY . /", "RUN make"])
    );
    assert_eq!(parent.history(), [""; 0]);
}
