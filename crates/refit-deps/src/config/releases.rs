//! `[sweep] releases`: git tags that are lines of their own.

use std::{cmp::Ordering, collections::BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::{glob_matches, problem::Problem};

/// The words of `keep`.
const KEEP: [&str; 3] = ["all", "latest-per-major", "latest-per-minor"];

/// Which git tags are swept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ReleaseKeys {
    /// A glob of tags.
    pub git_tags: Option<Spanned<String>>,
    /// `all`, or the latest of each major or minor version.
    pub keep: Option<Spanned<String>>,
    /// How many of those, the newest first; none: all.
    pub newest: Option<u32>,
}

impl ReleaseKeys {
    /// What is wrong with it.
    pub(super) fn check(&self, file: &str, text: &str) -> Option<Problem> {
        let keep = self.keep.as_ref()?;
        if KEEP.contains(&keep.get_ref().as_str()) {
            return None;
        }
        let message = format!("`keep = \"{}\"` is unknown", keep.get_ref());
        let hint = format!("one of `{}`", KEEP.join("`, `"));
        Some(Problem::at(file, text, keep.span(), message).with_hint(hint))
    }

    /// The tags that are swept, the newest version first. What is no version counts as one of its own, behind all
    /// versions; prereleases are none where only the latest is kept.
    pub fn select(&self, tags: &[String]) -> Vec<String> {
        let Some(glob) = &self.git_tags else {
            return Vec::new();
        };
        let mut tags: Vec<&String> = tags
            .iter()
            .filter(|tag| glob_matches(glob.get_ref(), tag))
            .collect();
        tags.sort_by(|a, b| newest_first(a, b));
        let n_numbers = match self.keep.as_ref().map(|keep| keep.get_ref().as_str()) {
            Some("latest-per-major") => Some(1),
            Some("latest-per-minor") => Some(2),
            _ => None,
        };
        let mut seen: BTreeSet<Vec<u64>> = BTreeSet::new();
        let kept = tags.into_iter().filter(|tag| {
            let Some(n) = n_numbers else { return true };
            match numbers(tag) {
                Some((numbers, is_prerelease)) => {
                    let group = numbers.iter().copied().chain([0, 0]).take(n).collect();
                    !is_prerelease && seen.insert(group)
                }
                None => true,
            }
        });
        let newest = self.newest.map_or(usize::MAX, |n| n as usize);
        kept.take(newest).cloned().collect()
    }
}

/// The numbers of `v1.4.2`, of `web/v1.4.2` too, and whether something follows them.
fn numbers(tag: &str) -> Option<(Vec<u64>, bool)> {
    let version = tag.rsplit('/').next().unwrap_or(tag);
    let version = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (release, rest) = match version.find(|c: char| !c.is_ascii_digit() && c != '.') {
        Some(at) => version.split_at(at),
        None => (version, ""),
    };
    let numbers = release
        .split('.')
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>();
    Some((
        numbers.ok()?,
        rest.starts_with(['-', '~']) || rest.starts_with("rc"),
    ))
}

fn newest_first(a: &str, b: &str) -> Ordering {
    match (numbers(a), numbers(b)) {
        (Some((a_numbers, a_pre)), Some((b_numbers, b_pre))) => b_numbers
            .cmp(&a_numbers)
            .then(a_pre.cmp(&b_pre))
            .then(b.cmp(a)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => b.cmp(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(keys: &str, tags: &[&str]) -> Vec<String> {
        let keys: ReleaseKeys = toml::from_str(keys).unwrap();
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        keys.select(&tags)
    }

    #[test]
    fn the_latest_of_each_minor_version_is_swept_the_newest_first() {
        let tags = [
            "v1.3.0",
            "v1.4.9",
            "v1.4.10",
            "v2.0.0-rc.1",
            "v1.10.0",
            "1.5.0",
            "old",
        ];
        let minor = "git-tags = \"v*\"\nkeep = \"latest-per-minor\"";
        assert_eq!(selected(minor, &tags), ["v1.10.0", "v1.4.10", "v1.3.0"]);
        assert_eq!(
            selected(&format!("{minor}\nnewest = 2"), &tags),
            ["v1.10.0", "v1.4.10"]
        );
        let major = "git-tags = \"*\"\nkeep = \"latest-per-major\"";
        assert_eq!(selected(major, &tags), ["v1.10.0", "old"]);
        let all = selected("git-tags = \"v*\"\nnewest = 3", &tags);
        assert_eq!(all, ["v2.0.0-rc.1", "v1.10.0", "v1.4.10"]);
        assert_eq!(selected("newest = 3", &tags), [""; 0]);
        let of_part = ["web/v1.0.0", "web/v1.0.1", "api/v1.0.2"];
        let keys = "git-tags = \"web/*\"\nkeep = \"latest-per-minor\"";
        assert_eq!(selected(keys, &of_part), ["web/v1.0.1"]);
    }
}
