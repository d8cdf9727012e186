//! `${VAR:-default}` as compose understands it.

use std::collections::BTreeMap;

/// The variables of a `.env` file.
pub(super) fn env_file(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = value.trim();
        let value = match value.chars().next() {
            Some('\'') => value[1..].split('\'').next().unwrap_or_default().to_owned(),
            Some('"') => {
                let inner = value[1..].split('"').next().unwrap_or_default();
                expanded(&inner.replace("\\n", "\n"), &variables)
            }
            _ => {
                let plain = value.split(" #").next().unwrap_or_default().trim_end();
                expanded(plain, &variables)
            }
        };
        variables.insert(name.trim().to_owned(), value);
    }
    variables
}

fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    interpolate(text, variables).unwrap_or_else(|_| text.to_owned())
}

/// A text with its variables put in; the error says which of them decides, and is not set.
pub(super) fn interpolate(
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<String, String> {
    put_in(text, variables, 0)
}

/// Defaults within defaults, at most.
const DEEPEST: usize = 16;

fn put_in(
    text: &str,
    variables: &BTreeMap<String, String>,
    depth: usize,
) -> Result<String, String> {
    if depth > DEEPEST {
        return Err("its defaults are nested too deeply".to_owned());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(braced) = rest.strip_prefix('{') {
            let end = closing(braced).ok_or_else(|| format!("`{text}` lacks a `}}`"))?;
            out.push_str(&braces(&braced[..end], variables, depth)?);
            rest = &braced[end + 1..];
        } else {
            let n = name_length(rest);
            if n == 0 {
                return Err(format!("`{text}` has a `$` that is not `$$`"));
            }
            let name = &rest[..n];
            out.push_str(variables.get(name).ok_or_else(|| unset(name))?);
            rest = &rest[n..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn unset(name: &str) -> String {
    format!("`{name}` is not set in this repository")
}

fn name_length(text: &str) -> usize {
    let is_name = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    text.char_indices()
        .take_while(|&place| is_name(place))
        .count()
}

/// Where the brace that was opened before `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}

fn braces(
    inner: &str,
    variables: &BTreeMap<String, String>,
    depth: usize,
) -> Result<String, String> {
    let (name, operator) = inner.split_at(name_length(inner));
    let value = variables.get(name);
    let (needs_text, operator) = match operator.strip_prefix(':') {
        Some(operator) => (true, operator),
        None => (false, operator),
    };
    let value = value.filter(|value| !needs_text || !value.is_empty());
    let other = |operator: &str| put_in(operator, variables, depth + 1);
    match (operator.chars().next(), value) {
        (None, Some(value)) if !name.is_empty() => Ok(value.clone()),
        (None, _) | (Some('?'), None) => Err(unset(name)),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) | (Some('+'), Some(_)) => other(&operator[1..]),
        (Some('+'), None) => Ok(String::new()),
        _ => Err(format!("`${{{inner}}}` is no variable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_as_compose_does() {
        let variables = env_file("# x\nA=1\nexport B='two $A'\nC=\"${A}.2\" # y\nE=\nF=a # b\n");
        for (text, expect) in [
            ("$A-${B}", Ok("1-two $A")),
            ("${C}|${F}", Ok("1.2|a")),
            ("${X:-${A}.${Y-z}}", Ok("1.z")),
            ("${E:-d}${E-d}", Ok("d")),
            ("${A:+yes}${X:+no}${E+set}", Ok("yesset")),
            ("$$A", Ok("$A")),
            ("${X}", Err("`X` is not set in this repository")),
            ("${X:?give it}", Err("`X` is not set in this repository")),
            ("${A", Err("`${A` lacks a `}`")),
            ("100%$", Err("`100%$` has a `$` that is not `$$`")),
        ] {
            let found = interpolate(text, &variables);
            assert_eq!(found.as_deref().map_err(String::as_str), expect, "{text}");
        }
    }
}
