//! References, digests and platforms of any bytes: what is read prints as something that is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use refit_oci::{Digest, Platform, Reference};

fuzz_target!(|input: (&str, &str)| {
    if let Ok(reference) = input.0.parse::<Reference>() {
        assert_eq!(reference.to_string().parse(), Ok(reference.clone()));
        assert_eq!(reference.familiar().parse(), Ok(reference));
    }
    let _ = input.0.parse::<Digest>();
    let platforms = (input.0.parse::<Platform>(), input.1.parse::<Platform>());
    if let (Ok(have), Ok(want)) = platforms {
        assert_eq!(have.to_string().parse(), Ok(have.clone()));
        assert!(refit_platform::satisfies(&have, &have));
        let _ = refit_platform::satisfies(&have, &want);
    }
});
