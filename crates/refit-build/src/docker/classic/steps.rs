//! Which instruction a builder is at, by the number it gives the step.
//!
//! Docker Engine numbers all instructions, Podman those of each stage. The reduced Dockerfile keeps the lines of the
//! original, so the line of a step is the author's.

use std::{ops::Range, sync::PoisonError};

use refit_dockerfile::Dockerfile;

use super::super::image::Made;
use crate::{
    buildkit::explain,
    engine::{EngineError, Recipe},
};

/// What Podman wraps the error of a step in, up to the step itself.
const AT_STEP: &str = "building at STEP \"";

/// The steps of a Dockerfile, and the one that was begun last.
pub(super) struct Steps {
    /// Of the arguments before the first stage, of each stage: the lines, its FROM first.
    global: Vec<usize>,
    stages: Vec<Vec<usize>>,
    last: Option<(Number, String)>,
    made: Made,
}

/// The number of a step, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// Among all.
    Of(usize),
    /// In a stage, from 1.
    InStage(usize, usize),
}

impl Steps {
    /// The steps of what a builder gets; the original counts where that does not parse.
    pub(super) fn of(recipe: &Recipe, dockerfile: &str, made: Made) -> Self {
        let parsed = refit_dockerfile::parse(dockerfile);
        let file = parsed.as_ref().unwrap_or(&recipe.file);
        let mut global: Vec<usize> = file.global_args.iter().map(|arg| arg.line).collect();
        // One ARG may declare several.
        global.dedup();
        Self {
            global,
            stages: file
                .stages
                .iter()
                .map(|stage| lines(file, stage.index))
                .collect(),
            last: None,
            made,
        }
    }

    /// Looks at a line of the builder's output.
    pub(super) fn see(&mut self, line: &str) {
        if let Some(step) = step(line) {
            self.last = Some(step);
        } else if let Some(id) = made(line) {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push(id.to_owned());
        }
    }

    /// The error of a build that ended with `message`.
    pub(super) fn explain(&self, recipe: &Recipe, message: &str) -> EngineError {
        let message = message.trim();
        let Some((number, text)) = &self.last else {
            return explain(recipe, message, None);
        };
        let inner = message.strip_prefix(AT_STEP);
        let inner = inner.and_then(|rest| rest.strip_prefix(text.as_str()));
        let message = inner
            .and_then(|rest| rest.strip_prefix("\": "))
            .unwrap_or(message);
        let place = self
            .line(*number)
            .and_then(|line| place(recipe, line, text));
        match place {
            Some((line, span)) => EngineError::Instruction {
                line,
                span,
                message: message.to_owned(),
            },
            None => explain(recipe, message, None),
        }
    }

    fn line(&self, number: Number) -> Option<usize> {
        match number {
            Number::Of(number) => {
                let all = self.global.iter().chain(self.stages.iter().flatten());
                all.copied().nth(number.checked_sub(1)?)
            }
            Number::InStage(stage, number) => {
                let stage = self.stages.get(stage.checked_sub(1)?)?;
                stage.get(number.checked_sub(1)?).copied()
            }
        }
    }
}

fn lines(file: &Dockerfile, stage: usize) -> Vec<usize> {
    let stage = &file.stages[stage];
    let own = stage.instructions.iter().map(|i| i.line);
    std::iter::once(stage.from.line).chain(own).collect()
}

/// The instruction of the author's file in a line, if it is what the builder says it does: steps that come from a base
/// are counted as well.
fn place(recipe: &Recipe, line: usize, text: &str) -> Option<(usize, Range<usize>)> {
    let file = &recipe.file;
    let stages = file.stages.iter();
    let found = stages.flat_map(|stage| {
        let from = std::iter::once((stage.from.line, &stage.from.span));
        from.chain(stage.instructions.iter().map(|i| (i.line, &i.span)))
    });
    let (line, span) = { found }.find(|(at, _)| *at == line)?;
    let word = |text: &str| text.split_whitespace().next().map(str::to_ascii_uppercase);
    (word(&file.text[span.clone()]) == word(text)).then(|| (line, span.clone()))
}

/// `--> 1114dad2e0f`: what Podman has made of a step. Docker Engine says so of a base as well, which may be anybody's.
fn made(line: &str) -> Option<&str> {
    let id = line.strip_prefix("--> ")?;
    let is_id = id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}

/// `Step 3/7 : RUN make`, `[2/2] STEP 3/7: RUN make`, `STEP 3/7: RUN make`
fn step(line: &str) -> Option<(Number, String)> {
    if let Some(rest) = line.strip_prefix("Step ") {
        let (number, text) = rest.split_once(" : ")?;
        let (number, _) = number.split_once('/')?;
        return Some((Number::Of(number.parse().ok()?), text.trim().to_owned()));
    }
    let (stage, rest) = match line.strip_prefix('[') {
        Some(rest) => {
            let (stage, rest) = rest.split_once("] ")?;
            let (stage, _) = stage.split_once('/')?;
            (stage.parse().ok()?, rest)
        }
        None => (1, line),
    };
    let (number, text) = rest.strip_prefix("STEP ")?.split_once(": ")?;
    let (number, _) = number.split_once('/')?;
    let number = Number::InStage(stage, number.parse().ok()?);
    Some((number, text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use refit_oci::Platform;

    use super::*;
    use crate::check::tests::recipe;

    const TEXT: &str =
        "ARG A B\nARG C\nFROM a AS one\nRUN x\nFROM b\n\nRUN make \\\n  all\nCMD y\n";

    #[test]
    fn what_podman_has_made_is_known_by_its_id() {
        for (line, expect) in [
            ("--> 1114dad2e0f", Some("1114dad2e0f")),
            ("--> Using cache 1114dad2e0f", None),
            (" ---> 1114dad2e0f3", None),
            ("--> deadbeef is here", None),
        ] {
            assert_eq!(made(line), expect, "{line}");
        }
    }

    #[test]
    fn the_step_that_failed_is_found_in_the_authors_file() {
        let recipe = recipe(TEXT, &Platform::linux_amd64());
        // The first stage is not reached.
        let reduced = "ARG A B\nARG C\n\n\nFROM b\n\nRUN make \\\n  all\nCMD y\n";
        for (line, message, expect) in [
            (
                "Step 4/5 : RUN make   all",
                "code: 2\n",
                "7:RUN make \\\n  all:code: 2",
            ),
            ("Step 3/5 : FROM b", "gone", "5:FROM b:gone"),
            (
                "STEP 2/3: RUN make   all",
                "building at STEP \"RUN make   all\": while running runtime: exit status 2",
                "7:RUN make \\\n  all:while running runtime: exit status 2",
            ),
            ("[1/1] STEP 3/3: CMD y", "no", "9:CMD y:no"),
            // A step of the base's trigger has no place in this file.
            ("STEP 2/4: COPY . /", "no", "the build failed: no"),
            ("STEP 9/9: LABEL x", "no", "the build failed: no"),
            (" ---> Running in 0", "no", "the build failed: no"),
            (
                "",
                "dockerfile parse error line 9: unknown instruction: CMDD",
                "9:CMD y:unknown instruction: CMDD",
            ),
        ] {
            let mut steps = Steps::of(&recipe, reduced, Made::default());
            steps.see(line);
            let told = match steps.explain(&recipe, message) {
                EngineError::Instruction {
                    line,
                    span,
                    message,
                } => format!("{line}:{}:{message}", &TEXT[span]),
                other => other.to_string(),
            };
            assert_eq!(told, expect, "{line}");
        }
    }
}
