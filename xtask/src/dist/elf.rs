//! Whether an executable is static: it asks for no interpreter, and so for no library of the machine it runs on.

/// Type of the program header that names the dynamic linker (System V ABI, chapter 5).
const PT_INTERP: u32 = 3;

/// Whether these are the bytes of a 64-bit little-endian executable that needs nothing else to run.
pub(super) fn is_static(bytes: &[u8]) -> bool {
    headers(bytes).is_some_and(|types| !types.contains(&PT_INTERP))
}

/// The types of the program headers.
fn headers(bytes: &[u8]) -> Option<Vec<u32>> {
    if bytes.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let offset = usize::try_from(u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?)).ok()?;
    let half = |at: usize| {
        Some(usize::from(u16::from_le_bytes(
            bytes.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let (size, n) = (half(54)?, half(56)?);
    let of = |index: usize| {
        let at = offset.checked_add(size.checked_mul(index)?)?;
        let word = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?))
    };
    (0..n).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with nothing but headers of these types.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(types.len()).unwrap();
        for kind in types {
            let at = bytes.len();
            bytes.extend(kind.to_le_bytes());
            bytes.resize(at + 56, 0);
        }
        bytes
    }

    #[test]
    fn an_executable_with_an_interpreter_is_not_static() {
        assert!(is_static(&elf(&[1, 2, 6])));
        assert!(!is_static(&elf(&[6, 3, 1])));
        assert!(!is_static(b"#!/bin/sh\n") && !is_static(b""));
        let cut = elf(&[1, 2]);
        assert!(!is_static(&cut[..100]));
    }

    #[test]
    fn this_very_test_is_told_right() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(is_static(&own), cfg!(target_feature = "crt-static"));
    }
}
