//! Small words for people: numbers with their nouns, lists, ages, platforms.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use refit_oci::{Platform, Reference};

/// `1 target`, `2 targets`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn sentence_list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", rest.join(", "), last.as_ref())
        }
    }
}

/// How long ago: the largest unit only.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let elapsed = now.duration_since(then).max(SignedDuration::ZERO);
    let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} ago", count(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", count(seconds / 3_600, "hour")),
        _ => format!("{} ago", count(seconds / 86_400, "day")),
    }
}

/// A reference in Docker's short form, its digest cut to 12 digits.
pub(crate) fn reference(reference: &Reference) -> String {
    let familiar = reference.familiar();
    match (reference.digest(), familiar.split_once('@')) {
        (Some(digest), Some((name, _))) => format!("{name}@{}", digest.short()),
        _ => familiar,
    }
}

/// Some of an image's platforms: `both` or `all` where it is all of several.
pub(crate) fn platforms<'a>(
    some: impl IntoIterator<Item = &'a Platform>,
    of: &[Platform],
) -> String {
    let some: BTreeSet<&Platform> = some.into_iter().collect();
    let all: BTreeSet<&Platform> = of.iter().collect();
    match (some == all, some.len()) {
        (true, 2) => "both".to_owned(),
        (true, 3..) => "all".to_owned(),
        _ => some
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(
            [0, 1, 2].map(|n| count(n, "target")),
            ["0 targets", "1 target", "2 targets"]
        );
    }

    #[test]
    fn lists_end_with_and() {
        let lists = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]].map(sentence_list::<&str>);
        assert_eq!(lists, ["", "a", "a and b", "a, b and c"]);
    }

    #[test]
    fn ages_have_one_unit_and_never_lie_in_the_future() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, expect) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7_200, "2 hours ago"),
            (3 * 86_400 + 5, "3 days ago"),
        ] {
            assert_eq!(age(at(0), at(seconds)), expect);
        }
    }

    #[test]
    fn digests_in_references_are_cut() {
        let digest = format!("sha256:{}", "1f".repeat(32));
        for (text, expect) in [
            ("debian:12".to_owned(), "debian:12"),
            (format!("debian:12@{digest}"), "debian:12@1f1f1f1f1f1f"),
            (format!("quay.io/a/b@{digest}"), "quay.io/a/b@1f1f1f1f1f1f"),
        ] {
            assert_eq!(reference(&text.parse().unwrap()), expect);
        }
    }

    #[test]
    fn platforms_are_named_unless_they_are_all() {
        let (amd, arm) = (Platform::linux_amd64(), Platform::linux_arm64());
        let s390x = Platform::new("linux", "s390x", None);
        let three = [amd.clone(), arm.clone(), s390x];
        assert_eq!(platforms([&amd], std::slice::from_ref(&amd)), "linux/amd64");
        assert_eq!(platforms([&arm, &amd], &[amd.clone(), arm.clone()]), "both");
        assert_eq!(platforms([&arm], &three), "linux/arm64");
        assert_eq!(platforms(&three, &three), "all");
    }
}
