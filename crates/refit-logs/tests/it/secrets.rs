use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use proptest::prelude::*;
use refit_logs::{Outcome, Redactor, Secrets};

use crate::{archive, start};

/// Everything below a folder, decompressed where it is compressed.
fn everything(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|e| e == "zst") {
            // An open part has no end; what there is comes out before that is noticed.
            let _ = zstd::stream::read::Decoder::new(bytes.as_slice())
                .unwrap()
                .read_to_end(&mut all);
        }
        all.extend(bytes);
    }
    all
}

#[test]
fn no_file_ever_holds_a_secret() {
    let (dir, archive) = archive();
    let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n";
    let run = start(&archive, 1, &["hunter2", key]);
    let mut recorder = run.recorder("web", "rebuild").unwrap();
    let holds = |text: &str| {
        everything(dir.path())
            .windows(text.len())
            .any(|w| w == text.as_bytes())
    };
    for bytes in [
        &b"login hun"[..],
        b"ter",
        b"2 and aHVudGVyMg==",
        b"\n#7 0.3 MIIEvQI",
        b"BADAN\n",
        b"done",
    ] {
        recorder.write_all(bytes).unwrap();
        assert!(!holds("hunter2") && !holds("MIIEvQIBADAN"));
    }
    assert!(holds("login ***"));
    recorder.finish().unwrap();
    let record = run.finish(Outcome::Succeeded).unwrap();
    assert!(!holds("hunter2") && !holds("MIIEvQIBADAN"));
    let lines = archive
        .target_log(&record, "web")
        .unwrap()
        .unwrap()
        .tail(9)
        .unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["login *** and ***Mg==", "#7 0.3 ***", "done"]);
}

proptest! {
    #[test]
    fn cuts_change_nothing_and_no_secret_is_left(
        secrets in prop::collection::vec("[ab\n]{1,6}", 0..4),
        text in "[ab\nc]{0,60}",
        cuts in prop::collection::vec(1_usize..9, 1..20),
    ) {
        let secrets = Secrets::new(&secrets);
        let redact = |writes: &mut dyn Iterator<Item = &[u8]>| {
            let mut redactor = Redactor::new(Vec::new(), secrets.clone());
            for bytes in writes {
                redactor.write_all(bytes).unwrap();
            }
            redactor.finish().unwrap()
        };
        let whole = redact(&mut [text.as_bytes()].into_iter());
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        prop_assert_eq!(&redact(&mut pieces.into_iter()), &whole);
        // What is clean stays as it is.
        prop_assert_eq!(&redact(&mut [whole.as_slice()].into_iter()), &whole);
    }
}
