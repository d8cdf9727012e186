//! Registries behind TLS: whom to trust, and HTTP/2.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use refit_oci::{Reference, Repository};
use refit_registry::{CredentialSources, HostSettings, Registries, RegistryError, Settings};
use refit_testkit::{
    registry::{Access, Fault, Login, Options, TestRegistry, TokenService},
    tls::{Authority, Certificate},
};
use tempfile::TempDir;

use crate::{image, push, quick, write};

/// A registry behind TLS with one image, and files beside the user's configuration.
struct Secured {
    server: TestRegistry,
    files: TempDir,
}

impl Secured {
    fn start(certificate: Certificate, access: Access) -> Self {
        let server = TestRegistry::start(Options {
            access,
            tls: Some(certificate),
            ..Options::default()
        });
        server.put_image("web", "1", &image());
        let files = tempfile::tempdir().unwrap();
        let login = login().docker_config(&server.host());
        write(&files.path().join("config.json"), login.as_bytes());
        Self { server, files }
    }

    /// Signed by an authority, whose certificate is in the file that is returned as a setting.
    fn by_authority(access: Access) -> (Self, HostSettings) {
        let authority = Authority::new();
        let secured = Self::start(authority.issue(), access);
        let settings = secured.trusting(&authority.pem());
        (secured, settings)
    }

    fn trusting(&self, pem: &str) -> HostSettings {
        let ca = self.files.path().join("ca.pem");
        write(&ca, pem.as_bytes());
        HostSettings {
            ca: Some(ca),
            ..HostSettings::default()
        }
    }

    fn registries(&self, settings: HostSettings) -> Registries {
        Registries::new(Settings {
            hosts: BTreeMap::from([(self.server.host(), settings)]),
            credentials: CredentialSources {
                files: vec![self.files.path().join("config.json")],
                ..CredentialSources::default()
            },
            ..quick()
        })
    }

    fn web(&self) -> Repository {
        format!("{}/web", self.server.host()).parse().unwrap()
    }

    fn tag(&self) -> Reference {
        self.web().tagged("1").unwrap()
    }

    /// What a HEAD comes to.
    async fn head(&self, settings: HostSettings) -> Result<(), RegistryError> {
        let registries = self.registries(settings);
        let client = registries.registry(&self.server.host());
        let head = client.head(&self.tag()).await?;
        assert_eq!(head.digest(), Some(image().digest()));
        Ok(())
    }
}

fn login() -> Login {
    Login::new("ada", "s3cret")
}

fn https() -> HostSettings {
    HostSettings {
        plain_http: Some(false),
        ..HostSettings::default()
    }
}

fn insecure() -> HostSettings {
    HostSettings {
        insecure: true,
        ..HostSettings::default()
    }
}

#[tokio::test]
async fn an_authority_is_trusted_that_the_settings_name_and_no_other() {
    let (secured, trusting) = Secured::by_authority(Access::Open);
    secured.head(trusting).await.unwrap();

    let host = secured.server.host();
    let others = secured.trusting(&Authority::new().pem());
    // The other one has the same name: an authority that was made anew.
    for (settings, why) in [(https(), "UnknownIssuer"), (others, "BadSignature")] {
        let error = secured.head(settings).await.unwrap_err();
        let expected =
            format!("no trusted TLS connection to `{host}`: invalid peer certificate: {why}");
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_offline());
        let hint = format!(
            "set `ca = \"FILE\"` with the authority's certificate under `[registries.\"{host}\"]` in the user's \
             configuration"
        );
        assert_eq!(error.hint(), Some(hint));
    }
    // Those two never got as far as a request.
    assert_eq!(secured.server.count("*", ""), 1);
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_trusted_where_it_is_the_one_that_is_named() {
    let certificate = Certificate::self_signed();
    let secured = Secured::start(certificate.clone(), Access::Open);
    secured
        .head(secured.trusting(&certificate.pem))
        .await
        .unwrap();
    let another = secured.trusting(&Certificate::self_signed().pem);
    for settings in [https(), another] {
        let error = secured.head(settings).await.unwrap_err();
        assert!(matches!(error, RegistryError::Tls { .. }), "{error}");
    }
    assert_eq!(secured.server.count("*", ""), 1);
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_whoever_signed_it() {
    let authority = Authority::new();
    let elsewhere = authority.issue_for(&["registry.example.com"]);
    let secured = Secured::start(elsewhere, Access::Open);
    let trusting = secured.trusting(&authority.pem());
    let error = secured.head(trusting).await.unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("`insecure = true`"), "{hint}");
}

