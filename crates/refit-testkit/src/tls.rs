//! Authorities and certificates that nobody trusts but who is told to.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// The names under which tests reach a server of their own.
const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

/// A private certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, for a server.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate as PEM.
    pub pem: String,
    /// Its key, PKCS #8 as PEM.
    pub key_pem: String,
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    /// A new one, with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, key());
        Self {
            issuer: issuer.expect("the parameters fit together"),
        }
    }

    /// What is trusted, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for this machine.
    pub fn issue(&self) -> Certificate {
        self.issue_for(&HERE)
    }

    /// What a server on this machine needs that takes only those with a certificate of this authority.
    pub(crate) fn server_for_its_own(&self) -> Arc<ServerConfig> {
        let own = self.issue();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let added = roots.add(self.issuer.der().clone());
        added.expect("it is an authority's certificate");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().expect("there is an authority");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.der], key);
        let mut config = config.expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// A certificate for these names and addresses.
    pub fn issue_for(&self, names: &[&str]) -> Certificate {
        let key = key();
        let signed = params(names).signed_by(&key, &self.issuer);
        Certificate::new(&signed.expect("the parameters fit together"), &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// For this machine, signed by itself, as `openssl req -x509` makes it: an authority that is the server as well.
    pub fn self_signed() -> Self {
        let key = key();
        let mut params = params(&HERE);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = params.self_signed(&key);
        Self::new(&signed.expect("the parameters fit together"), &key)
    }

    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// What a server that speaks HTTP/2 and HTTP/1.1 needs.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key);
        let mut config = config.expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the system gives random bytes")
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names and addresses");
    params
        .distinguished_name
        .push(DnType::CommonName, "server of a test");
    params
}
