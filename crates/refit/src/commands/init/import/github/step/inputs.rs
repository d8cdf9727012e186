//! A step's inputs with their expressions put in.

use std::collections::BTreeMap;

use super::{super::metadata::filled, LeftOut, Reader};

impl Reader<'_> {
    /// An input without which there is no image, if it is given; an error where the run decides it.
    pub(super) fn needed(&mut self, input: &str) -> Result<Option<String>, LeftOut> {
        let Some(text) = self.with.text_at(input) else {
            return Ok(None);
        };
        match self.plain.text(&text) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Err(expression) => {
                self.leave_out(
                    input,
                    "",
                    &format!("its `{input}` depends on the run: `{expression}`"),
                );
                Err(LeftOut)
            }
        }
    }

    /// The lines of an input, each with its expressions put in; those that the run decides are listed.
    pub(super) fn lines(&mut self, input: &str) -> Vec<String> {
        let text = self.with.text_at(input).unwrap_or_default();
        let mut lines = Vec::new();
        for line in filled(&text) {
            match self.plain.text(line) {
                // What is put in may be several lines itself.
                Ok(line) => lines.extend(filled(&line).map(str::to_owned)),
                Err(expression) => {
                    let name = line.split('=').next().unwrap_or(line);
                    self.leave_out(
                        input,
                        &format!("{input}: {name}"),
                        &format!("`{expression}` depends on the run"),
                    );
                }
            }
        }
        lines
    }

    pub(super) fn pairs(&mut self, input: &str) -> BTreeMap<String, String> {
        let lines = self.lines(input);
        let mut pairs = BTreeMap::new();
        for line in lines {
            match line.split_once('=') {
                Some((key, value)) => {
                    pairs.insert(key.trim().to_owned(), value.to_owned());
                }
                None => self.leave_out(
                    input,
                    &format!("{input}: {line}"),
                    "its value is the runner's environment's",
                ),
            }
        }
        pairs
    }

    pub(super) fn labels(&mut self, input: &str) -> BTreeMap<String, String> {
        let text = self.with.text_at(input).unwrap_or_default();
        let mut labels = BTreeMap::new();
        for line in filled(&text) {
            let lines = match self.job.output(line, input) {
                Some(metadata) => metadata.labels.clone(),
                None => vec![line.to_owned()],
            };
            for line in lines {
                match self.plain.text(&line) {
                    Ok(lines) => {
                        let pairs = filled(&lines).filter_map(|line| line.split_once('='));
                        labels.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
                    }
                    Err(expression) => {
                        let name = line.split('=').next().unwrap_or_default();
                        self.leave_out(
                            input,
                            &format!("{input}: {name}"),
                            &format!("`{expression}` depends on the run"),
                        );
                    }
                }
            }
        }
        labels
    }

    pub(super) fn secrets(&mut self) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::new();
        let text = self.with.text_at("secrets").unwrap_or_default();
        for line in filled(&text) {
            let line = line.trim_matches('"');
            let Some((id, value)) = line.split_once('=') else {
                let why = "it is neither a secret nor a variable";
                self.leave_out("secrets", &format!("secrets: {line}"), why);
                continue;
            };
            match self.job.passed.variable(value) {
                Some(name) => {
                    secrets.insert(id.trim().to_owned(), format!("env:{name}"));
                }
                None => self.leave_out(
                    "secrets",
                    &format!("secret {id}"),
                    "it is neither a secret nor a variable",
                ),
            }
        }
        for (input, scheme) in [("secret-envs", "env"), ("secret-files", "file")] {
            for (id, value) in self.pairs(input) {
                secrets.insert(id, format!("{scheme}:{value}"));
            }
        }
        secrets
    }
}
