//! What a command printed and how it ended.

use std::{
    fmt,
    process::{Command, Output},
};

use serde_json::Value;

/// A finished command.
pub(crate) struct Said {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// What a command left behind.
    pub(crate) fn of(command: &Command, output: Output) -> Self {
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        Self {
            command: format!(
                "{} {}",
                command.get_program().to_string_lossy(),
                args.join(" ")
            ),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, once it is sure that it ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// The same, once it is sure that standard output or standard error holds `text`.
    #[track_caller]
    pub(crate) fn mentions(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`{text}` is not in\n{self}"
        );
        self
    }

    /// The same, once it is sure that neither output holds `text`.
    #[track_caller]
    pub(crate) fn omits(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "`{text}` is in\n{self}"
        );
        self
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {} → {:?}", self.command, self.code)?;
        write!(f, "{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
