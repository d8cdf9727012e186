//! Ignore files, patterns of `COPY` and globs of the configuration, of any bytes, on paths of any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use refit_context::{Ignore, glob::Glob};

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, folder, name) = input;
    let path = format!("{folder}/{name}");
    let _ = refit_deps::glob_matches(text, &path);
    let _ = Glob::parse(text).map(|glob| glob.matches(&path));
    let (rules, _) = Ignore::parse(text);
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if path.split('/').all(plain) && rules.may_skip_dir(folder) {
        assert!(rules.excludes(&path), "what is skipped is excluded");
    }
});
