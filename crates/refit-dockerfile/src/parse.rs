//! The text of a Dockerfile to directives, global arguments and stages.

use refit_oci::Reference;

use crate::{
    SyntaxError, directives,
    heredoc::Heredoc,
    lines::{Line, Lines},
    model::{Arg, Args, Dockerfile, FromLine, Instruction, Keyword, Spanned, Stage},
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

fn stage(text: &str, index: usize, from: &Instruction) -> Result<Stage, SyntaxError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransferSource;

    /// What a file is, in short: one line a stage, its instructions by keyword.
    fn outline(text: &str) -> Vec<String> {
        let file = parse(text).unwrap();
        let stage = |stage: &Stage| {
            let keywords = stage.instructions.iter().map(|i| i.keyword.as_str());
            let name = stage.name.as_deref().unwrap_or("-");
            let words = [stage.from.image.value.as_str(), name];
            words
                .into_iter()
                .chain(keywords)
                .collect::<Vec<_>>()
                .join(" ")
        };
        file.stages.iter().map(stage).collect()
    }

    fn only(text: &str) -> Instruction {
        let file = parse(&format!("FROM x\n{text}")).unwrap();
        assert_eq!(file.stages[0].instructions.len(), 1, "{text}");
        file.stages[0].instructions[0].clone()
    }

    #[test]
    fn stages_and_instructions() {
        for (text, expect) in [
            ("FROM a", &["a -"][..]),
            ("from a as B\nrun x\nCmd y", &["a b RUN CMD"]),
            ("\u{feff}FROM a\r\nRUN x\r\n", &["a - RUN"]),
            (
                "FROM a\nFROM b AS c.d-e_f1\nADD x y\n",
                &["a -", "b c.d-e_f1 ADD"],
            ),
            ("ARG A=1 B\nFROM $A", &["$A -"]),
            ("FROM --platform=linux/arm64 a AS b", &["a b"]),
            ("FROM \\\n  # comment\n  a \\\n  AS b\nRUN x", &["a b RUN"]),
            ("FROM \"a:1\"", &["\"a:1\" -"]),
            (
                "FROM a\nRUN cat <<EOF > /x\nFROM y\nEOF\nCMD z",
                &["a - RUN CMD"],
            ),
            (
                "FROM a\nRUN <<A <<B\nFROM x\nA\nFROM y\nB\nCMD z",
                &["a - RUN CMD"],
            ),
            (
                "FROM a\nCOPY <<-'X' /y\n\tFROM z\n\tX\nCMD z",
                &["a - COPY CMD"],
            ),
            (
                "FROM a\nONBUILD RUN <<X\nFROM z\nX\nCMD z",
                &["a - ONBUILD CMD"],
            ),
            ("FROM a\nRUN [\"<<EOF\"]\nCMD z", &["a - RUN CMD"]),
            ("FROM a\nUSER <<X\nCMD z", &["a - USER CMD"]),
            (
                "# escape=`\nFROM a\nRUN dir C:\\ `\n x\nCMD y",
                &["a - RUN CMD"],
            ),
            ("FROM a\nRUN x \\\n\n  # c\n\n  y\nCMD z", &["a - RUN CMD"]),
            ("FROM a\nRUN x \\", &["a - RUN"]),
        ] {
            assert_eq!(outline(text), expect, "{text}");
        }
    }

    #[test]
    fn spans_are_the_bytes_of_the_text() {
        let text = "# x\nARG A=1\nFROM --platform=$P \"a:$A\" AS b\n\nRUN x \\\n  y\n# z\nCOPY <<E /e\nq\nE\n\n# end\nFROM c\n";
        let file = parse(text).unwrap();
        let part = |span: &std::ops::Range<usize>| &text[span.clone()];
        let stage = &file.stages[0];
        assert_eq!(part(&file.global_args[0].span), "A=1");
        assert_eq!(part(&stage.from.image.span), "\"a:$A\"");
        assert_eq!(part(&stage.from.platform.as_ref().unwrap().span), "$P");
        assert_eq!(part(&stage.from.span), "FROM --platform=$P \"a:$A\" AS b");
        assert_eq!(part(&stage.instructions[0].span), "RUN x \\\n  y");
        assert_eq!(stage.instructions[0].code, "RUN x   y");
        assert_eq!(part(&stage.instructions[1].span), "COPY <<E /e\nq\nE");
        assert!(part(&stage.span).starts_with("FROM --p") && part(&stage.span).ends_with("q\nE"));
        let lines: Vec<_> = stage.instructions.iter().map(|i| i.line).collect();
        assert_eq!((stage.from.line, lines), (3, vec![5, 8]));
        assert_eq!(part(&file.stages[1].span), "FROM c");
    }

    #[test]
    fn arguments_by_grammar() {
        let words = |text: &str| match only(text).args {
            Args::Words(words) => words.into_iter().map(|w| w.value).collect::<Vec<_>>(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(words("COPY --chown=1 a  b\tc"), ["a", "b", "c"]);
        assert_eq!(words("COPY [\"a b\", \"c\"]"), ["a b", "c"]);
        assert_eq!(words("ADD [a, b] c"), ["[a,", "b]", "c"]);
        assert_eq!(words("USER  a b "), ["a b"]);
        assert_eq!(words("EXPOSE 80/tcp $P"), ["80/tcp", "$P"]);
        assert_eq!(words("VOLUME [\"/a\"]"), ["/a"]);
        for (text, expect) in [
            ("RUN echo [x]", Args::Shell("echo [x]".into())),
            (
                "RUN [\"echo\", \"x\"]",
                Args::Exec(vec!["echo".into(), "x".into()]),
            ),
            ("RUN [ \"echo\" ", Args::Shell("[ \"echo\"".into())),
            ("RUN --network=none [\"a\"]", Args::Exec(vec!["a".into()])),
            ("CMD", Args::Shell(String::new())),
            ("CMD []", Args::Exec(vec![])),
            ("HEALTHCHECK NONE", Args::NoHealthcheck),
            (
                "HEALTHCHECK --interval=3s cmd a b",
                Args::Shell("a b".into()),
            ),
            ("HEALTHCHECK CMD [\"a\"]", Args::Exec(vec!["a".into()])),
            (
                "SHELL [\"a\", \"-c\"]",
                Args::Exec(vec!["a".into(), "-c".into()]),
            ),
        ] {
            assert_eq!(only(text).args, expect, "{text}");
        }
    }

    #[test]
    fn names_and_values() {
        let pairs = |text: &str| match only(text).args {
            Args::Pairs(pairs) => pairs
                .into_iter()
                .map(|p| (p.name, p.value))
                .collect::<Vec<_>>(),
            other => panic!("{text}: {other:?}"),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(
            pairs("ENV a=1 b=\"2 3\""),
            [pair("a", "1"), pair("b", "\"2 3\"")]
        );
        assert_eq!(pairs("ENV a 1  2=3"), [pair("a", "1  2=3")]);
        assert_eq!(pairs("LABEL \"a b\"=c"), [pair("\"a b\"", "c")]);
        assert_eq!(
            pairs("ENV a=b\\ c d='\"'"),
            [pair("a", "b\\ c"), pair("d", "'\"'")]
        );
        assert_eq!(
            pairs("ARG a b= c=d"),
            [("a".into(), None), pair("b", ""), pair("c", "d")]
        );
    }

    #[test]
    fn here_documents_belong_to_what_reads_them() {
        let copy = only("COPY a <<B.txt <<-C /d\n1\nB.txt\n\t2\n\t\t3\n\tC\n");
        let transfer = copy.transfer().unwrap();
        let sources = transfer.sources.iter().map(|source| match source {
            TransferSource::Path(path) => path.value.clone(),
            TransferSource::Heredoc(heredoc) => format!("{}: {:?}", heredoc.name, heredoc.body()),
        });
        let sources: Vec<_> = sources.collect();
        assert_eq!(sources, ["a", "B.txt: \"1\\n\"", "C: \"2\\n3\\n\""]);
        assert_eq!(transfer.destination.value, "/d");
        let onbuild = only("ONBUILD COPY <<X /y\nz\nX\n");
        let trigger = onbuild.trigger().unwrap();
        assert_eq!(trigger.expression, "COPY <<X /y\nz\nX");
        assert!(onbuild.heredocs.is_empty());
        assert_eq!(
            trigger.instruction.as_ref().unwrap().heredocs[0].content,
            "z\n"
        );
        let again = parse_trigger(&trigger.expression).unwrap();
        assert_eq!(
            again.heredocs,
            trigger.instruction.as_ref().unwrap().heredocs
        );
    }

    #[test]
    fn a_wrong_trigger_is_an_error_of_whoever_executes_it() {
        let trigger = only("ONBUILD COPY --form=x a b");
        assert!(trigger.trigger().unwrap().instruction.is_err());
        assert!(parse("FROM x\nONBUILD FROM y").is_err());
        assert!(parse("FROM x\nONBUILD ONBUILD RUN y").is_err());
        assert!(parse("FROM x\nONBUILD ENV y").is_err());
        let deep = "ONBUILD \\\n".repeat(200_000);
        assert!(parse(&format!("FROM x\n{deep}")).is_err());
    }

    #[test]
    fn other_frontends_speak_other_languages() {
        for (text, opaque, n_stages) in [
            ("# syntax=docker/dockerfile:1\nFROM a", false, 1),
            (
                "# syntax=docker/dockerfile-upstream:master\nFROM a",
                false,
                1,
            ),
            (
                "# syntax=mirror.example.com/docker/dockerfile:1-labs\nFROM a",
                false,
                1,
            ),
            ("# syntax=example.com/other:1\nFROM a", true, 1),
            ("# syntax=example.com/other:1\nimage: x", true, 0),
            ("// syntax=example.com/other\nlet x = 1;", true, 0),
        ] {
            let file = parse(text).unwrap();
            assert_eq!(
                (file.opaque, file.stages.len()),
                (opaque, n_stages),
                "{text}"
            );
        }
        assert!(parse("# syntax=docker/dockerfile:1\nimage: x").is_err());
    }
}
