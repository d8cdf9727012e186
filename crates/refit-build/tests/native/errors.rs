//! What is refused, and where it is pointed at.

use refit_build::engine::Engine as _;

use super::fixture::{Wanted, World};

#[tokio::test]
async fn what_would_execute_or_fetch_is_refused_before_anything_is_read() {
    let world = World::with_base(&[&["a"]]).await;
    for (dockerfile, expect) in [
        (
            "FROM base\nENV A=1\nRUN make\n",
            "3: RUN make: the native engine executes nothing (the docker engine can run it)",
        ),
        (
            "FROM base AS x\nRUN a\nFROM base\nCOPY --from=x /a /\n",
            "2: RUN a: the native engine executes nothing (the docker engine can run it)",
        ),
        (
            "FROM base\nADD https://e.com/x /\n",
            "2: https://e.com/x: what a URL holds may change (say what it is with `--checksum=sha256:…`; the docker engine can run it)",
        ),
        (
            "FROM base\nADD https://e.com/x.git /\n",
            "2: https://e.com/x.git: the native engine clones nothing (the docker engine can run it)",
        ),
    ] {
        assert_eq!(world.error(dockerfile, &["f"]).await, expect);
        let mut recipe = world.recipe(&Wanted::of(dockerfile, &["f"]));
        recipe.pins.clear();
        assert!(world.engine.check(&recipe).is_err());
    }
    let error = world
        .error("FROM base\nCOPY --link --chown=app f /\n", &["f"])
        .await;
    assert!(error.ends_with("with `--link` the names in `--chown=app` cannot be looked up (write numbers, or leave `--link` out)"), "{error}");
    // Behind a variable of the base a URL is only known once the base is.
    let mut world = World::new();
    world
        .base("base", &[], r#"{"Env": ["U=https://e.com"]}"#)
        .await;
    let error = world.error("FROM base\nADD $U/x /\n", &["f"]).await;
    assert_eq!(
        error,
        "2: ADD $U/x /: what `https://e.com/x` holds may change (say what it is with `--checksum=sha256:…`; the docker engine can run it)"
    );
}

#[tokio::test]
async fn a_stage_that_is_not_reached_may_do_anything() {
    let world = World::with_base(&[&["a"]]).await;
    let image = world
        .build(
            "FROM base AS unused\nRUN make\nFROM base\nCOPY f /\n",
            &["f"],
        )
        .await;
    assert_eq!(image.last_paths(), ["f"]);
}

#[tokio::test]
async fn sources_that_do_not_exist_are_errors_at_the_instruction() {
    let world = World::with_base(&[&["a"]]).await;
    for (dockerfile, expect) in [
        (
            "FROM base\nCOPY x /\n",
            "2: COPY x /: `/x` is not in the build context",
        ),
        (
            "FROM base\nCOPY f x /\n",
            "2: COPY f x /: `/x` is not in the build context",
        ),
        (
            "FROM base\nCOPY --from=base /x /\n",
            "2: COPY --from=base /x /: `/x` is not in the image `docker.io/library/base:latest`",
        ),
        (
            "FROM base AS b\nFROM base\nCOPY --from=b /x/* /\n",
            "3: COPY --from=b /x/* /: `/x` is not in the stage `b`",
        ),
        (
            "FROM base\nCOPY --parents d/x /\n",
            "2: COPY --parents d/x /: `/d/x` is not in the build context",
        ),
        (
            "FROM base\nCOPY f d/g /x\n",
            "2: COPY f d/g /x: several sources need a destination that ends with `/` or is a folder, not `/x`",
        ),
        (
            "FROM base\nCOPY .wh.f /\n",
            "2: COPY .wh.f /: `/.wh.f` cannot be put into a layer: names that begin with `.wh.` mean removals there",
        ),
        (
            "FROM base\nCOPY --exclude=[ f /\n",
            "2: COPY --exclude=[ f /: `[` is no pattern: ",
        ),
        (
            "FROM base\nSTOPSIGNAL x\n",
            "2: STOPSIGNAL x: `x` is no signal",
        ),
        (
            "FROM base\nLABEL a=${B:?needed}\n",
            "2: LABEL a=${B:?needed}: `B`: needed",
        ),
    ] {
        let error = world.error(dockerfile, &["f", "d/g", ".wh.f"]).await;
        assert!(error.starts_with(expect), "{error}\n{expect}");
    }
    // Some of several patterns may match nothing, as in `COPY package.json yarn.lock* ./`.
    let image = world.build("FROM base\nCOPY f *.md /x/\n", &["f"]).await;
    assert_eq!(image.last_paths(), ["x/", "x/f"]);
}

#[tokio::test]
async fn a_base_that_is_no_image_is_an_error() {
    let world = World::with_base(&[&["a"]]).await;
    let mut recipe = world.recipe(&Wanted::of("FROM base\n", &[]));
    let missing = refit_oci::Digest::sha256(b"missing");
    recipe.pins[0].manifest = missing;
    let error = world
        .engine
        .build(&recipe, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the base `docker.io/library/base`"
    );
    recipe.pins.clear();
    let error = world
        .engine
        .build(&recipe, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the build failed: nothing is pinned for the reference `docker.io/library/base:latest`"
    );
}

#[tokio::test]
async fn a_layer_that_is_not_what_its_config_says_is_an_error() {
    use refit_oci::{Descriptor, Document, Exact, ImageConfig, Manifest, RootFs, media_type};

    let world = World::with_base(&[&["a"]]).await;
    let honest = world.build("FROM base\n", &[]).await;
    let repository = world.repository("base");
    let config = ImageConfig {
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![refit_oci::Digest::sha256(b"forged")],
        },
        ..honest.built.image.clone()
    };
    let config = Exact::encode(media_type::OCI_CONFIG, config);
    world
        .push(&repository, &config.descriptor(), config.bytes.clone())
        .await;
    let layers: Vec<Descriptor> = honest
        .built
        .layers
        .iter()
        .map(|layer| layer.descriptor.clone())
        .collect();
    let manifest = Manifest::new(
        config.descriptor(),
        layers,
        std::collections::BTreeMap::new(),
    );
    let manifest = Document::Manifest(Exact::encode(media_type::OCI_MANIFEST, manifest));
    let digest = world
        .layout
        .push_document(&repository, &manifest, None)
        .await
        .unwrap();
    let mut recipe = world.recipe(&Wanted::of("FROM base\nCOPY f /\n", &["f"]));
    recipe.pins[0].manifest = digest;
    let error = world
        .engine
        .build(&recipe, &mut Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("a layer that should be `sha256:"), "{error}");
}
