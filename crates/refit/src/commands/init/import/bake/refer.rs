//! `target.base.args`: what expressions say of the attributes of other targets, and of groups.
//!
//! As buildx's `hclparser` does it (`resolveBlock`): an attribute is what its own block writes, without what the target
//! inherits; and where several blocks have one name, it is the block's that was evaluated last, even if that does not
//! have the attribute.

use std::{cell::RefCell, collections::BTreeMap};

use hcl_edit::expr::{Expression, TraversalOperator};
use serde_json::{Map, Value};

use super::{
    super::model::Place,
    eval::{Evaluated, Globals, Locals},
    file::Block,
    value::{list, object, text, truth},
};

/// A block with a name of its own: a group, a target, or a target for one row of its matrix.
pub(super) struct Row {
    /// `target` or `group`.
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The block's position in the files; rows of one matrix have the same.
    pub(super) block: usize,
    pub(super) place: Place,
    pub(super) attributes: BTreeMap<String, (Place, Expression)>,
    /// The matrix's values.
    pub(super) locals: BTreeMap<String, Value>,
}

impl Row {
    /// A block without a matrix.
    pub(super) fn of(kind: &'static str, at: usize, block: Block) -> Self {
        Self {
            kind,
            name: block.name,
            block: at,
            place: block.place,
            attributes: block.attributes,
            locals: BTreeMap::new(),
        }
    }
}

/// All blocks, and what of them is evaluated.
#[derive(Default)]
pub(super) struct Rows {
    all: Vec<Row>,
    /// Rows by the name of one of them: all of each block that has it.
    named: BTreeMap<(&'static str, String), Vec<Vec<usize>>>,
    /// None for what is being evaluated.
    known: RefCell<BTreeMap<(usize, String), Option<Evaluated>>>,
    /// Whether several blocks have one name.
    has_repetitions: bool,
    /// The row that a name stands for.
    current: RefCell<BTreeMap<(&'static str, String), usize>>,
}

impl Rows {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let mut blocks: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            blocks.entry((row.kind, row.block)).or_default().push(at);
        }
        let mut named: BTreeMap<(&'static str, String), Vec<Vec<usize>>> = BTreeMap::new();
        for row in &rows {
            let of_block = &blocks[&(row.kind, row.block)];
            let of_name = named.entry((row.kind, row.name.clone())).or_default();
            if of_name.last() != Some(of_block) {
                of_name.push(of_block.clone());
            }
        }
        Self {
            all: rows,
            has_repetitions: named.values().any(|blocks| blocks.len() > 1),
            named,
            ..Self::default()
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.all.iter().enumerate()
    }

    /// A row's attribute is evaluated for its own sake: from now on its name stands for it.
    pub(super) fn finish(&self, at: usize) {
        let row = &self.all[at];
        let name = (row.kind, row.name.clone());
        self.current.borrow_mut().insert(name, at);
    }
}

impl Globals {
    /// The value of a row's attribute, null if it has none of that name.
    pub(super) fn attribute(&self, rows: &Rows, at: usize, name: &str) -> Evaluated {
        let row = &rows.all[at];
        let key = (at, name.to_owned());
        match rows.known.borrow().get(&key) {
            Some(Some(value)) => return value.clone(),
            Some(None) => {
                return Err(format!(
                    "`{}.{}.{name}` refers to itself",
                    row.kind, row.name
                ));
            }
            None => {}
        }
        rows.known.borrow_mut().insert(key.clone(), None);
        let value = match row.attributes.get(name) {
            Some((_, expression)) => {
                let locals = Locals {
                    names: row.locals.clone(),
                    around: None,
                };
                if rows.has_repetitions {
                    // All that it refers to is evaluated first, which decides what names stand for.
                    let _ = self.eval(expression, &locals);
                }
                self.eval(expression, &locals)
                    .and_then(|value| typed(name, value))
            }
            None => Ok(Value::Null),
        };
        rows.known.borrow_mut().insert(key, Some(value.clone()));
        value
    }

    /// The value of `target.base.args`, which is what the first two of these operators name.
    pub(super) fn refer(&self, kind: &str, operators: &[&TraversalOperator]) -> Evaluated {
        let mut names = operators.iter().map_while(|operator| match operator {
            TraversalOperator::GetAttr(name) => Some(name.to_string()),
            _ => None,
        });
        let (Some(name), Some(attribute)) = (names.next(), names.next()) else {
            return Err(format!(
                "`{kind}` is no variable: `{kind}.NAME.ATTRIBUTE` is one"
            ));
        };
        let unknown = || format!("there is no `{kind}.{name}`");
        // Names and matrices are evaluated before there are any.
        let rows = self.rows.get().ok_or_else(unknown)?;
        let kind = if kind == "group" { "group" } else { "target" };
        if attribute != "name" && shape(&attribute).is_none() {
            return Err(format!("a {kind} has no attribute `{attribute}`"));
        }
        let key = (kind, name.clone());
        for block in rows.named.get(&key).ok_or_else(unknown)? {
            for at in block {
                let known = rows.known.borrow().get(&(*at, attribute.clone())).cloned();
                if let Some(Some(_)) = known {
                    break;
                }
                self.attribute(rows, *at, &attribute)?;
                rows.finish(*at);
            }
        }
        let current = rows.current.borrow().get(&key).copied();
        let at = current.ok_or_else(unknown)?;
        if attribute == "name" {
            return Ok(Value::String(rows.all[at].name.clone()));
        }
        self.attribute(rows, at, &attribute)
    }
}

/// What an attribute holds.
enum Shape {
    Text,
    Flag,
    Texts,
    /// Objects, or the same as text.
    Records,
    Pairs,
}

fn shape(attribute: &str) -> Option<Shape> {
    Some(match attribute {
        "context" | "description" | "dockerfile" | "dockerfile-inline" | "target" | "network"
        | "shm-size" | "call" => Shape::Text,
        "pull" | "no-cache" => Shape::Flag,
        "inherits" | "targets" | "annotations" | "tags" | "platforms" | "no-cache-filter"
        | "ulimits" | "entitlements" => Shape::Texts,
        "attest" | "cache-from" | "cache-to" | "secret" | "ssh" | "output" | "policy" => {
            Shape::Records
        }
        "args" | "labels" | "contexts" | "extra-hosts" => Shape::Pairs,
        _ => return None,
    })
}

/// A value as the attribute holds it: the numbers of `args` are text from here on.
fn typed(attribute: &str, value: Value) -> Evaluated {
    if value.is_null() {
        return Ok(value);
    }
    let text_or_null = |value: &Value| match value {
        Value::Null => Ok(Value::Null),
        value => text(value).map(Value::String),
    };
    Ok(match shape(attribute) {
        Some(Shape::Text) => Value::String(text(&value)?),
        Some(Shape::Flag) => Value::Bool(truth(&value)?),
        Some(Shape::Texts) => {
            let items = list(&value)?.iter().map(text_or_null);
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Some(Shape::Pairs) => {
            let entries = object(&value)?
                .iter()
                .map(|(key, value)| Ok((key.clone(), text_or_null(value)?)));
            Value::Object(entries.collect::<Result<Map<_, _>, String>>()?)
        }
        Some(Shape::Records) | None => value,
    })
}
