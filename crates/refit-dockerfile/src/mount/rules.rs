//! What BuildKit minds in a mount that is executed: keys, their values, and which go together.

use std::ops::Range;

use super::Mount;

/// Keys that take a value, beside those with rules of their own.
const PLAIN: [&str; 8] = [
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "id",
    "env",
];

/// What is wrong, and where.
type Problem = (Range<usize>, String);

impl Mount {
    /// Applies BuildKit's rules to the expanded values; none stands for a value that is not known. As there, a key that
    /// belongs to a type must follow it.
    pub(crate) fn check(&self, values: &[Option<String>]) -> Result<(), Problem> {
        let mut kind = Some("bind".to_owned());
        for (field, value) in self.fields.iter().zip(values) {
            let error = |message: String| Err((field.span.clone(), message));
            let key = field.key.as_str();
            if let Some(problem) = misplaced(key, kind.as_deref()) {
                return error(problem);
            }
            let Some(written) = &field.value else {
                match key {
                    "readonly" | "ro" | "readwrite" | "rw" | "required" => continue,
                    _ => return error(format!("the mount field `{key}` must be `key=value`")),
                }
            };
            if key == "type" {
                kind = value.as_ref().map(|kind| kind.to_lowercase());
            }
            let problem = match value {
                Some(value) => wrong(key, value),
                None => wrong(key, ""),
            };
            match problem {
                Some(Wrong::Key) => return error(format!("`{key}` is no field of a mount")),
                Some(Wrong::Value(what)) if value.is_some() => {
                    let value = value.as_deref().unwrap_or_default();
                    return Err((written.span.clone(), format!("`{value}` is no {what}")));
                }
                _ => {}
            }
        }
        match kind {
            Some(kind) => self.check_together(&kind),
            None => Ok(()),
        }
    }

    fn check_together(&self, kind: &str) -> Result<(), Problem> {
        let has = |keys: &[&str]| {
            let value = self.last(keys);
            value.is_some_and(|value| !value.value.is_empty())
        };
        let error = |message: &str| Err((self.span.clone(), message.to_owned()));
        if kind != "cache" && has(&["sharing"]) {
            return error("only a cache mount has a sharing mode");
        }
        if !matches!(kind, "cache" | "secret" | "ssh") {
            for key in ["mode", "uid", "gid"] {
                if has(&[key]) {
                    return error(&format!("a {kind} mount has no `{key}`"));
                }
            }
        }
        if kind != "secret" {
            return Ok(());
        }
        if self.from().is_some() {
            return error("a secret mount has no `from`");
        }
        match (self.source().is_some(), has(&["id"])) {
            (true, true) => error("a secret mount has a `source` or an `id`, not both"),
            (false, false) if !has(&["target", "dst", "destination"]) => {
                error("a secret mount needs an `id` or a `target`")
            }
            _ => Ok(()),
        }
    }
}

/// A key that another type of mount has, or has not yet.
fn misplaced(key: &str, kind: Option<&str>) -> Option<String> {
    let kind = kind?;
    let fits = match key {
        "required" => matches!(kind, "secret" | "ssh"),
        "size" => kind == "tmpfs",
        _ => true,
    };
    (!fits).then(|| format!("a {kind} mount has no `{key}` (a `type` must come before it)"))
}

enum Wrong {
    Key,
    Value(&'static str),
}

fn wrong(key: &str, value: &str) -> Option<Wrong> {
    let one_of = |allowed: &[&str]| allowed.contains(&value.to_lowercase().as_str());
    let (ok, what) = match key {
        "type" => (
            one_of(&["bind", "cache", "tmpfs", "secret", "ssh"]),
            "type of a mount (`bind`, `cache`, `tmpfs`, `secret`, `ssh`)",
        ),
        "sharing" => (
            one_of(&["shared", "private", "locked"]),
            "sharing mode of a mount (`shared`, `private`, `locked`)",
        ),
        "readonly" | "ro" | "readwrite" | "rw" | "required" => {
            (is_bool(value), "truth value (`true`, `false`)")
        }
        "size" => (is_size(value), "size such as `64m`"),
        "mode" => (u32::from_str_radix(value, 8).is_ok(), "octal mode"),
        "uid" | "gid" => (value.parse::<u32>().is_ok(), "numeric id"),
        _ if PLAIN.contains(&key) => return None,
        _ => return Some(Wrong::Key),
    };
    (!ok).then_some(Wrong::Value(what))
}

/// Go's `strconv.ParseBool`.
fn is_bool(value: &str) -> bool {
    let spelled = ["true", "True", "TRUE", "false", "False", "FALSE"];
    matches!(value, "1" | "t" | "T" | "0" | "f" | "F") || spelled.contains(&value)
}

/// Docker's sizes: a number, and perhaps a unit, `64m`, `1.5GiB`.
fn is_size(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let unit = lower.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = lower.split_at(unit.unwrap_or(lower.len()));
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let unit = unit.trim_start_matches(['k', 'm', 'g', 't', 'p']);
    number.parse::<f64>().is_ok() && matches!(unit, "" | "b" | "ib")
}

#[cfg(test)]
mod tests {
    use crate::{parse, resolve::resolve_plainly};

    #[track_caller]
    fn check(mount: &str, expect: Option<&str>) {
        let text = format!("FROM a\nARG T=cache\nRUN --mount={mount} x\n");
        let result = resolve_plainly(&parse(&text).unwrap()).map(drop);
        match (result, expect) {
            (Ok(()), None) => {}
            (Err(error), Some(expect)) => {
                assert!(error.message.contains(expect), "{mount}: {error}");
            }
            (result, _) => panic!("{mount}: {result:?}"),
        }
    }

    #[test]
    fn mounts_that_are_executed_follow_the_rules() {
        for (mount, expect) in [
            ("target=/x,ro", None),
            ("type=cache,target=/x,sharing=locked,uid=1,mode=0755", None),
            ("type=$T,target=/x,sharing=locked", None),
            ("type=$BASE,target=/x,sharing=locked,uid=1,required", None),
            ("type=tmpfs,target=/x,size=64m", None),
            ("type=secret,id=x,required,mode=0400", None),
            ("type=ssh,required=false", None),
            ("target=/x,rw=F", None),
            ("target", Some("`target` must be `key=value`")),
            ("form=x", Some("`form` is no field of a mount")),
            ("type=disk", Some("`disk` is no type of a mount")),
            ("type=cache,sharing=x", Some("`x` is no sharing mode")),
            ("type=cache,uid=me", Some("`me` is no numeric id")),
            ("type=cache,mode=9", Some("`9` is no octal mode")),
            ("target=/x,ro=maybe", Some("`maybe` is no truth value")),
            ("type=tmpfs,size=big", Some("`big` is no size")),
            ("target=/x,uid=1", Some("a bind mount has no `uid`")),
            ("target=/x,sharing=locked", Some("only a cache mount")),
            ("size=1,type=tmpfs", Some("a bind mount has no `size`")),
            ("required,type=secret,id=x", Some("has no `required`")),
            (
                "type=secret,from=b,id=x",
                Some("a secret mount has no `from`"),
            ),
            ("type=secret", Some("needs an `id` or a `target`")),
            ("type=secret,id=x,src=y", Some("not both")),
        ] {
            check(mount, expect);
        }
    }

    #[test]
    fn what_is_not_executed_is_not_minded() {
        assert!(parse("FROM a AS b\nRUN --mount=type=disk x\nFROM c").is_ok());
    }
}
