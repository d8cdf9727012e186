//! Functions whose value the run does not decide.

use serde_json::Value;

pub(super) fn call(name: &str, args: &[Value]) -> Option<Value> {
    let first = args.first()?;
    let second = || args.get(1).map(text).unwrap_or_default();
    let lower = |value: &Value| text(value).to_lowercase();
    Some(match name.to_lowercase().as_str() {
        "contains" => match first {
            Value::Array(items) => Value::Bool(
                items
                    .iter()
                    .any(|item| lower(item) == second().to_lowercase()),
            ),
            other => Value::Bool(lower(other).contains(&second().to_lowercase())),
        },
        "startswith" => Value::Bool(lower(first).starts_with(&second().to_lowercase())),
        "endswith" => Value::Bool(lower(first).ends_with(&second().to_lowercase())),
        "format" => Value::String(format(&text(first), &args[1..])?),
        "join" => {
            let separator = args.get(1).map_or_else(|| ",".to_owned(), text);
            match first {
                Value::Array(items) => {
                    Value::String(items.iter().map(text).collect::<Vec<_>>().join(&separator))
                }
                other => Value::String(text(other)),
            }
        }
        "tojson" => Value::String(serde_json::to_string_pretty(first).ok()?),
        "fromjson" => serde_json::from_str(&text(first)).ok()?,
        "member" => {
            let mut value = first.clone();
            for key in &args[1..] {
                value = super::member(&value, &text(key));
            }
            value
        }
        _ => return None,
    })
}

/// A value as it is put into a text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn format(pattern: &str, args: &[Value]) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{")?;
        out.push_str(&text(args.get(rest[..end].parse::<usize>().ok()?)?));
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}
