//! What people read of the engine's output: bases by the Dockerfile's names, not by the address they were fetched from.

use std::collections::BTreeMap;

use refit_dockerfile::FoundSource;
use refit_oci::{Digest, Reference};

use crate::engine::Recipe;

/// Addresses in refit's registry on loopback, each with the name that stands for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    /// The names of pinned bases, by their index among what the Dockerfile refers to.
    pub(crate) fn of(recipe: &Recipe, bases: &BTreeMap<usize, Reference>) -> Self {
        let named = bases.iter().filter_map(|(index, address)| {
            let found = recipe.resolved.found.get(*index)?;
            let name = match &found.source {
                FoundSource::Reference(reference) => reference.familiar(),
                FoundSource::InRepo(name) => name.clone(),
            };
            let name = name.split('@').next().unwrap_or_default();
            let digest = address.digest().map_or("", Digest::short);
            Some((address.to_string(), format!("{name}@{digest}")))
        });
        Self(named.collect())
    }

    /// These and others.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Names that are known.
    pub(crate) fn known(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The text with names instead of addresses.
    pub(crate) fn put(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (address, name)| {
                text.replace(address, name)
            })
    }
}

/// A JSON document with bases by the names of the Dockerfile: what they were called on loopback is nobody's business.
pub(crate) fn renamed(
    recipe: &Recipe,
    bases: &BTreeMap<usize, Reference>,
    document: &[u8],
) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(document).into_owned();
    for (index, address) in bases {
        let found = recipe.resolved.found.get(*index);
        if let (Some(found), Some(digest)) = (found, address.digest()) {
            let name = found.source.to_string();
            let name = name.split('@').next().unwrap_or_default();
            text = text.replace(&address.to_string(), &format!("{name}@{digest}"));
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_gets_its_name() {
        let name = |address: &str, name: &str| (address.to_owned(), name.to_owned());
        let names = Names(vec![
            name("127.0.0.1:1/x/base-0@sha256:aa", "debian:12@aa"),
            name("127.0.0.1:1/x/base-1@sha256:bb", "web:latest@bb"),
        ]);
        assert_eq!(
            names.put("[1/2] FROM 127.0.0.1:1/x/base-1@sha256:bb"),
            "[1/2] FROM web:latest@bb"
        );
        assert_eq!(names.put("RUN make"), "RUN make");
    }
}
