//! Text.

use serde_json::Value;

use super::{
    super::value::{list, text, whole},
    arg, format,
};

/// Bytes of a text that a function makes.
const LONGEST: usize = 1 << 20;

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let lengths = args
        .iter()
        .filter_map(Value::as_str)
        .map(|text| text.len() + 1);
    let longest = lengths.fold(1, usize::saturating_mul);
    if longest > LONGEST && matches!(name, "replace" | "regex_replace" | "regexall" | "indent") {
        return Some(Err("the result may be too long".to_owned()));
    }
    let a = || text(arg(args, 0)?);
    let b = || text(arg(args, 1)?);
    let one = |change: &dyn Fn(String) -> String| a().map(|a| Value::String(change(a)));
    let two = |change: &dyn Fn(String, String) -> String| Ok(Value::String(change(a()?, b()?)));
    Some(match name {
        "lower" => one(&|a| a.to_lowercase()),
        "upper" => one(&|a| a.to_uppercase()),
        "title" => one(&|a| title(&a)),
        "chomp" => one(&|a| a.trim_end_matches(['\n', '\r']).to_owned()),
        "trimspace" => one(&|a| a.trim().to_owned()),
        "strlen" => a().map(|a| Value::from(a.chars().count())),
        "reverse" => one(&|a| a.chars().rev().collect()),
        "trim" => two(&|a, cut| a.trim_matches(|c| cut.contains(c)).to_owned()),
        "trimprefix" => two(&|a, prefix| a.strip_prefix(prefix.as_str()).unwrap_or(&a).to_owned()),
        "trimsuffix" => two(&|a, suffix| a.strip_suffix(suffix.as_str()).unwrap_or(&a).to_owned()),
        "sanitize" => one(&|a| {
            a.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || "_-".contains(c) {
                        c
                    } else {
                        '_'
                    }
                })
                .collect()
        }),
        "basename" => one(&|a| base(&a).to_owned()),
        "dirname" => one(&|a| folder(&a)),
        "split" => split(args),
        "join" => join(args),
        "replace" => a().and_then(|a| Ok(Value::String(a.replace(&b()?, &text(arg(args, 2)?)?)))),
        "substr" => substr(args),
        "indent" => indent(args),
        "format" => a().and_then(|a| format::format(&a, &args[1..]).map(Value::String)),
        "formatlist" => a().and_then(|a| format::format_list(&a, &args[1..])),
        _ => return None,
    })
}

/// Go's `path.Base`.
fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        path => path.rsplit('/').next().unwrap_or_default(),
    }
}

/// Go's `path.Dir`, the folder as `path.Clean` writes it.
fn folder(path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.join("/")) {
        (true, folder) => format!("/{folder}"),
        (false, folder) if folder.is_empty() => ".".to_owned(),
        (false, folder) => folder,
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    let letters = text.chars().map(|c| {
        let upper = start && c.is_alphabetic();
        start = !c.is_alphanumeric() && c != '_' && c != '\'';
        if upper {
            c.to_uppercase().to_string()
        } else {
            c.to_string()
        }
    });
    letters.collect()
}

fn split(args: &[Value]) -> Result<Value, String> {
    let (separator, whole_text) = (text(arg(args, 0)?)?, text(arg(args, 1)?)?);
    let parts: Vec<Value> = if separator.is_empty() {
        whole_text
            .chars()
            .map(|c| Value::from(c.to_string()))
            .collect()
    } else if whole_text.is_empty() {
        Vec::new()
    } else {
        whole_text.split(&separator).map(Value::from).collect()
    };
    Ok(Value::Array(parts))
}

fn join(args: &[Value]) -> Result<Value, String> {
    let separator = text(arg(args, 0)?)?;
    let mut parts = Vec::new();
    for items in &args[1..] {
        for item in list(items)? {
            parts.push(text(item)?);
        }
    }
    Ok(Value::String(parts.join(&separator)))
}

fn substr(args: &[Value]) -> Result<Value, String> {
    let letters: Vec<char> = text(arg(args, 0)?)?.chars().collect();
    let n = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let (offset, length) = (whole(arg(args, 1)?)?, whole(arg(args, 2)?)?);
    let start = if offset < 0 { offset + n } else { offset }.clamp(0, n);
    let end = if length < 0 {
        n
    } else {
        (start + length).min(n)
    };
    let (start, end) = (
        usize::try_from(start).unwrap_or(0),
        usize::try_from(end).unwrap_or(0),
    );
    Ok(Value::String(
        letters[start..end.max(start)].iter().collect(),
    ))
}

fn indent(args: &[Value]) -> Result<Value, String> {
    let n = usize::try_from(whole(arg(args, 0)?)?)
        .unwrap_or(0)
        .min(1000);
    let pad = format!("\n{}", " ".repeat(n));
    Ok(Value::String(text(arg(args, 1)?)?.replace('\n', &pad)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parted_as_go_does() {
        for (path, last, above) in [
            ("", ".", "."),
            ("/", "/", "/"),
            ("a", "a", "."),
            ("a/b", "b", "a"),
            ("a/b/", "b", "a/b"),
            ("/a", "a", "/"),
            ("a//b/../c/x.txt", "x.txt", "a/c"),
            ("../../x", "x", "../.."),
            ("/../x", "x", "/"),
        ] {
            assert_eq!((base(path), folder(path).as_str()), (last, above), "{path}");
        }
    }
}
