//! The variables that a stage's instructions see: the base's environment, ENV and ARG.

use std::collections::BTreeMap;

use refit_dockerfile::{
    Pair,
    expand::{self, ExpandError},
};

/// What a stage's variables are worth at one of its instructions.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    values: BTreeMap<String, String>,
    escape: char,
}

/// Where ARG finds values that are not in the Dockerfile's stage.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    /// Build arguments.
    pub(crate) given: &'a BTreeMap<String, String>,
    /// What FROM sees.
    pub(crate) globals: &'a dyn Fn(&str) -> Option<String>,
}

impl Scope {
    /// The environment of an image, `NAME=value` each.
    pub(crate) fn of_env(env: &[String], escape: char) -> Self {
        let pairs = env
            .iter()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let values = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { values, escape }
    }

    /// Expands a word that stands for one word.
    pub(crate) fn word(&self, word: &str) -> Result<String, ExpandError> {
        expand::word(word, self.escape, &|name| self.values.get(name).cloned())
    }

    /// Expands a word that may stand for many.
    pub(crate) fn words(&self, word: &str) -> Result<Vec<String>, ExpandError> {
        expand::words(word, self.escape, &|name| self.values.get(name).cloned())
    }

    /// Expands the body of a here-document.
    pub(crate) fn heredoc(&self, body: &str) -> Result<String, ExpandError> {
        expand::heredoc(body, &|name| self.values.get(name).cloned())
    }

    /// ENV and LABEL: all names and values see what was before the instruction.
    pub(crate) fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, ExpandError> {
        let expanded = pairs.iter().map(|pair| {
            let value = pair.value.as_deref().unwrap_or_default();
            Ok((self.word(&pair.name)?, self.word(value)?))
        });
        expanded.collect()
    }

    /// Sets a variable for the instructions that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// One variable of ARG: a build argument, else its default, else the global of that name. None if it stays unset.
    pub(crate) fn argument(
        &mut self,
        pair: &Pair,
        arguments: Arguments<'_>,
    ) -> Result<Option<String>, ExpandError> {
        let value = match (arguments.given.get(&pair.name), &pair.value) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(self.word(default)?),
            (None, None) => (arguments.globals)(&pair.name),
        };
        if let Some(value) = &value {
            self.set(&pair.name, value);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use refit_dockerfile::{Args, parse};

    use super::*;

    fn pairs(instruction: &str) -> Vec<Pair> {
        let file = parse(&format!("FROM scratch\n{instruction}\n")).unwrap();
        match file.stages[0].instructions[0].args.clone() {
            Args::Pairs(pairs) => pairs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_come_from_outside_then_from_their_default_then_from_the_global_scope() {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let (given, globals) = (
            map(&[("A", "given")]),
            map(&[("C", "global"), ("B", "unseen")]),
        );
        let arguments = Arguments {
            given: &given,
            globals: &|name| globals.get(name).cloned(),
        };
        let mut scope = Scope::of_env(&["BASE=base".to_owned(), "ODD".to_owned()], '\\');
        let mut seen = Vec::new();
        for pair in pairs("ARG A=default B=${BASE}-$A C D") {
            seen.push(scope.argument(&pair, arguments).unwrap());
        }
        let seen: Vec<_> = seen.iter().map(Option::as_deref).collect();
        assert_eq!(
            seen,
            [Some("given"), Some("base-given"), Some("global"), None]
        );
        assert_eq!(scope.word("$A $D|$ODD|").unwrap(), "given ||");
    }

    #[test]
    fn env_sees_what_was_before_it() {
        let scope = Scope::of_env(&["A=old".to_owned()], '\\');
        let pairs = scope.pairs(&pairs("ENV A=new B=$A")).unwrap();
        let values: Vec<_> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["new", "old"]);
    }
}
