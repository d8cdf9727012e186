//! Whom a host with certificates of its own is trusted as: the system's authorities, and what its settings name.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

/// TLS that trusts the certificates in a PEM file as well, by HTTP/2 where the host speaks it.
pub(super) fn with(ca: &Path) -> Result<ClientConfig, String> {
    let named = named(ca)?;
    let about = |error: Error| format!("`{}`: {error}", ca.display());
    let provider = Arc::new(ring::default_provider());
    let authorities = Verifier::new_with_extra_roots(named.clone(), Arc::clone(&provider));
    let authorities = authorities.map_err(about)?;
    let verifier = Arc::new(Named { authorities, named });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(about)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn named(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let about = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let pem = std::fs::read(path).map_err(|e| about(&e))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|e| about(&e))?;
    if found.is_empty() {
        return Err(about(&"no certificate in it"));
    }
    Ok(found)
}

/// The system's authorities and those that were named, and beside them a server whose own certificate was named.
#[derive(Debug)]
struct Named {
    authorities: Verifier,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authorities = &self.authorities;
        match authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            // `openssl req -x509`, which Docker's documentation recommends for a registry of one's own, makes a
            // certificate that is its own authority. Docker takes it, and the library does not take an authority as a
            // server. That it has expired would have been said first.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.named.iter().any(|named| named == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
