//! Hashes and encodings.

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{super::value::text, arg};

/// What Go's `url.QueryEscape` leaves alone.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// As lenient about the last bits as Go's decoder.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let a = || text(arg(args, 0)?);
    let one = |change: &dyn Fn(String) -> String| a().map(|a| Value::String(change(a)));
    Some(match name {
        "md5" => one(&|a| hex::encode(Md5::digest(a))),
        "sha1" => one(&|a| hex::encode(Sha1::digest(a))),
        "sha256" => one(&|a| hex::encode(Sha256::digest(a))),
        "sha512" => one(&|a| hex::encode(Sha512::digest(a))),
        "base64encode" => one(&|a| BASE64_STANDARD.encode(a)),
        "base64decode" => a().and_then(|a| decoded(&a)),
        "urlencode" => one(&|a| {
            let escaped = utf8_percent_encode(&a, QUERY).to_string();
            escaped.replace("%20", "+")
        }),
        "uuidv5" => a().and_then(|namespace| uuid(&namespace, &text(arg(args, 1)?)?)),
        _ => return None,
    })
}

fn decoded(encoded: &str) -> Result<Value, String> {
    // Go's decoder passes over line ends.
    let plain = encoded.replace(['\r', '\n'], "");
    let bytes = LENIENT
        .decode(plain)
        .map_err(|_| format!("`{encoded}` is no base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("`{encoded}` holds no text"))?;
    Ok(Value::String(text))
}

/// A version 5 UUID, of RFC 9562.
fn uuid(namespace: &str, name: &str) -> Result<Value, String> {
    let namespace = match namespace {
        "dns" => "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "url" => "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
        "oid" => "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
        "x500" => "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
        other => other,
    };
    let unknown = || format!("`{namespace}` is no UUID");
    let plain = match namespace.get(..9) {
        Some(scheme) if scheme.eq_ignore_ascii_case("urn:uuid:") => &namespace[9..],
        _ => namespace,
    };
    let plain = plain.trim_matches(['{', '}']).replace('-', "");
    let bytes = hex::decode(plain).map_err(|_| unknown())?;
    if bytes.len() != 16 {
        return Err(unknown());
    }
    let hash = Sha1::new()
        .chain_update(bytes)
        .chain_update(name)
        .finalize();
    let mut hash: Vec<u8> = hash[..16].to_vec();
    hash[6] = (hash[6] & 0x0f) | 0x50;
    hash[8] = (hash[8] & 0x3f) | 0x80;
    let digits = hex::encode(hash);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| &digits[from..to]);
    Ok(Value::String(parts.join("-")))
}
