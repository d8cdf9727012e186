//! Lists and objects.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    super::value::{equal, index, list, number, object, text, whole},
    arg,
};

/// More elements than a file can mean.
const MOST: usize = 100_000;

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let a = || arg(args, 0);
    let first = || list(arg(args, 0)?);
    Some(match name {
        "concat" => all_items(args).map(Value::Array),
        "length" => a().and_then(length),
        "keys" => a()
            .and_then(object)
            .map(|map| map.keys().map(|key| Value::from(key.as_str())).collect()),
        "values" => a()
            .and_then(object)
            .map(|map| map.values().cloned().collect()),
        "merge" => merge(args),
        "lookup" => lookup(args),
        "contains" => first().and_then(|items| {
            let wanted = arg(args, 1)?;
            Ok(Value::Bool(items.iter().any(|item| equal(item, wanted))))
        }),
        "coalesce" => {
            let found = args.iter().find(|value| !value.is_null()).cloned();
            found.ok_or_else(|| "no argument has a value".to_owned())
        }
        "coalescelist" => {
            let found = args
                .iter()
                .find(|value| value.as_array().is_some_and(|items| !items.is_empty()));
            found
                .cloned()
                .ok_or_else(|| "every list is empty".to_owned())
        }
        "compact" => first().map(|items| {
            items
                .iter()
                .filter(|item| item.as_str() != Some(""))
                .cloned()
                .collect()
        }),
        "distinct" => all_items(args).map(|items| distinct(&items)),
        "flatten" => first().map(|items| {
            let mut flat = Vec::new();
            flatten(items, &mut flat);
            Value::Array(flat)
        }),
        "reverselist" => first().map(|items| items.iter().rev().cloned().collect()),
        "sort" => first().and_then(|items| {
            let mut texts = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            texts.sort();
            Ok(texts.into_iter().map(Value::from).collect())
        }),
        "slice" => slice(args),
        "element" => first().and_then(|items| {
            let n = i64::try_from(items.len()).unwrap_or(0);
            if n == 0 {
                return Err("the list is empty".to_owned());
            }
            let at = whole(arg(args, 1)?)?.rem_euclid(n);
            index(&Value::Array(items.clone()), &Value::from(at))
        }),
        "indexof" => first().and_then(|items| {
            let wanted = arg(args, 1)?;
            let at = items.iter().position(|item| equal(item, wanted));
            at.map(Value::from)
                .ok_or_else(|| format!("there is no `{wanted}`"))
        }),
        "index" => a().and_then(|collection| index(collection, arg(args, 1)?)),
        "hasindex" => {
            a().and_then(|collection| Ok(Value::Bool(index(collection, arg(args, 1)?).is_ok())))
        }
        "chunklist" => chunks(args),
        "range" => range(args),
        "setproduct" => product(args),
        "zipmap" => zip(args),
        "jsonencode" => a().map(|value| Value::String(json(value))),
        "jsondecode" => a()
            .and_then(text)
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())),
        _ => return None,
    })
}

/// As Go writes it: for pages of HTML.
fn json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

pub(super) fn all_items(lists: &[Value]) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for items in lists {
        all.extend(list(items)?.iter().cloned());
    }
    Ok(all)
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Object(map) => Ok(Value::from(map.len())),
        Value::String(text) => Ok(Value::from(text.chars().count())),
        other => Err(format!("`{other}` has no length")),
    }
}

fn merge(args: &[Value]) -> Result<Value, String> {
    let mut merged = Map::new();
    for map in args.iter().filter(|arg| !arg.is_null()) {
        merged.extend(object(map)?.clone());
    }
    Ok(Value::Object(merged))
}

fn lookup(args: &[Value]) -> Result<Value, String> {
    let (map, key) = (object(arg(args, 0)?)?, text(arg(args, 1)?)?);
    match map.get(&key) {
        Some(value) => Ok(value.clone()),
        None => arg(args, 2)
            .cloned()
            .map_err(|_| format!("there is no key `{key}`")),
    }
}

pub(super) fn distinct(items: &[Value]) -> Value {
    let mut seen: Vec<Value> = Vec::new();
    for item in items {
        if !seen.iter().any(|other| equal(item, other)) {
            seen.push(item.clone());
        }
    }
    Value::Array(seen)
}

fn flatten(items: &[Value], flat: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::Array(inner) => flatten(inner, flat),
            other => flat.push(other.clone()),
        }
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let items = list(arg(args, 0)?)?;
    let position = |at: usize| -> Result<usize, String> {
        let position = usize::try_from(whole(arg(args, at)?)?);
        position.map_err(|_| "a position must not be negative".to_owned())
    };
    let (start, end) = (position(1)?, position(2)?);
    let part = items.get(start..end);
    part.map(|part| Value::Array(part.to_vec()))
        .ok_or_else(|| "the slice goes beyond the list".to_owned())
}

fn chunks(args: &[Value]) -> Result<Value, String> {
    let size = usize::try_from(whole(arg(args, 1)?)?).unwrap_or(0);
    let items = list(arg(args, 0)?)?;
    if size == 0 {
        return Ok(Value::Array(vec![Value::Array(items.clone())]));
    }
    Ok(items
        .chunks(size)
        .map(|chunk| Value::Array(chunk.to_vec()))
        .collect())
}

fn range(args: &[Value]) -> Result<Value, String> {
    let numbers = args.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    let (start, end, step) = match numbers.as_slice() {
        [end] => (0, *end, if *end < 0 { -1 } else { 1 }),
        [start, end] => (*start, *end, if end < start { -1 } else { 1 }),
        [start, end, step] => (*start, *end, *step),
        _ => return Err("takes one to three numbers".to_owned()),
    };
    if step == 0 || (end > start) != (step > 0) && end != start {
        return Err("the step leads away from the end".to_owned());
    }
    let mut items = Vec::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        if items.len() >= MOST {
            return Err("the range is too long".to_owned());
        }
        #[expect(clippy::cast_precision_loss, reason = "bounded by a billion")]
        items.push(number(at as f64));
        at += step;
    }
    Ok(Value::Array(items))
}

fn product(args: &[Value]) -> Result<Value, String> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for items in args {
        let items = list(items)?;
        if rows.len().saturating_mul(items.len()) > MOST {
            return Err("the product is too large".to_owned());
        }
        let longer = rows.iter().flat_map(|row| {
            items
                .iter()
                .map(move |item| row.iter().cloned().chain([item.clone()]).collect())
        });
        rows = longer.collect();
    }
    Ok(rows.into_iter().map(Value::Array).collect())
}

fn zip(args: &[Value]) -> Result<Value, String> {
    let (keys, values) = (list(arg(args, 0)?)?, list(arg(args, 1)?)?);
    if keys.len() != values.len() {
        return Err("keys and values differ in number".to_owned());
    }
    let pairs = keys
        .iter()
        .zip(values)
        .map(|(key, value)| Ok((text(key)?, value.clone())));
    Ok(Value::Object(pairs.collect::<Result<_, String>>()?))
}
