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

/// How many columns of a terminal a text takes: wide characters two, marks on others none.
pub(crate) fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The start of a text in at most `room` columns, with `…` where it is cut.
pub(crate) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let Some(room) = room.checked_sub(1) else {
        return String::new();
    };
    start_of(text.chars(), room).chain(['…']).collect()
}

/// Both ends of a text in at most `room` columns, with `…` between them: the end of a name tells most.
pub(crate) fn cut_in_the_middle(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let Some(room) = room.checked_sub(1) else {
        return String::new();
    };
    let mut end: Vec<char> = start_of(text.chars().rev(), room / 2).collect();
    end.reverse();
    let start = start_of(text.chars(), room - room / 2);
    start.chain(['…']).chain(end).collect()
}

/// As many characters as have room.
fn start_of(chars: impl Iterator<Item = char>, room: usize) -> impl Iterator<Item = char> {
    chars.scan(0, move |used, char| {
        *used += width(char.encode_utf8(&mut [0; 4]));
        (*used <= room).then_some(char)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_columns_not_to_characters() {
        assert_eq!(cut("foundation", 10), "foundation");
        assert_eq!(cut("foundation", 6), "found…");
        assert_eq!(cut("基础镜像", 6), "基础…");
        assert_eq!(cut("foundation", 0), "");
        assert_eq!(cut_in_the_middle("base-notebook", 9), "base…book");
        assert_eq!(cut_in_the_middle("base-notebook", 1), "…");
        for room in 0..12 {
            assert!(width(&cut("基a础b镜c像", room)) <= room);
            assert!(width(&cut_in_the_middle("基a础b镜c像", room)) <= room);
        }
    }

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
