//! A BuildKit that does not reach this machine's loopback interface: bases and results go through the session of the build.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use refit_build::{
    buildkit::{BuildKitEngine, Endpoint, Exchange},
    engine::{Built, EngineError, LayerSource, PinnedBase, Recipe},
};
use refit_deps::image::Attestation;
use refit_oci::{Descriptor, Digest, Exact, History, ImageConfig, Manifest, Platform, media_type};
use refit_registry::{Registries, RegistryError};
use refit_testkit::{
    engines::{BaseImage, BuildKitd, Dockerd, Version},
    registry::{Fault, Gate, Image, Options, TestRegistry},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use super::a_layer_cache_outlives_it;
use crate::docker::{
    builds,
    support::{Daemon, Site, Wanted, own_files},
};

/// When the test's bases were made.
const MADE: &str = "2001-02-03T04:05:06Z";

/// BuildKit inside a Docker Engine in a network of its own.
async fn inside() -> Site {
    Site::buildkit_inside(dockerd()).await
}

fn dockerd() -> Dockerd {
    Dockerd::start_apart(Version::V26Containerd).unwrap()
}

/// What is a buildkitd to refit, over TCP, in a network of its own.
async fn buildkitd() -> Site {
    let buildkitd = BuildKitd::start_apart().unwrap();
    let endpoint = Endpoint::Daemon(buildkitd.host().parse().unwrap());
    Site::buildkit(&endpoint, Daemon::BuildKit(buildkitd)).await
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_is_told_from_one_that_is_here() {
    let here = Dockerd::start(Version::V26Containerd).unwrap();
    for (dockerd, expect) in [(here, Exchange::Registry), (dockerd(), Exchange::Session)] {
        let endpoint = Endpoint::Docker(dockerd.host().parse().unwrap());
        let engine = BuildKitEngine::connect(&endpoint).await.unwrap();
        let begun = Instant::now();
        assert_eq!(engine.exchange().await.unwrap(), expect);
        println!("{expect:?}: {:?}", begun.elapsed());
        drop(dockerd);
        // It is not asked again.
        assert_eq!(engine.exchange().await.unwrap(), expect);
    }
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_inside_docker_run_on_both_platforms() {
    builds::run_on_both_platforms(inside().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_over_tcp_run_on_both_platforms() {
    builds::run_on_both_platforms(buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_the_cache_is_read_unless_told_otherwise() {
    builds::the_cache_is_read_unless_told_otherwise(inside().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_a_failed_instruction_is_named() {
    builds::a_failed_instruction_is_named(buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_an_image_from_nothing_has_only_its_own_layers() {
    builds::an_image_from_nothing_has_only_its_own_layers(inside().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_a_build_that_is_given_up_ends_there() {
    builds::a_build_that_is_given_up_ends_in_the_engine(inside().await, "86405").await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_a_layer_cache_outlives_it() {
    a_layer_cache_outlives_it(buildkitd().await, BuildKitd::start_apart().unwrap()).await;
}

/// A base with the times and the trigger that real ones have.
async fn base(site: &Site, path: &str, trigger: &str) -> Digest {
    let platform = Platform::linux_amd64();
    let image = BaseImage::busybox(&platform, &[]).unwrap();
    let mut config: ImageConfig = serde_json::from_slice(&image.config).unwrap();
    config.created = Some(MADE.to_owned());
    config.history = vec![History {
        created: Some(MADE.to_owned()),
        created_by: Some("busybox".to_owned()),
        ..History::default()
    }];
    config.config.on_build = vec![trigger.to_owned()];
    let config = Exact::encode(media_type::OCI_CONFIG, config);
    let layers = image.manifest.value.layers.clone();
    let manifest = Manifest::new(config.descriptor(), layers, BTreeMap::new());
    let image = BaseImage {
        manifest: Exact::encode(media_type::OCI_MANIFEST, manifest),
        config: config.bytes,
        layer: image.layer,
    };
    let repository = site.repository(path);
    let pushed = image.push(site.registry.as_ref(), &repository, None);
    pushed.await.unwrap()
}

/// A recipe whose references are pinned by their names.
fn pinned(site: &Site, wanted: &Wanted<'_>, pins: &[(&str, Digest)]) -> Recipe {
    let mut recipe = site.recipe(wanted, &[]);
    for (found_index, found) in recipe.resolved.found.iter().enumerate() {
        let source = found.source.to_string();
        let mut named = pins.iter();
        let named = named.find(|(name, _)| source.contains(&format!("/{name}")));
        let (name, manifest) = named.unwrap_or_else(|| panic!("{source}"));
        recipe.pins.push(PinnedBase {
            found_index,
            registry: Arc::clone(&site.registry),
            repository: site.repository(name),
            manifest: manifest.clone(),
        });
    }
    recipe
}

/// Steps whose layers are the same each time.
const SAME: &str = "\
FROM base AS made
RUN echo made > /made && touch -t 197001010000 /made
FROM base
COPY --from=tools /etc/x /x
COPY a /a
RUN --mount=type=bind,from=tools,source=/etc,target=/t cp /t/x /y && touch -t 197001010000 /y
COPY --from=made /made /made
ENV KIND=test
";

async fn same(site: &Site) -> Built {
    let trigger = "COPY a /triggered";
    let platform = Platform::linux_amd64();
    let tools = site.base("tools", &platform, &[("etc/x", "X\n")]).await;
    let pins = [
        ("base", base(site, "base", trigger).await),
        ("tools", tools.manifest.digest),
    ];
    let wanted = Wanted {
        context: &[("a", "A")],
        triggers: &[(0, trigger), (1, trigger)],
        ..Wanted::of(SAME, platform)
    };
    let (built, log) = site.build(&pinned(site, &wanted, &pins)).await;
    assert!(!log.contains("refit.invalid"), "bases have names: {log}");
    built.unwrap_or_else(|e| panic!("{e:?}\n{log}\n{}", site.engine_log()))
}

/// Everything but the times of steps that were executed now.
fn timeless(built: &Built) -> (ImageConfig, Vec<Descriptor>) {
    let mut image = built.image.clone();
    let mut times = image.history.iter().filter_map(|step| step.created.clone());
    assert_eq!(image.created, times.next_back(), "made with its last step");
    assert_ne!(image.created.as_deref(), Some(MADE));
    image.created = None;
    for step in &mut image.history[1..] {
        step.created = None;
    }
    let layers = built.layers.iter();
    (
        image,
        layers.map(|layer| layer.descriptor.clone()).collect(),
    )
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_makes_what_one_makes_that_is_here() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    let sites = (Site::buildkit_inside(dockerd).await, inside().await);
    let (here, apart) = (same(&sites.0).await, same(&sites.1).await);
    assert_eq!(timeless(&apart), timeless(&here));
    let sources = |built: &Built| -> Vec<bool> {
        let layers = built.layers.iter();
        layers
            .map(|l| matches!(l.source, LayerSource::Base(_)))
            .collect()
    };
    assert_eq!(sources(&apart), sources(&here));
    assert_eq!(apart.image.history[0].created.as_deref(), Some(MADE));
    let files = own_files(&apart);
    assert_eq!(files, own_files(&here));
    let made = ["triggered", "x", "a", "y", "made"].map(|path| files[path].as_str());
    assert_eq!(made, ["A", "X\n", "A", "X\n", "made\n"]);
    let keys = |built: &Built| -> Vec<String> {
        let config: serde_json::Map<_, _> = serde_json::from_slice(&built.config).unwrap();
        config.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&apart), keys(&here));
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_secrets_stay_out_and_a_base_keeps_its_times() {
    let site = inside().await;
    let pins = [("base", base(&site, "base", "USER 0").await)];
    let dockerfile =
        "FROM base\nRUN --mount=type=secret,id=token,target=/token wc -c < /token > /n\n";
    let wanted = Wanted {
        secrets: &[("token", "hunter2")],
        build_args: &[("SOURCE_DATE_EPOCH", "86400")],
        triggers: &[(0, "USER 0")],
        ..Wanted::of(dockerfile, Platform::linux_amd64())
    };
    let (built, log) = site.build(&pinned(&site, &wanted, &pins)).await;
    let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(own_files(&built)["n"], "7\n");
    let fixed = Some("1970-01-02T00:00:00Z");
    assert_eq!(built.image.created.as_deref(), fixed);
    let history = built.image.history.iter();
    let times: Vec<_> = history.map(|step| step.created.as_deref()).collect();
    assert_eq!(times, [Some(MADE), fixed, fixed]);
    assert!(matches!(built.layers[0].source, LayerSource::Base(_)));
    assert!(
        log.contains("SOURCE_DATE_EPOCH: files keep their times"),
        "{log}"
    );
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_attests_of_bases_by_their_names() {
    let site = buildkitd().await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let manifest = base.manifest.digest.clone();
    let wanted = Wanted::of("FROM base\nRUN echo made > /made\n", platform);
    let mut recipe = site.recipe(&wanted, &[("base", manifest.clone())]);
    let attest = (Attestation::Provenance, "mode=max".to_owned());
    recipe.attest = BTreeMap::from([attest]);
    let (built, log) = site.build(&recipe).await;
    let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    let [attested] = &built.attested[..] else {
        panic!("{:?}\n{log}", built.attested);
    };
    let statement = String::from_utf8(attested.statement.clone()).unwrap();
    let named = format!("docker-image://docker.io/library/base:latest@{manifest}");
    assert!(statement.contains(&named), "{statement}");
    for place in ["oci-layout", "oci.session", "oci.store"] {
        assert!(!statement.contains(place), "{place}: {statement}");
    }
}

/// A socket before an engine's that counts what goes either way.
struct Counted {
    to_engine: Arc<AtomicUsize>,
    from_engine: Arc<AtomicUsize>,
}

impl Counted {
    fn before(engine: &Path, at: &Path) -> Self {
        let counted = Self {
            to_engine: Arc::default(),
            from_engine: Arc::default(),
        };
        let listener = UnixListener::bind(at).unwrap();
        let engine = engine.to_owned();
        let (to, from) = (
            Arc::clone(&counted.to_engine),
            Arc::clone(&counted.from_engine),
        );
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_engine, to_engine) =
                    UnixStream::connect(&engine).await.unwrap().into_split();
                tokio::spawn(copy(from_client, to_engine, Arc::clone(&to)));
                tokio::spawn(copy(from_engine, to_client, Arc::clone(&from)));
            }
        });
        counted
    }

    /// Bytes to the engine and from it since this was asked last.
    fn bytes(&self) -> (usize, usize) {
        (
            self.to_engine.swap(0, Ordering::Relaxed),
            self.from_engine.swap(0, Ordering::Relaxed),
        )
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        count.fetch_add(n, Ordering::Relaxed);
        to.write_all(&buffer[..n]).await?;
    }
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_gets_a_layer_once_and_sends_none_back() {
    let dockerd = dockerd();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("counted.sock");
    let counted = Counted::before(&dockerd.socket(), &socket);
    let host = format!("unix://{}", socket.display());
    let endpoint = Endpoint::Docker(host.parse().unwrap());
    let site = Site::buildkit(&endpoint, Daemon::Docker(dockerd)).await;
    let platform = Platform::linux_amd64();
    // Digits of a hash, which gzip halves at best.
    let mut digits = String::new();
    for n in 0..100_000_u32 {
        digits.push_str(Digest::sha256(&n.to_be_bytes()).hex());
    }
    let base = site.base("base", &platform, &[("etc/big", &digits)]).await;
    let pins = [("base", base.manifest.digest)];
    let layer = base.layer.len();
    assert!(layer > 2 << 20, "{layer}");
    let build = async |no_cache| {
        let wanted = Wanted {
            no_cache,
            ..Wanted::of(
                "FROM base\nRUN wc -c < /etc/big | tee /n\n",
                platform.clone(),
            )
        };
        let (built, log) = site.build(&site.recipe(&wanted, &pins)).await;
        let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
        assert_eq!(own_files(&built)["n"], "6400000\n", "{log}");
        assert!(matches!(built.layers[0].source, LayerSource::Base(_)));
    };
    counted.bytes();
    build(false).await;
    let (to_engine, from_engine) = counted.bytes();
    assert!(
        to_engine > layer && to_engine < layer + layer / 4,
        "{to_engine}"
    );
    assert!(from_engine < 1 << 19, "{from_engine}");
    build(true).await;
    let (to_engine, from_engine) = counted.bytes();
    assert!(to_engine < 1 << 19, "it has the base: {to_engine}");
    assert!(from_engine < 1 << 19, "{from_engine}");
}

/// A recipe on a base of a registry that misbehaves on request, with the base's only layer.
fn from_upstream(site: &Site) -> (TestRegistry, Digest, Recipe) {
    let upstream = TestRegistry::start(Options::default());
    let image = Image::new("linux/amd64", &[&[("a", "A")]]);
    let manifest = upstream.put_image("base", "1", &image);
    let registries = Registries::new(refit_registry::Settings::default());
    let dockerfile = "FROM base\nCOPY --from=base /a /c\n";
    let wanted = Wanted::of(dockerfile, Platform::linux_amd64());
    let mut recipe = site.recipe(&wanted, &[]);
    for found_index in 0..recipe.resolved.found.len() {
        recipe.pins.push(PinnedBase {
            found_index,
            registry: registries.registry(&upstream.host()),
            repository: format!("{}/base", upstream.host()).parse().unwrap(),
            manifest: manifest.clone(),
        });
    }
    (upstream, Digest::sha256(&image.layers[0]), recipe)
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_a_damaged_base_is_refused_as_such() {
    let site = inside().await;
    let (upstream, layer, recipe) = from_upstream(&site);
    upstream.fail("GET", layer.as_str(), usize::MAX, Fault::Corrupt);
    let (built, log) = site.build(&recipe).await;
    let error = built.unwrap_err();
    let EngineError::Base { source, .. } = &error else {
        panic!("{error:?}\n{log}");
    };
    let is_damaged = matches!(source.as_ref(), RegistryError::DigestMismatch { .. });
    assert!(is_damaged, "{error:?}\n{log}");
    // Mended, the same recipe is built.
    upstream.behave();
    let (built, log) = site.build(&recipe).await;
    let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(own_files(&built)["c"], "A");
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_apart_what_is_given_up_leaves_nothing_here() {
    let site = inside().await;
    let (upstream, layer, recipe) = from_upstream(&site);
    // The layer never comes: BuildKit waits for it in the middle of a request.
    let gate = Gate::default();
    upstream.fail("GET", layer.as_str(), 1, Fault::Held(gate.clone()));
    let asked = {
        let gate = gate.clone();
        tokio::task::spawn_blocking(move || assert!(gate.wait()))
    };
    let mut log = Vec::new();
    tokio::select! {
        built = site.engine.build(&recipe, &mut log) => panic!("{built:?}"),
        asked = asked => asked.unwrap(),
    }
    let left = || fs::read_dir(&recipe.work_dir).unwrap().count();
    while left() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gate.open();
}
