//! The text that an engine gets: what the target does not reach is gone, every reference is pinned.

mod edits;
#[cfg(test)]
mod tests;

use self::edits::Edits;
use crate::{
    model::Dockerfile,
    resolve::{Found, FoundSource, Kind, Link, Resolved, Source},
};

/// Reduces a file to what `resolved` reaches, each reference replaced by what `pin` gives for it; none leaves it as it is.
///
/// Everything else is kept byte for byte and line for line, so that an engine's messages still name the right lines:
///
/// - a stage that is not reached becomes empty lines; `COPY --from=<number>` is renumbered;
/// - a stage that a named context replaces becomes a bare FROM of that context, so that the engine needs none; files
///   leave `FROM scratch` there, for the engine to replace;
/// - the syntax directive is dropped, no frontend is pulled;
/// - the text of ONBUILD is never touched: it is part of the result. What it refers to is pinned by other means.
///
/// A file in another language is given back as it is.
pub fn reduce(
    file: &Dockerfile,
    resolved: &Resolved,
    pin: &dyn Fn(&Found) -> Option<String>,
) -> String {
    if resolved.opaque {
        return file.text.clone();
    }
    let mut edits = Edits::of(file);
    edits.drop_syntax(file);
    // A trigger counts the stages of this file, and cannot be rewritten.
    let counted = |link: &&Link| link.trigger.is_some() && link.by_index;
    let keep_numbers = resolved.links.iter().any(|link| counted(&link));
    for stage in &file.stages {
        match resolved.view(stage.index) {
            None => edits.remove_stage(stage, keep_numbers),
            Some(view) if view.replaced => edits.replace_stage(stage, view),
            Some(_) => {}
        }
    }
    for found in &resolved.found {
        if let Some(text) = replacement(found, pin) {
            edits.replace_reference(
                &file.stages[found.stage],
                &found.span,
                &found.written,
                &text,
            );
        }
    }
    for link in resolved
        .links
        .iter()
        .filter(|link| link.trigger.is_none() && link.by_index)
    {
        if let (Source::Stage(old), false) = (&link.source, keep_numbers) {
            let new = resolved.stages.partition_point(|stage| stage < old);
            let written = &file.text[link.span.clone()];
            if new != *old {
                let text = new.to_string();
                edits.replace_reference(&file.stages[link.stage], &link.span, written, &text);
            }
        }
    }
    edits.apply()
}

/// What comes into the place of a reference.
fn replacement(found: &Found, pin: &dyn Fn(&Found) -> Option<String>) -> Option<String> {
    match found.kind {
        Kind::Frontend | Kind::Onbuild => None,
        // What is written there is not what is meant.
        Kind::Context => pin(found).or_else(|| match &found.source {
            FoundSource::Reference(reference) => Some(reference.to_string()),
            FoundSource::InRepo(_) => None,
        }),
        Kind::Base | Kind::Stage | Kind::Copy | Kind::Mount => pin(found),
    }
}
