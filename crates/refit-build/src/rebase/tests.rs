//! What is refused without looking at any file, and where the Dockerfile asks for it.

use std::collections::BTreeMap;

use refit_dockerfile::{NamedContext, Settings, StageBase, parse, resolve};
use refit_oci::{History, ImageConfig, Platform};

use super::{
    proof,
    published::own,
    refused::Refused,
    replay::{Dependant, Replay, replay},
};
use crate::native::bases::BaseImage;

fn base(config: &str) -> BaseImage {
    BaseImage {
        config: ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            config: serde_json::from_str(config).unwrap(),
            ..ImageConfig::default()
        },
        layers: Vec::new(),
    }
}

/// The replays on two bases, or why there are none.
fn replays(dockerfile: &str, old: &str, new: &str) -> Result<(Replay, Replay), Refused> {
    let file = parse(dockerfile).unwrap();
    let contexts = BTreeMap::from([("files".to_owned(), NamedContext::Files)]);
    let settings = Settings {
        target: None,
        platform: &Platform::linux_amd64(),
        build_platform: &Platform::linux_amd64(),
        build_args: &BTreeMap::new(),
        contexts: &contexts,
    };
    let resolved = resolve(&file, &settings).unwrap();
    let StageBase::External(found) = resolved.base else {
        panic!("{dockerfile}")
    };
    let dependant = Dependant {
        file: &file,
        resolved: &resolved,
        platform: &Platform::linux_amd64(),
        build_args: &BTreeMap::new(),
        labels: &BTreeMap::new(),
    };
    proof::sources(&resolved, found)?;
    let replays = (
        replay(dependant, found, &base(old))?,
        replay(dependant, found, &base(new))?,
    );
    proof::expansions(&replays.0, &replays.1)?;
    Ok(replays)
}

/// `the bytes that it points at: message`.
fn told(dockerfile: &str, refused: &Refused) -> String {
    let at = refused.span.clone().map_or("", |span| &dockerfile[span]);
    format!("{at}: {refused}")
}

#[track_caller]
fn check(dockerfile: &str, new: &str, expect: &str) {
    let refused = replays(dockerfile, "{}", new).map(|_| ());
    let refused = refused.map_err(|refused| told(dockerfile, &refused));
    assert_eq!(refused.err().as_deref().unwrap_or_default(), expect);
}

#[test]
fn a_refusal_names_the_instruction() {
    check(
        "FROM a\nCOPY x /x\nRUN make\n",
        "{}",
        "RUN make: it executes on the base",
    );
    check(
        "FROM a AS b\nRUN make\nFROM b\n",
        "{}",
        "RUN make: it executes on the base",
    );
    check(
        "FROM c AS b\nRUN make\nFROM a\nCOPY --from=b /x /x\n",
        "{}",
        "",
    );
    check(
        "FROM a AS b\nRUN make\nFROM a\nCOPY --from=b /x /x\n",
        "{}",
        "b: what it copies comes from something that is made of the base, too",
    );
    check(
        "FROM c AS b\nRUN --mount=from=a,target=/a make\nFROM b AS d\nFROM a\nCOPY --from=d /x /x\n",
        "{}",
        "d: what it copies comes from something that is made of the base, too",
    );
    check(
        "FROM a\nCOPY --from=a /x /y\n",
        "{}",
        "a: what it copies comes from something that is made of the base, too",
    );
    check(
        "FROM a\nCOPY --from=files /x /y\n",
        "{}",
        "files: what it copies comes from something that is made of the base, too",
    );
    check(
        "FROM a\nADD https://e.com/x /x\n",
        "{}",
        "https://e.com/x: what `https://e.com/x` holds may have changed",
    );
    check(
        "FROM c AS b\nADD https://e.com/x /x\nFROM a\nCOPY --from=b /x /x\n",
        "{}",
        "https://e.com/x: what `https://e.com/x` holds may have changed",
    );
    check(
        "FROM a\nLABEL x=y\n",
        r#"{"OnBuild":["ENV A=b"]}"#,
        "FROM a: a base makes the image execute something: it has ONBUILD triggers",
    );
}

