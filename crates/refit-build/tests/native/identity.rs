//! The same bytes from anywhere, and results that hold together.

use refit_build::engine::LayerSource;
use refit_oci::{Digest, Platform, media_type};

use super::fixture::{Image, Wanted, World};

const DOCKERFILE: &str = "FROM base AS tools\nCOPY tool /out/\nFROM base\nARG TARGETARCH\nWORKDIR /app\n\
    COPY --chown=app . .\nCOPY --from=tools /out /usr/local/bin\nCOPY <<EOF /etc/arch\n$TARGETARCH\nEOF\nCMD [\"/app/run\"]\n";
const CONTEXT: &[&str] = &[
    "!tool=tool",
    "!run=run",
    "data/z=z",
    "data/a=a",
    "data/link -> z",
];

async fn world() -> World {
    let mut world = World::new();
    for (platform, machine) in [
        (Platform::linux_amd64(), "x86"),
        (Platform::linux_arm64(), "arm"),
    ] {
        let machine = format!("machine={machine}");
        let layer = [
            "etc/",
            "etc/passwd=app:x:5:6::/:",
            "usr/",
            "usr/bin/",
            "bin -> usr/bin",
            machine.as_str(),
        ];
        world.base_for(&platform, "base", &[&layer], "{}").await;
    }
    world
}

async fn build(world: &World, platform: Platform) -> Image {
    let wanted = Wanted {
        platform,
        ..Wanted::of(DOCKERFILE, CONTEXT)
    };
    world.try_build(&wanted).await.unwrap()
}

#[tokio::test]
async fn two_builds_anywhere_are_equal_to_the_byte() {
    let (here, there) = (world().await, world().await);
    for platform in [Platform::linux_amd64(), Platform::linux_arm64()] {
        let first = build(&here, platform.clone()).await;
        for world in [&here, &there] {
            let again = build(world, platform.clone()).await;
            assert_eq!(first.built.config, again.built.config);
            let descriptors = |image: &Image| {
                let layers = image
                    .built
                    .layers
                    .iter()
                    .map(|layer| layer.descriptor.clone());
                layers.collect::<Vec<_>>()
            };
            assert_eq!(descriptors(&first), descriptors(&again));
        }
    }
}

#[tokio::test]
async fn every_platform_has_its_own_base_and_its_own_arguments() {
    let world = world().await;
    let amd64 = build(&world, Platform::linux_amd64()).await;
    let arm64 = build(&world, Platform::linux_arm64()).await;
    assert_eq!(
        (amd64.read("etc/arch"), arm64.read("etc/arch")),
        ("amd64\n".into(), "arm64\n".into())
    );
    assert_eq!(arm64.built.image.platform(), Platform::linux_arm64());
    assert_ne!(amd64.built.layers[0], arm64.built.layers[0], "the bases");
    // What does not depend on the platform is the same layer for both.
    assert_eq!(
        amd64.built.layers[2].descriptor,
        arm64.built.layers[2].descriptor
    );
}

#[tokio::test]
async fn digests_sizes_and_types_are_those_of_the_files() {
    let world = world().await;
    let image = build(&world, Platform::linux_amd64()).await;
    let (layers, diff_ids) = (&image.built.layers, &image.built.image.rootfs.diff_ids);
    assert_eq!(layers.len(), diff_ids.len());
    let n_layers_of_history = image
        .built
        .image
        .history
        .iter()
        .filter(|entry| !entry.empty_layer)
        .count();
    assert_eq!(n_layers_of_history, layers.len());
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        assert_eq!(layer.descriptor.media_type, media_type::OCI_LAYER_GZIP);
        let LayerSource::File(path) = &layer.source else {
            continue;
        };
        let bytes = std::fs::read(path).unwrap();
        assert!(layer.descriptor.digest.verifies(&bytes));
        assert_eq!(layer.descriptor.size, bytes.len() as u64);
        let mut plain = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
        std::io::Read::read_to_end(&mut gzip, &mut plain).unwrap();
        assert_eq!(*diff_id, Digest::sha256(&plain));
    }
    assert_eq!(
        image.layers()[1],
        [
            "drwxr-xr-x 5/6 0 app/data/",
            "-rw-r--r-- 5/6 1 app/data/a",
            "lrwxrwxrwx 5/6 0 app/data/link -> z",
            "-rw-r--r-- 5/6 1 app/data/z",
            "-rwxr-xr-x 5/6 3 app/run",
            "-rwxr-xr-x 5/6 4 app/tool",
        ]
    );
}

/// Pinned: these are the identities of released images. They change only with the rules of the engine, never with a
/// dependency that compresses otherwise.
#[tokio::test]
async fn the_identity_of_a_known_build_does_not_drift() {
    let world = World::new();
    let image = world
        .build(
            "FROM scratch\nCOPY . /app/\nENV A=1\n",
            &["a.txt=hello\n", "!bin/run=#!/bin/sh\n"],
        )
        .await;
    let diff_ids: Vec<&str> = image
        .built
        .image
        .rootfs
        .diff_ids
        .iter()
        .map(Digest::as_str)
        .collect();
    assert_eq!(
        diff_ids,
        ["sha256:a5f10a14ab80428bafdaa522d2b78fe8c72c54dc7e57d3efacdc85842a613af3"]
    );
    assert_eq!(
        Digest::sha256(&image.built.config).as_str(),
        "sha256:fff5808b480bbb4269574a391b51a7e65bc3ca669b5173f312fa222117fa35a8"
    );
}
