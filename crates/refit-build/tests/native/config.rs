//! The config that comes out.

use serde_json::json;

use super::fixture::{Wanted, World};

const BASE: &str = r#"{"Env": ["PATH=/bin", "LANG=C"], "Cmd": ["base-cmd"], "Entrypoint": ["base-entry"], "User": "app",
    "Labels": {"of": "base", "kept": "yes"}, "ExposedPorts": {"22/tcp": {}}, "StopSignal": "SIGQUIT"}"#;

#[tokio::test]
async fn a_config_is_the_bases_and_what_the_instructions_change() {
    let mut world = World::new();
    world.base("base", &[&["a"]], BASE).await;
    let dockerfile = "FROM base\nENV LANG=de NEW=1\nLABEL of=child\nEXPOSE 80\nVOLUME /data\nUSER 1000:1000\n\
                      ENTRYPOINT [\"entry\"]\nSTOPSIGNAL SIGTERM\nHEALTHCHECK --timeout=3s CMD true\nSHELL [\"/bin/bash\"]\n";
    let image = world
        .try_build(&Wanted {
            labels: &[("from", "configuration"), ("of", "configuration")],
            ..Wanted::of(dockerfile, &[])
        })
        .await
        .unwrap();
    assert_eq!(
        image.config(),
        json!({
            "Env": ["PATH=/bin", "LANG=de", "NEW=1"],
            "Entrypoint": ["entry"],
            "User": "1000:1000",
            "Labels": {"of": "configuration", "kept": "yes", "from": "configuration"},
            "ExposedPorts": {"22/tcp": {}, "80/tcp": {}},
            "Volumes": {"/data": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Timeout": 3_000_000_000_u64},
            "Shell": ["/bin/bash"],
        })
    );
    let built = &image.built;
    assert_eq!(built.image.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(built.image.rootfs.diff_ids.len(), built.layers.len());
    let own = &built.image.history[1..];
    assert_eq!(own.len(), 9);
    for entry in own {
        assert_eq!(entry.created.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(entry.comment.as_deref(), Some("buildkit.dockerfile.v0"));
        assert!(entry.empty_layer);
    }
}

#[tokio::test]
async fn an_entrypoint_drops_the_bases_command_but_not_its_own() {
    let mut world = World::new();
    world.base("base", &[], BASE).await;
    for (lines, entrypoint, cmd) in [
        ("USER x", json!(["base-entry"]), json!(["base-cmd"])),
        ("ENTRYPOINT [\"e\"]", json!(["e"]), json!(null)),
        (
            "CMD [\"c\"]\nENTRYPOINT [\"e\"]",
            json!(["e"]),
            json!(["c"]),
        ),
        (
            "ENTRYPOINT [\"e\"]\nCMD [\"c\"]",
            json!(["e"]),
            json!(["c"]),
        ),
        ("ENTRYPOINT []", json!(null), json!(null)),
        (
            "CMD [\"c\"]\nFROM 0\nENTRYPOINT [\"e\"]",
            json!(["e"]),
            json!(null),
        ),
    ] {
        let lines = lines.replace("FROM 0", "FROM first");
        let config = world
            .build(&format!("FROM base AS first\n{lines}\n"), &[])
            .await
            .config();
        assert_eq!(
            (&config["Entrypoint"], &config["Cmd"]),
            (&entrypoint, &cmd),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn scratch_is_an_empty_image_for_the_platform() {
    let world = World::new();
    let wanted = Wanted {
        platform: "linux/arm/v6".parse().unwrap(),
        ..Wanted::of("FROM scratch\nARG TARGETARCH\nLABEL a=$TARGETARCH\n", &[])
    };
    let image = world.try_build(&wanted).await.unwrap();
    let config: serde_json::Value = serde_json::from_slice(&image.built.config).unwrap();
    assert_eq!(
        config,
        json!({
            "architecture": "arm",
            "os": "linux",
            "variant": "v6",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "WorkingDir": "/",
                "Labels": {"a": "arm"},
            },
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [
                {"created": "1970-01-01T00:00:00Z", "created_by": "ARG TARGETARCH=arm", "comment": "buildkit.dockerfile.v0", "empty_layer": true},
                {"created": "1970-01-01T00:00:00Z", "created_by": "LABEL a=arm", "comment": "buildkit.dockerfile.v0", "empty_layer": true},
            ],
        })
    );
    assert!(image.built.layers.is_empty());
}

#[tokio::test]
async fn build_arguments_reach_instructions_that_declare_them() {
    let world = World::new();
    let dockerfile =
        "ARG V=global\nFROM scratch\nCOPY f-$V /undeclared\nARG V\nARG W=default\nCOPY f-$V-$W /\n";
    let build = async |build_args: &'static [(&'static str, &'static str)]| {
        let context = ["f-=", "f-global-default", "f-given-w"];
        world
            .try_build(&Wanted {
                build_args,
                ..Wanted::of(dockerfile, &context)
            })
            .await
            .unwrap()
    };
    assert_eq!(build(&[]).await.last_paths(), ["f-global-default"]);
    let given = build(&[("V", "given"), ("W", "w")]).await;
    assert_eq!(given.last_paths(), ["f-given-w"]);
    assert_eq!(given.history()[1..3], ["-ARG V=given", "-ARG W=w"]);
}
