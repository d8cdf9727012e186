//! The flags of RUN and COPY, of any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use refit_dockerfile::parse;

fuzz_target!(|flags: &str| {
    for instruction in ["RUN", "COPY", "ADD", "ONBUILD RUN"] {
        let text = format!("FROM a\n{instruction} --mount={flags} x y\n");
        let Ok(file) = parse(&text) else { continue };
        for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
            for mount in &instruction.mounts {
                if let Some(from) = mount.from() {
                    assert!(text.get(from.span.clone()).is_some(), "a span within the text");
                }
            }
        }
    }
});
