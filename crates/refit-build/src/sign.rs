//! Signatures over statements: DSSE envelopes, with a key on disk, as cosign's `verify-attestation --key` reads them.
//!
//! Sources: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>, and cosign's `ATTESTATION_SPEC.md`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
    },
};
use serde_json::{Value, json};

/// What a P-256 key begins with in its `SubjectPublicKeyInfo`: the algorithm, and that a point follows.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a key or an envelope is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Encrypted, of another kind, or no key at all.
    #[error("this is no unencrypted P-256 key in PKCS#8 (`-----BEGIN PRIVATE KEY-----`)")]
    NoPrivateKey,
    /// Of another kind, or no key at all.
    #[error("this is no P-256 public key (`-----BEGIN PUBLIC KEY-----`)")]
    NoPublicKey,
    /// The system has no randomness.
    #[error("it cannot be signed")]
    Unsigned,
    /// Not an envelope at all.
    #[error("it is no DSSE envelope")]
    NoEnvelope,
    /// None of its signatures is the key's over what it holds.
    #[error("none of its signatures is of this key")]
    OtherKey,
}

/// A private key.
pub struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// Reads a key as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        let random = SystemRandom::new();
        let der = pem_of(pem, "PRIVATE KEY").ok_or(SignError::NoPrivateKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random);
        Ok(Self {
            pair: pair.map_err(|_| SignError::NoPrivateKey)?,
            random,
        })
    }

    /// The envelope of a payload.
    pub fn envelope(&self, payload_type: &str, payload: &[u8]) -> Result<Vec<u8>, SignError> {
        let message = pre_authentication(payload_type, payload);
        let signature = self.pair.sign(&self.random, &message);
        let signature = signature.map_err(|_| SignError::Unsigned)?;
        let envelope = json!({
            "payloadType": payload_type,
            "payload": BASE64_STANDARD.encode(payload),
            "signatures": [{ "keyid": "", "sig": BASE64_STANDARD.encode(signature) }],
        });
        Ok(envelope.to_string().into_bytes())
    }
}

/// A public key.
pub struct PublicKey {
    point: Vec<u8>,
}

impl PublicKey {
    /// Reads a key as `openssl pkey -pubout` writes it.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        let der = pem_of(pem, "PUBLIC KEY").ok_or(SignError::NoPublicKey)?;
        let point = der.strip_prefix(&SPKI).filter(|point| point.len() == 65);
        let point = point.ok_or(SignError::NoPublicKey)?.to_vec();
        Ok(Self { point })
    }

    /// What an envelope of this type holds, if one of its signatures is of this key.
    pub fn opened(&self, payload_type: &str, envelope: &[u8]) -> Result<Vec<u8>, SignError> {
        let envelope: Value =
            serde_json::from_slice(envelope).map_err(|_| SignError::NoEnvelope)?;
        let bytes = |value: &Value| BASE64_STANDARD.decode(value.as_str()?).ok();
        let payload = bytes(&envelope["payload"]).ok_or(SignError::NoEnvelope)?;
        if envelope["payloadType"] != payload_type {
            return Err(SignError::NoEnvelope);
        }
        let message = pre_authentication(payload_type, &payload);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        let signatures = envelope["signatures"].as_array().into_iter().flatten();
        let mut signatures = signatures.filter_map(|signature| bytes(&signature["sig"]));
        if signatures.any(|signature| key.verify(&message, &signature).is_ok()) {
            Ok(payload)
        } else {
            Err(SignError::OtherKey)
        }
    }
}

/// DSSE's PAE: what is signed.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

/// The bytes between `-----BEGIN label-----` and its end.
fn pem_of(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, behind) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = behind.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    const TYPE: &str = "application/vnd.in-toto+json";

    fn openssl(folder: &Path, args: &[&str]) -> String {
        let output = Command::new("openssl")
            .current_dir(folder)
            .args(args)
            .output();
        let output = output.expect("openssl is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(folder: &Path) -> (Signer, PublicKey) {
        let curve = "ec_paramgen_curve:P-256";
        openssl(
            folder,
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                curve,
                "-out",
                "key",
            ],
        );
        openssl(folder, &["pkey", "-in", "key", "-pubout", "-out", "public"]);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let signer = Signer::from_pem(&read("key")).unwrap();
        (signer, PublicKey::from_pem(&read("public")).unwrap())
    }

    #[test]
    fn openssl_verifies_what_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let (signer, key) = keys(folder.path());
        let envelope = signer.envelope(TYPE, b"{\"a\":1}").unwrap();
        assert_eq!(key.opened(TYPE, &envelope).unwrap(), b"{\"a\":1}");

        let read: Value = serde_json::from_slice(&envelope).unwrap();
        let signature = read["signatures"][0]["sig"].as_str().unwrap();
        let signature = BASE64_STANDARD.decode(signature).unwrap();
        fs::write(folder.path().join("signature"), signature).unwrap();
        // The example of DSSE's protocol, in its words.
        fs::write(
            folder.path().join("message"),
            "DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":1}",
        )
        .unwrap();
        let said = openssl(
            folder.path(),
            &[
                "dgst",
                "-sha256",
                "-verify",
                "public",
                "-signature",
                "signature",
                "message",
            ],
        );
        assert_eq!(said.trim(), "Verified OK");
    }

    #[test]
    fn what_was_changed_or_signed_by_another_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (signer, key) = keys(folder.path());
        let envelope = signer.envelope(TYPE, b"yes").unwrap();
        let text = String::from_utf8(envelope.clone()).unwrap();
        let forged = text.replace(
            &BASE64_STANDARD.encode("yes"),
            &BASE64_STANDARD.encode("no!"),
        );
        assert_eq!(
            key.opened(TYPE, forged.as_bytes()),
            Err(SignError::OtherKey)
        );
        let (_, other) = keys(folder.path());
        assert_eq!(other.opened(TYPE, &envelope), Err(SignError::OtherKey));
        assert_eq!(
            key.opened("text/plain", &envelope),
            Err(SignError::NoEnvelope)
        );
        for no_envelope in ["", "{}", "[]", r#"{"payload":"%"}"#] {
            let opened = key.opened(TYPE, no_envelope.as_bytes());
            assert_eq!(opened, Err(SignError::NoEnvelope), "{no_envelope}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let curve = "ec_paramgen_curve:P-384";
        openssl(
            folder.path(),
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                curve,
                "-out",
                "key",
            ],
        );
        let private = fs::read_to_string(folder.path().join("key")).unwrap();
        let public = openssl(folder.path(), &["pkey", "-in", "key", "-pubout"]);
        for (key, other) in [
            (private.as_str(), public.as_str()),
            ("", ""),
            (&public, &private),
        ] {
            assert_eq!(Signer::from_pem(key).err(), Some(SignError::NoPrivateKey));
            assert_eq!(
                PublicKey::from_pem(other).err(),
                Some(SignError::NoPublicKey)
            );
        }
    }
}
