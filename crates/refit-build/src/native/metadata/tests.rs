//! Lines of a stage, and the config and history they make.

use std::collections::BTreeMap;

use refit_dockerfile::parse;
use refit_oci::Platform;
use serde_json::Value;

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
        globals: &|name| globals.get(name).cloned(),
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
