//! Regular expressions, of RE2's syntax.

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::{super::value::text, arg};

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    Some(match name {
        "regex_replace" => replace(args),
        "regex" => matched(args),
        "regexall" => all(args),
        _ => return None,
    })
}

fn compiled(pattern: &Value) -> Result<Regex, String> {
    let pattern = text(pattern)?;
    Regex::new(&pattern).map_err(|_| format!("`{pattern}` is no regular expression"))
}

fn replace(args: &[Value]) -> Result<Value, String> {
    let (subject, with) = (text(arg(args, 0)?)?, text(arg(args, 2)?)?);
    let replaced = compiled(arg(args, 1)?)?
        .replace_all(&subject, with.as_str())
        .into_owned();
    Ok(Value::String(replaced))
}

fn matched(args: &[Value]) -> Result<Value, String> {
    let (regex, subject) = (compiled(arg(args, 0)?)?, text(arg(args, 1)?)?);
    let captures = regex.captures(&subject);
    captures
        .ok_or_else(|| format!("`{subject}` does not match"))
        .and_then(|captures| found(&regex, &captures))
}

fn all(args: &[Value]) -> Result<Value, String> {
    let (regex, subject) = (compiled(arg(args, 0)?)?, text(arg(args, 1)?)?);
    let captures = regex.captures_iter(&subject);
    let captures = captures.map(|captures| found(&regex, &captures));
    Ok(Value::Array(captures.collect::<Result<_, _>>()?))
}

/// The match, or its groups if there are any: named ones by name, others in their order.
fn found(regex: &Regex, captures: &Captures<'_>) -> Result<Value, String> {
    let of_group = |at: usize| {
        let group = captures.get(at);
        group.map_or(Value::Null, |group| Value::from(group.as_str()))
    };
    let names: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    if names.is_empty() {
        return Ok(of_group(0));
    }
    let by_name: Map<String, Value> = names
        .iter()
        .enumerate()
        .filter_map(|(at, name)| Some(((*name)?.to_owned(), of_group(at + 1))))
        .collect();
    if by_name.is_empty() {
        return Ok((1..=names.len()).map(of_group).collect());
    }
    if by_name.len() < names.len() {
        return Err("its groups are in part named, in part not".to_owned());
    }
    Ok(Value::Object(by_name))
}
