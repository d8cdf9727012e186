//! The keys of one image as TOML, in the order in which one reads them.

use std::collections::BTreeMap;

use refit_deps::config::ImageKeys;
use toml_edit::{Array, InlineTable, Value};

/// More than this on one line is hard to read.
const WIDE: usize = 100;

/// Keys and values.
pub(super) fn keys(keys: &ImageKeys) -> Vec<(&'static str, Value)> {
    let text = |value: &Option<String>| value.as_ref().map(Value::from);
    let all = [
        ("target", text(&keys.target)),
        ("repository", text(&keys.repository)),
        ("platforms", keys.platforms.as_deref().map(list)),
        ("tags", keys.tags.as_deref().map(list)),
        ("unique-tags", keys.unique_tags.as_deref().map(list)),
        ("build-args", keys.build_args.as_ref().map(pairs)),
        ("build-contexts", keys.build_contexts.as_ref().map(pairs)),
        ("secrets", keys.secrets.as_ref().map(pairs)),
        ("labels", keys.labels.as_ref().map(pairs)),
        ("annotations", keys.annotations.as_ref().map(pairs)),
        ("network", text(&keys.network)),
    ];
    let said = all
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    said.collect()
}

/// `["a", "b"]`, on several lines where it is long.
pub(super) fn list(texts: &[String]) -> Value {
    let mut array: Array = texts.iter().map(String::as_str).collect();
    if array.to_string().len() > WIDE {
        for item in array.iter_mut() {
            item.decor_mut().set_prefix("\n    ");
        }
        array.set_trailing_comma(true);
        array.set_trailing("\n");
    }
    Value::from(array)
}

/// `{ a = "b" }`.
pub(super) fn pairs(pairs: &BTreeMap<String, String>) -> Value {
    let table: InlineTable = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    Value::from(table)
}
