//! What comes out of a build.

use std::{
    fs, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use refit_build::engine::{EngineError, LayerSource};
use refit_oci::{Platform, media_type};
use refit_testkit::engines::Version;

use super::support::{Site, Wanted, own_diff_ids, own_files};

const RUN: &str = "\
FROM debian:12 AS tools
RUN uname -m > /arch
FROM debian:12
ARG GREETING
COPY --from=tools /arch /arch
COPY a.txt sub /app/
RUN cat /arch /app/a.txt && echo $GREETING > /greeting
LABEL kind=test
CMD [\"/bin/cat\", \"/arch\"]
";

#[tokio::test]
async fn needs_engine_docker20_run_on_both_platforms() {
    run_on_both_platforms(Site::start(Version::V20).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_run_on_both_platforms() {
    run_on_both_platforms(Site::start(Version::V26).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_containerd_run_on_both_platforms() {
    run_on_both_platforms(Site::start(Version::V26Containerd).await).await;
}

pub(crate) async fn run_on_both_platforms(site: Site) {
    let images_before = site.n_images().await;
    for (platform, machine) in [
        (Platform::linux_amd64(), "x86_64"),
        (Platform::linux_arm64(), "aarch64"),
    ] {
        let base = site
            .base("team/debian", &platform, &[("etc/base", "1")])
            .await;
        let pin = ("team/debian", base.manifest.digest.clone());
        let recipe = site.recipe(
            &Wanted {
                context: &[
                    ("a.txt", "A\n"),
                    ("other", "not asked for"),
                    ("sub/b.txt", "B\n"),
                ],
                build_args: &[("GREETING", "hello")],
                labels: &[("org.example.added", "yes")],
                ..Wanted::of(RUN, platform.clone())
            },
            &[pin.clone(), pin],
        );
        let (built, log) = site.build(&recipe).await;
        let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}\n{}", site.engine_log()));

        assert!(log.contains(&format!("{machine}\n")), "{log}");
        assert!(log.contains("A\n"), "{log}");
        assert!(!log.contains("127.0.0.1"), "bases have names: {log}");
        assert_eq!(built.image.platform(), platform);
        let files = own_files(&built);
        assert_eq!(files["arch"], format!("{machine}\n"));
        assert_eq!(files["greeting"], "hello\n");
        assert_eq!(
            (files["app/a.txt"].as_str(), files["app/b.txt"].as_str()),
            ("A\n", "B\n")
        );
        assert!(!files.contains_key("app/other"));

        // The base's layer is the base's own, not a copy that was compressed anew.
        let first = &built.layers[0];
        assert_eq!(first.descriptor, base.manifest.value.layers[0]);
        assert!(matches!(first.source, LayerSource::Base(_)));
        assert!(
            built
                .layers
                .iter()
                .all(|l| l.descriptor.media_type == media_type::OCI_LAYER_GZIP)
        );
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
        assert!(
            !config.contains("127.0.0.1"),
            "the registry on loopback leaves no trace: {config}"
        );
    }
    assert_eq!(
        site.n_images().await,
        images_before,
        "nothing is left in the engine"
    );
}

#[tokio::test]
async fn needs_engine_docker20_the_cache_is_read_unless_told_otherwise() {
    the_cache_is_read_unless_told_otherwise(Site::start(Version::V20).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_the_cache_is_read_unless_told_otherwise() {
    the_cache_is_read_unless_told_otherwise(Site::start(Version::V26).await).await;
}

pub(crate) async fn the_cache_is_read_unless_told_otherwise(site: Site) {
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest)];
    let dockerfile = "FROM base\nCOPY a /a\nRUN cat /a\n";
    let build = async |content: &str, no_cache: bool| {
        let context = [("a", content)];
        let wanted = Wanted {
            context: &context,
            no_cache,
            ..Wanted::of(dockerfile, platform.clone())
        };
        let (built, log) = site.build(&site.recipe(&wanted, &pins)).await;
        (built.unwrap(), log)
    };
    let (first, log) = build("one", false).await;
    assert!(log.contains("one") && !log.contains("CACHED"), "{log}");

    let (again, log) = build("one", false).await;
    assert!(log.contains("CACHED") && !log.contains(" one"), "{log}");
    assert_eq!(first.image.rootfs.diff_ids, again.image.rootfs.diff_ids);

    // Same size, same time: only the content tells.
    let (other, log) = build("two", false).await;
    assert!(log.contains("two"), "{log}");
    assert_eq!(own_files(&other)["a"], "two");

    let (_, log) = build("one", true).await;
    // The base is at hand already, and may be called so.
    let base = log.lines().find_map(|line| line.split_once(" [1/3] FROM"));
    let cached = log.lines().filter_map(|line| line.strip_suffix(" CACHED"));
    let rest: Vec<&str> = cached
        .filter(|id| base.is_none_or(|(of_base, _)| of_base != *id))
        .collect();
    assert!(log.contains(" one") && rest.is_empty(), "{log}");
}

#[tokio::test]
async fn needs_engine_docker20_a_failed_instruction_is_named() {
    a_failed_instruction_is_named(Site::start(Version::V20).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_a_failed_instruction_is_named() {
    a_failed_instruction_is_named(Site::start(Version::V26Containerd).await).await;
}

pub(crate) async fn a_failed_instruction_is_named(site: Site) {
    let images_before = site.n_images().await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest)];
    let dockerfile = "FROM base\nRUN true\nRUN echo trouble; \\\n  exit 3\n";
    let recipe = site.recipe(&Wanted::of(dockerfile, platform.clone()), &pins);
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
        (3, "RUN echo trouble; \\\n  exit 3")
    );
    assert!(message.contains("exit code: 3"), "{message}");
    assert!(log.contains("trouble\n"), "{log}");
    assert_eq!(site.n_images().await, images_before);
}

#[tokio::test]
async fn needs_engine_docker20_an_image_from_nothing_has_only_its_own_layers() {
    an_image_from_nothing_has_only_its_own_layers(Site::start(Version::V20).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_an_image_from_nothing_has_only_its_own_layers() {
    an_image_from_nothing_has_only_its_own_layers(Site::start(Version::V26Containerd).await).await;
}

pub(crate) async fn an_image_from_nothing_has_only_its_own_layers(site: Site) {
    let platform = Platform::linux_arm64();
    let tools = site
        .base("tools", &platform, &[("etc/x", "of tools")])
        .await;
    let recipe = site.recipe(
        &Wanted {
            context: &[("a", "A")],
            ..Wanted::of(
                "FROM scratch\nCOPY a /\nCOPY --from=tools /etc/x /x\n",
                platform.clone(),
            )
        },
        &[("tools", tools.manifest.digest)],
    );
    let (built, log) = site.build(&recipe).await;
    let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(built.image.platform(), platform);
    let files = own_files(&built);
    assert_eq!(
        (files["a"].as_str(), files["x"].as_str()),
        ("A", "of tools")
    );
    assert_eq!(built.image.rootfs.diff_ids, own_diff_ids(&built));
}

#[tokio::test]
async fn needs_engine_docker20_a_build_that_is_given_up_ends_in_the_engine() {
    a_build_that_is_given_up_ends_in_the_engine(Site::start(Version::V20).await, "86401").await;
}

#[tokio::test]
async fn needs_engine_docker26_a_build_that_is_given_up_ends_in_the_engine() {
    a_build_that_is_given_up_ends_in_the_engine(Site::start(Version::V26Containerd).await, "86402")
        .await;
}

/// `seconds` tells the tests' processes apart.
pub(crate) async fn a_build_that_is_given_up_ends_in_the_engine(site: Site, seconds: &str) {
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let dockerfile = format!("FROM base\nRUN echo begun; sleep {seconds}\n");
    let recipe = site.recipe(
        &Wanted::of(&dockerfile, platform),
        &[("base", base.manifest.digest)],
    );

    let log = SharedLog::default();
    let mut writer = log.clone();
    let building = site.engine.build(&recipe, &mut writer);
    // The shell says so before it starts the next command.
    let begun = until(|| log.text().contains("begun\n") && is_running(seconds));
    tokio::select! {
        built = building => panic!("{built:?}"),
        () = begun => {}
    }
    until(|| !is_running(seconds)).await;
}

/// Comes back when the condition holds; a test runner ends a test that hangs.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether `sleep <seconds>` runs somewhere.
fn is_running(seconds: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut commands = processes.filter_map(|p| fs::read(p.path().join("cmdline")).ok());
    commands.any(|command| command == format!("sleep\0{seconds}\0").into_bytes())
}

#[derive(Clone, Default)]
struct SharedLog(Arc<Mutex<Vec<u8>>>);

impl SharedLog {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for SharedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
