//! `/lib/apk/db/installed`: paragraphs of `L:value` lines, one letter a field.

use super::{MOST_PACKAGES, Package, is_word};

/// The installed packages. What is no package's paragraph is passed over.
pub(super) fn parse(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    let (mut name, mut version, mut architecture) = ("", "", "");
    for line in text.lines().chain([""]) {
        match line.split_once(':') {
            Some(("P", value)) => name = value.trim(),
            Some(("V", value)) => version = value.trim(),
            Some(("A", value)) => architecture = value.trim(),
            _ if line.trim().is_empty() => {
                if is_word(name) && is_word(version) && packages.len() < MOST_PACKAGES {
                    packages.push(Package {
                        name: name.to_owned(),
                        version: version.to_owned(),
                        architecture: if is_word(architecture) {
                            architecture.to_owned()
                        } else {
                            String::new()
                        },
                    });
                }
                (name, version, architecture) = ("", "", "");
            }
            _ => {}
        }
    }
    packages.sort();
    packages
}
