//! What is refused, and what an engine is found to be.

use refit_build::{
    buildkit::{BuildKitEngine, Endpoint},
    docker::{Address, Builder, DockerEngine, Way},
    engine::EngineError,
};
use refit_oci::Platform;
use refit_testkit::{
    engines::{Dockerd, Version},
    tls::Authority,
};
use tempfile::TempDir;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, UnixStream},
};

use super::support::{Site, Wanted, own_files};

#[tokio::test]
async fn needs_engine_docker20_what_is_not_refused_can_be_built() {
    let refused = [true, true, true, false, false, true, true];
    what_is_not_refused_can_be_built(Version::V20, refused).await;
}

#[tokio::test]
async fn needs_engine_docker26_what_is_not_refused_can_be_built() {
    let refused = [false, false, false, false, false, true, true];
    what_is_not_refused_can_be_built(Version::V26, refused).await;
}

/// The refusals are right in both directions: what is let through builds, and what is refused would fail, or would be
/// ignored (the last one).
async fn what_is_not_refused_can_be_built(version: Version, refused: [bool; 7]) {
    let site = Site::start(version).await;
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
        let (built, log) = site.build(&recipe).await;
        assert_eq!(
            matches!(built, Err(EngineError::Refused(_))),
            refused,
            "{body}"
        );
        assert!(refused || built.is_ok(), "{body}: {built:?}\n{log}");
    }
}

#[tokio::test]
async fn needs_engine_docker26_an_engine_says_what_it_is() {
    let dockerd = Dockerd::start(Version::V26).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let engine = DockerEngine::connect(&address).await.unwrap();
    assert!(matches!(engine.way().await, Ok(Way::Loopback)));
    let facts = engine.facts();
    assert_eq!(facts.release, (26, 1));
    assert!(facts.version.starts_with("26.1."), "{facts:?}");
    assert_eq!(facts.builder, Builder::BuildKit);
    let mut all = facts.emulated.clone().unwrap();
    all.push(facts.native.clone());
    for platform in [Platform::linux_amd64(), Platform::linux_arm64()] {
        assert!(all.contains(&platform), "{facts:?}");
    }
}

#[tokio::test]
async fn needs_engine_docker26_an_engine_on_tcp_builds_as_well() {
    let mut site = Site::start(Version::V26).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let socket = site.daemon.socket();
    let forwarding = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut engine = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    let connected = DockerEngine::connect(&address.parse().unwrap()).await;
    site.engine = Box::new(connected.unwrap());
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let wanted = Wanted {
        context: &[("a", "A")],
        ..Wanted::of("FROM base\nCOPY a /\n", platform)
    };
    let recipe = site.recipe(&wanted, &[("base", base.manifest.digest)]);
    let (built, log) = site.build(&recipe).await;
    assert_eq!(own_files(&built.unwrap())["a"], "A", "{log}");
    forwarding.abort();
}

#[tokio::test]
async fn needs_engine_docker26_an_engine_behind_tls_builds_for_those_it_knows() {
    let authority = Authority::new();
    let (dockerd, host) = Dockerd::start_with_tls(Version::V26, &authority).unwrap();
    let mut site = Site::with(dockerd).await;
    let folder = TempDir::new().unwrap();
    let own = authority.issue();
    let write = |name: &str, pem: &str| std::fs::write(folder.path().join(name), pem).unwrap();
    write("ca.pem", &authority.pem());
    write("cert.pem", &own.pem);
    write("key.pem", &own.key_pem);
    let address: Address = host.parse().unwrap();
    let address = address.with_certificates(folder.path().to_owned());
    site.engine = Box::new(DockerEngine::connect(&address).await.unwrap());
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

    // Another authority is trusted by nobody here, on neither side.
    write("ca.pem", &Authority::new().pem());
    let error = DockerEngine::connect(&address).await.err().unwrap();
    assert!(
        matches!(error, EngineError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_is_named() {
    let address: Address = "unix:///nonexistent/docker.sock".parse().unwrap();
    let error = DockerEngine::connect(&address).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        "no engine answers at `unix:///nonexistent/docker.sock`"
    );
}

/// Docker's API, and nothing at `/grpc`.
#[tokio::test]
async fn an_engine_without_buildkit_builds_with_what_it_has() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let read = client.read_buf(&mut asked).await;
                    if !matches!(read, Ok(1..)) {
                        return;
                    }
                }
                let asked = String::from_utf8_lossy(&asked);
                let path = asked.split(' ').nth(1).unwrap_or_default();
                let (status, body) = if path.ends_with("/version") {
                    let body = r#"{"Version":"4.3.1","ApiVersion":"1.41","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64"}"#;
                    ("200 OK", body)
                } else {
                    ("404 Not Found", r#"{"message":"Not Found"}"#)
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    let address: Address = address.parse().unwrap();
    let engine = DockerEngine::connect(&address).await.unwrap();
    assert_eq!(engine.facts().builder, Builder::Classic);
    assert_eq!(engine.facts().emulated, None, "nobody says");
    // Whoever wants BuildKit is told that there is none.
    let endpoint = Endpoint::Docker(address.clone());
    for error in [
        DockerEngine::connect_for(&address, Some(true)).await.err(),
        BuildKitEngine::connect(&endpoint).await.err(),
    ] {
        let error = error.unwrap();
        assert_eq!(
            error.to_string(),
            format!("the engine at `{address}` has no BuildKit")
        );
        assert!(error.hint().unwrap().contains("engine = \"docker\""));
    }
    serving.abort();
}

#[tokio::test]
async fn needs_engine_docker20_an_engine_in_another_network_is_told_apart() {
    an_engine_in_another_network_is_told_apart(Version::V20).await;
}

#[tokio::test]
async fn needs_engine_docker26_an_engine_in_another_network_is_told_apart() {
    an_engine_in_another_network_is_told_apart(Version::V26Containerd).await;
}

async fn an_engine_in_another_network_is_told_apart(version: Version) {
    let dockerd = Dockerd::start_apart(version).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let engine = DockerEngine::connect(&address).await.unwrap();
    let error = engine.way().await.map(drop).unwrap_err();
    assert!(matches!(error, EngineError::Elsewhere { .. }), "{error:?}");
    let site = Site::with(dockerd).await;
    let platform = Platform::linux_amd64();
    let base = site.base("base", &platform, &[]).await;
    let recipe = site.recipe(
        &Wanted::of("FROM base\n", platform),
        &[("base", base.manifest.digest)],
    );
    let (built, _) = site.build(&recipe).await;
    let error = built.unwrap_err();
    assert!(matches!(error, EngineError::Elsewhere { .. }), "{error:?}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("virtual machine"))
    );
}
