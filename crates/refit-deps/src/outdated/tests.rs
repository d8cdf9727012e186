//! Which tag is newer, case by case: the tag, what its repository has, and what is offered.

use proptest::prelude::*;

use super::{TagVersion, newer};

/// `within` and `major`; `-` for none, the reason where the tag has no order.
fn offered(current: &str, tags: &str) -> String {
    match newer(current, tags.split(' ')) {
        Err(unordered) => unordered.as_str().to_owned(),
        Ok(newer) => {
            let within = newer
                .within
                .map(|(tag, leap)| format!("{tag} ({})", leap.as_str()));
            let or_none = |tag: Option<String>| tag.unwrap_or_else(|| "-".to_owned());
            format!("{} {}", or_none(within), or_none(newer.major))
        }
    }
}

#[test]
fn newer_tags_are_those_of_the_same_track() {
    for (current, tags, expect) in CASES {
        assert_eq!(offered(current, tags), *expect, "{current} of {tags}");
        let backwards: Vec<&str> = tags.split(' ').rev().collect();
        assert_eq!(offered(current, &backwards.join(" ")), *expect, "{current}");
    }
}

const CASES: &[(&str, &str, &str)] = &[
    // Precision: as many numbers as the tag has.
    ("12", "11 12 13", "- 13"),
    ("12", "12 12.5 12.5.1", "- -"),
    ("12", "12 9", "- -"),
    (
        "3.19",
        "3 3.18 3.19 3.20 3.20.1 3.21 4.0",
        "3.21 (minor) 4.0",
    ),
    ("3.19", "3.19 3.20 3.9", "3.20 (minor) -"),
    ("3.19.1", "3.19.0 3.19.1 3.19.4 3.20", "3.19.4 (patch) -"),
    (
        "3.19.1",
        "3.19.4 3.20.0 3.21.2 4.0.0 5.1.0",
        "3.21.2 (minor) 5.1.0",
    ),
    (
        "1.2.3.4",
        "1.2.3.4 1.2.3.5 1.3.0.0 2.0.0.0",
        "1.3.0.0 (minor) 2.0.0.0",
    ),
    ("1.2.3", "1.2.10 1.2.9", "1.2.10 (patch) -"),
    ("10", "9 10", "- -"),
    ("0.5.1", "0.5.2 0.6.0 1.0.0", "0.6.0 (minor) 1.0.0"),
    // Flavours.
    (
        "20.11-bookworm-slim",
        "20.11-bookworm-slim 20.12-bookworm-slim 20.19-bookworm-slim 20.19-slim 20.20 22.3-bookworm-slim",
        "20.19-bookworm-slim (minor) 22.3-bookworm-slim",
    ),
    ("12-slim", "12-slim 13 13-slim 14-slim-x", "- 13-slim"),
    (
        "20-alpine",
        "20-alpine 21-alpine 22-alpine 22 22-slim",
        "- 22-alpine",
    ),
    (
        "3.12-alpine3.19",
        "3.12-alpine3.19 3.13-alpine3.19 3.13-alpine3.20",
        "3.13-alpine3.19 (minor) -",
    ),
    (
        "3.12-slim",
        "3.12-slim 3.12-slim-bookworm 3.13-slim-bookworm",
        "- -",
    ),
    (
        "8.0-jammy-chiseled",
        "8.0-jammy 9.0-jammy-chiseled 8.1-jammy",
        "- 9.0-jammy-chiseled",
    ),
    (
        "1.25-windowsservercore-ltsc2022",
        "1.26-windowsservercore-ltsc2022 1.26",
        "1.26-windowsservercore-ltsc2022 (minor) -",
    ),
    ("17-jdk", "17-jdk 21-jdk 21-jre", "- 21-jdk"),
    ("2.0.0+x", "2.0.0+x", "- -"),
    // Prefixes.
    (
        "v1.2.3",
        "v1.2.3 v1.2.4 1.9.9 v2.0.0",
        "v1.2.4 (patch) v2.0.0",
    ),
    ("1.2.3", "v1.2.4 1.2.3", "- -"),
    (
        "jdk-21.0.1",
        "jdk-21.0.1 jdk-21.0.2 jdk-22.0.1 21.0.9",
        "jdk-21.0.2 (patch) jdk-22.0.1",
    ),
    (
        "release-1.2",
        "release-1.2 release-1.10 1.11",
        "release-1.10 (minor) -",
    ),
    (
        "lts-alpine3.19",
        "lts-alpine3.19 lts-alpine3.20",
        "lts-alpine3.20 (minor) -",
    ),
    (
        "ubi9-minimal",
        "ubi8-minimal ubi9-minimal ubi10-minimal ubi10",
        "- ubi10-minimal",
    ),
    ("alpine3.19", "alpine3.20 alpine", "alpine3.20 (minor) -"),
    // Dates.
    (
        "20240115",
        "20240115 20240301 20231231",
        "20240301 (date) -",
    ),
    (
        "bookworm-20240110-slim",
        "bookworm-20240110-slim bookworm-20240926-slim bookworm-20240926 trixie-20250101-slim",
        "bookworm-20240926-slim (date) -",
    ),
    (
        "noble-20240801",
        "noble-20240801 noble-20250127",
        "noble-20250127 (date) -",
    ),
    (
        "2024.01.15",
        "2024.01.15 2024.02.01 2025.01.01 2024-12-01",
        "2025.01.01 (date) -",
    ),
    (
        "2024-01-15",
        "2024-01-15 2024-02-01 2024.12.01",
        "2024-02-01 (date) -",
    ),
    ("2024.1", "2024.1 2024.2 2025.1 2024.3.1", "2025.1 (date) -"),
    (
        "2022.3.1-alpine",
        "2022.3.1-alpine 2023.1.0-alpine 2024.1.0",
        "2023.1.0-alpine (date) -",
    ),
    ("ltsc2019", "ltsc2019 ltsc2022", "ltsc2022 (date) -"),
    ("2022", "2022 2025 20250101", "2025 (date) -"),
    (
        "RELEASE.2024-01-16T16-07-38Z",
        "RELEASE.2024-01-16T16-07-38Z RELEASE.2024-01-16T18-00-00Z RELEASE.2024-05-01T01-11-10Z RELEASE.2024-06-01T01-11-10Z-cpuv1",
        "RELEASE.2024-05-01T01-11-10Z (date) -",
    ),
    ("20240115.1", "20240115.1 20240115.2", "20240115.2 (date) -"),
    ("24.04", "24.04 24.10 26.04 25.10", "24.10 (minor) 26.04"),
    ("3", "3 4 20240315 20230901", "- 4"),
    ("1809", "1809 1903", "- 1903"),
    (
        "2024-01-15-slim",
        "2024-01-15-slim 2024-01-16-slim 2024-01-17",
        "2024-01-16-slim (date) -",
    ),
    // Prereleases.
    ("3.13", "3.13 3.14-rc 3.14.0rc1 3.14rc2", "- -"),
    ("3.13-slim", "3.13-slim 3.14-rc-slim", "- -"),
    (
        "1.0.0",
        "1.0.1-beta.1 1.0.1-alpha 1.0.1-SNAPSHOT 1.1.0-M1",
        "- -",
    ),
    (
        "3.14.0rc1",
        "3.14.0rc1 3.14.0rc2 3.14.0b9 3.14.0a1",
        "3.14.0rc2 (patch) -",
    ),
    ("3.14.0rc1", "3.14.0rc2 3.14.0", "3.14.0 (patch) -"),
    (
        "3.14-rc-slim",
        "3.14-rc-slim 3.14-slim 3.15-rc-slim",
        "3.15-rc-slim (minor) -",
    ),
    (
        "1.0.0-beta.2",
        "1.0.0-beta.10 1.0.0-alpha.11 1.0.0-beta.9",
        "1.0.0-beta.10 (patch) -",
    ),
    ("1.0.0-rc.1", "1.0.0-beta.9 1.0.0-rc.1", "- -"),
    (
        "17-beta1-alpine",
        "17-beta2-alpine 17-alpine 17-beta3",
        "17-alpine (patch) -",
    ),
    ("7.0.0-M1", "7.0.0-M2 7.0.0-RC1", "7.0.0-RC1 (patch) -"),
    ("2.0.0-rc1", "2.0.0-rc2-alpine 2.0.0-rc1", "- -"),
    ("5-nightly", "5-nightly 6-nightly 5", "5 (patch) 6-nightly"),
    // Builds.
    (
        "17.0.9_9-jre",
        "17.0.9_9-jre 17.0.9_11-jre 17.0.10_7-jre 21.0.1_12-jre 17.0.11-jre",
        "17.0.10_7-jre (patch) 21.0.1_12-jre",
    ),
    (
        "1.2.3-debian-12-r5",
        "1.2.3-debian-12-r5 1.2.3-debian-12-r12 1.2.4-debian-12-r0 1.2.9-debian-13-r0",
        "1.2.4-debian-12-r0 (patch) -",
    ),
    ("1.2.3-r0", "1.2.3-r0 1.2.3-r1", "1.2.3-r1 (patch) -"),
    // Without an order.
    ("latest", "latest 1 2", "a name has no order"),
    ("bookworm", "bookworm trixie", "a name has no order"),
    (
        "bookworm-slim",
        "bookworm-slim trixie-slim",
        "a name has no order",
    ),
    ("lts", "lts 22", "a name has no order"),
    ("3f2a9b1c", "3f2a9b1c 4f2a9b1c", "a commit id has no order"),
    (
        "sha-1234567",
        "sha-1234567 sha-7654321",
        "a commit id has no order",
    ),
    (
        "99999999999999999999999",
        "1",
        "its numbers are no version's",
    ),
    ("1.2", "99999999999999999999.2 1.3", "1.3 (minor) -"),
    // Odd ones.
    ("1.10", "1.10 1.010 1.9", "- -"),
    ("1.2", "1.3 1.03", "1.3 (minor) -"),
    ("1.2.", "1.2. 1.3.", "1.3. (minor) -"),
    ("7", "", "- -"),
    ("7-alpine", "7-alpine 8a-alpine 8-alpine", "- 8-alpine"),
];

#[test]
fn there_are_many_cases() {
    assert!(CASES.len() >= 60, "{}", CASES.len());
}

proptest! {
    #[test]
    fn any_tags_are_compared_without_panic(current in "[a-z0-9._-]{0,24}|\\PC{0,12}", tag in "[a-z0-9._-]{0,24}|\\PC{0,12}") {
        let _ = newer(&current, [tag.as_str(), current.as_str()]);
        if let (Ok(a), Ok(b)) = (TagVersion::parse(&current), TagVersion::parse(&tag)) {
            prop_assert_eq!(a.order(&b), b.order(&a).reverse());
            prop_assert_eq!(a.is_in_track_of(&b), b.is_in_track_of(&a));
        }
    }

    #[test]
    fn nothing_is_newer_than_itself(tag in "[a-z]{0,3}[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-[a-z0-9]{1,6}){0,2}") {
        if let Ok(newer) = newer(&tag, [tag.as_str()]) {
            prop_assert!(newer.is_none(), "{}", tag);
        }
    }
}
