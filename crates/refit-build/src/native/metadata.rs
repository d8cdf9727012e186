//! The instructions that change only the config.

use refit_dockerfile::{Args, Instruction, Keyword, duration, expand::ExpandError};
use refit_oci::Config;
use serde_json::{Map, Value, json};

use super::{
    draft::Draft,
    go_format,
    ports::{PortError, ports},
    scope::Arguments,
    signal,
};

/// Why an instruction cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("`{0}` is no signal")]
    Signal(String),
    #[error("VOLUME needs paths that are not empty")]
    EmptyVolume,
}

/// Applies an instruction, and says whether it is one of these.
pub(crate) fn apply(
    draft: &mut Draft,
    instruction: &Instruction,
    arguments: Arguments<'_>,
) -> Result<bool, MetadataError> {
    let created_by = match instruction.keyword {
        Keyword::Arg => arg(draft, instruction, arguments)?,
        Keyword::Env => env(draft, instruction)?,
        Keyword::Label => label(draft, instruction)?,
        Keyword::Cmd => cmd(draft, instruction),
        Keyword::Entrypoint => entrypoint(draft, instruction),
        Keyword::Expose => expose(draft, instruction)?,
        Keyword::Healthcheck => healthcheck(draft, instruction),
        Keyword::Maintainer => maintainer(draft, instruction),
        Keyword::Shell => shell(draft, instruction),
        Keyword::Stopsignal => stop_signal(draft, instruction)?,
        Keyword::User => user(draft, instruction)?,
        Keyword::Volume => volume(draft, instruction)?,
        Keyword::Onbuild => {
            // The one instruction that leaves no trace in the history.
            let trigger = instruction
                .trigger()
                .map(|trigger| trigger.expression.clone());
            draft.config.config.on_build.extend(trigger);
            return Ok(true);
        }
        Keyword::Add | Keyword::Copy | Keyword::From | Keyword::Run | Keyword::Workdir => {
            return Ok(false);
        }
    };
    draft.add_empty(created_by);
    Ok(true)
}

fn arg(
    draft: &mut Draft,
    instruction: &Instruction,
    arguments: Arguments<'_>,
) -> Result<String, MetadataError> {
    let mut created_by = "ARG".to_owned();
    for pair in pairs(instruction) {
        created_by.push(' ');
        created_by.push_str(&pair.name);
        if let Some(value) = draft.scope.argument(pair, arguments)? {
            created_by.push('=');
            created_by.push_str(&value);
        }
    }
    Ok(created_by)
}

fn env(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let pairs = draft.scope.pairs(pairs(instruction))?;
    for (name, value) in &pairs {
        draft.scope.set(name, value);
        set_env(&mut draft.config.config, name, value);
    }
    Ok(listed("ENV", &pairs))
}

fn set_env(config: &mut Config, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    let is_same =
        |old: &&mut String| old.split_once('=').map_or(old.as_str(), |(name, _)| name) == name;
    match config.env.iter_mut().find(is_same) {
        Some(old) => *old = pair,
        None => config.env.push(pair),
    }
}

fn label(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let pairs = draft.scope.pairs(pairs(instruction))?;
    draft.config.config.labels.extend(pairs.iter().cloned());
    Ok(listed("LABEL", &pairs))
}

fn cmd(draft: &mut Draft, instruction: &Instruction) -> String {
    let words = command(draft, instruction);
    let created_by = format!("CMD {}", go_format::quoted(&words));
    draft.config.config.cmd = Some(words).filter(|words| !words.is_empty());
    // BuildKit sets Docker's key on every platform.
    draft.config.config.args_escaped = true;
    draft.cmd_is_set = true;
    created_by
}

