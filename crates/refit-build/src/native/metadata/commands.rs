//! What a container runs: CMD, ENTRYPOINT, SHELL and HEALTHCHECK.

use refit_dockerfile::{Args, Instruction, duration};
use serde_json::{Map, Value, json};

use crate::native::{WINDOWS, draft::Draft, go_format};

pub(super) fn cmd(draft: &mut Draft, instruction: &Instruction) -> String {
    let words = command(draft, instruction);
    let created_by = format!("CMD {}", go_format::quoted(&words));
    draft.config.config.cmd = Some(words).filter(|words| !words.is_empty());
    // BuildKit sets Docker's key on every platform.
    draft.config.config.args_escaped = true;
    draft.cmd_is_set = true;
    created_by
}

pub(super) fn entrypoint(draft: &mut Draft, instruction: &Instruction) -> String {
    let words = command(draft, instruction);
    let created_by = format!("ENTRYPOINT {}", go_format::quoted(&words));
    draft.config.config.entrypoint = Some(words).filter(|words| !words.is_empty());
    if !draft.cmd_is_set {
        // A CMD of the base was meant for the base's entrypoint.
        draft.config.config.cmd = None;
    }
    created_by
}

/// The words of CMD and ENTRYPOINT: as they are, or one text for the shell.
fn command(draft: &Draft, instruction: &Instruction) -> Vec<String> {
    match &instruction.args {
        Args::Exec(words) => words.clone(),
        Args::Shell(text) => {
            let default = || {
                let words: &[&str] = match draft.config.os.as_str() {
                    WINDOWS => &["cmd", "/S", "/C"],
                    _ => &["/bin/sh", "-c"],
                };
                words.iter().map(|word| (*word).to_owned()).collect()
            };
            let shell = draft.config.config.shell.clone();
            let mut words = shell
                .filter(|shell| !shell.is_empty())
                .unwrap_or_else(default);
            words.push(text.clone());
            words
        }
        _ => Vec::new(),
    }
}

pub(super) fn shell(draft: &mut Draft, instruction: &Instruction) -> String {
    let words = match &instruction.args {
        Args::Exec(words) => words.clone(),
        _ => Vec::new(),
    };
    let created_by = format!("SHELL {}", go_format::plain(&words));
    draft.config.config.shell = Some(words);
    created_by
}

pub(super) fn healthcheck(draft: &mut Draft, instruction: &Instruction) -> String {
    let test: Vec<String> = match &instruction.args {
        Args::Exec(words) => std::iter::once("CMD".to_owned())
            .chain(words.iter().cloned())
            .collect(),
        Args::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
        _ => vec!["NONE".to_owned()],
    };
    let is_none = instruction.args == Args::NoHealthcheck;
    let flag = |name: &str| instruction.flag(name).filter(|_| !is_none);
    let time = |name: &str| {
        let value = flag(name).and_then(|value| duration::parse(&value.value));
        value
            .and_then(|value| u64::try_from(value).ok())
            .unwrap_or_default()
    };
    let retries = flag("retries")
        .and_then(|value| value.value.parse::<u64>().ok())
        .unwrap_or_default();
    let times = [
        ("Interval", time("interval")),
        ("Timeout", time("timeout")),
        ("StartPeriod", time("start-period")),
        ("StartInterval", time("start-interval")),
    ];
    let mut created_by = format!("HEALTHCHECK {{Test:{}", go_format::plain(&test));
    let mut object = Map::from_iter([("Test".to_owned(), json!(test))]);
    for (name, value) in times {
        created_by += &[" ", name, ":", &go_format::duration(value)].concat();
        object.extend((value != 0).then(|| (name.to_owned(), json!(value))));
    }
    created_by += &[" Retries:", &retries.to_string(), "}"].concat();
    object.extend((retries != 0).then(|| ("Retries".to_owned(), json!(retries))));
    draft.config.config.healthcheck = Some(Value::Object(object));
    created_by
}
