//! How package managers order versions: Debian policy 5.6.12, and apk-tools' `version.c`.

use std::cmp::Ordering;

/// Debian's order: epoch, upstream version, revision.
pub(super) fn dpkg(a: &str, b: &str) -> Ordering {
    let (a, b) = (split_dpkg(a), split_dpkg(b));
    number(a.0, b.0)
        .then_with(|| dpkg_part(a.1, b.1))
        .then_with(|| dpkg_part(a.2, b.2))
}

fn split_dpkg(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Texts and numbers by turns; `~` comes before everything, even before the end, and letters before other signs.
fn dpkg_part(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let (text_a, text_b) = (text(&mut a), text(&mut b));
        let weight = |part: &str, at: usize| match part.as_bytes().get(at) {
            Some(b'~') => -1,
            None => 0,
            Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
            Some(other) => i32::from(*other) + 256,
        };
        let texts = (0..text_a.len().max(text_b.len()))
            .map(|at| weight(text_a, at).cmp(&weight(text_b, at)))
            .find(|order| order.is_ne());
        let order = texts.unwrap_or_else(|| number(digits(&mut a), digits(&mut b)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The suffixes of apk in their order; a version without one lies between `rc` and `cvs`.
const SUFFIXES: [(&str, i32); 9] = [
    ("alpha", -4),
    ("beta", -3),
    ("pre", -2),
    ("rc", -1),
    ("cvs", 1),
    ("svn", 2),
    ("git", 3),
    ("hg", 4),
    ("p", 5),
];

/// apk's order: numbers, a letter, suffixes, and the build behind `-r`.
pub(super) fn apk(a: &str, b: &str) -> Ordering {
    let ((mut a, build_a), (mut b, build_b)) = (split_apk(a), split_apk(b));
    // Numbers behind the first are compared as fractions if either begins with a zero.
    let mut is_first = true;
    loop {
        let (number_a, number_b) = (digits(&mut a), digits(&mut b));
        let is_fraction = !is_first && (number_a.starts_with('0') || number_b.starts_with('0'));
        let order = if number_a.is_empty() || number_b.is_empty() {
            number_a.len().min(1).cmp(&number_b.len().min(1))
        } else if is_fraction {
            number_a.cmp(number_b)
        } else {
            number(number_a, number_b)
        };
        if order.is_ne() {
            return order;
        }
        is_first = false;
        match (a.strip_prefix('.'), b.strip_prefix('.')) {
            (Some(rest_a), Some(rest_b)) => (a, b) = (rest_a, rest_b),
            (Some(_), None) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (None, None) => break,
        }
    }
    let letters = letter(&mut a).cmp(&letter(&mut b));
    letters
        .then_with(|| apk_suffixes(a, b))
        .then_with(|| number(build_a, build_b))
}

fn split_apk(version: &str) -> (&str, &str) {
    // A `~HASH` of the source orders nothing.
    let (version, build) = version.rsplit_once("-r").unwrap_or((version, "0"));
    (version.split('~').next().unwrap_or(version), build)
}

fn letter(rest: &mut &str) -> Option<char> {
    let first = rest.chars().next().filter(char::is_ascii_lowercase)?;
    *rest = &rest[1..];
    Some(first)
}

fn apk_suffixes(mut a: &str, mut b: &str) -> Ordering {
    while !(a.is_empty() && b.is_empty()) {
        let order = apk_suffix(&mut a, &mut b);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn apk_suffix(a: &mut &str, b: &mut &str) -> Ordering {
    let ((rank_a, number_a), (rank_b, number_b)) = (next_suffix(a), next_suffix(b));
    rank_a.cmp(&rank_b).then_with(|| number(number_a, number_b))
}

/// The rank and number of `_rc1`; what is no suffix ends the version.
fn next_suffix<'a>(rest: &mut &'a str) -> (i32, &'a str) {
    let Some(behind) = rest.strip_prefix('_') else {
        *rest = "";
        return (0, "");
    };
    *rest = behind;
    let word = take(rest, |c| c.is_ascii_alphabetic());
    let rank = SUFFIXES.iter().find(|(name, _)| *name == word);
    (rank.map_or(0, |(_, rank)| *rank), digits(rest))
}

/// Numbers of any length.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn digits<'a>(rest: &mut &'a str) -> &'a str {
    take(rest, |c| c.is_ascii_digit())
}

fn text<'a>(rest: &mut &'a str) -> &'a str {
    take(rest, |c| !c.is_ascii_digit())
}

fn take<'a>(rest: &mut &'a str, belongs: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let (taken, left) = rest.split_at(end);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(order: fn(&str, &str) -> Ordering, ascending: &[&str]) {
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(order(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn debian_s_order() {
        check(
            dpkg,
            &[
                "1.0~~",
                "1.0~rc1-1",
                "1.0~rc1-2",
                "1.0-0.1",
                "1.0-1~bpo12+1",
                "1.0-1",
                "1.0-1+b1",
                "1.0-1+deb12u1",
                "1.0-1.1",
                "1.0-2",
                "1.0a-1",
                "1.0+dfsg-1",
                "1.0.1-1",
                "1.2-1",
                "1.10-1",
                "3.0.11-1~deb12u2",
                "3.0.15-1~deb12u1",
                "20240101",
                "1:0.1",
                "2:0",
            ],
        );
        for (a, b) in [
            ("1.0", "0:1.0"),
            ("1.0", "1.0-0"),
            ("1.00", "1.0"),
            ("01", "1"),
        ] {
            assert_eq!(dpkg(a, b), Ordering::Equal, "{a} and {b}");
        }
    }

    #[test]
    fn alpine_s_order() {
        check(
            apk,
            &[
                "0.9",
                "1.0_alpha1",
                "1.0_alpha2-r3",
                "1.0_beta",
                "1.0_pre2",
                "1.0_rc1",
                "1.0-r0",
                "1.0-r1",
                "1.0-r10",
                "1.0_git20240101-r0",
                "1.0_p1-r0",
                "1.0_p2-r0",
                "1.0a-r0",
                "1.0b-r0",
                "1.0.01",
                "1.0.1",
                "1.0.9",
                "1.0.10",
                "1.2",
                "1.36.1-r29",
                "3.1.4-r5",
                "3.1.7-r0",
                "20240226-r0",
            ],
        );
        assert_eq!(apk("1.0~abc123-r1", "1.0-r1"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn any_texts_have_an_order_that_is_the_same_from_both_sides(a in "[0-9a-z.:~+_-]{0,20}|\\PC{0,8}", b in "[0-9a-z.:~+_-]{0,20}|\\PC{0,8}") {
            prop_assert_eq!(dpkg(&a, &b), dpkg(&b, &a).reverse());
            prop_assert_eq!(apk(&a, &b), apk(&b, &a).reverse());
            prop_assert_eq!(dpkg(&a, &a), Ordering::Equal);
            prop_assert_eq!(apk(&a, &a), Ordering::Equal);
        }
    }
}
