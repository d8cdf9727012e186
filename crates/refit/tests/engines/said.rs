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
    /// Runs a command to its end.
    pub(crate) fn by(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self::of(command, output)
    }

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

    /// Standard output without the last newline.
    pub(crate) fn line(&self) -> String {
        self.stdout.trim_end().to_owned()
    }

    /// Fails unless standard output or standard error holds `text`.
    #[track_caller]
    pub(crate) fn mentions(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`{text}` is not in\n{self}"
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
