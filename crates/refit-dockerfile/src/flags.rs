//! Which flags an instruction takes, and what values they take.

use crate::{
    SyntaxError, duration,
    model::{Flag, Keyword},
    suggest::nearest,
};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// Nothing, `true` or `false`.
    Switch,
    /// Any text.
    Text,
    /// Any text, and it may be repeated.
    Texts,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A duration of Go's: none, or at least a millisecond.
    Duration,
    /// A count that is not negative.
    Count,
}

use Takes::{Count, Duration, OneOf, Switch, Text, Texts};

/// BuildKit's flags of an instruction.
fn known(keyword: Keyword) -> &'static [(&'static str, Takes)] {
    match keyword {
        Keyword::From => &[("platform", Text)],
        Keyword::Add => &[
            ("chown", Text),
            ("chmod", Text),
            ("link", Switch),
            ("keep-git-dir", Switch),
            ("checksum", Text),
            ("unpack", Switch),
            ("exclude", Texts),
        ],
        Keyword::Copy => &[
            ("chown", Text),
            ("from", Text),
            ("chmod", Text),
            ("link", Switch),
            ("exclude", Texts),
            ("parents", Switch),
        ],
        Keyword::Run => &[
            ("mount", Texts),
            ("network", OneOf(&["default", "none", "host"])),
            ("security", OneOf(&["sandbox", "insecure"])),
            ("device", Texts),
        ],
        Keyword::Healthcheck => &[
            ("interval", Duration),
            ("timeout", Duration),
            ("start-period", Duration),
            ("start-interval", Duration),
            ("retries", Count),
        ],
        _ => &[],
    }
}

/// Checks the flags of an instruction, in order.
pub(crate) fn check(text: &str, keyword: Keyword, flags: &[Flag]) -> Result<(), SyntaxError> {
    // BuildKit never looks at these.
    if matches!(keyword, Keyword::Arg | Keyword::Stopsignal) {
        return Ok(());
    }
    for (i, flag) in flags.iter().enumerate() {
        let error = |message| SyntaxError::new(text, flag.span.clone(), message);
        let known = known(keyword);
        let Some((_, takes)) = known.iter().find(|(name, _)| *name == flag.name) else {
            let error = error(format!(
                "`--{}` is no flag of {}",
                flag.name,
                keyword.as_str()
            ));
            let near = nearest(&flag.name, known.iter().map(|(name, _)| *name));
            return Err(match near {
                Some(name) => error.hint(format!("did you mean `--{name}`?")),
                None => error,
            });
        };
        let repeated = || flags[..i].iter().any(|other| other.name == flag.name);
        if *takes != Texts && repeated() {
            return Err(error(format!("`--{}` is given twice", flag.name)));
        }
        let value = flag.value.as_ref().map(|value| value.value.as_str());
        if let Some(problem) = problem(*takes, value) {
            return Err(error(format!("`--{}` {problem}", flag.name)));
        }
    }
    Ok(())
}

/// What is wrong with a value; an empty one stands for a default.
fn problem(takes: Takes, value: Option<&str>) -> Option<String> {
    let Some(value) = value else {
        return (takes != Switch).then(|| "needs a value".to_owned());
    };
    match takes {
        Text | Texts => None,
        Duration | Count if value.is_empty() => None,
        Switch => match value.to_lowercase().as_str() {
            "" => Some("needs a value after its `=`".to_owned()),
            "true" | "false" => None,
            _ => Some(format!("is `true` or `false`, not `{value}`")),
        },
        OneOf(allowed) if allowed.contains(&value) => None,
        OneOf(allowed) => Some(format!(
            "is one of `{}`, not `{value}`",
            allowed.join("`, `")
        )),
        Duration => match duration::parse(value) {
            None => Some(format!("is a duration such as `30s`, not `{value}`")),
            Some(0 | 1_000_000..) => None,
            Some(_) => Some(format!("is at least `1ms`, not `{value}`")),
        },
        Count => match value.parse::<i32>() {
            Ok(0..) => None,
            _ => Some(format!("is a number from 0 on, not `{value}`")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_what_the_flag_takes() {
        for (takes, value, ok) in [
            (Switch, None, true),
            (Switch, Some("True"), true),
            (Switch, Some("FALSE"), true),
            (Switch, Some(""), false),
            (Switch, Some("1"), false),
            (Text, None, false),
            (Text, Some(""), true),
            (Texts, None, false),
            (OneOf(&["a"]), Some("a"), true),
            (OneOf(&["a"]), Some("A"), false),
            (Duration, Some("30s"), true),
            (Duration, Some("0s"), true),
            (Duration, Some("10us"), false),
            (Duration, Some("-1s"), false),
            (Duration, Some("soon"), false),
            (Count, Some("3"), true),
            (Count, Some("-3"), false),
            (Count, Some("x"), false),
        ] {
            let problem = problem(takes, value);
            assert_eq!(problem.is_none(), ok, "{takes:?} {value:?}: {problem:?}");
        }
    }
}
