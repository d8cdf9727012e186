//! Layers and history: whether an image was built on another one.

use refit_dockerfile::{Dockerfile, Keyword, Resolved};
use refit_oci::{History, ImageConfig};

/// How an image's layers and history stand to those of a possible base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It begins with them.
    Built,
    /// It begins with the layers, and something else does not fit: no proof of anything.
    Perhaps,
    /// It does not begin with the layers: it was built on something else.
    Not,
}

/// Compares an image with a possible base. `most_layers` is how many layers the image's Dockerfile can put on top of
/// its base, where that is known: one with more was built on something that begins with this base.
pub(crate) fn begins_with(
    image: &ImageConfig,
    base: &ImageConfig,
    most_layers: Option<usize>,
) -> Match {
    let Some(own) = image
        .rootfs
        .diff_ids
        .strip_prefix(base.rootfs.diff_ids.as_slice())
    else {
        return Match::Not;
    };
    // Everything begins with no layers.
    let says_nothing = base.rootfs.diff_ids.is_empty();
    // A base's triggers make layers that no Dockerfile of ours has.
    let is_longer =
        base.config.on_build.is_empty() && most_layers.is_some_and(|most| own.len() > most);
    let same_history = image.history.len() >= base.history.len()
        && base.history.iter().map(instruction).eq(image
            .history
            .iter()
            .take(base.history.len())
            .map(instruction));
    if says_nothing || is_longer || !same_history {
        Match::Perhaps
    } else {
        Match::Built
    }
}

/// What of a history's entry is content: tools that make equal images again write other times.
fn instruction(entry: &History) -> (Option<&str>, bool) {
    (entry.created_by.as_deref(), entry.empty_layer)
}

/// How many layers the target's own chain of stages can make; none for files in another language.
pub(crate) fn most_layers(file: &Dockerfile, resolved: &Resolved) -> Option<usize> {
    if resolved.opaque {
        return None;
    }
    let stages = resolved.chain.iter().filter_map(|at| file.stages.get(*at));
    let instructions = stages.flat_map(|stage| &stage.instructions);
    let makes_layer = |keyword| {
        matches!(
            keyword,
            Keyword::Add | Keyword::Copy | Keyword::Run | Keyword::Workdir
        )
    };
    Some(instructions.filter(|i| makes_layer(i.keyword)).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_oci::{Digest, RootFs};

    fn config(layers: &str, history: &[&str]) -> ImageConfig {
        ImageConfig {
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: layers
                    .chars()
                    .map(|c| Digest::sha256(c.to_string().as_bytes()))
                    .collect(),
            },
            history: history
                .iter()
                .map(|text| History {
                    created: Some("2026-01-01T00:00:00Z".to_owned()),
                    created_by: Some((*text).to_owned()),
                    ..History::default()
                })
                .collect(),
            ..ImageConfig::default()
        }
    }

    #[test]
    fn an_image_begins_with_its_base() {
        for (name, image, base, most, expect) in [
            (
                "built",
                config("abc", &["A", "B", "C"]),
                config("ab", &["A", "B"]),
                Some(1),
                Match::Built,
            ),
            (
                "the base itself",
                config("ab", &["A", "B"]),
                config("ab", &["A", "B"]),
                Some(0),
                Match::Built,
            ),
            (
                "without any history",
                config("abc", &[]),
                config("ab", &[]),
                None,
                Match::Built,
            ),
            (
                "another base",
                config("xbc", &["A", "B", "C"]),
                config("ab", &["A", "B"]),
                Some(1),
                Match::Not,
            ),
            (
                "a longer base",
                config("a", &["A"]),
                config("ab", &["A", "B"]),
                Some(1),
                Match::Not,
            ),
            (
                "the base's config changed",
                config("abc", &["A", "B", "C"]),
                config("ab", &["A", "X"]),
                Some(1),
                Match::Perhaps,
            ),
            (
                "a flattened history",
                config("abc", &["all"]),
                config("ab", &["A", "B"]),
                Some(1),
                Match::Perhaps,
            ),
            (
                "more on top than the file makes",
                config("abcd", &["A", "B", "C", "D"]),
                config("ab", &["A", "B"]),
                Some(1),
                Match::Perhaps,
            ),
            (
                "a base without layers",
                config("a", &["A"]),
                config("", &[]),
                Some(1),
                Match::Perhaps,
            ),
        ] {
            assert_eq!(begins_with(&image, &base, most), expect, "{name}");
        }
    }

    #[test]
    fn times_are_no_content_and_triggers_make_layers() {
        let mut base = config("a", &["A"]);
        let image = config("abc", &["A", "B", "C"]);
        base.history[0].created = None;
        assert_eq!(begins_with(&image, &base, Some(1)), Match::Perhaps);
        base.config.on_build = vec!["COPY . .".to_owned()];
        assert_eq!(begins_with(&image, &base, Some(1)), Match::Built);
    }
}