#[tokio::test]
async fn insecure_takes_any_certificate_and_still_speaks_tls() {
    let authority = Authority::new();
    for certificate in [
        authority.issue(),
        authority.issue_for(&["registry.example.com"]),
        Certificate::self_signed(),
    ] {
        // The password goes there as well: that is what the word means.
        let secured = Secured::start(certificate, Access::Basic(login()));
        secured.head(insecure()).await.unwrap();
        assert_eq!(secured.server.count("HEAD", ""), 2);
    }
}

#[tokio::test]
async fn insecure_means_no_plain_http() {
    let plain = TestRegistry::start(Options::default());
    let registries = Registries::new(Settings {
        hosts: BTreeMap::from([(plain.host(), insecure())]),
        ..quick()
    });
    let reference: Reference = format!("{}/web:1", plain.host()).parse().unwrap();
    let client = registries.registry(&plain.host());
    let error = client.head(&reference).await.unwrap_err();
    assert!(matches!(error, RegistryError::Tls { .. }), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("`plain-http = true`"), "{hint}");
}

#[tokio::test]
async fn everything_goes_over_one_connection_by_http_2() {
    let access = Access::Token(TokenService::private(login()));
    let (secured, trusting) = Secured::by_authority(access);
    let registries = secured.registries(trusting);
    let client = registries.registry(&secured.server.host());
    let tag = secured.tag();
    let heads = join_all((0..100).map(|_| client.head(&tag))).await;
    assert!(heads.iter().all(Result::is_ok));
    let web = secured.web();
    client.document(&web, image().digest()).await.unwrap();
    let layer = &image().manifest.value.layers[0];
    let file = client.blob(&web, layer).await.unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), image().layers[0]);
    let api: Repository = format!("{}/api", secured.server.host()).parse().unwrap();
    push(&*client, &api, &image(), Some("1")).await;
    assert!(secured.server.tag("api", "1").is_some());

    let requests = secured.server.requests();
    assert!(requests.len() > 100);
    assert!(requests.iter().all(|r| r.version == "HTTP/2.0"));
    // The token service is the same host.
    assert_eq!(secured.server.connections(), 1);
}

#[tokio::test]
async fn a_token_service_without_tls_gets_no_password_of_a_registry_with_it() {
    let eavesdropper = TestRegistry::start(Options::default());
    let access = Access::Token(TokenService {
        realm: Some(format!("http://{}/token", eavesdropper.host())),
        ..TokenService::private(login())
    });
    let (secured, trusting) = Secured::by_authority(access);
    let error = secured.head(trusting).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("is not on HTTPS"), "{text}");
    assert_eq!(eavesdropper.connections(), 0);
}

#[tokio::test]
async fn a_redirect_out_of_tls_is_not_followed() {
    let storage = TestRegistry::start(Options::default());
    storage.put_image("web", "1", &image());
    let (secured, trusting) = Secured::by_authority(Access::Open);
    let layer = &image().manifest.value.layers[0];
    let url = format!("http://{}/v2/web/blobs/{}", storage.host(), layer.digest);
    let server = &secured.server;
    server.fail("GET", "/blobs/", 1, Fault::Redirect(url));
    let registries = secured.registries(trusting);
    let client = registries.registry(&server.host());
    let error = client.blob(&secured.web(), layer).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("from HTTPS to HTTP"), "{text}");
    assert_eq!(storage.connections(), 0);
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_named() {
    let (secured, trusting) = Secured::by_authority(Access::Open);
    let path = trusting.ca.clone().unwrap();
    for (content, expect) in [
        (Some("no certificate"), "no certificate in it"),
        (None, "No such file"),
    ] {
        match content {
            Some(content) => write(&path, content.as_bytes()),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = secured.head(trusting.clone()).await.unwrap_err();
        let text = error.to_string();
        let named = text.contains(&*path.to_string_lossy()) && text.contains(expect);
        assert!(named, "{text}");
    }
}
