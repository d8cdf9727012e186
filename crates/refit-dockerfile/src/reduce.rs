//! The text that an engine gets: what the target does not reach is gone, every reference is pinned.

use std::ops::Range;

use crate::{
    model::{Dockerfile, Flag, Stage},
    mount::Mount,
    resolve::{Found, FoundSource, Kind, Link, Resolved, Source, StageView},
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
    let mut edits = Edits {
        text: &file.text,
        escape: file.escape,
        list: Vec::new(),
    };
    edits.drop_syntax(file);
    // A trigger counts the stages of this file, and cannot be rewritten.
    let counted = |link: &&Link| link.trigger.is_some() && link.by_index;
    let keep_numbers = resolved.links.iter().any(|link| counted(&link));
    for stage in &file.stages {
        match resolved.views.get(&stage.index) {
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

struct Edits<'a> {
    text: &'a str,
    escape: char,
    list: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn newlines(&self, range: &Range<usize>) -> String {
        "\n".repeat(self.text[range.clone()].matches('\n').count())
    }

    /// An empty line behind the directives makes up for the one that is gone; before them it would close the block.
    fn drop_syntax(&mut self, file: &Dockerfile) {
        if let Some(line) = &file.syntax_line {
            let after = file.directives_end.max(line.end);
            let newline = self.newlines(line);
            if after == line.end {
                self.list.push((line.clone(), newline));
            } else {
                self.list.push((line.clone(), String::new()));
                self.list.push((after..after, newline));
            }
        }
    }

    fn remove_stage(&mut self, stage: &Stage, keep_number: bool) {
        let stub = if keep_number { "FROM scratch" } else { "" };
        let text = stub.to_owned() + &self.newlines(&stage.span);
        self.list.push((stage.span.clone(), text));
    }

    fn replace_stage(&mut self, stage: &Stage, view: &StageView) {
        if matches!(view.from, Source::Files(_) | Source::Scratch) {
            let image = stage.from.image.span.clone();
            self.list.push((image, "scratch".to_owned()));
        }
        let body = stage.from.span.end..stage.span.end;
        let newlines = self.newlines(&body);
        self.list.push((body, newlines));
    }

    /// Replaces the reference at `span`. Where its flag has quotes or continuations in it, the flag is written anew.
    fn replace_reference(&mut self, stage: &Stage, span: &Range<usize>, written: &str, new: &str) {
        let flags = stage
            .instructions
            .iter()
            .flat_map(|i| i.flags.iter().map(move |f| (i, f)));
        let within = |flag: &Flag| flag.span.start <= span.start && span.end <= flag.span.end;
        let Some((instruction, flag)) = flags.into_iter().find(|(_, flag)| within(flag)) else {
            self.list.push((span.clone(), new.to_owned()));
            return;
        };
        if flag.is_plain(self.text) && self.text.get(span.clone()) == Some(written) {
            self.list.push((span.clone(), new.to_owned()));
            return;
        }
        let mount = instruction
            .mounts
            .iter()
            .find(|mount| mount.span == flag.span);
        let value = match mount {
            Some(mount) => mount_record(mount, new),
            None => new.to_owned(),
        };
        let word = format!("--{}={}", flag.name, quoted(&value, self.escape));
        self.list.push((flag.span.clone(), word));
    }

    fn apply(mut self) -> String {
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = String::new();
        let mut at = 0;
        for (range, text) in &self.list {
            // Edits within what an earlier one took away are void.
            if range.start < at {
                continue;
            }
            out.push_str(&self.text[at..range.start]);
            out.push_str(text);
            at = range.end;
        }
        out.push_str(&self.text[at..]);
        out
    }
}

/// The mount as a CSV record, with another `from`.
fn mount_record(mount: &Mount, from: &str) -> String {
    let last = mount.fields.iter().rposition(|field| field.key == "from");
    let fields = mount.fields.iter().enumerate().map(|(i, field)| {
        let value = field.value.as_ref().map(|value| value.value.as_str());
        let text = match (value, Some(i) == last) {
            (_, true) => format!("from={from}"),
            (Some(value), false) => format!("{}={value}", field.key),
            (None, false) => field.key.clone(),
        };
        if text.contains(['"', ',']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    });
    fields.collect::<Vec<_>>().join(",")
}

/// A flag's value that its reader takes for this text.
fn quoted(value: &str, escape: char) -> String {
    let plain = |c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape;
    if value.chars().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from('"');
    for c in value.chars() {
        if c == '"' || c == escape {
            out.push(escape);
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use refit_oci::Platform;

    use super::*;
    use crate::{NamedContext, Settings, parse, resolve, resolve_with_triggers};

    fn settings<'a>(
        target: Option<&'a str>,
        contexts: &'a BTreeMap<String, NamedContext>,
        none: &'a (Platform, BTreeMap<String, String>),
    ) -> Settings<'a> {
        Settings {
            target,
            platform: &none.0,
            build_platform: &none.0,
            build_args: &none.1,
            contexts,
        }
    }

    fn none() -> (Platform, BTreeMap<String, String>) {
        (Platform::linux_amd64(), BTreeMap::new())
    }

    /// Every image becomes `p/<its last component>`.
    #[expect(clippy::unnecessary_wraps, reason = "the shape that reducing asks for")]
    fn pin(found: &Found) -> Option<String> {
        match &found.source {
            FoundSource::Reference(r) => Some(format!("p/{}", r.repository().last_component())),
            FoundSource::InRepo(name) => Some(format!("repo/{name}")),
        }
    }

    #[track_caller]
    fn check_with(
        text: &str,
        target: Option<&str>,
        contexts: &[(&str, NamedContext)],
        expect: &str,
    ) {
        let contexts = contexts
            .iter()
            .map(|(name, c)| ((*name).to_owned(), c.clone()));
        let (contexts, none) = (contexts.collect(), none());
        let file = parse(text).unwrap();
        let resolved = resolve(&file, &settings(target, &contexts, &none)).unwrap();
        let reduced = reduce(&file, &resolved, &pin);
        assert_eq!(reduced, expect, "{text}");
        let empty = BTreeMap::new();
        let again = parse(&reduced).unwrap();
        let again = resolve(&again, &settings(target, &empty, &none));
        assert!(again.is_ok(), "{reduced}: {again:?}");
    }

    #[track_caller]
    fn check(text: &str, target: Option<&str>, expect: &str) {
        check_with(text, target, &[], expect);
    }

    #[test]
    fn references_are_replaced_and_nothing_else() {
        check("FROM a", None, "FROM p/a");
        check("FROM a\r\nRUN x\r\n", None, "FROM p/a\r\nRUN x\r\n");
        check(
            "ARG V=1\nFROM --platform=$BUILDPLATFORM \"a:$V\" as B # x\n"
                .replace(" # x", "")
                .as_str(),
            None,
            "ARG V=1\nFROM --platform=$BUILDPLATFORM p/a as B\n",
        );
        check("FROM a\\\nb AS c\n", None, "FROM p/ab AS c\n");
        check(
            "FROM a AS b\nFROM b\nFROM scratch\nCOPY --from=1 / /",
            None,
            "FROM p/a AS b\nFROM b\nFROM scratch\nCOPY --from=1 / /",
        );
        check(
            "FROM a\nCOPY --chown=1 --from=b:2 x /\nRUN --mount=type=bind,from=c,target=/x true\n",
            None,
            "FROM p/a\nCOPY --chown=1 --from=p/b x /\nRUN --mount=type=bind,from=p/c,target=/x true\n",
        );
    }

    #[test]
    fn flags_with_quotes_are_written_anew() {
        for (flag, expect) in [
            ("COPY --from=\"b\" x /", "COPY --from=p/b x /"),
            ("COPY --from=\"b\"c x /", "COPY --from=p/bc x /"),
            ("COPY --fr\"om=b\" x /", "COPY --from=p/b x /"),
            ("COPY --from=b\\\nc x /", "COPY --from=p/bc x /"),
            (
                "RUN --mount='type=bind,from=b,target=/x' y",
                "RUN --mount=type=bind,from=p/b,target=/x y",
            ),
            (
                "RUN --mount='from=b,target=/x y' y",
                "RUN --mount=\"from=p/b,target=/x y\" y",
            ),
            (
                "RUN --mount='\"target=/a,b\",RO,from=b' y",
                "RUN --mount=\"\\\"target=/a,b\\\",ro,from=p/b\" y",
            ),
            (
                "RUN --mount=from=b,from=\"c\" y",
                "RUN --mount=from=b,from=p/c y",
            ),
        ] {
            check(
                &format!("FROM a\n{flag}\n"),
                None,
                &format!("FROM p/a\n{expect}\n"),
            );
        }
    }

    #[test]
    fn what_is_not_reached_leaves_empty_lines() {
        check(
            "FROM a AS one\nRUN x \\\n  y\n# comment\nFROM b AS two\nRUN z\nFROM c\nCOPY --from=1 / /\n",
            None,
            "\n\n\n# comment\nFROM p/b AS two\nRUN z\nFROM p/c\nCOPY --from=0 / /\n",
        );
        check(
            "FROM a AS b\nFROM c AS d\nCOPY <<E /\nFROM x\nE\n",
            Some("b"),
            "FROM p/a AS b\n\n\n\n\n",
        );
        // What a removed stage held back does not become a directive.
        check(
            "FROM a\n# escape=`\nFROM b\nRUN x \\\n y\n",
            None,
            "\n# escape=`\nFROM p/b\nRUN x \\\n y\n",
        );
        check(
            "FROM a\nFROM b\nFROM c\nCOPY --from=\"1\" / /\nCOPY --from=+1 / /\n",
            None,
            "\nFROM p/b\nFROM p/c\nCOPY --from=0 / /\nCOPY --from=0 / /\n",
        );
    }

    #[test]
    fn the_frontend_goes_and_the_other_directives_stay() {
        check(
            "# syntax=docker/dockerfile:1\nFROM a\n",
            None,
            "\nFROM p/a\n",
        );
        check(
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n y\n",
            None,
            "# escape=`\n\nFROM p/a\nRUN x `\n y\n",
        );
        check(
            "# escape=`\n# syntax=docker/dockerfile:1\n\nFROM a\nRUN x `\n y\n",
            None,
            "# escape=`\n\n\nFROM p/a\nRUN x `\n y\n",
        );
        check(
            "#!/usr/bin/env x\n# syntax=docker/dockerfile:1\nFROM a\n",
            None,
            "#!/usr/bin/env x\n\nFROM p/a\n",
        );
        check(
            "\u{feff}# syntax=docker/dockerfile:1\nFROM a\n",
            None,
            "\u{feff}\nFROM p/a\n",
        );
        let other = "# syntax=example.com/other\nFROM a\n";
        let (file, none, contexts) = (parse(other).unwrap(), none(), BTreeMap::new());
        let resolved = resolve(&file, &settings(None, &contexts, &none)).unwrap();
        assert_eq!(reduce(&file, &resolved, &pin), other);
    }

    #[test]
    fn a_replaced_stage_is_a_bare_from() {
        let text = "FROM a AS b\nRUN x\nCOPY --from=dead / /\nFROM c\nCOPY --from=b / /\n";
        let image = NamedContext::Image("x:1".parse().unwrap());
        let expect = "FROM p/x AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
        check_with(text, None, &[("b", image.clone())], expect);
        let expect = "FROM repo/web AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
        check_with(
            text,
            None,
            &[("b", NamedContext::InRepo("web".into()))],
            expect,
        );
        let expect = "FROM scratch AS b\n\n\nFROM p/c\nCOPY --from=b / /\n";
        check_with(text, None, &[("b", NamedContext::Files)], expect);
        check_with("FROM c\n", None, &[("c", image)], "FROM p/x\n");
        check_with("FROM c\n", None, &[("c", NamedContext::Files)], "FROM c\n");
    }

    #[test]
    fn without_a_pin_only_contexts_are_written() {
        let text = "FROM a:$TARGETARCH AS b\nFROM c\nCOPY --from=b / /\n";
        let image = NamedContext::Image("x:1".parse().unwrap());
        let contexts = BTreeMap::from([("c".to_owned(), image)]);
        let (file, none) = (parse(text).unwrap(), none());
        let resolved = resolve(&file, &settings(None, &contexts, &none)).unwrap();
        assert_eq!(
            reduce(&file, &resolved, &|_| None),
            "FROM a:$TARGETARCH AS b\nFROM docker.io/library/x:1\nCOPY --from=b / /\n"
        );
    }

    #[test]
    fn triggers_are_part_of_the_result_and_stay() {
        check(
            "FROM a AS b\nONBUILD COPY --from=t / /\nFROM b\n",
            None,
            "FROM p/a AS b\nONBUILD COPY --from=t / /\nFROM b\n",
        );
        // A trigger that counts stages keeps their number.
        check(
            "FROM a AS unused\nRUN x\nFROM b\nFROM c AS d\nONBUILD COPY --from=1 / /\nFROM d\n",
            None,
            "FROM scratch\n\nFROM p/b\nFROM p/c AS d\nONBUILD COPY --from=1 / /\nFROM d\n",
        );
        let (text, none, contexts) = (
            "FROM a AS u\nFROM b AS t\nFROM c\n",
            none(),
            BTreeMap::new(),
        );
        let file = parse(text).unwrap();
        let triggers = BTreeMap::from([(2, vec!["COPY --from=1 / /".to_owned()])]);
        let resolved =
            resolve_with_triggers(&file, &settings(None, &contexts, &none), &triggers).unwrap();
        let reduced = reduce(&file, &resolved, &pin);
        assert_eq!(reduced, "FROM scratch\nFROM p/b AS t\nFROM p/c\n");
    }

    /// What must be the same before and after.
    fn shape(resolved: &Resolved) -> Vec<String> {
        let place = |stage: &usize| resolved.stages.iter().position(|s| s == stage).unwrap();
        let source = |source: &Source| match source {
            Source::Stage(stage) => format!("stage {}", place(stage)),
            Source::Found(found) => format!("{:?}", resolved.found[*found].kind),
            other => format!("{other:?}"),
        };
        let views = resolved.views.iter();
        let views = views.map(|(stage, v)| {
            format!(
                "{} {} {} {}",
                place(stage),
                source(&v.from),
                v.platform,
                v.triggers.len()
            )
        });
        let links = resolved.links.iter();
        let links = links.map(|link| format!("{} {}", place(&link.stage), source(&link.source)));
        let rest = format!(
            "{:?} {:?} {} {}",
            resolved.inputs,
            resolved.chain.iter().map(place).collect::<Vec<_>>(),
            resolved.executes.len(),
            resolved.remote.len()
        );
        views.chain(links).chain([rest]).collect()
    }

    /// Files of lines that belong together often enough.
    fn files() -> impl Strategy<Value = String> {
        let image = prop::sample::select(vec![
            "debian:12",
            "$A",
            "${B:-x}",
            "scratch",
            "s1",
            "s2",
            "\"go:1\"",
            "$C",
            "al\\\npine",
        ]);
        let from = (
            image,
            prop::sample::select(vec!["", " AS s1", " as S2", " AS s3"]),
        );
        let from = from.prop_map(|(image, name)| format!("FROM {image}{name}\n"));
        let other = prop::sample::select(vec![
            "RUN x \\\n# c\n y\n",
            "RUN cat <<E >z\nFROM q\nE\n",
            "COPY --from=0 a /\n",
            "COPY --from=1 a /\n",
            "COPY --from=s1 a /\n",
            "COPY --from=\"nginx:1\" a /\n",
            "COPY $A/b <<-X /\n\tx\n\tX\n",
            "ADD https://e.com/x.git /\n",
            "RUN --mount=type=bind,from=s2,target=/x y\n",
            "RUN --mount='from=busybox,\"target=/a b\"' y\n",
            "ONBUILD COPY --from=s1 c /\n",
            "ONBUILD COPY --from=0 c /\n",
            "ENV D=d\n",
            "ARG A\n",
            "# comment\n",
            "\n",
        ]);
        let top = prop::sample::select(vec![
            "",
            "# syntax=docker/dockerfile:1\n",
            "# escape=\\\n# syntax=docker/dockerfile:1\n",
            "# c\n",
        ]);
        let body = prop::collection::vec(prop_oneof![from, other.prop_map(str::to_owned)], 0..12);
        (top, body).prop_map(|(top, body)| {
            format!(
                "{top}ARG A=alpine\nARG C=s1\nFROM base AS s2\n{}",
                body.concat()
            )
        })
    }

    proptest! {
        #[test]
        fn a_reduced_file_means_the_same(text in files(), target in prop::option::of("s[123]")) {
            let (none, contexts) = (none(), BTreeMap::new());
            let settings = settings(target.as_deref(), &contexts, &none);
            let Ok(file) = parse(&text) else { return Ok(()) };
            let Ok(resolved) = resolve(&file, &settings) else { return Ok(()) };
            let reduced = reduce(&file, &resolved, &pin);
            let again = parse(&reduced).unwrap();
            let resolved_again = resolve(&again, &settings).unwrap();
            prop_assert_eq!(shape(&resolved), shape(&resolved_again), "{}", reduced);
            for found in &resolved_again.found {
                prop_assert!(found.kind == Kind::Onbuild || found.written.starts_with("p/"));
            }
            // Once is enough.
            let nothing = reduce(&again, &resolved_again, &|_| None);
            prop_assert_eq!(nothing, reduced);
        }

        #[test]
        fn no_text_panics(text in r#"(FROM |AS |ARG |RUN |COPY --from=|ONBUILD |--mount=|<<E|\nE\n|[\\`$'"{}=,# a-c0\n\r\t]|\PC){0,40}"#) {
            let (none, contexts) = (none(), BTreeMap::new());
            if let Err(error) = parse(&text) {
                error.render("Dockerfile", &text);
            }
            let Ok(file) = parse(&text) else { return Ok(()) };
            match resolve(&file, &settings(None, &contexts, &none)) {
                Err(error) => drop(error.render("Dockerfile", &text)),
                Ok(resolved) => {
                    reduce(&file, &resolved, &pin);
                    crate::requirements(&file, &resolved);
                }
            }
        }
    }
}
