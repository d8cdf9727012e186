//! What holds for every file.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{none, pin, settings};
use crate::{
    parse,
    reduce::reduce,
    resolve::{Kind, Resolved, Source, resolve},
};

/// What must be the same before and after.
fn shape(resolved: &Resolved) -> Vec<String> {
    let place = |stage: &usize| resolved.stages.iter().position(|s| s == stage).unwrap();
    let source = |source: &Source| match source {
        Source::Stage(stage) => format!("stage {}", place(stage)),
        Source::Found(found) => format!("{:?}", resolved.found[*found].kind),
        other => format!("{other:?}"),
    };
    let views = resolved.views();
    let views = views.map(|(stage, v)| {
        format!(
            "{} {} {} {}",
            place(&stage),
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
