//! A failed build in terms of the author's Dockerfile.
//!
//! The reduced Dockerfile keeps the lines of the original, so a line that BuildKit names is the author's.

use std::ops::Range;

use refit_dockerfile::Instruction;

use crate::engine::{EngineError, Recipe};

/// How BuildKit's messages begin when its frontend refuses the file; the older form first.
const PARSE_ERRORS: [&str; 2] = [
    "dockerfile parse error line ",
    "dockerfile parse error on line ",
];

/// What its messages are wrapped in.
const WRAPPERS: [&str; 4] = [
    "failed to solve: ",
    "failed to solve with frontend dockerfile.v0: ",
    "failed to create LLB definition: ",
    "failed to build LLB: ",
];

/// The error of a build that an engine ended with `message`; `step` is the name of the step that failed.
pub(crate) fn explain(recipe: &Recipe, message: &str, step: Option<&str>) -> EngineError {
    let message = unwrapped(message);
    if let Some((line, message)) = parse_error(message) {
        let place = instructions(recipe).find(|instruction| instruction.line == line);
        return EngineError::Instruction {
            line,
            span: place.map_or_else(|| line_span(&recipe.file.text, line), |i| i.span.clone()),
            message: message.to_owned(),
        };
    }
    match step.and_then(|step| instruction_of(recipe, step)) {
        Some(instruction) => EngineError::Instruction {
            line: instruction.line,
            span: instruction.span.clone(),
            message: message.to_owned(),
        },
        None => EngineError::Failed {
            message: message.to_owned(),
        },
    }
}

fn unwrapped(message: &str) -> &str {
    let mut rest = message;
    while let Some(shorter) = WRAPPERS
        .iter()
        .find_map(|wrapper| rest.strip_prefix(wrapper))
    {
        rest = shorter;
    }
    rest.trim()
}

fn parse_error(message: &str) -> Option<(usize, &str)> {
    let rest = PARSE_ERRORS
        .iter()
        .find_map(|start| message.strip_prefix(start))?;
    let (line, message) = rest.split_once(": ")?;
    Some((line.parse().ok()?, message))
}

/// The one instruction that a step such as `[build 2/3] RUN make` executes.
fn instruction_of<'r>(recipe: &'r Recipe, step: &str) -> Option<&'r Instruction> {
    let (_, code) = step.strip_prefix('[')?.split_once("] ")?;
    let mut same = instructions(recipe).filter(|instruction| *instruction.code == *code);
    match (same.next(), same.next()) {
        (Some(instruction), None) => Some(instruction),
        _ => None,
    }
}

fn instructions(recipe: &Recipe) -> impl Iterator<Item = &Instruction> {
    let stages = recipe.resolved.stages.iter();
    stages.flat_map(|&stage| &recipe.file.stages[stage].instructions)
}

/// The bytes of a line, from 1.
fn line_span(text: &str, line: usize) -> Range<usize> {
    let mut start = 0;
    for (number, content) in text.split('\n').enumerate() {
        if number + 1 == line {
            return start..start + content.len();
        }
        start += content.len() + 1;
    }
    text.len()..text.len()
}

#[cfg(test)]
mod tests {
    use refit_oci::Platform;

    use super::*;
    use crate::check::tests::recipe;

    const TEXT: &str =
        "FROM a AS unused\nRUN make\nFROM a\nRUN make \\\n  all\nRUN twice\nRUN twice\n";

    /// `line:bytes:message`, or the message alone.
    fn explained(message: &str, step: &str) -> String {
        let recipe = recipe(TEXT, &Platform::linux_amd64());
        match explain(&recipe, message, Some(step)) {
            EngineError::Instruction {
                line,
                span,
                message,
            } => format!("{line}:{}:{message}", &TEXT[span]),
            other => other.to_string(),
        }
    }

    #[test]
    fn the_step_that_failed_is_found_in_the_authors_file() {
        let exit =
            "failed to solve: process \"make   all\" did not complete successfully: exit code: 2";
        let told = "process \"make   all\" did not complete successfully: exit code: 2";
        for (step, expect) in [
            (
                "[2/4] RUN make   all",
                format!("4:RUN make \\\n  all:{told}"),
            ),
            (
                "[stage-1 3/4] RUN twice",
                format!("the build failed: {told}"),
            ),
            ("exporting to image", format!("the build failed: {told}")),
        ] {
            assert_eq!(explained(exit, step), expect, "{step}");
        }
    }

    #[test]
    fn a_line_that_the_frontend_refuses_is_the_authors() {
        let old = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: \
                   dockerfile parse error line 6: Unknown flag: x";
        assert_eq!(explained(old, ""), "6:RUN twice:Unknown flag: x");
        let new = "dockerfile parse error on line 5: unknown flag: x";
        assert_eq!(explained(new, ""), "5:  all:unknown flag: x");
    }
}
