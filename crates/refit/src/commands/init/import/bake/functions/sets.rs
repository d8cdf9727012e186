//! Sets: of one type, without repetitions, in their own order.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    super::value::{equal, list, text},
    arg, collections,
};

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    Some(match name {
        "setunion" => unified(args).map(|sets| set(sets.into_iter().flatten())),
        "sethaselement" => arg(args, 0).and_then(list).and_then(|items| {
            let wanted = arg(args, 1)?;
            Ok(Value::Bool(holds(items, wanted)))
        }),
        "setintersection" => unified(args).map(|sets| {
            let (first, others) = sets
                .split_first()
                .map_or((&[][..], &[][..]), |(f, o)| (f.as_slice(), o));
            let common = first
                .iter()
                .filter(|item| others.iter().all(|other| holds(other, item)));
            set(common.cloned())
        }),
        "setsubtract" => unified(args).map(|sets| {
            let without = sets.get(1).map(Vec::as_slice).unwrap_or_default();
            let kept = sets
                .iter()
                .take(1)
                .flatten()
                .filter(|item| !holds(without, item));
            set(kept.cloned())
        }),
        "setsymmetricdifference" => unified(args).map(|sets| {
            let mut odd: Vec<Value> = Vec::new();
            for items in &sets {
                let new: Vec<Value> = items
                    .iter()
                    .filter(|item| !holds(&odd, item))
                    .cloned()
                    .collect();
                odd.retain(|item| !holds(items, item));
                odd.extend(new);
            }
            set(odd.into_iter())
        }),
        _ => return None,
    })
}

fn holds(items: &[Value], wanted: &Value) -> bool {
    items.iter().any(|item| equal(item, wanted))
}

/// The sets' elements; all of them are texts if one is.
fn unified(args: &[Value]) -> Result<Vec<Vec<Value>>, String> {
    let mut sets = args
        .iter()
        .map(|items| list(items).cloned())
        .collect::<Result<Vec<_>, _>>()?;
    if sets.iter().flatten().any(Value::is_string) {
        for item in sets.iter_mut().flatten() {
            *item = Value::String(text(item)?);
        }
    }
    Ok(sets)
}

/// Texts by their bytes, numbers by value, false before true.
fn set(items: impl Iterator<Item = Value>) -> Value {
    let items: Vec<Value> = items.collect();
    let mut set = match collections::distinct(&items) {
        Value::Array(items) => items,
        other => vec![other],
    };
    set.sort_by(|a, b| match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => {
            let by_value = a.as_f64().partial_cmp(&b.as_f64());
            by_value.unwrap_or(Ordering::Equal)
        }
    });
    Value::Array(set)
}
