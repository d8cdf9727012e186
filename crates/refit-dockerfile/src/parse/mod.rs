//! The text of a Dockerfile to directives, global arguments and stages.

mod stage;
#[cfg(test)]
mod tests;

use refit_oci::Reference;

use self::stage::stage;
use crate::{
    SyntaxError, directives,
    heredoc::Heredoc,
    lines::{Line, Lines},
    model::{Arg, Args, Dockerfile, Instruction, Keyword},
    shape::Shape,
};

/// Reads a Dockerfile as BuildKit does, refusing what it refuses.
///
/// A file whose frontend is not Docker's is [`Dockerfile::opaque`]: if it cannot be read, it just has no stages.
pub fn parse(text: &str) -> Result<Dockerfile, SyntaxError> {
    let directives = directives::read(text)?;
    let frontend = directives.syntax.as_ref().map(|syntax| &syntax.value);
    let opaque = directives.foreign || frontend.is_some_and(|f| !speaks_dockerfile(f));
    let mut file = Dockerfile {
        text: text.to_owned(),
        syntax: directives.syntax,
        syntax_line: directives.syntax_line,
        directives_end: directives.end,
        escape: directives.escape,
        opaque,
        global_args: Vec::new(),
        stages: Vec::new(),
        line_starts: line_starts(text),
    };
    match file.read_body() {
        Err(_) if opaque => {
            file.global_args.clear();
            file.stages.clear();
            Ok(file)
        }
        result => result.map(|()| file),
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(newlines).collect()
}

/// Whether a frontend's reference names one for Dockerfiles: `docker/dockerfile`, `docker/dockerfile-upstream` and
/// their mirrors.
pub(crate) fn speaks_dockerfile(frontend: &str) -> bool {
    let reference = frontend.parse::<Reference>();
    reference.is_ok_and(|r| r.repository().last_component().starts_with("dockerfile"))
}

/// Reads the one instruction of an image config's `OnBuild`.
pub(crate) fn parse_trigger(expression: &str) -> Result<Instruction, SyntaxError> {
    let mut lines = Lines::new(expression);
    let first = next_instruction(expression, &mut lines, '\\')?;
    let more = next_instruction(expression, &mut lines, '\\')?;
    first.filter(|_| more.is_none()).ok_or_else(|| {
        let message = "an ONBUILD trigger is a single instruction";
        SyntaxError::new(expression, 0..expression.len(), message)
    })
}

/// The next instruction with its here-documents.
fn next_instruction(
    text: &str,
    lines: &mut Lines<'_>,
    escape: char,
) -> Result<Option<Instruction>, SyntaxError> {
    let Some(logical) = lines.logical(escape)? else {
        return Ok(None);
    };
    let shape = Shape::read(text, &logical, 0..logical.text.len(), escape)?;
    let mut heredocs = shape.heredocs()?;
    let mut end = logical.end;
    for heredoc in &mut heredocs {
        let span = logical.span(0..logical.text.trim_end().len());
        let last = read_body(lines, heredoc)?.ok_or_else(|| {
            let message = format!("the here-document `{}` does not end", heredoc.name);
            let hint = format!("it ends at a line of nothing but `{}`", heredoc.name);
            SyntaxError::new(text, span, message).hint(hint)
        })?;
        end = last.end;
    }
    shape.check(heredocs, end).map(Some)
}

/// Fills in the body; gives the line that ends it.
fn read_body<'a>(
    lines: &mut Lines<'a>,
    heredoc: &mut Heredoc,
) -> Result<Option<Line<'a>>, SyntaxError> {
    while let Some(line) = lines.physical()? {
        let tabs: &[char] = if heredoc.chomp { &['\t'] } else { &[] };
        if line.content().trim_start_matches(tabs) == heredoc.name {
            return Ok(Some(line));
        }
        heredoc.content.push_str(line.raw);
    }
    Ok(None)
}

impl Dockerfile {
    fn read_body(&mut self) -> Result<(), SyntaxError> {
        let text = self.text.clone();
        let mut lines = Lines::new(&text);
        let mut n_instructions = 0;
        while let Some(instruction) = next_instruction(&text, &mut lines, self.escape)? {
            n_instructions += 1;
            match (instruction.keyword, self.stages.last_mut()) {
                (Keyword::From, _) => {
                    let stage = stage(&text, self.stages.len(), &instruction)?;
                    self.stages.push(stage);
                }
                (Keyword::Arg, None) => self.global_args.extend(args(&instruction)),
                (keyword, None) => {
                    let message = format!("{} before the first FROM", keyword.as_str());
                    let span = instruction.span.clone();
                    return Err(SyntaxError::new(&text, span, message)
                        .hint("only ARG may come before the first FROM"));
                }
                (_, Some(stage)) => {
                    stage.span.end = instruction.span.end;
                    stage.instructions.push(instruction);
                }
            }
        }
        if self.stages.is_empty() {
            let message = match n_instructions {
                0 => "the file has no instructions",
                _ => "the file has no FROM",
            };
            return Err(SyntaxError::new(&text, 0..0, message));
        }
        // They are kept for as long as anything is: thousands of files at once.
        self.stages.shrink_to_fit();
        for stage in &mut self.stages {
            stage.instructions.shrink_to_fit();
            for instruction in &mut stage.instructions {
                instruction.flags.shrink_to_fit();
                match &mut instruction.args {
                    Args::Words(words) => words.shrink_to_fit(),
                    Args::Pairs(pairs) => pairs.shrink_to_fit(),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The variables of an ARG.
pub(crate) fn args(instruction: &Instruction) -> impl Iterator<Item = Arg> + '_ {
    let pairs = match &instruction.args {
        Args::Pairs(pairs) => pairs.as_slice(),
        _ => &[],
    };
    pairs.iter().map(|pair| Arg {
        name: pair.name.clone(),
        value: pair.value.clone(),
        line: instruction.line,
        span: pair.span.clone(),
    })
}
