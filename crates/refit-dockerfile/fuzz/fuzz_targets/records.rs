//! Lines of records, whole ones of any bytes and well-formed ones of any values: what is read is written as a line that
//! is read as the same; sentences are lines, too.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use refit_deps::{
    record::{Record, Records},
    sentence,
};
use serde_json::json;

fuzz_target!(|input: (&str, &str, &str, &str)| {
    let (text, image, reference, at) = input;
    let (source, commit) = (format!("s1:{}", "0".repeat(64)), "a".repeat(40));
    let made = json!({
        "v": 1, "type": "deps", "image": image, "platform": "linux/amd64", "source": source, "commit": commit,
        "deps": [{"kind": "base", "reference": reference, "platform": "linux/arm64"}], "at": at,
    });
    let made = made.to_string();
    let lines = || text.lines().chain([made.as_str()]);
    let mut deps = Vec::new();
    for line in lines() {
        let Some(record) = Record::parse(line) else { continue };
        let written = record.to_line();
        assert!(!written.contains('\n'), "a record is one line");
        assert_eq!(Record::parse(&written).as_ref(), Some(&record));
        if let Record::Deps(record) = record {
            deps.push(record);
        }
    }
    for sentence in sentence::deps(&deps, &BTreeMap::new()) {
        assert!(!sentence.contains(['\n', '\r']), "a sentence is one line");
    }
    let records = Records::read(lines(), true);
    let _ = (records.deps().len(), records.builds().count(), records.publishes().count());
});
