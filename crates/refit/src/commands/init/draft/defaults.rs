//! `[defaults]`: what most images have in common.

use std::collections::BTreeMap;

use super::super::entry::Entry;

/// What an image has without a word on it.
const PLATFORMS: [&str; 1] = ["linux/amd64"];
const TAGS: [&str; 1] = ["latest"];

/// Keys of `[defaults]`; absent ones are left to refit.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) platforms: Option<Vec<String>>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

impl Defaults {
    /// What most images share. Afterwards each entry has those keys that differ from it, and no others.
    pub(super) fn of(entries: &mut [Entry]) -> Self {
        let owned =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(ToString::to_string).collect() };
        let (platforms, tags) = (owned(&PLATFORMS), owned(&TAGS));
        let said = |key: fn(&Entry) -> &Option<Vec<String>>, entries: &[Entry]| {
            let mut count: BTreeMap<Vec<String>, usize> = BTreeMap::new();
            for value in entries.iter().filter_map(|entry| key(entry).clone()) {
                *count.entry(value).or_default() += 1;
            }
            let most = count.into_iter().max_by_key(|(_, n)| *n);
            most.filter(|(_, n)| *n > 1 && *n * 2 > entries.len())
                .map(|(value, _)| value)
        };
        // An entry's labels replace the default's: only where all are alike is there one.
        let labels = entries.first().and_then(|first| first.keys.labels.clone());
        let all_alike =
            entries.len() > 1 && entries.iter().all(|entry| entry.keys.labels == labels);
        let defaults = Self {
            labels: labels.filter(|_| all_alike),
            platforms: said(|entry| &entry.keys.platforms, entries)
                .filter(|value| *value != platforms),
            tags: said(|entry| &entry.keys.tags, entries).filter(|value| *value != tags),
        };
        for entry in entries {
            if defaults.labels.is_some() {
                entry.keys.labels = None;
            }
            // Of what is only scanned nobody has said anything yet.
            if entry.is_scanned {
                continue;
            }
            settle(
                &mut entry.keys.platforms,
                defaults.platforms.as_ref(),
                &platforms,
            );
            settle(&mut entry.keys.tags, defaults.tags.as_ref(), &tags);
        }
        defaults
    }
}

/// Leaves the key out where the default says the same, and writes it where the default would change what it means.
fn settle(key: &mut Option<Vec<String>>, default: Option<&Vec<String>>, builtin: &Vec<String>) {
    let meant = key.take().unwrap_or_else(|| builtin.clone());
    *key = (meant != *default.unwrap_or(builtin)).then_some(meant);
}
