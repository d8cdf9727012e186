//! Build args without a value that decide about a base: only a person knows what they are.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{image::Image, inventory::Inventory};
use refit_dockerfile::Dockerfile;

/// Build args that decide about a base and have no default.
pub(super) fn unset(inventory: &Inventory) -> BTreeMap<String, Vec<String>> {
    let unset = inventory.images.iter().map(|image| {
        let args = image
            .file
            .as_deref()
            .map(|file| unset_args(file, image))
            .unwrap_or_default();
        (
            image.name.clone(),
            args.into_iter().map(str::to_owned).collect(),
        )
    });
    unset
        .filter(|(_, args): &(String, Vec<String>)| !args.is_empty())
        .collect()
}

fn unset_args<'f>(file: &'f Dockerfile, image: &Image) -> Vec<&'f str> {
    let bases = file
        .stages
        .iter()
        .map(|stage| stage.from.image.value.as_str());
    let texts: Vec<&str> = bases
        .chain(
            file.global_args
                .iter()
                .filter_map(|arg| arg.value.as_deref()),
        )
        .collect();
    let is_used = |name: &str| texts.iter().any(|text| mentions(text, name));
    let needed = file.global_args.iter().filter(|arg| arg.value.is_none());
    let needed = needed
        .map(|arg| arg.name.as_str())
        .filter(|name| !image.build_args.contains_key(*name));
    let needed: BTreeSet<&str> = needed.filter(|name| is_used(name)).collect();
    needed.into_iter().collect()
}

/// Whether `$name` or `${name` without a default is in the text.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('$').skip(1).any(|rest| {
        let (rest, braced) = rest
            .strip_prefix('{')
            .map_or((rest, false), |rest| (rest, true));
        match rest.strip_prefix(name) {
            Some(after) if braced => after.starts_with('}'),
            Some(after) => !after.starts_with(is_word),
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_without_a_default_are_found() {
        for (text, expect) in [
            ("$V", true),
            ("a:${V}", true),
            ("a:${V}-x", true),
            ("$VERSION", false),
            ("${V:-12}", false),
            ("${W}$V.1", true),
            ("V", false),
        ] {
            assert_eq!(mentions(text, "V"), expect, "{text}");
        }
    }
}
