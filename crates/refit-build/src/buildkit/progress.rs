//! BuildKit's progress as plain lines, as `docker build --progress=plain` shows it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use bollard_buildkit_proto::{
    google::protobuf::Timestamp,
    moby::buildkit::v1::{StatusResponse, Vertex},
};

use super::names::Names;

/// What has been said so far; steps are numbered as they start.
#[derive(Default)]
pub(super) struct Progress {
    names: Names,
    steps: BTreeMap<String, Step>,
    failed: Option<String>,
}

struct Step {
    number: usize,
    started: bool,
    ended: bool,
    /// Output after the last line's end.
    rest: Vec<u8>,
}

impl Progress {
    /// Nothing has been said yet.
    pub(super) fn new(names: Names) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// Writes what is new in an update.
    pub(super) fn write(&mut self, update: &StatusResponse, out: &mut dyn Write) -> io::Result<()> {
        for vertex in &update.vertexes {
            if vertex.started.is_some() || vertex.cached {
                self.start(vertex, out)?;
            }
        }
        for log in &update.logs {
            let step = self.step(&log.vertex);
            step.rest.extend_from_slice(&log.msg);
            while let Some(end) = step.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = step.rest.drain(..=end).collect();
                write_line(step.number, &line, out)?;
            }
        }
        for vertex in &update.vertexes {
            if vertex.completed.is_some() {
                self.end(vertex, out)?;
            }
        }
        for warning in &update.warnings {
            let text = String::from_utf8_lossy(&warning.short);
            writeln!(out, "warning: {}", text.trim_end())?;
        }
        Ok(())
    }

    /// Writes output that no line's end has followed.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for step in self.steps.values_mut() {
            let rest = std::mem::take(&mut step.rest);
            if !rest.is_empty() {
                write_line(step.number, &rest, out)?;
            }
        }
        out.flush()
    }

    /// The name of the step that failed first, such as `[2/3] RUN false`. What BuildKit stops for its sake fails later.
    pub(super) fn failed(self) -> Option<String> {
        self.failed
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        let number = self.steps.len() + 1;
        self.steps.entry(digest.to_owned()).or_insert(Step {
            number,
            started: false,
            ended: false,
            rest: Vec::new(),
        })
    }

    fn start(&mut self, vertex: &Vertex, out: &mut dyn Write) -> io::Result<()> {
        let step = self.step(&vertex.digest);
        if std::mem::replace(&mut step.started, true) {
            return Ok(());
        }
        let number = step.number;
        writeln!(out, "#{number} {}", self.names.put(&vertex.name))
    }

    fn end(&mut self, vertex: &Vertex, out: &mut dyn Write) -> io::Result<()> {
        let step = self.step(&vertex.digest);
        if std::mem::replace(&mut step.ended, true) {
            return Ok(());
        }
        let rest = std::mem::take(&mut step.rest);
        if !rest.is_empty() {
            write_line(step.number, &rest, out)?;
        }
        match (vertex.error.as_str(), vertex.cached) {
            ("", true) => writeln!(out, "#{} CACHED", step.number),
            ("", false) => writeln!(out, "#{} DONE {:.1}s", step.number, seconds(vertex)),
            (error, _) => {
                let number = step.number;
                self.failed.get_or_insert_with(|| vertex.name.clone());
                writeln!(out, "#{number} ERROR: {}", self.names.put(error))
            }
        }
    }
}

fn write_line(number: usize, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    write!(out, "#{number} ")?;
    out.write_all(line)?;
    out.write_all(b"\n")
}

fn seconds(vertex: &Vertex) -> f64 {
    let at = |time: &Timestamp| {
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let whole = time.seconds as f64;
        whole + f64::from(time.nanos) / 1e9
    };
    match (&vertex.started, &vertex.completed) {
        (Some(start), Some(end)) => (at(end) - at(start)).max(0.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::buildkit::v1::VertexLog;

    use super::*;

    fn vertex(name: &str, done_after: Option<i32>) -> Vertex {
        let at = |nanos| Timestamp { seconds: 7, nanos };
        Vertex {
            digest: format!("sha256:{name}"),
            name: name.to_owned(),
            started: Some(at(0)),
            completed: done_after.map(|tenths| at(tenths * 100_000_000)),
            ..Vertex::default()
        }
    }

    fn log(name: &str, text: &str) -> VertexLog {
        VertexLog {
            vertex: format!("sha256:{name}"),
            msg: text.as_bytes().to_vec(),
            ..VertexLog::default()
        }
    }

    fn shown(updates: &[StatusResponse]) -> (String, Option<String>) {
        let mut progress = Progress::default();
        let mut out = Vec::new();
        for update in updates {
            progress.write(update, &mut out).unwrap();
        }
        progress.finish(&mut out).unwrap();
        (String::from_utf8(out).unwrap(), progress.failed())
    }

    #[test]
    fn lines_are_whole_and_carry_their_step() {
        let updates = [
            StatusResponse {
                vertexes: vec![vertex("a", None), vertex("b", None)],
                logs: vec![log("a", "one\ntw"), log("b", "other\r\n")],
                ..StatusResponse::default()
            },
            StatusResponse {
                vertexes: vec![vertex("a", Some(3)), vertex("a", Some(3))],
                logs: vec![log("a", "o\nend")],
                ..StatusResponse::default()
            },
        ];
        let expect = "#1 a\n#2 b\n#1 one\n#2 other\n#1 two\n#1 end\n#1 DONE 0.3s\n";
        assert_eq!(shown(&updates), (expect.to_owned(), None));
    }

    #[test]
    fn cached_and_failed_steps_say_so() {
        let cached = Vertex {
            cached: true,
            ..vertex("a", Some(0))
        };
        let failed = Vertex {
            error: "exit code: 3".to_owned(),
            ..vertex("b", Some(0))
        };
        let update = StatusResponse {
            vertexes: vec![cached, failed],
            ..StatusResponse::default()
        };
        let expect = "#1 a\n#2 b\n#1 CACHED\n#2 ERROR: exit code: 3\n";
        assert_eq!(shown(&[update]), (expect.to_owned(), Some("b".to_owned())));
    }
}
