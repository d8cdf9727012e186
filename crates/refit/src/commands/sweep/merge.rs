//! What a sweep says of several lines, as one JSON document.

use serde_json::{Value, json};

/// What there is of each line.
const LISTS: [&str; 10] = [
    "steps",
    "mirrors",
    "kept",
    "states",
    "unaffected",
    "errors",
    "images",
    "failed",
    "staged",
    "left",
];

/// One document for all lines: lists appended, counts added.
pub(crate) fn lines(documents: Vec<Value>) -> Value {
    let mut documents = documents.into_iter();
    let Some(mut merged) = documents.next() else {
        return json!({ "format_version": 1 });
    };
    for document in documents {
        for key in LISTS {
            match (merged.get_mut(key), document.get(key)) {
                (Some(Value::Array(all)), Some(Value::Array(more))) => {
                    all.extend(more.iter().cloned());
                }
                (None, Some(list)) => merged[key] = list.clone(),
                _ => {}
            }
        }
        for key in ["head", "get"] {
            let sum = merged["requests"][key].as_u64().unwrap_or(0)
                + document["requests"][key].as_u64().unwrap_or(0);
            merged["requests"][key] = json!(sum);
        }
        if merged["run"].is_null() {
            merged["run"] = document["run"].clone();
        }
    }
    merged
}
