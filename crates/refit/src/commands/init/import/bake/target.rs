//! Targets: their attributes as values, laid over one another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::model::Place,
    eval::Globals,
    refer::{Row, Rows},
    value::text,
};

/// Attributes of one target; an absent one is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where the target begins.
    pub(crate) place: Place,
    pub(crate) inherits: Vec<String>,
    pub(crate) context: Option<String>,
    pub(crate) dockerfile: Option<String>,
    /// The text is of no interest: there is no file to point at.
    pub(crate) is_inline: bool,
    pub(crate) stage: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) args: BTreeMap<String, String>,
    pub(crate) contexts: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) platforms: Option<Vec<String>>,
    pub(crate) secrets: Option<Vec<String>>,
    pub(crate) annotations: Option<Vec<String>>,
    pub(crate) outputs: Option<Vec<String>>,
    /// Attributes that say nothing about the image, by name.
    pub(crate) others: BTreeMap<String, Place>,
    /// What has no value: what, and why.
    pub(crate) broken: Vec<(Place, String, String)>,
}

/// Attributes that are about how a build runs, not about what it makes.
const OTHERS: [&str; 12] = [
    "cache-from",
    "cache-to",
    "ssh",
    "attest",
    "no-cache-filter",
    "extra-hosts",
    "ulimits",
    "entitlements",
    "shm-size",
    "call",
    "policy",
    "no-cache",
];

/// Attributes that are of no interest at all.
const IGNORED: [&str; 5] = ["name", "matrix", "inherits", "description", "pull"];

impl Target {
    /// The attributes of a block. What can't be evaluated is noted in `broken`.
    pub(super) fn of((at, row): (usize, &Row), rows: &Rows, globals: &Globals) -> Self {
        let mut target = Self {
            place: row.place.clone(),
            ..Self::default()
        };
        for (name, (place, _)) in &row.attributes {
            if OTHERS.contains(&name.as_str()) {
                target.others.insert(name.clone(), place.clone());
                continue;
            }
            if IGNORED.contains(&name.as_str()) && name != "inherits" {
                continue;
            }
            let set = globals
                .attribute(rows, at, name)
                .and_then(|value| target.set(name, &value));
            if let Err(why) = set {
                target.broken.push((place.clone(), name.clone(), why));
            }
        }
        rows.finish(at);
        target
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        match name {
            "inherits" => self.inherits = texts(value)?,
            "context" => self.context = Some(text(value)?),
            "dockerfile" => self.dockerfile = Some(text(value)?),
            "dockerfile-inline" => self.is_inline = true,
            "target" => self.stage = Some(text(value)?).filter(|stage| !stage.is_empty()),
            "network" => self.network = Some(text(value)?),
            "args" => self.args = pairs(value)?,
            "contexts" => self.contexts = pairs(value)?,
            "labels" => self.labels = pairs(value)?,
            "tags" => self.tags = Some(texts(value)?),
            "platforms" => self.platforms = Some(texts(value)?),
            "secret" => self.secrets = Some(records(value)?),
            "annotations" => self.annotations = Some(texts(value)?),
            "output" => self.outputs = Some(records(value)?),
            _ => return Err("no attribute of that name is known".to_owned()),
        }
        Ok(())
    }

    /// This target with `over`'s attributes where it has any.
    pub(crate) fn overlay(&mut self, over: Self) {
        self.place = over.place;
        self.inherits.extend(over.inherits);
        self.context = over.context.or(self.context.take());
        self.dockerfile = over.dockerfile.or(self.dockerfile.take());
        self.is_inline |= over.is_inline;
        self.stage = over.stage.or(self.stage.take());
        self.network = over.network.or(self.network.take());
        self.args.extend(over.args);
        self.contexts.extend(over.contexts);
        self.labels.extend(over.labels);
        self.tags = over.tags.or(self.tags.take());
        self.platforms = over.platforms.or(self.platforms.take());
        self.secrets = over.secrets.or(self.secrets.take());
        self.annotations = over.annotations.or(self.annotations.take());
        self.outputs = over.outputs.or(self.outputs.take());
        self.others.extend(over.others);
        self.broken.extend(over.broken);
        self.broken.sort();
        self.broken.dedup();
    }
}

/// Texts of a list; null and empty ones are left out, as bake does.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let filled = items.iter().filter(|item| !item.is_null()).map(text);
    let mut texts = filled.collect::<Result<Vec<_>, _>>()?;
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// Entries of a list that are objects, `{ id = "x", env = "Y" }`, or the same as text, `id=x,env=Y`.
fn records(value: &Value) -> Result<Vec<String>, String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut records = Vec::new();
    for item in items.iter().filter(|item| !item.is_null()) {
        records.push(match item {
            Value::Object(map) => {
                let fields = map
                    .iter()
                    .map(|(key, value)| Ok(format!("{key}={}", text(value)?)));
                fields.collect::<Result<Vec<_>, String>>()?.join(",")
            }
            other => text(other)?,
        });
    }
    records.retain(|record| !record.is_empty());
    Ok(records)
}

/// Texts by name; one that is null is left out.
fn pairs(value: &Value) -> Result<BTreeMap<String, String>, String> {
    let map = super::value::object(value)?;
    let filled = map.iter().filter(|(_, value)| !value.is_null());
    filled
        .map(|(key, value)| Ok((key.clone(), text(value)?)))
        .collect()
}
