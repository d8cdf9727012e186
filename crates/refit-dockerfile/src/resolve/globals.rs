//! The variables that FROM sees: the predefined ones, and ARGs before the first FROM.

use std::{cell::RefCell, collections::BTreeMap};

use super::{Settings, budget::Budget};
use crate::{
    SyntaxError,
    expand::{self, ExpandError},
    model::Dockerfile,
    suggest::nearest,
};

/// The global scope of a file.
#[derive(Debug)]
pub(super) struct Globals {
    pub(super) values: BTreeMap<String, String>,
    escape: char,
    pub(super) budget: Budget,
}

impl Globals {
    pub(super) fn of(file: &Dockerfile, settings: &Settings<'_>) -> Result<Self, SyntaxError> {
        let mut globals = Self {
            values: predefined(file, settings),
            escape: file.escape,
            budget: Budget::default(),
        };
        for arg in &file.global_args {
            let value = match (settings.build_args.get(&arg.name), &arg.value) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => globals
                    .expand(default)
                    .0
                    .map_err(|e| SyntaxError::new(&file.text, arg.span.clone(), e.to_string()))?,
                (None, None) => continue,
            };
            globals.values.insert(arg.name.clone(), value);
        }
        Ok(globals)
    }

    /// The expanded word, and the variables in it that are not set.
    pub(super) fn expand(&self, word: &str) -> (Result<String, ExpandError>, Vec<String>) {
        let unset = RefCell::new(Vec::new());
        let result = expand::word(word, self.escape, &|name| {
            let value = self.values.get(name);
            if value.is_none() {
                unset.borrow_mut().push(name.to_owned());
            }
            self.budget.copy(value?)
        });
        (self.budget.check(result), unset.into_inner())
    }
}

/// An error with what helps against variables that are not set, if it is about some.
pub(super) fn with_hint(
    error: SyntaxError,
    file: &Dockerfile,
    globals: &Globals,
    unset: &[String],
) -> SyntaxError {
    let Some(name) = unset.first() else {
        return error;
    };
    let declared = file.global_args.iter().any(|arg| arg.name == *name);
    SyntaxError {
        build_arg: declared.then(|| name.clone()),
        ..error.hint(hint(file, globals, name))
    }
}

fn hint(file: &Dockerfile, globals: &Globals, name: &str) -> String {
    if file.global_args.iter().any(|arg| arg.name == *name) {
        return format!("pass the build argument `{name}`, or give `ARG {name}` a default");
    }
    let in_stage = |arg: &crate::model::Arg| arg.name == *name;
    let mut instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    if instructions
        .any(|i| i.keyword == crate::Keyword::Arg && crate::parse::args(i).any(|a| in_stage(&a)))
    {
        return format!(
            "FROM sees only arguments before the first FROM: declare `ARG {name}` there"
        );
    }
    let known = globals.values.keys().map(String::as_str);
    match nearest(name, known) {
        Some(other) => {
            format!("`{name}` is not declared before the first FROM; did you mean `{other}`?")
        }
        None => format!("declare `ARG {name}` before the first FROM"),
    }
}

/// The platform arguments; build arguments override them though no ARG declares them.
fn predefined(file: &Dockerfile, settings: &Settings<'_>) -> BTreeMap<String, String> {
    let (build, target) = (settings.build_platform, settings.platform);
    // BuildKit leaves the os version out of BUILDPLATFORM alone.
    let build_platform = build.clone().with_os_version(None);
    let stage = match settings.target.filter(|target| !target.is_empty()) {
        Some(target) => Some(target.to_owned()),
        None => file.stages.last().and_then(|stage| stage.name.clone()),
    };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let values = [
        ("BUILDPLATFORM", build_platform.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", text(&build.os_version)),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", text(&build.variant)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", text(&target.os_version)),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", text(&target.variant)),
        ("TARGETSTAGE", stage.unwrap_or_else(|| "default".to_owned())),
    ];
    let values = values.into_iter().map(|(name, value)| {
        let given = settings.build_args.get(name).cloned();
        (name.to_owned(), given.unwrap_or(value))
    });
    values.collect()
}
