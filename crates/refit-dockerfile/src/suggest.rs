//! The nearest of some names, for hints.

/// The name that differs least from `word`, if it differs little.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name worth suggesting is that long, and the distance takes time.
    if word.chars().count() > 40 {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    let scored = names.into_iter().map(|name| (distance(word, name), name));
    let near = scored.filter(|(distance, _)| (1..=most).contains(distance));
    near.min().map(|(_, name)| name)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["RUN", "COPY", "WORKDIR", "ENTRYPOINT"];
        for (word, expect) in [
            ("RUM", Some("RUN")),
            ("WORKDIRR", Some("WORKDIR")),
            ("ENTRIPOINT", Some("ENTRYPOINT")),
            ("CPY", Some("COPY")),
            ("RUN", None),
            ("apt-get", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expect, "{word}");
        }
    }
}
