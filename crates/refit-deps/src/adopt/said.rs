//! What an image says of itself: OCI's annotations, or labels of the same names.

use std::collections::BTreeMap;

use refit_oci::{Digest, Reference, Repository, annotations};

/// Annotations and labels, the nearest to the manifest first.
type Said<'a> = [&'a BTreeMap<String, String>];

/// The digest that an image gives for its base, an index or a manifest, if its base is in `repository`.
///
/// Without a name it may be what the base's own label said of the base's base; then the digest decides, which
/// `repository` has or has not.
pub(crate) fn digest_of_base(said: &Said<'_>, repository: &Repository) -> Option<Digest> {
    said.iter().find_map(|values| {
        let digest = values.get(annotations::BASE_DIGEST)?.parse().ok()?;
        let name = values.get(annotations::BASE_NAME);
        let is_it = match name.map(|name| name.parse::<Reference>()) {
            None => true,
            Some(Ok(name)) => name.repository() == repository,
            Some(Err(_)) => false,
        };
        is_it.then_some(digest)
    })
}

/// The revision that annotations or labels give.
pub(crate) fn revision(values: &BTreeMap<String, String>) -> Option<&str> {
    let revision = values.get(annotations::REVISION).map(String::as_str);
    revision.filter(|revision| !revision.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    }

    #[test]
    fn an_inherited_label_is_not_taken_for_the_images_own() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let (name, base) = (annotations::BASE_NAME, annotations::BASE_DIGEST);
        for (pairs, expect) in [
            (
                vec![(name, "debian:12-slim"), (base, digest.as_str())],
                true,
            ),
            (
                vec![(name, "docker.io/library/debian"), (base, &digest)],
                true,
            ),
            (vec![(base, digest.as_str())], true),
            (vec![(name, "alpine:3"), (base, &digest)], false),
            (vec![(name, "no name"), (base, &digest)], false),
            (vec![(name, "debian:12-slim"), (base, "latest")], false),
            (vec![(name, "debian:12-slim")], false),
        ] {
            let values = map(&pairs);
            let found = digest_of_base(&[&values], &"debian".parse().unwrap());
            assert_eq!(found.is_some(), expect, "{pairs:?}");
        }
    }

    #[test]
    fn the_nearest_word_counts() {
        let (own, inherited) = (
            map(&[(
                annotations::BASE_DIGEST,
                &format!("sha256:{}", "a".repeat(64)),
            )]),
            map(&[(
                annotations::BASE_DIGEST,
                &format!("sha256:{}", "b".repeat(64)),
            )]),
        );
        let found = digest_of_base(&[&own, &inherited], &"debian".parse().unwrap());
        assert_eq!(found.unwrap().short(), "aaaaaaaaaaaa");
    }
}
