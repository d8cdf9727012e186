//! The engine `buildkit`, on the BuildKit inside Docker Engine and on what is a buildkitd to it.

mod apart;
mod ssh;

use std::sync::Arc;

use refit_build::{
    buildkit::{BuildKitEngine, DaemonAddress, Endpoint},
    engine::{Built, CachePlace, Caches, EngineError, SshAgent},
};
use refit_oci::{Digest, Platform};
use refit_testkit::{
    engines::{BuildKitd, Dockerd, TlsFront, Version},
    tls::Authority,
};
use tempfile::TempDir;

use crate::docker::{
    builds,
    support::{Daemon, Site, Wanted, own_files},
};

#[tokio::test]
async fn needs_engine_docker26_buildkit_inside_it_run_on_both_platforms() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    builds::run_on_both_platforms(Site::buildkit_inside(dockerd).await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_run_on_both_platforms() {
    builds::run_on_both_platforms(Site::buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_the_cache_is_read_unless_told_otherwise() {
    builds::the_cache_is_read_unless_told_otherwise(Site::buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_a_failed_instruction_is_named() {
    builds::a_failed_instruction_is_named(Site::buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_an_image_from_nothing_has_only_its_own_layers() {
    builds::an_image_from_nothing_has_only_its_own_layers(Site::buildkitd().await).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_a_build_that_is_given_up_ends_there() {
    builds::a_build_that_is_given_up_ends_in_the_engine(Site::buildkitd().await, "86403").await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_inside_it_a_build_that_is_given_up_ends_there() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    let site = Site::buildkit_inside(dockerd).await;
    builds::a_build_that_is_given_up_ends_in_the_engine(site, "86404").await;
}

/// Over its Unix socket, with secrets, and with the times that a build argument fixes.
#[tokio::test]
async fn needs_engine_docker26_buildkitd_secrets_stay_out_and_times_are_fixed() {
    let buildkitd = BuildKitd::start().unwrap();
    let endpoint = Endpoint::Daemon(buildkitd.socket_host().parse().unwrap());
    let site = Site::buildkit(&endpoint, Daemon::BuildKit(buildkitd)).await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest.clone())];
    let dockerfile = "FROM base\n\
                      RUN --mount=type=secret,id=token,target=/token wc -c < /token > /length\n";
    let wanted = |no_cache| Wanted {
        secrets: &[("token", "hunter2")],
        build_args: &[("SOURCE_DATE_EPOCH", "86400")],
        no_cache,
        ..Wanted::of(dockerfile, platform.clone())
    };
    let (first, log) = site.build(&site.recipe(&wanted(false), &pins)).await;
    let first = first.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(own_files(&first)["length"], "7\n");
    assert_eq!(
        first.image.created.as_deref(),
        Some("1970-01-02T00:00:00Z"),
        "{log}"
    );
    let (again, log) = site.build(&site.recipe(&wanted(true), &pins)).await;
    let again = again.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(first.config, again.config, "executed twice, to the byte");
    assert_eq!(first.layers[0], again.layers[0], "the base is left alone");
    assert_eq!(first.layers[0].descriptor, base.manifest.value.layers[0]);
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_behind_tls_builds_for_those_it_knows() {
    let authority = Authority::new();
    let buildkitd = BuildKitd::start().unwrap();
    let host = buildkitd.host();
    let behind = host.strip_prefix("tcp://").unwrap();
    let front = TlsFront::before(behind, &authority).unwrap();
    let folder = TempDir::new().unwrap();
    let own = authority.issue();
    let write = |name: &str, pem: &str| std::fs::write(folder.path().join(name), pem).unwrap();
    write("ca.pem", &authority.pem());
    write("cert.pem", &own.pem);
    write("key.pem", &own.key_pem);
    let address: DaemonAddress = front.host().parse().unwrap();
    let endpoint = Endpoint::Daemon(address.clone().with_certificates(folder.path().to_owned()));
    let site = Site::buildkit(&endpoint, Daemon::BuildKit(buildkitd)).await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let wanted = Wanted {
        context: &[("a", "A")],
        ..Wanted::of("FROM base\nCOPY a /\nRUN cat /a\n", platform)
    };
    let recipe = site.recipe(&wanted, &[("base", base.manifest.digest)]);
    let (built, log) = site.build(&recipe).await;
    let built = built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert_eq!(own_files(&built)["a"], "A", "{log}");

    // Nobody gets in without TLS, without a certificate, or trusts an authority that it was not told of.
    let refused = async |endpoint: &Endpoint| {
        let error = BuildKitEngine::connect(endpoint).await.err().unwrap();
        let is_unreachable = matches!(error, EngineError::Unreachable { .. });
        assert!(is_unreachable, "{error:?}");
    };
    refused(&Endpoint::Daemon(address)).await;
    for name in ["cert.pem", "key.pem"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    refused(&endpoint).await;
    write("cert.pem", &own.pem);
    write("key.pem", &own.key_pem);
    write("ca.pem", &Authority::new().pem());
    refused(&endpoint).await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkitd_a_layer_cache_outlives_it() {
    a_layer_cache_outlives_it(Site::buildkitd().await, BuildKitd::start().unwrap()).await;
}

/// What one BuildKit wrote, another that was never here before builds from.
async fn a_layer_cache_outlives_it(mut site: Site, fresh: BuildKitd) {
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest)];
    let wanted = Wanted::of("FROM base\nRUN echo work | tee /made\n", platform);
    let place = |tag: &str| CachePlace {
        registry: Arc::clone(&site.registry),
        reference: site.repository("cache").tagged(tag).unwrap(),
    };
    let (kept, missing) = (place("kept"), place("missing"));

    let mut recipe = site.recipe(&wanted, &pins);
    recipe.caches = Caches {
        from: vec![vec![missing.clone()]],
        to: vec![kept.clone()],
        inline: true,
    };
    let (first, log) = site.build(&recipe).await;
    let first = first.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert!(log.contains("cache:missing is not there yet"), "{log}");
    assert!(log.contains("cache:kept is written"), "{log}");
    let config = String::from_utf8(first.config.clone()).unwrap();
    assert!(config.contains("moby.buildkit.cache"), "inline: {config}");

    let endpoint = Endpoint::Daemon(fresh.host().parse().unwrap());
    site.engine = Box::new(BuildKitEngine::connect(&endpoint).await.unwrap());
    site.daemon = Daemon::BuildKit(fresh);
    let from = || Caches {
        from: vec![vec![missing.clone(), kept.clone()]],
        ..Caches::default()
    };
    let mut recipe = site.recipe(&wanted, &pins);
    recipe.caches = from();
    let (again, log) = site.build(&recipe).await;
    let again = again.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    // BuildKit says `CACHED` of some caches, and `DONE` of those that it fetches at once.
    assert!(!log.contains(" work\n"), "{log}");
    assert!(!log.contains("cache-from-0"), "caches have names: {log}");
    let digests = |built: &Built| -> Vec<Digest> {
        let layers = built.layers.iter();
        layers.map(|l| l.descriptor.digest.clone()).collect()
    };
    assert_eq!(digests(&again), digests(&first), "the same, to the byte");
    assert_eq!(own_files(&again)["made"], "work\n");

    let forced = Wanted {
        no_cache: true,
        ..wanted
    };
    let mut recipe = site.recipe(&forced, &pins);
    recipe.caches = from();
    let (_, log) = site.build(&recipe).await;
    assert!(
        log.contains(" work\n") && !log.contains("cache-from"),
        "{log}"
    );
}

#[tokio::test]
async fn needs_engine_docker26_layer_caches_are_refused_by_the_docker_engine() {
    let site = Site::start(Version::V26).await;
    let platform = Platform::linux_amd64();
    let mut recipe = site.recipe(&Wanted::of("FROM scratch\n", platform), &[]);
    recipe.caches.inline = true;
    let refusal = site.engine.check(&recipe).unwrap_err();
    assert!(refusal.message.contains("`cache-to`"), "{refusal}");
    assert!(refusal.hint.unwrap().contains("engine = \"buildkit\""));
}

/// A real agent, asked from inside by the real `ssh-add`, which the context brings along with its libraries.
#[tokio::test]
async fn needs_engine_docker26_needs_ssh_buildkitd_run_asks_the_ssh_agent_that_is_given() {
    let folder = TempDir::new().unwrap();
    let agent = ssh::Agent::start(folder.path());
    let site = Site::buildkitd().await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let pins = [("base", base.manifest.digest)];
    let dockerfile = "FROM base\nCOPY . /ssh\n\
        RUN --mount=type=ssh,required=true /ssh/loader --library-path /ssh /ssh/ssh-add -l\n";
    let recipe = |ids: &[&str]| {
        let mut recipe = site.recipe(&Wanted::of(dockerfile, platform.clone()), &pins);
        recipe.context.path = ssh::packed_ssh_add(folder.path());
        recipe.ssh = Some(SshAgent {
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            socket: agent.socket.clone(),
        });
        recipe
    };
    let (refused, log) = site.build(&recipe(&["other"])).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("ssh"), "{refused}\n{log}");
    let (built, log) = site.build(&recipe(&["default"])).await;
    built.unwrap_or_else(|e| panic!("{e:?}\n{log}"));
    assert!(log.contains(&agent.fingerprint), "{log}");
}

#[tokio::test]
async fn needs_engine_docker20_buildkit_that_pushes_no_images_is_refused() {
    refused(Version::V20, "20.10.").await;
}

#[tokio::test]
async fn needs_engine_docker26_buildkit_that_pushes_no_images_is_refused() {
    refused(Version::V26, "26.1.").await;
}

async fn refused(version: Version, number: &str) {
    let dockerd = Dockerd::start(version).unwrap();
    let endpoint = Endpoint::Docker(dockerd.host().parse().unwrap());
    let error = BuildKitEngine::connect(&endpoint).await.err().unwrap();
    assert!(matches!(error, EngineError::NoExport { .. }), "{error:?}");
    assert!(error.to_string().contains(number), "{error}");
    assert!(error.hint().unwrap().contains("engine = \"docker\""));
}

#[tokio::test]
async fn nobody_at_the_address_is_said_with_what_to_do() {
    let endpoint = Endpoint::Daemon("unix:///nonexistent/buildkitd.sock".parse().unwrap());
    let error = BuildKitEngine::connect(&endpoint).await.err().unwrap();
    assert!(
        matches!(error, EngineError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("BUILDKIT_HOST"));
}
