//! Passwords and tokens.

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use refit_oci::{Descriptor, Document, Repository, media_type};
use refit_registry::{
    BlobSource, CredentialSources, Registries, Registry, RegistryError, Settings, Uploaded,
};
use refit_testkit::registry::{Access, Fault, Gate, Login, Options, TestRegistry, TokenService};
use tempfile::TempDir;

use crate::{image, push, quick};

/// A registry that wants to know who asks, and a Docker configuration that knows.
struct Guarded {
    server: TestRegistry,
    config: TempDir,
}

impl Guarded {
    fn start(access: Access) -> Self {
        let server = TestRegistry::start(Options {
            access,
            ..Options::default()
        });
        let config = tempfile::tempdir().unwrap();
        let text = login().docker_config(&server.host());
        crate::write(&config.path().join("config.json"), text.as_bytes());
        Self { server, config }
    }

    fn tokens() -> Self {
        Self::start(Access::Token(TokenService::private(login())))
    }

    fn client_with(&self, config: Option<&Path>) -> Arc<dyn Registry> {
        let registries = Registries::new(Settings {
            credentials: CredentialSources {
                files: config
                    .map(|dir| dir.join("config.json"))
                    .into_iter()
                    .collect(),
                ..CredentialSources::default()
            },
            ..quick()
        });
        registries.registry(&self.server.host())
    }

    fn client(&self) -> Arc<dyn Registry> {
        self.client_with(Some(self.config.path()))
    }

    fn repository(&self, path: &str) -> Repository {
        format!("{}/{path}", self.server.host()).parse().unwrap()
    }

    fn scopes_asked(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        let tokens = requests.filter(|request| request.path == "/token");
        let query = tokens.flat_map(|request| request.query);
        let scopes = query.filter(|(key, _)| key == "scope");
        scopes.map(|(_, value)| value).collect()
    }
}

fn login() -> Login {
    Login::new("ada", "s3cret:with colon")
}

#[tokio::test]
async fn one_token_serves_all_requests_of_its_scope() {
    let guarded = Guarded::tokens();
    let client = guarded.client();
    let names = ["api", "base", "web", "worker"];
    let references = names.map(|name| {
        guarded.server.put_image(name, "1", &image());
        guarded.repository(name).tagged("1").unwrap()
    });
    let hundred = references.iter().cycle().take(100);
    let heads = join_all(hundred.map(|reference| client.head(reference))).await;
    assert!(
        heads
            .iter()
            .all(|head| matches!(head, Ok(h) if h.digest().is_some()))
    );

    let mut asked = guarded.scopes_asked();
    asked.sort();
    assert_eq!(asked, names.map(|name| format!("repository:{name}:pull")));
    // One request learned how to authenticate; nobody else was turned away.
    let turned_away = guarded.server.requests().into_iter();
    let turned_away = turned_away.filter(|request| request.status == Some(401));
    assert_eq!(turned_away.count(), 1);
}

#[tokio::test]
async fn a_push_asks_for_the_right_to_push_and_a_mount_for_both_repositories() {
    let guarded = Guarded::tokens();
    guarded.server.put_image("base", "1", &image());
    let client = guarded.client();
    push(&*client, &guarded.repository("web"), &image(), Some("1")).await;
    let digest = image().manifest.value.layers[0].digest.clone();
    let (to, from) = (guarded.repository("api"), guarded.repository("base"));
    assert!(client.mount_blob(&to, &from, &digest).await.unwrap());
    assert_eq!(
        guarded.scopes_asked(),
        [
            "repository:web:pull,push",
            "repository:api:pull,push",
            "repository:base:pull"
        ]
    );
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let guarded = Guarded::tokens();
    let digest = guarded.server.put_image("web", "1", &image());
    let (client, repository) = (guarded.client(), guarded.repository("web"));
    client.document(&repository, &digest).await.unwrap();
    guarded.server.revoke_tokens();
    let again = client.document(&repository, &digest).await.unwrap();
    assert!(matches!(again, Document::Manifest(_)));
    assert_eq!(guarded.server.count("GET", "/token"), 2);
}

#[tokio::test]
async fn a_token_that_expires_during_a_push_is_replaced() {
    let guarded = Guarded::tokens();
    let (client, repository) = (guarded.client(), guarded.repository("web"));
    let gate = Gate::default();
    let held = Fault::Held(gate.clone());
    guarded.server.fail("POST", "/blobs/uploads/", 1, held);
    let descriptor = Descriptor::of(media_type::OCI_LAYER, b"layer");
    let source = BlobSource::from(b"layer".to_vec());
    let pushing = tokio::spawn({
        let (client, repository, descriptor) =
            (Arc::clone(&client), repository.clone(), descriptor.clone());
        async move { client.push_blob(&repository, &descriptor, source).await }
    });
    let waiting = gate.clone();
    let arrived = tokio::task::spawn_blocking(move || waiting.wait()).await;
    assert!(arrived.unwrap());
    guarded.server.revoke_tokens();
    gate.open();
    assert_eq!(pushing.await.unwrap().unwrap(), Uploaded::Uploaded);
    assert_eq!(
        guarded.server.blob("web", &descriptor.digest),
        Some(b"layer".to_vec())
    );
    assert_eq!(guarded.server.count("GET", "/token"), 2);
}