fn entrypoint(draft: &mut Draft, instruction: &Instruction) -> String {
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
            let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
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

fn expose(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let mut written = words(instruction);
    written.sort_unstable();
    let mut exposed = Vec::new();
    for word in written {
        for word in draft.scope.words(word)? {
            exposed.extend(ports(&word)?);
        }
    }
    let keys = exposed.iter().map(|port| (port.clone(), json!({})));
    draft.config.config.exposed_ports.extend(keys);
    Ok(format!("EXPOSE {}", go_format::plain(&exposed)))
}

fn healthcheck(draft: &mut Draft, instruction: &Instruction) -> String {
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

fn maintainer(draft: &mut Draft, instruction: &Instruction) -> String {
    let name = word(instruction);
    draft.config.other.insert("author".to_owned(), json!(name));
    format!("MAINTAINER {name}")
}

fn shell(draft: &mut Draft, instruction: &Instruction) -> String {
    let words = match &instruction.args {
        Args::Exec(words) => words.clone(),
        _ => Vec::new(),
    };
    let created_by = format!("SHELL {}", go_format::plain(&words));
    draft.config.config.shell = Some(words);
    created_by
}

fn stop_signal(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let signal = draft.scope.word(word(instruction))?;
    if !signal::is_signal(&signal) {
        return Err(MetadataError::Signal(signal));
    }
    let created_by = format!("STOPSIGNAL {signal}");
    draft.config.config.stop_signal = Some(signal);
    Ok(created_by)
}

fn user(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let user = draft.scope.word(word(instruction))?;
    let created_by = format!("USER {user}");
    draft.config.config.user = Some(user).filter(|user| !user.is_empty());
    Ok(created_by)
}

fn volume(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let volumes = words(instruction)
        .into_iter()
        .map(|word| draft.scope.word(word.trim()));
    let volumes: Vec<String> = volumes.collect::<Result<_, _>>()?;
    if volumes.iter().any(String::is_empty) {
        return Err(MetadataError::EmptyVolume);
    }
    let keys = volumes.iter().map(|volume| (volume.clone(), json!({})));
    draft.config.config.volumes.extend(keys);
    Ok(format!("VOLUME {}", go_format::plain(&volumes)))
}

fn pairs(instruction: &Instruction) -> &[refit_dockerfile::Pair] {
    match &instruction.args {
        Args::Pairs(pairs) => pairs,
        _ => &[],
    }
}

fn words(instruction: &Instruction) -> Vec<&str> {
    match &instruction.args {
        Args::Words(words) => words.iter().map(|word| word.value.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The only word of USER, STOPSIGNAL, WORKDIR and MAINTAINER.
pub(crate) fn word(instruction: &Instruction) -> &str {
    words(instruction).first().copied().unwrap_or_default()
}

fn listed(keyword: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!(" {name}={value}"));
    keyword.to_owned() + &pairs.collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refit_dockerfile::parse;
    use refit_oci::Platform;

    use super::*;

    /// Applies the lines of a stage on scratch. The config's `config` part but Env and WorkingDir, and the history.
    fn run(lines: &str) -> Result<(Value, Vec<String>), MetadataError> {
        let file = parse(&format!("FROM scratch\n{lines}\n")).unwrap();
        let mut draft = Draft::scratch(&Platform::linux_amd64(), '\\');
        let (given, globals) = (
            BTreeMap::new(),
            BTreeMap::from([("G".to_owned(), "global".to_owned())]),
        );
        let arguments = Arguments {
            given: &given,
            globals: &globals,
        };
        for instruction in &file.stages[0].instructions {
            assert!(apply(&mut draft, instruction, arguments)?);
        }
        let mut config = serde_json::to_value(&draft.config.config).unwrap();
        let object = config.as_object_mut().unwrap();
        object.remove("WorkingDir");
        object["Env"].as_array_mut().unwrap().remove(0);
        object.retain(|_, value| *value != json!([]));
        let history = draft
            .config
            .history
            .iter()
            .filter_map(|h| h.created_by.clone());
        Ok((config, history.collect()))
    }

    #[track_caller]
    fn check(lines: &str, expect: &Value, history: &[&str]) {
        let (config, lines_of_history) = run(lines).unwrap();
        assert_eq!(config, *expect, "{lines}");
        assert_eq!(lines_of_history, history, "{lines}");
    }

    #[test]
    fn variables_and_labels() {
        check(
            "ARG G\nARG D=$G-d\nARG U\nENV A=1 B=\"x y\"\nENV A=2 C=$A-$D\nLABEL l.$A=$B",
            &json!({"Env": ["A=2", "B=x y", "C=1-global-d"], "Labels": {"l.2": "x y"}}),
            &[
                "ARG G=global",
                "ARG D=global-d",
                "ARG U",
                "ENV A=1 B=x y",
                "ENV A=2 C=1-global-d",
                "LABEL l.2=x y",
            ],
        );
    }

    #[test]
    fn commands() {
        check(
            "CMD [\"a\", \"b c\"]",
            &json!({"Cmd": ["a", "b c"], "ArgsEscaped": true}),
            &["CMD [\"a\" \"b c\"]"],
        );
        check(
            "SHELL [\"/bin/bash\", \"-ec\"]\nCMD echo $HOME\nENTRYPOINT run",
            &json!({"Cmd": ["/bin/bash", "-ec", "echo $HOME"], "ArgsEscaped": true, "Shell": ["/bin/bash", "-ec"],
                   "Entrypoint": ["/bin/bash", "-ec", "run"]}),
            &[
                "SHELL [/bin/bash -ec]",
                "CMD [\"/bin/bash\" \"-ec\" \"echo $HOME\"]",
                "ENTRYPOINT [\"/bin/bash\" \"-ec\" \"run\"]",
            ],
        );
        check("CMD []", &json!({"ArgsEscaped": true}), &["CMD []"]);
    }

    #[test]
    fn health_checks() {
        check(
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f x || exit 1",
            &json!({"Healthcheck": {"Test": ["CMD-SHELL", "curl -f x || exit 1"], "Interval": 90_000_000_000_u64, "Retries": 3}}),
            &[
                "HEALTHCHECK {Test:[CMD-SHELL curl -f x || exit 1] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
            ],
        );
        check(
            "HEALTHCHECK CMD [\"ok\"]\nHEALTHCHECK NONE",
            &json!({"Healthcheck": {"Test": ["NONE"]}}),
            &[
                "HEALTHCHECK {Test:[CMD ok] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
                "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            ],
        );
    }

    #[test]
    fn ports_volumes_users_and_signals() {
        check(
            "ARG P=\"9000 9001/udp\"\nEXPOSE 80 $P\nVOLUME [\"/a b\", \"/c\"]\nVOLUME /d /e\nUSER app:$P\nSTOPSIGNAL SIGINT",
            &json!({"ExposedPorts": {"80/tcp": {}, "9000/tcp": {}, "9001/udp": {}},
                   "Volumes": {"/a b": {}, "/c": {}, "/d": {}, "/e": {}},
                   "User": "app:9000 9001/udp", "StopSignal": "SIGINT"}),
            &[
                "ARG P=9000 9001/udp",
                "EXPOSE [9000/tcp 9001/udp 80/tcp]",
                "VOLUME [/a b /c]",
                "VOLUME [/d /e]",
                "USER app:9000 9001/udp",
                "STOPSIGNAL SIGINT",
            ],
        );
        assert!(matches!(
            run("STOPSIGNAL nope"),
            Err(MetadataError::Signal(_))
        ));
        assert!(matches!(run("EXPOSE http"), Err(MetadataError::Port(_))));
        assert!(matches!(
            run("VOLUME $NONE"),
            Err(MetadataError::EmptyVolume)
        ));
        assert!(matches!(
            run("USER ${X:?needed}"),
            Err(MetadataError::Expand(_))
        ));
    }

    #[test]
    fn triggers_are_recorded_without_history() {
        check(
            "ONBUILD COPY . /app\nMAINTAINER me",
            &json!({"OnBuild": ["COPY . /app"]}),
            &["MAINTAINER me"],
        );
    }
}
