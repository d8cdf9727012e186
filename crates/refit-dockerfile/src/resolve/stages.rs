//! What each FROM means: an earlier stage, an image, `scratch` or a named context.

use std::collections::BTreeMap;

use refit_oci::{Platform, ReferenceError};

use super::{Settings, contexts, globals, globals::Globals, links::To};
use crate::{
    SyntaxError,
    model::{Dockerfile, Stage},
};

/// The base of a stage.
#[derive(Debug)]
pub(super) struct Base<'a> {
    pub(super) to: To<'a>,
    pub(super) platform: Platform,
    /// The context goes by the stage's own name, and replaces it.
    replaces_stage: bool,
}

impl Base<'_> {
    /// The stage it is built on.
    pub(super) fn stage(&self) -> Option<usize> {
        match self.to {
            To::Stage(stage) => Some(stage),
            _ => None,
        }
    }

    pub(super) fn is_external(&self) -> bool {
        matches!(self.to, To::Image(_) | To::Context(..))
    }

    pub(super) fn replaces_stage(&self) -> bool {
        self.replaces_stage
    }
}

/// The bases of all stages, reached or not: BuildKit expands and checks them all.
pub(super) fn bases<'a>(
    file: &Dockerfile,
    settings: &Settings<'a>,
    globals: &Globals,
) -> Result<Vec<Base<'a>>, SyntaxError> {
    let mut bases: Vec<Base<'a>> = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for stage in &file.stages {
        let base = Lookup {
            file,
            settings,
            globals,
            names: &names,
            bases: &bases,
        };
        let base = base.of(stage)?;
        bases.push(base);
        if let Some(name) = &stage.name {
            names.insert(name, stage.index);
        }
    }
    Ok(bases)
}

struct Lookup<'s, 'a> {
    file: &'s Dockerfile,
    settings: &'s Settings<'a>,
    globals: &'s Globals,
    names: &'s BTreeMap<&'s str, usize>,
    bases: &'s [Base<'a>],
}

impl<'a> Lookup<'_, 'a> {
    fn of(&self, stage: &Stage) -> Result<Base<'a>, SyntaxError> {
        let (name, unset) = self.image(stage)?;
        let explicit = self.platform(stage)?;
        let platform = explicit.unwrap_or_else(|| self.settings.platform.clone());
        let context = |name: &str| contexts::find(self.settings.contexts, name, &platform);
        if let Some((key, context)) = stage.name.as_deref().and_then(context) {
            return Ok(Base {
                to: To::Context(key, context),
                platform,
                replaces_stage: true,
            });
        }
        let plain = |to, platform| Base {
            to,
            platform,
            replaces_stage: false,
        };
        // Only what is written like the lower-cased name is the stage: `FROM Base` never is.
        if let Some(&parent) = self.names.get(name.as_str()) {
            let platform = self.bases[parent].platform.clone();
            return Ok(plain(To::Stage(parent), platform));
        }
        if name == "scratch" {
            return Ok(plain(To::Scratch, self.settings.platform.clone()));
        }
        let reference = name.parse();
        let reference = reference.map_err(|e| self.no_reference(stage, &name, &unset, &e))?;
        Ok(match context(&name) {
            Some((key, context)) => plain(To::Context(key, context), platform),
            None => plain(To::Image(reference), platform),
        })
    }

    fn no_reference(
        &self,
        stage: &Stage,
        name: &str,
        unset: &[String],
        error: &ReferenceError,
    ) -> SyntaxError {
        let written = &stage.from.image;
        let message = match unset {
            [] => error.to_string(),
            _ => format!(
                "`{}` gives no image reference{}",
                written.value,
                needs(unset)
            ),
        };
        let error = SyntaxError::new(&self.file.text, written.span.clone(), message);
        let lower = name.to_lowercase();
        if unset.is_empty() && self.names.contains_key(lower.as_str()) {
            return error.hint(format!(
                "FROM takes the name of a stage only in lower case: `{lower}`"
            ));
        }
        globals::with_hint(error, self.file, self.globals, unset)
    }

    fn image(&self, stage: &Stage) -> Result<(String, Vec<String>), SyntaxError> {
        let image = &stage.from.image;
        let error = |message| SyntaxError::new(&self.file.text, image.span.clone(), message);
        let (result, unset) = self.globals.expand(&image.value);
        let name = result.map_err(|e| error(e.to_string()))?;
        if !name.is_empty() {
            return Ok((name, unset));
        }
        let error = error(format!(
            "the base `{}` is blank{}",
            image.value,
            needs(&unset)
        ));
        Err(globals::with_hint(error, self.file, self.globals, &unset))
    }

    fn platform(&self, stage: &Stage) -> Result<Option<Platform>, SyntaxError> {
        let Some(written) = &stage.from.platform else {
            return Ok(None);
        };
        self.globals.platform_counts.set(true);
        let error = |message| SyntaxError::new(&self.file.text, written.span.clone(), message);
        let (result, unset) = self.globals.expand(&written.value);
        let value = result.map_err(|e| error(e.to_string()))?;
        let error = |message: String| {
            let error = error(format!("{message}{}", needs(&unset)));
            globals::with_hint(error, self.file, self.globals, &unset)
        };
        if value.is_empty() {
            return Err(error(format!("the platform `{}` is blank", written.value)));
        }
        let platform = value.parse::<Platform>();
        platform.map(Some).map_err(|e| error(e.to_string()))
    }
}

/// The end of a message that unset variables explain.
fn needs(unset: &[String]) -> String {
    match unset.first() {
        Some(name) => format!(": needs build argument `{name}`"),
        None => String::new(),
    }
}