#[tokio::test]
async fn everybody_may_read_a_public_repository_without_a_login() {
    let guarded = Guarded::start(Access::Token(TokenService {
        public: true,
        ..TokenService::private(login())
    }));
    guarded.server.put_image("web", "1", &image());
    let client = guarded.client_with(None);
    let reference = guarded.repository("web").tagged("1").unwrap();
    assert!(client.head(&reference).await.unwrap().digest().is_some());

    let document = Document::Manifest(image().manifest);
    let web = guarded.repository("web");
    let refused = client.push_document(&web, &document, None);
    let error = refused.await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    let hint = format!("run `docker login {}`", guarded.server.host());
    assert_eq!(error.hint(), Some(hint));
}

#[tokio::test]
async fn an_identity_token_is_exchanged_for_access() {
    let guarded = Guarded::start(Access::Token(TokenService {
        identity_token: Some("refresh+me/please=".to_owned()),
        ..TokenService::private(login())
    }));
    guarded.server.put_image("web", "1", &image());
    let config = format!(
        r#"{{"auths":{{"{}":{{"identitytoken":"refresh+me/please="}}}}}}"#,
        guarded.server.host()
    );
    crate::write(
        &guarded.config.path().join("config.json"),
        config.as_bytes(),
    );
    let reference = guarded.repository("web").tagged("1").unwrap();
    let head = guarded.client().head(&reference).await.unwrap();
    assert!(head.digest().is_some());
    assert_eq!(guarded.server.count("POST", "/token"), 1);
}

#[tokio::test]
async fn a_wrong_password_is_named_as_such_and_not_repeated() {
    let basic = Access::Basic(login());
    let tokens = Access::Token(TokenService::private(login()));
    for access in [basic, tokens] {
        let guarded = Guarded::start(access);
        let wrong = Login::new("ada", "wrong").docker_config(&guarded.server.host());
        crate::write(&guarded.config.path().join("config.json"), wrong.as_bytes());
        let reference = guarded.repository("web").tagged("1").unwrap();
        let error = guarded.client().head(&reference).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::Unauthorized { .. }),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
        assert_eq!(guarded.server.count("*", ""), 2);
    }
}

#[tokio::test]
async fn a_password_is_sent_where_basic_is_wanted() {
    let guarded = Guarded::start(Access::Basic(login()));
    push(
        &*guarded.client(),
        &guarded.repository("web"),
        &image(),
        Some("1"),
    )
    .await;
    assert!(guarded.server.tag("web", "1").is_some());
}

#[tokio::test]
async fn a_credential_of_another_host_is_never_sent() {
    let guarded = Guarded::start(Access::Basic(login()));
    let elsewhere = login().docker_config("registry.example.com");
    crate::write(
        &guarded.config.path().join("config.json"),
        elsewhere.as_bytes(),
    );
    let reference = guarded.repository("web").tagged("1").unwrap();
    let error = guarded.client().head(&reference).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    let mut requests = guarded.server.requests().into_iter();
    assert!(requests.all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn an_open_registry_is_never_told_who_we_are() {
    let guarded = Guarded::start(Access::Open);
    push(
        &*guarded.client(),
        &guarded.repository("web"),
        &image(),
        Some("1"),
    )
    .await;
    let mut requests = guarded.server.requests().into_iter();
    assert!(requests.all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_take_the_password_along() {
    let guarded = Guarded::start(Access::Basic(login()));
    let storage = TestRegistry::start(Options::default());
    let image = image();
    guarded.server.put_image("web", "1", &image);
    storage.put_image("web", "1", &image);
    let (client, web) = (guarded.client(), guarded.repository("web"));
    // The scheme is known by now: the next request has the password.
    assert!(client.head(&web.tagged("1").unwrap()).await.is_ok());

    let layer = &image.manifest.value.layers[0];
    let url = format!("http://{}/v2/web/blobs/{}", storage.host(), layer.digest);
    guarded
        .server
        .fail("GET", "/blobs/", 1, Fault::Redirect(url));
    let file = client.blob(&web, layer).await.unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), image.layers[0]);
    let seen = storage.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn an_upload_to_another_host_does_not_take_the_token_along() {
    let guarded = Guarded::tokens();
    let storage = TestRegistry::start(Options::default());
    let url = format!("http://{}/v2/web/blobs/uploads/there", storage.host());
    guarded
        .server
        .fail("POST", "/blobs/uploads/", 2, Fault::Location(url));
    let layer = image().layers[0].clone();
    let descriptor = image().manifest.value.layers[0].clone();
    let (client, web) = (guarded.client(), guarded.repository("web"));
    let pushed = client.push_blob(&web, &descriptor, layer.into()).await;
    // The other host knows of no such upload.
    assert!(matches!(
        pushed,
        Err(RegistryError::Refused { status: 404, .. })
    ));
    let seen = storage.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}
