//! Placement: whether a node can execute a target, and at what price.

use refit_oci::Platform;

use crate::satisfies;

/// How a node executes a platform; the cheaper is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placement {
    /// On the bare processor.
    Native,
    /// Through an emulator.
    Emulated,
    /// Not at all.
    No,
}

/// How a node whose processor is `native`, with emulators for `emulated`, executes `target`.
pub fn runs_on(target: &Platform, native: &Platform, emulated: &[Platform]) -> Placement {
    if satisfies(target, native) {
        Placement::Native
    } else if emulated.iter().any(|platform| satisfies(target, platform)) {
        Placement::Emulated
    } else {
        Placement::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_goes_before_its_emulators() {
        let emulated = ["linux/arm64", "linux/amd64"].map(|p| p.parse().unwrap());
        for (target, expect) in [
            ("linux/amd64", Placement::Native),
            ("linux/386", Placement::Native),
            ("linux/arm64", Placement::Emulated),
            ("linux/arm/v7", Placement::Emulated),
            ("linux/s390x", Placement::No),
            ("windows/amd64", Placement::No),
        ] {
            let native = Platform::linux_amd64();
            let placement = runs_on(&target.parse().unwrap(), &native, &emulated);
            assert_eq!(placement, expect, "{target}");
        }
        assert!(Placement::Native < Placement::Emulated && Placement::Emulated < Placement::No);
    }
}
