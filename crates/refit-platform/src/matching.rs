//! Which platform satisfies which: containerd's `platforms.Only`, with nothing taken from the host.

use refit_oci::{Descriptor, Index, Platform};

use crate::windows::{self, Version};

/// Whether an image of platform `have` may be used where `want` is asked for: the same platform, or an older variant
/// that it runs (`arm/v7` takes `arm/v6`, `amd64` takes `386`, `arm64` takes `arm`).
///
/// Follows containerd's `Only(want).Match(have)`. Windows compares build numbers; no other os has its version compared.
pub fn satisfies(have: &Platform, want: &Platform) -> bool {
    rank(have, &acceptable(want)).is_some()
}

/// The entry of `index` that a pull for `want` takes: the exact platform first, then ever older variants, and of equals
/// the one listed first. Attestations never count.
///
/// With an `os_version` in `want`, the newest Windows build that it runs wins, as on a Windows host. An index whose only
/// entry names no platform gives that entry: its config, not the index, says what it is.
pub fn best_match<'a>(index: &'a Index, want: &Platform) -> Option<&'a Descriptor> {
    // What is asked for itself, as nearly always: nothing is better.
    if want.os != "windows"
        && let Some((_, exact)) = index.platforms().find(|(have, _)| {
            (&have.os, &have.architecture, &have.variant)
                == (&want.os, &want.architecture, &want.variant)
        })
    {
        return Some(exact);
    }
    let acceptable = acceptable(want);
    let newest_first = |platform: &Platform| {
        let version = platform.os_version.as_deref().map(Version::full);
        std::cmp::Reverse(version.filter(|_| want.os == "windows" && want.os_version.is_some()))
    };
    let matching = index.platforms().filter_map(|(platform, descriptor)| {
        let rank = rank(platform, &acceptable)?;
        Some(((rank, newest_first(platform)), descriptor))
    });
    // `min_by_key` keeps the first of equals: the order of the index decides, as in containerd's stable sort.
    let best = matching.min_by_key(|(key, _)| key.clone());
    best.map(|(_, descriptor)| descriptor)
        .or_else(|| only_entry_without_platform(index))
}

fn only_entry_without_platform(index: &Index) -> Option<&Descriptor> {
    let mut images = index.manifests.iter().filter(|d| !d.is_attestation());
    match (images.next(), images.next()) {
        (Some(only), None) if only.platform.is_none() => Some(only),
        _ => None,
    }
}

/// The place of `have` among the acceptable platforms, the best being 0.
fn rank(have: &Platform, acceptable: &[Platform]) -> Option<usize> {
    acceptable.iter().position(|want| {
        have.os == want.os
            && have.architecture == want.architecture
            && have.variant == want.variant
            && (want.os != "windows"
                || windows::compatible(want.os_version.as_deref(), have.os_version.as_deref()))
    })
}

/// containerd's `platformVector`: `want` and what it also runs, best first.
fn acceptable(want: &Platform) -> Vec<Platform> {
    let like = |architecture: &str, variant: Option<&str>| {
        Platform::new(&want.os, architecture, variant).with_os_version(want.os_version.clone())
    };
    let older = |architecture: &str, variant: Option<&str>, oldest: u32| -> Vec<Platform> {
        let newest = variant.and_then(number).unwrap_or(oldest);
        let variants = (oldest..newest).rev();
        variants
            .map(|v| like(architecture, Some(&format!("v{v}"))))
            .collect()
    };
    let mut all = vec![want.clone()];
    let variant = want.variant.as_deref();
    match want.architecture.as_str() {
        "amd64" => {
            all.extend(older("amd64", variant, 1));
            all.push(like("386", None));
        }
        "arm" => all.extend(older("arm", variant, 5)),
        "arm64" => {
            let versions = arm64_versions(variant.unwrap_or("v8"));
            // A variant that containerd does not know matches nothing but itself.
            if !versions.is_empty() {
                all = versions.iter().map(|v| like("arm64", Some(v))).collect();
                all.push(like("arm", Some("v8")));
                all.extend(older("arm", Some("v8"), 5));
            }
        }
        _ => {}
    }
    all
}

/// `v7` → 7; no architecture has more than two digits, so that a hostile variant cannot make a long list.
fn number(variant: &str) -> Option<u32> {
    let digits = variant.strip_prefix('v').unwrap_or(variant);
    digits.parse().ok().filter(|n| *n < 100)
}

