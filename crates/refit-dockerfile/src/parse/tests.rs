//! Texts and what they are read as.

use super::*;
use crate::{TransferSource, model::Stage};

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
    assert_eq!(*stage.instructions[0].code, *"RUN x   y");
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
