//! Windows' container compatibility: process-isolated images must be of a build that the host's build runs.

/// `major.minor.build[.revision]`, as far as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(Vec<u32>);

impl Version {
    /// All parts, to order builds by age.
    pub(crate) fn full(text: &str) -> Self {
        Self(text.split('.').map(|p| p.parse().unwrap_or(0)).collect())
    }

    /// Major, minor and build; none if one is missing or no number.
    fn parts(text: &str) -> Option<(u8, u8, u16)> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some((major, minor, parts.next()?.parse().ok()?))
    }
}

/// Windows Server 2022 and 2025: from here on a release also runs the images of the long-term release before it.
const LONG_TERM: [u16; 2] = [20348, 26100];

/// containerd's `windowsVersionMatcher`: whether a host that wants `host` runs an image of `image`. An absent or
/// unreadable version on the host's side matches everything, an absent one on the image's side as well.
pub(crate) fn compatible(host: Option<&str>, image: Option<&str>) -> bool {
    let Some(host) = host.and_then(Version::parts) else {
        return true;
    };
    let Some(image) = image.filter(|text| !text.is_empty()) else {
        return true;
    };
    // An unreadable version counts as 0.0.0, which no host runs.
    let image = Version::parts(image).unwrap_or((0, 0, 0));
    if (host.0, host.1) != (image.0, image.1) {
        return false;
    }
    let (host, image) = (host.2, image.2);
    if host < LONG_TERM[0] {
        return host == image;
    }
    let earlier = LONG_TERM.into_iter().rev().find(|release| host > *release);
    (earlier.unwrap_or(LONG_TERM[0])..=host).contains(&image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_run_their_own_build_and_from_2022_on_the_long_term_release_before() {
        for (host, image, expect) in [
            (Some("10.0.17763.1"), Some("10.0.17763.9999"), true),
            (Some("10.0.17763"), Some("10.0.18362"), false),
            (Some("10.0.20348"), Some("10.0.17763"), false),
            (Some("10.0.25398"), Some("10.0.20348"), true),
            (Some("10.0.26100"), Some("10.0.20348"), true),
            (Some("10.0.26200"), Some("10.0.20348"), false),
            (Some("10.0.26200"), Some("10.0.26100"), true),
            (Some("11.0.26200"), Some("10.0.26100"), false),
            (Some("10.0.20348"), Some("nonsense"), false),
            (Some("nonsense"), Some("10.0.20348"), true),
            (None, Some("10.0.20348"), true),
            (Some("10.0.20348"), None, true),
        ] {
            assert_eq!(compatible(host, image), expect, "{host:?} {image:?}");
        }
    }

    #[test]
    fn revisions_order_as_numbers() {
        assert!(Version::full("10.0.20348.10") > Version::full("10.0.20348.9"));
    }
}
