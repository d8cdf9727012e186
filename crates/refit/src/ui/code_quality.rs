//! What was said of lines of files, as GitLab shows it in merge requests: a JSON list in Code Climate's format.

use std::{fs, io, path::Path};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Place, Severity};

/// One remark.
#[derive(Clone, Debug)]
pub(super) struct Remark {
    severity: Severity,
    file: String,
    /// 1-based; 1 where a whole file is meant.
    line: usize,
    message: String,
}

impl Remark {
    pub(super) fn new(severity: Severity, place: Place<'_>, message: &str) -> Self {
        Self {
            severity,
            file: place.file.to_owned(),
            line: place.position.map_or(1, |(line, _)| line),
            message: message.to_owned(),
        }
    }

    fn issue(&self) -> Value {
        let severity = match self.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
        };
        // Without the line: a remark stays the same one when lines above it come and go.
        let fingerprint = Sha256::digest(format!("{}\0{}", self.file, self.message));
        json!({
            "type": "issue",
            "check_name": "refit",
            "description": self.message,
            "severity": severity,
            "fingerprint": hex::encode(fingerprint),
            "location": { "path": self.file, "lines": { "begin": self.line } },
        })
    }
}

/// Writes the list, with what commands of the same job said before. Without remarks it is empty: what is not there any
/// more is solved.
pub(super) fn write(path: &Path, remarks: &[Remark]) -> io::Result<()> {
    let earlier = match fs::read(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        read => read.unwrap_or_default(),
    };
    let mut issues: Vec<Value> = serde_json::from_slice(&earlier).unwrap_or_default();
    for issue in remarks.iter().map(Remark::issue) {
        let is_new = |issue: &Value| {
            issues
                .iter()
                .all(|known| known["fingerprint"] != issue["fingerprint"])
        };
        if is_new(&issue) {
            issues.push(issue);
        }
    }
    fs::write(path, super::json(&issues) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_job_add_to_one_list_and_say_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quality.json");
        let remark = |line| {
            let place = Place {
                file: "web/Dockerfile",
                position: Some((line, 1)),
            };
            Remark::new(Severity::Error, place, "`FROM` is wrong")
        };
        let list = || -> Vec<Value> { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
        write(&path, &[]).unwrap();
        assert_eq!(list(), Vec::<Value>::new());
        write(&path, &[remark(3)]).unwrap();
        write(&path, &[remark(4)]).unwrap();
        assert_eq!(list().len(), 1);
        assert_eq!(
            list()[0]["location"],
            json!({ "path": "web/Dockerfile", "lines": { "begin": 3 } })
        );
        // What is no list is written over.
        fs::write(&path, "{").unwrap();
        write(&path, &[remark(3)]).unwrap();
        assert_eq!(list().len(), 1);
    }
}
