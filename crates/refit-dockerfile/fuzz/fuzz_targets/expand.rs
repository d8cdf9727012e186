//! A word of any bytes is expanded in variables of any values, with a bound on what comes out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use refit_dockerfile::expand;

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, a, b) = input;
    let lookup = |name: &str| match name {
        "A" => Some(a.to_owned()),
        "B" => Some(b.to_owned()),
        _ => None,
    };
    for escape in ['\\', '`'] {
        if let Ok(word) = expand::word(text, escape, &lookup) {
            assert!(word.len() <= 2 << 20);
        }
        let _ = expand::words(text, escape, &lookup);
    }
    let _ = expand::heredoc(text, &lookup);
});