#[test]
fn what_the_new_base_gives_to_variables_counts_where_something_is_copied() {
    check(
        "FROM a\nCOPY x $D/x\n",
        r#"{"Env":["D=/d"]}"#,
        "COPY x $D/x: it goes to `/x` and would go to `/d/x` on the new base",
    );
    check(
        "FROM a\nCOPY x y\n",
        r#"{"WorkingDir":"/d"}"#,
        "COPY x y: it goes to `/y` and would go to `/d/y` on the new base",
    );
    check(
        "FROM a\nWORKDIR x\n",
        r#"{"WorkingDir":"/d"}"#,
        "WORKDIR x: it makes `/x` and would make `/d/x` on the new base",
    );
    check(
        "FROM a\nCOPY --chown=$U x /x\n",
        r#"{"Env":["U=7"]}"#,
        "COPY --chown=$U x /x: the new base gives its variables other values",
    );
    check(
        "FROM a\nENV D=/own\nCOPY x $D/x\nLABEL u=$U\n",
        r#"{"Env":["D=/d","U=7"]}"#,
        "",
    );
}

#[test]
fn a_config_or_a_history_that_the_dockerfile_does_not_make_is_refused() {
    let dockerfile = "FROM a\nLABEL x=y\nCOPY x /x\n";
    let (old, _) = replays(dockerfile, "{}", "{}").unwrap();
    let layer = refit_oci::Digest::sha256(b"layer");
    let mut published = BaseImage {
        config: old.config.clone(),
        layers: vec![refit_oci::Descriptor::new("", layer.clone(), 1)],
    };
    let check = |published: &BaseImage| {
        let own = own(published, &base("{}").config, &old);
        own.map(|own| own.made.iter().map(Option::is_some).collect::<Vec<_>>())
            .map_err(|refused| told(dockerfile, &refused))
    };
    let unlike = "the published image's history is not that of its Dockerfile";
    assert_eq!(check(&published), Ok(vec![false, false]));
    published.config.rootfs.diff_ids.push(layer);
    assert_eq!(
        check(&published),
        Err(format!(": {unlike}")),
        "a layer that no line made"
    );
    published.config.history[0].empty_layer = false;
    assert_eq!(check(&published), Err(format!("LABEL x=y: {unlike}")));
    published.config.history[0].empty_layer = true;
    published.config.history[1].empty_layer = false;
    assert_eq!(check(&published), Ok(vec![false, true]));
    published.config.history[1].created_by = Some("/bin/sh -c #(nop) COPY x".to_owned());
    assert_eq!(check(&published), Err(format!("COPY x /x: {unlike}")));
    published.config.history.insert(
        0,
        History {
            empty_layer: true,
            ..History::default()
        },
    );
    published
        .config
        .config
        .labels
        .insert("by".to_owned(), "hand".to_owned());
    let config = "the published image's `Labels` is not what its Dockerfile says";
    assert_eq!(check(&published), Err(format!(": {config}")));
}

#[test]
fn layers_that_are_not_the_old_bases_are_named() {
    let id = |text: &str| refit_oci::Digest::sha256(text.as_bytes());
    let image = |layers: &[&str]| {
        let mut image = base("{}");
        image.config.rootfs.diff_ids = layers.iter().map(|text| id(text)).collect();
        let descriptor = |text: &&str| refit_oci::Descriptor::new("", id(text), 1);
        image.layers = layers.iter().map(descriptor).collect();
        image
    };
    let of = |published: &[&str], below: &[&str]| {
        let (published, below) = (image(published), image(below));
        let behind = super::published::behind(&published, &below.config);
        behind
            .map(|(own, _)| own.to_vec())
            .map_err(|refused| refused.message)
    };
    let named = |n: usize| {
        Err(format!(
            "layer {n} of the published image is not the one of the base that it was built on"
        ))
    };
    assert_eq!(of(&["a", "b", "c"], &["a", "b"]), Ok(vec![id("c")]));
    assert_eq!(of(&["a", "x", "c"], &["a", "b"]), named(2));
    assert_eq!(of(&["a"], &["a", "b"]), named(2));
}
