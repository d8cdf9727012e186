//! What a builder says: a stream of JSON messages; and what of a build's circumstances it leaves in the result.

use std::{collections::BTreeMap, error::Error, io::Write};

use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use refit_oci::Reference;
use serde_json::Value;

use super::steps::Steps;
use crate::{
    buildkit::{Names, renamed},
    engine::{Built, EngineError, Recipe},
};

/// Bytes of one message; a builder's are lines of output.
const MESSAGE_LIMIT: usize = 16 << 20;

/// How a stream ends.
#[derive(Debug)]
pub(in crate::docker) enum Told {
    /// All went well.
    Ended,
    /// With an error, in the engine's words.
    Failed(String),
    /// It was cut off.
    Lost(Box<dyn Error + Send + Sync>),
}

/// Copies what is said to the log, line by line, until the build ends.
pub(super) async fn copy(
    answer: Incoming,
    names: &Names,
    steps: &mut Steps,
    log: &mut (dyn Write + Send),
) -> Result<Told, EngineError> {
    let mut messages = Messages::of(answer);
    let mut lines = Lines::default();
    let log_error = |source| EngineError::Io {
        path: "(log)".into(),
        source,
    };
    loop {
        let told = match messages.next().await {
            Ok(Some(message)) => {
                lines.take(&message);
                failure(&message).map(Told::Failed)
            }
            Ok(None) => Some(Told::Ended),
            Err(error) => Some(Told::Lost(error)),
        };
        if told.is_some() {
            lines.end();
        }
        for line in lines.whole.drain(..) {
            steps.see(&line);
            writeln!(log, "{}", names.put(&line)).map_err(log_error)?;
        }
        if let Some(told) = told {
            log.flush().map_err(log_error)?;
            return Ok(told);
        }
    }
}

/// Reads to the end.
pub(in crate::docker) async fn last_word(answer: Incoming) -> Told {
    let mut messages = Messages::of(answer);
    loop {
        match messages.next().await {
            Ok(Some(message)) => {
                if let Some(failure) = failure(&message) {
                    return Told::Failed(failure);
                }
            }
            Ok(None) => return Told::Ended,
            Err(error) => return Told::Lost(error),
        }
    }
}

/// The messages of an answer, one a line.
struct Messages {
    answer: Incoming,
    read: BytesMut,
}

impl Messages {
    fn of(answer: Incoming) -> Self {
        Self {
            answer,
            read: BytesMut::new(),
        }
    }

    /// The next one; none at the end.
    async fn next(&mut self) -> Result<Option<Value>, Box<dyn Error + Send + Sync>> {
        loop {
            if let Some(end) = self.read.iter().position(|&byte| byte == b'\n') {
                let line = self.read.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.read.len() > MESSAGE_LIMIT {
                return Err("it says something without an end".into());
            }
            match self.answer.frame().await {
                Some(frame) => {
                    if let Ok(mut data) = frame?.into_data() {
                        self.read.extend_from_slice(data.chunk());
                        data.advance(data.len());
                    }
                }
                None if self.read.trim_ascii().is_empty() => return Ok(None),
                None => self.read.extend_from_slice(b"\n"),
            }
        }
    }
}

/// The error that a message tells of.
fn failure(message: &Value) -> Option<String> {
    let detail = message.get("errorDetail").and_then(|d| d.get("message"));
    let told = detail.or_else(|| message.get("error"))?.as_str()?;
    Some(told.trim().to_owned())
}

/// Output in lines: a message may be less than one, or more.
#[derive(Default)]
struct Lines {
    whole: Vec<String>,
    rest: String,
}

impl Lines {
    fn take(&mut self, message: &Value) {
        if let Some(text) = message.get("stream").and_then(Value::as_str) {
            self.rest.push_str(text);
            while let Some(end) = self.rest.find('\n') {
                let line: String = self.rest.drain(..=end).collect();
                self.whole.push(line.trim_end().to_owned());
            }
        } else if let Some(status) = message.get("status").and_then(Value::as_str) {
            // How far a download is, is no line.
            let progress = message.get("progressDetail").and_then(Value::as_object);
            if progress.is_none_or(serde_json::Map::is_empty) {
                self.end();
                let id = message.get("id").and_then(Value::as_str);
                let id = id.map(|id| format!("{id}: ")).unwrap_or_default();
                self.whole.push(format!("{id}{status}"));
            }
        }
    }

    /// What no line's end has followed is a line.
    fn end(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.trim().is_empty() {
            self.whole.push(rest.trim_end().to_owned());
        }
    }
}

/// The result with bases by the names of the Dockerfile: Podman writes into the history what it pulled them as.
pub(super) fn without_loopback(
    recipe: &Recipe,
    bases: &BTreeMap<usize, Reference>,
    mut built: Built,
) -> Result<Built, EngineError> {
    built.config = renamed(recipe, bases, &built.config);
    let image = serde_json::from_slice(&built.config);
    built.image = image.map_err(|error| EngineError::BadResult {
        reason: format!("its config does not parse: {error}"),
    })?;
    Ok(built)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn output_comes_in_lines() {
        let mut lines = Lines::default();
        for message in [
            json!({"stream": "Step 1/2 : FROM a\n"}),
            json!({"status": "Pulling from a", "id": "x"}),
            json!({"status": "Downloading", "id": "y", "progressDetail": {"current": 1}}),
            json!({"status": "Pull complete", "id": "y", "progressDetail": {}}),
            json!({"stream": "on"}),
            json!({"stream": "e\r\ntwo\nthree"}),
            json!({"aux": {"ID": "sha256:0"}}),
            json!({"errorDetail": {"message": "no\n"}, "error": "no\n"}),
        ] {
            lines.take(&message);
        }
        lines.end();
        let expect = [
            "Step 1/2 : FROM a",
            "x: Pulling from a",
            "y: Pull complete",
            "one",
            "two",
            "three",
        ];
        assert_eq!(lines.whole, expect);
    }

    #[test]
    fn a_failure_is_told_with_or_without_its_detail() {
        let detailed = json!({"errorDetail": {"code": 3, "message": "no\n"}, "error": "other"});
        assert_eq!(failure(&detailed).as_deref(), Some("no"));
        assert_eq!(failure(&json!({"error": "no"})).as_deref(), Some("no"));
        assert_eq!(failure(&json!({"stream": "error"})), None);
    }
}
