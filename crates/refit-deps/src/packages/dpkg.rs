//! `/var/lib/dpkg/status`, and the files of `/var/lib/dpkg/status.d` in distroless images: deb822 paragraphs.

use super::{MOST_PACKAGES, Package, is_word};

/// The installed packages. What is no package's paragraph is passed over.
pub(super) fn parse(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut open = Paragraph::default();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            packages.extend(std::mem::take(&mut open).package());
            if packages.len() >= MOST_PACKAGES {
                break;
            }
        } else if !line.starts_with([' ', '\t']) {
            open.read(line);
        }
    }
    packages.sort();
    packages
}

#[derive(Default)]
struct Paragraph<'a> {
    name: &'a str,
    version: &'a str,
    architecture: &'a str,
    /// `WANT EFLAG STATUS`; distroless leaves it out.
    status: Option<&'a str>,
}

impl<'a> Paragraph<'a> {
    fn read(&mut self, line: &'a str) {
        let Some((field, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim();
        // Names of fields are of any case.
        match field.to_ascii_lowercase().as_str() {
            "package" => self.name = value,
            "version" => self.version = value,
            "architecture" => self.architecture = value,
            "status" => self.status = Some(value),
            _ => {}
        }
    }

    /// None where only configuration files are left, or nothing.
    fn package(self) -> Option<Package> {
        let status = self
            .status
            .map(|s| s.split_whitespace().nth(2).unwrap_or(""));
        let is_there = !matches!(status, Some("not-installed" | "config-files" | ""));
        (is_there && is_word(self.name) && is_word(self.version)).then(|| Package {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            architecture: if is_word(self.architecture) {
                self.architecture.to_owned()
            } else {
                String::new()
            },
        })
    }
}
