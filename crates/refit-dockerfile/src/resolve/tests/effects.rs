//! What instructions read and set.

use super::{refused, resolved};
use crate::resolve::ContextInput;

#[test]
fn what_a_build_reads_of_its_context() {
    let inputs = |text: &str, options: &[&str]| {
        let resolved = resolved(text, options).unwrap_or_else(|e| panic!("{text}: {e}"));
        let inputs = resolved.inputs.into_iter().map(|input| match input {
            ContextInput::Everything => "*everything*".to_owned(),
            ContextInput::Pattern(pattern) => pattern,
        });
        inputs.collect::<Vec<_>>()
    };
    for (body, options, expect) in [
        ("COPY a b/c/ /x/", &[][..], &["a", "b/c"][..]),
        ("COPY . /x", &[], &["*everything*"]),
        ("COPY a /x\nCOPY . /y", &[], &["*everything*"]),
        (
            "ADD a.tar.gz https://e.com/x git@e.com:a/b.git /x",
            &[],
            &["a.tar.gz"],
        ),
        ("COPY --from=b a /x", &[], &[]),
        ("COPY [\"a b\", \"/x\"]", &[], &["a b"]),
        ("COPY <<EOF a /x\nEOF", &[], &["a"]),
        ("ARG D=d\nCOPY $D/x /", &[], &["d/x"]),
        ("ARG D=d\nCOPY $D/x /", &["arg:D=e"], &["e/x"]),
        ("ARG G\nCOPY $G/x /", &[], &["g/x"]),
        ("ENV E=e\nCOPY ${E}/x /", &[], &["e/x"]),
        ("COPY $FROMBASE/x /", &[], &["*everything*"]),
        ("ENV E=$FROMBASE\nCOPY $E/x /", &[], &["*everything*"]),
        ("ARG E=$FROMBASE\nCOPY $E/x /", &[], &["*everything*"]),
        ("ENV E=1 $FROMBASE=2\nCOPY $E /", &[], &["*everything*"]),
        ("RUN --mount=target=/x y", &[], &["*everything*"]),
        ("RUN --mount=source=a,target=/x y", &[], &["a"]),
        (
            "RUN --mount=type=cache,target=/x --mount=type=secret,id=y z",
            &[],
            &[],
        ),
        ("RUN --mount=from=b,source=a,target=/x y", &[], &[]),
        (
            "ARG T=bind\nRUN --mount=type=$T,src=a,target=/x y",
            &[],
            &["a"],
        ),
        ("ONBUILD COPY a /", &[], &[]),
        ("RUN x", &[], &[]),
    ] {
        let text = format!("ARG G=g\nFROM a\n{body}\n");
        assert_eq!(inputs(&text, options), expect, "{body} {options:?}");
    }
    // Nothing but the file sets a variable of an empty base.
    assert_eq!(inputs("FROM scratch\nCOPY a$X /", &[]), ["a"]);
    // Windows' paths.
    let text = "# escape=`\nFROM a\nCOPY src\\app\\ C:\\app\\\nCOPY ..\\x *.txt y\\*.c C:\\\n";
    assert_eq!(
        inputs(text, &["platform=windows/amd64"]),
        ["*.txt", "src/app", "x", "y/*.c"]
    );
    assert_eq!(
        inputs("FROM a\nCOPY D:/a /", &["platform=windows/amd64"]),
        ["*everything*"]
    );
    // Variables of a stage are those of its children; a stage that is not reached reads nothing.
    let text = "FROM a AS b\nENV D=d\nFROM c AS unused\nCOPY u /\nFROM b\nCOPY $D /\n";
    assert_eq!(inputs(text, &[]), ["d"]);
}

#[test]
fn what_a_build_must_find_in_its_context() {
    for (body, expect) in [
        ("COPY a b/c/ /x/", "a; b/c"),
        ("COPY . /x", ""),
        ("COPY . /x\nCOPY dist/app /y", "dist/app"),
        // Beside something else a pattern may match nothing.
        ("COPY package.json yarn.lock* ./", "package.json"),
        // A pattern needs the folder that it looks into.
        (
            "COPY target/*.jar build/*/a.war /x/",
            "target/*.jar|build/*/a.war",
        ),
        ("COPY *.jar /x/", ""),
        ("COPY *.jar target/*.jar /x/", ""),
        ("COPY target/*.jar . /x/", ""),
        ("COPY target/*.jar <<EOF /x/\nEOF", ""),
        ("COPY --from=b a /x", ""),
        ("ADD https://e.com/x /x", ""),
        ("COPY $FROMBASE/x /", ""),
        ("RUN --mount=source=a,target=/x y", "a"),
        ("RUN --mount=type=cache,source=a,target=/x y", ""),
        ("ONBUILD COPY a /", ""),
    ] {
        let text = format!("FROM a AS b\nCOPY unused /\nFROM a\n{body}\n");
        let required = resolved(&text, &[]).unwrap().required;
        let required = required.into_iter().map(|input| input.any_of.join("|"));
        let expect = if body.contains("--from") {
            "unused"
        } else {
            expect
        };
        assert_eq!(required.collect::<Vec<_>>().join("; "), expect, "{body}");
    }
}

#[test]
fn what_cannot_be_expanded_is_refused_where_it_is_reached() {
    refused("FROM a\nENV X=${Y:=1}", &[], 2, "unsupported modifier");
    refused("FROM a\nLABEL X=${Y", &[], 2, "without `}`");
    refused("FROM a\nRUN x\nCOPY 'a /", &[], 3, "unmatched single quote");
    refused("FROM scratch\nWORKDIR ${X:?why}", &[], 2, "`X`: why");
    refused(
        "FROM a\nCOPY https://e.com/x /",
        &[],
        2,
        "COPY cannot fetch",
    );
    // The base may set it.
    assert!(resolved("FROM a\nWORKDIR ${X:?why}", &[]).is_ok());
    assert!(resolved("FROM a AS b\nENV X=${Y:=1}\nFROM c", &[]).is_ok());
}
