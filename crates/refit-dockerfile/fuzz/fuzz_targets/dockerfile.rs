//! A Dockerfile of any bytes is parsed, resolved and reduced, and what comes out is read as the same stages again.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use refit_dockerfile::{Settings, is_template, on_build, parse, reduce, requirements, resolve_with_triggers};
use refit_oci::Platform;

fuzz_target!(|text: &str| {
    let _ = is_template("Dockerfile", text);
    let Ok(file) = parse(text).map_err(|error| error.render("Dockerfile", text)) else {
        return;
    };
    let (platform, build_platform) = (Platform::linux_arm64(), Platform::linux_amd64());
    let build_args = BTreeMap::from([("GIVEN".to_owned(), "1".to_owned())]);
    let settings = Settings {
        target: None,
        platform: &platform,
        build_platform: &build_platform,
        build_args: &build_args,
        contexts: &BTreeMap::new(),
    };
    // The first line stands for what a base's config makes its children execute.
    let trigger = text.lines().next().unwrap_or_default().to_owned();
    for triggers in [BTreeMap::new(), BTreeMap::from([(0, vec![trigger])])] {
        let resolved = match resolve_with_triggers(&file, &settings, &triggers) {
            Ok(resolved) => resolved,
            Err(error) => {
                let _ = error.render("Dockerfile", text);
                continue;
            }
        };
        for found in &resolved.found {
            assert!(text.get(found.span.clone()).is_some(), "a span within the text");
        }
        let _ = (requirements(&file, &resolved), on_build(&file, &resolved));
        let reduced = reduce(&file, &resolved, &|_| Some("pinned.example.com/x:1".to_owned()));
        if !resolved.opaque {
            let again = parse(&reduced).expect("what was reduced is a Dockerfile");
            assert_eq!(again.stages.len(), resolved.stages.len());
        }
    }
});
