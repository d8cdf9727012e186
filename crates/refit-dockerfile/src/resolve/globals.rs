//! The variables that FROM sees: the predefined ones, and ARGs before the first FROM.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use refit_oci::Platform;

use super::{Settings, budget::Budget};
use crate::{
    SyntaxError,
    expand::{self, ExpandError},
    model::Dockerfile,
    suggest::nearest,
};

/// The variables that FROM sees, and that an ARG without default takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalScope {
    /// ARGs before the first FROM, and the predefined ones that build arguments override though no ARG declares them.
    declared: Arc<BTreeMap<String, String>>,
    platform: Platform,
    build_platform: Platform,
    /// `TARGETSTAGE`.
    stage: Option<String>,
}

/// What is predefined, the build's part and the target's.
const OF_BUILD: [&str; 5] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
];
const OF_TARGET: [&str; 5] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
];
const OF_STAGE: &str = "TARGETSTAGE";

fn predefined() -> impl Iterator<Item = &'static str> {
    OF_BUILD.into_iter().chain(OF_TARGET).chain([OF_STAGE])
}

impl GlobalScope {
    fn of(file: &Dockerfile, settings: &Settings<'_>) -> Self {
        let stage = match settings.target.filter(|target| !target.is_empty()) {
            Some(target) => Some(target.to_owned()),
            None => file.stages.last().and_then(|stage| stage.name.clone()),
        };
        let given = predefined().filter_map(|name| settings.build_args.get_key_value(name));
        Self {
            declared: Arc::new(given.map(|(k, v)| (k.clone(), v.clone())).collect()),
            platform: settings.platform.clone(),
            build_platform: settings.build_platform.clone(),
            stage,
        }
    }

    /// Nothing is set, and the platforms are those.
    pub(super) fn empty(settings: &Settings<'_>) -> Self {
        Self {
            declared: Arc::default(),
            platform: settings.platform.clone(),
            build_platform: settings.build_platform.clone(),
            stage: None,
        }
    }

    /// The value of a variable that is set.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.declared.get(name) {
            Some(value) => Some(value.into()),
            None => self.of_platform(name),
        }
    }

    fn of_platform(&self, name: &str) -> Option<Cow<'_, str>> {
        let (part, platform) = match name.strip_prefix("TARGET") {
            Some("STAGE") => return Some(self.stage.as_deref().unwrap_or("default").into()),
            Some(part) => (part, &self.platform),
            None => (name.strip_prefix("BUILD")?, &self.build_platform),
        };
        let text = |value: &'_ Option<String>| value.clone().unwrap_or_default().into();
        Some(match part {
            // BuildKit leaves the os version out of BUILDPLATFORM alone.
            "PLATFORM" if name == OF_BUILD[0] => {
                platform.clone().with_os_version(None).to_string().into()
            }
            "PLATFORM" => platform.to_string().into(),
            "OS" => platform.os.as_str().into(),
            "ARCH" => platform.architecture.as_str().into(),
            "OSVERSION" => text(&platform.os_version),
            "VARIANT" => text(&platform.variant),
            _ => return None,
        })
    }

    /// The same for another platform of the target.
    pub(super) fn on(mut self, platform: &Platform) -> Self {
        self.platform = platform.clone();
        self
    }
}

/// The global scope of a file while it is resolved.
#[derive(Debug)]
pub(super) struct Globals {
    pub(super) scope: GlobalScope,
    escape: char,
    pub(super) budget: Budget,
    /// Whether what was looked at may be another on another platform of the target.
    pub(super) platform_counts: Cell<bool>,
}

impl Globals {
    pub(super) fn of(file: &Dockerfile, settings: &Settings<'_>) -> Result<Self, SyntaxError> {
        let mut globals = Self {
            scope: GlobalScope::of(file, settings),
            escape: file.escape,
            budget: Budget::default(),
            // A context's name may have a platform.
            platform_counts: Cell::new(!settings.contexts.is_empty()),
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
            Arc::make_mut(&mut globals.scope.declared).insert(arg.name.clone(), value);
        }
        Ok(globals)
    }

    /// The value of a variable that is set, to be paid for by whoever takes it.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        if OF_TARGET.contains(&name) && !self.scope.declared.contains_key(name) {
            self.platform_counts.set(true);
        }
        self.scope.get(name)
    }

    /// The expanded word, and the variables in it that are not set.
    pub(super) fn expand(&self, word: &str) -> (Result<String, ExpandError>, Vec<String>) {
        let unset = RefCell::new(Vec::new());
        let result = expand::word(word, self.escape, &|name| {
            let value = self.get(name);
            if value.is_none() {
                unset.borrow_mut().push(name.to_owned());
            }
            self.budget.copy(&value?)
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
    let mut known: Vec<&str> = predefined().collect();
    known.extend(globals.scope.declared.keys().map(String::as_str));
    match nearest(name, known) {
        Some(other) => {
            format!("`{name}` is not declared before the first FROM; did you mean `{other}`?")
        }
        None => format!("declare `ARG {name}` before the first FROM"),
    }
}