/// The Armv8 and Armv9 minor versions that `variant` runs, itself first; Armv9.n includes Armv8.(n+5).
fn arm64_versions(variant: &str) -> Vec<String> {
    let Some(version) = variant.strip_prefix('v') else {
        return Vec::new();
    };
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let down = |major: u32, minor: u32| {
        let name = move |m: u32| match m {
            0 => format!("v{major}"),
            m => format!("v{major}.{m}"),
        };
        (0..=minor).rev().map(name)
    };
    match (major, minor.parse::<u32>()) {
        ("8", Ok(minor @ 0..=9)) => down(8, minor).collect(),
        ("9", Ok(minor @ 0..=7)) => {
            let v8 = (minor + 5).min(9);
            down(9, minor).chain(down(8, v8)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_oci::{Digest, media_type};
    use std::collections::BTreeMap;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let digest = Digest::sha256(text.as_bytes());
            let mut entry = Descriptor::new(media_type::OCI_MANIFEST, digest, 1);
            entry.platform = match *text {
                "attestation" => Some(Platform::new("unknown", "unknown", None)),
                "none" => None,
                text => Some(platform(text)),
            };
            entry
        };
        Index::new(platforms.iter().map(entry).collect(), BTreeMap::new())
    }

    #[test]
    fn older_variants_satisfy_newer_wishes_and_never_the_reverse() {
        for (have, want, expect) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/386", "linux/amd64", true),
            ("linux/amd64", "linux/386", false),
            ("linux/amd64", "linux/amd64/v3", true),
            ("linux/amd64/v2", "linux/amd64/v3", true),
            ("linux/amd64/v3", "linux/amd64", false),
            ("linux/arm/v6", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v5", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm64", true),
            ("linux/arm64/v8.2", "linux/arm64", false),
            ("linux/arm64", "linux/arm64/v8.2", true),
            ("linux/arm64/v8.5", "linux/arm64/v9", true),
            ("linux/arm64/v8.6", "linux/arm64/v9", false),
            ("linux/arm64", "linux/arm64/v42", false),
            ("linux/arm64/v42", "linux/arm64/v42", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/arm64", "darwin/arm64", false),
            ("linux/s390x", "linux/s390x", true),
            ("linux/amd64", "linux/amd64/v99999999999", false),
        ] {
            assert_eq!(
                satisfies(&platform(have), &platform(want)),
                expect,
                "{have} for {want}"
            );
        }
    }

    #[test]
    fn windows_compares_builds() {
        for (have, want, expect) in [
            (
                "windows(10.0.17763.5936)/amd64",
                "windows(10.0.17763)/amd64",
                true,
            ),
            (
                "windows(10.0.20348.1)/amd64",
                "windows(10.0.17763.1)/amd64",
                false,
            ),
            (
                "windows(10.0.20348.1)/amd64",
                "windows(10.0.26100.1)/amd64",
                true,
            ),
            (
                "windows(10.0.17763.1)/amd64",
                "windows(10.0.26100.1)/amd64",
                false,
            ),
            (
                "windows(10.0.26100.1)/amd64",
                "windows(10.0.20348.1)/amd64",
                false,
            ),
            ("windows(10.0.20348.1)/amd64", "windows/amd64", true),
            ("windows/amd64", "windows(10.0.20348.1)/amd64", true),
        ] {
            assert_eq!(
                satisfies(&platform(have), &platform(want)),
                expect,
                "{have} for {want}"
            );
        }
    }

    #[test]
    fn an_index_gives_the_exact_platform_or_the_nearest_older_one() {
        for (name, entries, want, expect) in [
            (
                "exact",
                &["linux/386", "linux/amd64"][..],
                "linux/amd64",
                Some(1),
            ),
            (
                "nearest variant",
                &["linux/arm/v5", "linux/arm/v6"],
                "linux/arm/v7",
                Some(1),
            ),
            ("none", &["linux/amd64"], "linux/arm64", None),
            (
                "attestations never",
                &["attestation", "linux/arm64"],
                "linux/arm64",
                Some(1),
            ),
            ("only attestations", &["attestation"], "linux/amd64", None),
            (
                "first of equals",
                &["linux/arm64", "linux/arm64/v8"],
                "linux/arm64",
                Some(0),
            ),
            (
                "one entry without platform",
                &["none", "attestation"],
                "linux/arm64",
                Some(0),
            ),
            (
                "entries without platform",
                &["none", "none"],
                "linux/arm64",
                None,
            ),
            (
                "newest windows build",
                &[
                    "windows(10.0.20348.9)/amd64",
                    "windows(10.0.20348.10)/amd64",
                ],
                "windows(10.0.20348)/amd64",
                Some(1),
            ),
            (
                "any windows build",
                &["windows(10.0.17763.1)/amd64", "windows(10.0.20348.1)/amd64"],
                "windows/amd64",
                Some(0),
            ),
            ("empty", &[], "linux/amd64", None),
        ] {
            let index = index(entries);
            let found = best_match(&index, &platform(want));
            let place = found.map(|f| {
                index
                    .manifests
                    .iter()
                    .position(|d| std::ptr::eq(d, f))
                    .unwrap()
            });
            assert_eq!(place, expect, "{name}");
        }
    }
}
