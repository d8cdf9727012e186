//! Tags of one track: `12-slim`, `12.5-slim` and `12.5.1-slim` follow each other; `12` and `13-slim` do not.

/// The tags that may hold what `tag` held before, the likeliest first: more exact versions of the same flavour, the
/// newest first.
pub(crate) fn same_track<'a>(tag: &str, all: &'a [String]) -> Vec<&'a str> {
    let (wanted, flavour) = split(tag);
    let mut found: Vec<(Vec<u64>, &str)> = all
        .iter()
        .filter(|other| other.as_str() != tag)
        .filter_map(|other| {
            let (version, other_flavour) = split(other);
            let is_more_exact = version.len() > wanted.len() && version.starts_with(&wanted);
            (flavour == other_flavour && is_more_exact).then_some((version, other.as_str()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, tag)| tag).collect()
}

/// The numbers that a tag begins with, and the rest. A word in front (`v1.2`, `bookworm-20240211-slim`) belongs to the
/// flavour, as do dates' dashes to the numbers.
fn split(tag: &str) -> (Vec<u64>, String) {
    let start = tag.find(|c: char| c.is_ascii_digit()).unwrap_or(tag.len());
    let (before, rest) = tag.split_at(start);
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (numbers, after) = rest.split_at(end);
    let numbers = numbers.split('.').filter_map(|n| n.parse().ok()).collect();
    // `bookworm` and `bookworm-20240211` are one flavour.
    (numbers, format!("{}{after}", before.trim_end_matches('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_exact_tags_of_the_flavour_come_newest_first() {
        let all = [
            "12",
            "12-slim",
            "12.4-slim",
            "12.10-slim",
            "12.5",
            "13.1-slim",
            "latest",
            "bookworm-20240211",
            "bookworm-20240101",
            "bookworm-20240211-slim",
            "v1.2",
            "v1.2.3",
            "1.2.4",
            "é1",
        ];
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        for (tag, expect) in [
            ("12-slim", &["12.10-slim", "12.4-slim"][..]),
            ("12", &["12.5"]),
            ("12.5", &[]),
            ("bookworm", &["bookworm-20240211", "bookworm-20240101"]),
            ("v1.2", &["v1.2.3"]),
            ("nothing", &[]),
        ] {
            assert_eq!(same_track(tag, &all), expect, "{tag}");
        }
    }

    #[test]
    fn a_tag_without_numbers_follows_only_its_own_flavour() {
        let all = ["1.2".to_owned(), "latest-1".to_owned()];
        assert_eq!(same_track("latest", &all), ["latest-1"]);
    }
}
