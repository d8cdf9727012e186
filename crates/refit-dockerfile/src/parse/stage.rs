//! A FROM line to the stage that it begins.

use refit_oci::Reference;

use crate::{
    SyntaxError,
    model::{Args, FromLine, Instruction, Spanned, Stage},
};

/// The stage of a FROM, without instructions yet.
pub(super) fn stage(text: &str, index: usize, from: &Instruction) -> Result<Stage, SyntaxError> {
    let words = match &from.args {
        Args::Words(words) => words.as_slice(),
        _ => &[],
    };
    let (image, name) = match words {
        [image] => (image, None),
        [image, word, name] if word.value.eq_ignore_ascii_case("as") => {
            (image, Some(stage_name(text, name)?))
        }
        _ => {
            let message = "FROM takes an image, and may go on with `AS` and a name";
            let span = match (words.get(1), words.last()) {
                (Some(first), Some(last)) => first.span.start..last.span.end,
                _ => from.span.clone(),
            };
            return Err(SyntaxError::new(text, span, message));
        }
    };
    Ok(Stage {
        index,
        name,
        from: FromLine {
            image: image.clone(),
            // An empty one counts as none.
            platform: from
                .flag("platform")
                .filter(|p| !p.value.is_empty())
                .cloned(),
            line: from.line,
            span: from.span.clone(),
        },
        instructions: Vec::new(),
        span: from.span.clone(),
    })
}

/// `^[a-z][a-z0-9-_.]*$` in lower case; and, since BuildKit looks for a named context of that name, a reference.
fn stage_name(text: &str, word: &Spanned<String>) -> Result<String, SyntaxError> {
    let name = word.value.to_lowercase();
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if well_formed && name.parse::<Reference>().is_ok() {
        return Ok(name);
    }
    let message = format!("`{}` cannot be the name of a stage", word.value);
    let hint = "a stage's name is letters, digits, `-`, `_` and `.`, starts with a letter and ends with a letter or digit";
    Err(SyntaxError::new(text, word.span.clone(), message).hint(hint))
}
