//! Builders from before BuildKit, through `POST /build`: Docker Engine's, and Podman's.

use std::collections::BTreeMap;

use refit_build::{
    docker::{Address, Builder, DockerEngine, Way},
    engine::{EngineError, LayerSource},
};
use refit_oci::{Platform, media_type};
use refit_testkit::engines::{Dockerd, Version};

use super::{
    builds::a_build_that_is_given_up_ends_in_the_engine,
    support::{Site, Wanted, own_diff_ids, own_files},
};

async fn classic() -> Site {
    Site::classic(Dockerd::start(Version::V20).unwrap()).await
}

const RUN: &str = "\
ARG NOTHING
FROM --platform=$BUILDPLATFORM debian:12 AS here
RUN uname -m > /here
FROM debian:12 AS tools
RUN uname -m > /arch
FROM debian:12 AS unused
RUN false
FROM debian:12
ARG GREETING
ARG TARGETARCH
COPY --from=tools /arch /arch
COPY --from=0 /here /here
COPY a.txt sub /app/
RUN cat /arch /app/a.txt && echo $GREETING $TARGETARCH > /greeting
LABEL kind=test
CMD [\"/bin/cat\", \"/arch\"]
";

#[tokio::test]
async fn needs_engine_docker20_classic_builds_for_both_platforms() {
    let without = RUN.replace("COPY --from=0 /here /here\n", "");
    builds_for_both_platforms(&classic().await, &without).await;
}

#[tokio::test]
async fn needs_engine_podman_builds_for_both_platforms() {
    let site = Site::podman().await;
    builds_for_both_platforms(&site, RUN).await;
    assert_eq!(site.n_images().await, 0, "there is no cache either");
}

async fn builds_for_both_platforms(site: &Site, dockerfile: &str) {
    let copies_across = dockerfile == RUN;
    let native = Platform::linux_amd64();
    let here = site
        .base("team/debian", &native, &[("etc/base", "1")])
        .await;
    for (platform, machine) in [
        (Platform::linux_amd64(), "x86_64"),
        (Platform::linux_arm64(), "aarch64"),
    ] {
        let base = site
            .base("team/debian", &platform, &[("etc/base", "1")])
            .await;
        let pin = ("team/debian", base.manifest.digest.clone());
        let of_here = ("team/debian", here.manifest.digest.clone());
        let within = [pin.clone(), pin.clone()];
        let across = [of_here, pin.clone(), pin];
        let recipe = site.recipe(
            &Wanted {
                context: &[
                    ("a.txt", "A\n"),
                    ("other", "not asked for"),
                    ("sub/b.txt", "B\n"),
                ],
                build_args: &[("GREETING", "hello")],
                labels: &[("org.example.added", "yes")],
                ..Wanted::of(dockerfile, platform.clone())
            },
            if copies_across { &across } else { &within },
        );
        let (built, log) = site.build(&recipe).await;
        let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}\n{}", site.engine_log()));

        assert!(log.contains(&format!("{machine}\n")), "{log}");
        assert!(log.contains("A\n"), "{log}");
        assert!(!log.contains("127.0.0.1"), "bases have names: {log}");
        assert_eq!(built.image.platform(), platform);
        let files = own_files(&built);
        assert_eq!(files["arch"], format!("{machine}\n"));
        if copies_across {
            assert_eq!(files["here"], "x86_64\n");
        }
        assert_eq!(
            files["greeting"],
            format!("hello {}\n", platform.architecture)
        );
        assert_eq!(
            (files["app/a.txt"].as_str(), files["app/b.txt"].as_str()),
            ("A\n", "B\n")
        );

        let first = &built.layers[0];
        assert_eq!(first.descriptor, base.manifest.value.layers[0]);
        assert!(matches!(first.source, LayerSource::Base(_)));
        let types = built
            .layers
            .iter()
            .map(|l| l.descriptor.media_type.as_str());
        assert!({ types }.all(|t| t == media_type::OCI_LAYER_GZIP));
        assert_eq!(built.image.rootfs.diff_ids[1..], own_diff_ids(&built));
        let labels = &built.image.config.labels;
        assert_eq!(
            (
                labels["kind"].as_str(),
                labels["org.example.added"].as_str()
            ),
            ("test", "yes")
        );
        let config = String::from_utf8(built.config).unwrap();
        assert!(!config.contains("127.0.0.1"), "{config}");
    }
    assert_eq!(site.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn needs_engine_docker20_classic_reads_its_cache_unless_told_otherwise() {
    let site = classic().await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest)];
    let dockerfile = "FROM base\nCOPY a /a\nRUN echo say $(cat /a)\nCMD x\n";
    let build = async |content: &str, no_cache: bool| {
        let context = [("a", content)];
        let wanted = Wanted {
            context: &context,
            no_cache,
            ..Wanted::of(dockerfile, platform.clone())
        };
        let (built, log) = site.build(&site.recipe(&wanted, &pins)).await;
        let files = own_files(&built.unwrap());
        assert_eq!(files["a"], content, "{log}");
        log
    };
    let log = build("one", false).await;
    assert!(log.contains("say one\n"), "{log}");
    let log = build("one", false).await;
    assert!(log.contains("Using cache"), "{log}");
    assert!(!log.contains("say one\n"), "{log}");
    // Same size, same time: only the content tells.
    let log = build("two", false).await;
    assert!(log.contains("say two\n"), "{log}");
    let log = build("one", true).await;
    assert!(log.contains("say one\n"), "{log}");
    assert!(!log.contains("Using cache"), "{log}");
    assert_eq!(site.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn needs_engine_docker20_classic_names_a_failed_instruction() {
    names_a_failed_instruction(classic().await, "returned a non-zero code: 3").await;
}

#[tokio::test]
async fn needs_engine_podman_names_a_failed_instruction() {
    names_a_failed_instruction(Site::podman().await, "exit status 3").await;
}

async fn names_a_failed_instruction(site: Site, words: &str) {
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pin = ("base", base.manifest.digest);
    let dockerfile = "ARG X Y\nFROM base AS unused\nRUN true\nFROM base AS first\nRUN true\n\
                      FROM base\nCOPY --from=first /etc/passwd /p\nRUN echo trouble; \\\n  exit 3\n";
    let recipe = site.recipe(
        &Wanted::of(dockerfile, platform.clone()),
        &[pin.clone(), pin],
    );
    let (built, log) = site.build(&recipe).await;
    let Err(EngineError::Instruction {
        line,
        span,
        message,
    }) = built
    else {
        panic!("{built:?}\n{log}")
    };
    assert_eq!(
        (line, &dockerfile[span]),
        (8, "RUN echo trouble; \\\n  exit 3")
    );
    assert!(message.ends_with(words), "{message}");
    assert!(log.contains("trouble\n"), "{log}");
    assert_eq!(site.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn needs_engine_docker20_classic_has_what_the_context_has_and_nothing_else() {
    has_what_the_context_has_and_nothing_else(classic().await, true).await;
}

#[tokio::test]
async fn needs_engine_podman_has_what_the_context_has_and_nothing_else() {
    has_what_the_context_has_and_nothing_else(Site::podman().await, false).await;
}

/// `is_told` whether the Dockerfile's name in the context is written into the context's own ignore file.
async fn has_what_the_context_has_and_nothing_else(site: Site, is_told: bool) {
    let platform = Platform::linux_amd64();
    let deep = format!("{}/file", "a-long-name/".repeat(12).trim_end_matches('/'));
    for ignore in [None, Some("*.md\n")] {
        let mut context = vec![("a", "A"), ("b.md", "B"), (deep.as_str(), "deep")];
        context.extend(ignore.map(|text| (".dockerignore", text)));
        let wanted = Wanted {
            context: &context,
            ..Wanted::of("FROM scratch\nCOPY . /\n", platform.clone())
        };
        let (built, log) = site.build(&site.recipe(&wanted, &[])).await;
        let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
        assert_eq!(built.image.rootfs.diff_ids, own_diff_ids(&built));
        let mut expect: BTreeMap<String, String> = context
            .iter()
            .map(|&(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        if let Some(text) = expect.get_mut(".dockerignore").filter(|_| is_told) {
            text.push_str("\n.refit.Dockerfile\n");
        }
        assert_eq!(own_files(&built), expect, "{log}");
    }
}

#[tokio::test]
async fn needs_engine_docker20_classic_what_is_not_refused_can_be_built() {
    let refused = [true, true, true, true, true, true, true, false, false];
    what_is_not_refused_can_be_built(classic().await, refused).await;
}

#[tokio::test]
async fn needs_engine_podman_what_is_not_refused_can_be_built() {
    let refused = [true, true, true, false, false, true, true, false, false];
    what_is_not_refused_can_be_built(Site::podman().await, refused).await;
}

async fn what_is_not_refused_can_be_built(site: Site, refused: [bool; 9]) {
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let bodies = [
        "RUN <<EOF\necho hi\nEOF",
        "COPY --link a /",
        "RUN --network=none true",
        "RUN --mount=type=bind,source=a,target=/b cat /b",
        "COPY --chmod=0711 a /",
        "COPY --parents a /",
        "COPY --chmod=u+x a /",
        "ARG TARGETPLATFORM\nRUN [ \"$TARGETPLATFORM\" = linux/amd64 ]",
        "ONBUILD RUN true",
    ];
    for (body, refused) in bodies.into_iter().zip(refused) {
        let dockerfile = format!("FROM base\n{body}\n");
        let wanted = Wanted {
            context: &[("a", "A")],
            ..Wanted::of(&dockerfile, platform.clone())
        };
        let recipe = site.recipe(&wanted, &[("base", base.manifest.digest.clone())]);
        let checked = site.engine.check(&recipe);
        assert_eq!(checked.is_err(), refused, "{body}: {checked:?}");
        if let Err(refusal) = checked {
            assert!(
                refusal.hint.is_some_and(
                    |hint| hint.contains("BuildKit") || hint.contains("Podman 5.0 or newer")
                ),
                "{body}"
            );
            continue;
        }
        let (built, log) = site.build(&recipe).await;
        assert!(built.is_ok(), "{body}: {built:?}\n{log}");
    }
}

#[tokio::test]
async fn needs_engine_docker20_classic_a_build_that_is_given_up_ends_in_the_engine() {
    a_build_that_is_given_up_ends_in_the_engine(classic().await, "86405").await;
}

#[tokio::test]
async fn needs_engine_docker20_classic_is_taken_where_the_engine_says_so() {
    let dockerd = Dockerd::start_without_buildkit(Version::V20).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    for (wish, builder) in [
        (None, Builder::Classic),
        (Some(true), Builder::BuildKit),
        (Some(false), Builder::Classic),
    ] {
        let engine = DockerEngine::connect_for(&address, wish).await.unwrap();
        assert_eq!(engine.facts().builder, builder, "{wish:?}");
    }
}

#[tokio::test]
async fn needs_engine_podman_says_what_it_is() {
    let site = Site::podman().await;
    let address = format!("unix://{}", site.daemon.socket().display());
    let engine = DockerEngine::connect(&address.parse().unwrap()).await;
    let engine = engine.unwrap();
    assert!(matches!(engine.way().await, Ok(Way::Loopback)));
    let facts = engine.facts();
    assert_eq!((facts.builder, facts.release), (Builder::Podman, (4, 3)));
    assert_eq!(facts.name(), "Podman 4.3.1");
}

#[tokio::test]
async fn needs_engine_docker20_classic_refuses_to_copy_from_another_platform() {
    let site = classic().await;
    for (platform, is_refused) in [
        (Platform::linux_amd64(), false),
        (Platform::linux_arm64(), true),
    ] {
        let checked = site
            .engine
            .check(&site.recipe(&Wanted::of(RUN, platform), &[]));
        let refused = checked.err().map(|refusal| &RUN[refusal.span]);
        assert_eq!(refused, is_refused.then_some("0"));
    }
}

#[tokio::test]
async fn needs_engine_docker20_classic_in_another_network_is_told_apart() {
    let site = Site::classic(Dockerd::start_apart(Version::V20).unwrap()).await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let recipe = site.recipe(
        &Wanted::of("FROM base\n", platform),
        &[("base", base.manifest.digest)],
    );
    let (built, log) = site.build(&recipe).await;
    let error = built.unwrap_err();
    assert!(
        matches!(error, EngineError::Elsewhere { .. }),
        "{error:?}\n{log}"
    );
}
