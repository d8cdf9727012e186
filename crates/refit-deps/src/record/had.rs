//! Folded history: records of an image as the rows of tables, each text once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Record;

/// Records of an image on one line. Nothing of them is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HadRecord {
    /// The image's name.
    pub image: String,
    /// What the rows' numbers stand for: digests above all, most of which several records name.
    texts: Vec<String>,
    tables: Vec<Table>,
}

/// Records of one type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Table {
    /// `build`, `deps`, `publish`.
    #[serde(rename = "type")]
    kind: String,
    /// The members' names.
    columns: Vec<String>,
    /// The members, with numbers in place of texts; null where a record does not have one.
    rows: Vec<Vec<Value>>,
}

impl HadRecord {
    /// Folds records of an image. In the order of what they say, so that it is the same whatever they came in.
    pub(super) fn of<'r>(image: &str, records: impl IntoIterator<Item = &'r Record>) -> Self {
        let all: BTreeSet<String> = records.into_iter().map(Record::to_line).collect();
        let mut texts = Texts::default();
        let mut kinds: BTreeMap<String, Vec<Map<String, Value>>> = BTreeMap::new();
        for line in &all {
            let Ok(Value::Object(mut members)) = serde_json::from_str(line) else {
                continue; // records are objects
            };
            members.remove("v");
            members.remove("image");
            if let Some(Value::String(kind)) = members.remove("type") {
                members.values_mut().for_each(|value| texts.replace(value));
                kinds.entry(kind).or_default().push(members);
            }
        }
        let tables = kinds.into_iter().map(|(kind, rows)| {
            let columns: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
            let row = |row: &Map<String, Value>| {
                let value = |name: &&String| row.get(*name).cloned().unwrap_or_default();
                columns.iter().map(value).collect()
            };
            Table {
                kind,
                rows: rows.iter().map(row).collect(),
                columns: columns.into_iter().cloned().collect(),
            }
        });
        Self {
            image: image.to_owned(),
            tables: tables.collect(),
            texts: texts.all,
        }
    }

    /// The records, one by one. What is none of a type that is folded is passed over.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let rows = self
            .tables
            .iter()
            .filter(|table| matches!(table.kind.as_str(), "build" | "deps" | "publish"))
            .flat_map(|table| table.rows.iter().map(move |row| (table, row)));
        rows.filter_map(|(table, row)| {
            let mut members = Map::new();
            for (name, value) in table.columns.iter().zip(row).filter(|(_, v)| !v.is_null()) {
                let mut value = value.clone();
                self.restore(&mut value)?;
                members.insert(name.clone(), value);
            }
            members.insert("image".to_owned(), Value::String(self.image.clone()));
            members.insert("type".to_owned(), Value::String(table.kind.clone()));
            serde_json::from_value(Value::Object(members)).ok()
        })
    }

    /// Puts texts in the place of their numbers; none if there is no such text.
    fn restore(&self, value: &mut Value) -> Option<()> {
        match value {
            Value::Number(number) => {
                let at = usize::try_from(number.as_u64()?).ok()?;
                *value = Value::String(self.texts.get(at)?.clone());
                Some(())
            }
            Value::Array(all) => all.iter_mut().try_for_each(|value| self.restore(value)),
            Value::Object(all) => all.values_mut().try_for_each(|value| self.restore(value)),
            Value::Null | Value::Bool(_) | Value::String(_) => Some(()),
        }
    }
}

/// The texts that were met, and which number each has.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Texts {
    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let number = *self.numbers.entry(text.clone()).or_insert_with(|| {
                    self.all.push(text.clone());
                    self.all.len() - 1
                });
                *value = Value::from(number);
            }
            Value::Array(all) => all.iter_mut().for_each(|value| self.replace(value)),
            Value::Object(all) => all.values_mut().for_each(|value| self.replace(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
