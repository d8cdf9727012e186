//! The secret values of a run, in every spelling in which a tool might print them.

use std::{fmt, fmt::Write as _, sync::Arc};

/// Parts of a secret that are shorter than this many bytes are too common to hide.
const SHORTEST_PART: usize = 4;

/// Values that no log may contain. Printing it shows none of them.
#[derive(Clone)]
pub struct Secrets {
    known: Arc<Known>,
}

struct Known {
    patterns: Vec<Vec<u8>>,
    /// Whether a pattern begins with this byte: most bytes of most logs are passed over by it.
    begins: [bool; 256],
}

/// What the secrets say about the start of some bytes.
pub(crate) struct Verdict {
    /// Length of the longest secret there; 0 if there is none.
    pub(crate) found: usize,
    /// Whether the bytes end in the midst of what may become a (longer) secret.
    pub(crate) may_grow: bool,
}

impl Secrets {
    /// Hides each value; of a value with several lines also each line, and base64, percent and JSON spellings.
    ///
    /// White space around a value is no part of it. Empty values hide nothing.
    pub fn new<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut patterns = Vec::new();
        for value in values {
            spellings(value.as_ref().trim_ascii(), &mut patterns);
        }
        patterns.sort_unstable();
        patterns.dedup();
        let mut begins = [false; 256];
        for first in patterns.iter().filter_map(|pattern| pattern.first()) {
            begins[usize::from(*first)] = true;
        }
        Self {
            known: Arc::new(Known { patterns, begins }),
        }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.known.patterns.is_empty()
    }

    /// Looks at the start of `bytes` only.
    pub(crate) fn at_start_of(&self, bytes: &[u8]) -> Verdict {
        let mut verdict = Verdict {
            found: 0,
            may_grow: false,
        };
        if !bytes
            .first()
            .is_some_and(|first| self.known.begins[usize::from(*first)])
        {
            return verdict;
        }
        for pattern in &self.known.patterns {
            if bytes.starts_with(pattern) {
                verdict.found = verdict.found.max(pattern.len());
            } else if pattern.starts_with(bytes) {
                verdict.may_grow = true;
            }
        }
        verdict
    }

    /// Whether bytes that end like this, for good, are more likely a cut-off secret than not.
    pub(crate) fn is_cut_off(bytes: &[u8]) -> bool {
        bytes.len() >= SHORTEST_PART
    }
}

impl Default for Secrets {
    /// Nothing to hide.
    fn default() -> Self {
        Self::new::<&[u8]>([])
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} patterns)", self.known.patterns.len())
    }
}

fn spellings(value: &[u8], patterns: &mut Vec<Vec<u8>>) {
    if value.is_empty() {
        return;
    }
    patterns.push(value.to_owned());
    // Tools prefix and re-wrap their output line by line, and turn `\n` into `\r\n`.
    let lines = value
        .split(|b| matches!(b, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii);
    patterns.extend(
        lines
            .filter(|line| line.len() >= SHORTEST_PART)
            .map(<[u8]>::to_vec),
    );
    if value.len() < SHORTEST_PART {
        return;
    }
    patterns.push(percent_encoded(value));
    if let Ok(text) = std::str::from_utf8(value)
        && let Ok(quoted) = serde_json::to_string(text)
    {
        patterns.push(quoted.as_bytes()[1..quoted.len() - 1].to_owned());
    }
    // In `user:password` the value may begin at any offset within base64's groups of three bytes.
    for skipped in 0..3 {
        let whole_groups = value.get(skipped..).unwrap_or_default().chunks_exact(3);
        for alphabet in [STANDARD, URL_SAFE] {
            let text: Vec<u8> = whole_groups
                .clone()
                .flat_map(|g| base64(g, alphabet))
                .collect();
            if text.len() >= 2 * SHORTEST_PART {
                patterns.push(text);
            }
        }
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// One group of three bytes as four digits.
fn base64(group: &[u8], alphabet: &[u8; 64]) -> [u8; 4] {
    let bits = group
        .iter()
        .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
    [18, 12, 6, 0].map(|shift| alphabet[(bits >> shift & 63) as usize])
}

/// As RFC 3986 has it: all but its unreserved characters.
fn percent_encoded(value: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(value: &str, text: &str) -> bool {
        Secrets::new([value]).at_start_of(text.as_bytes()).found == text.len()
    }

    #[test]
    fn a_secret_is_known_in_every_spelling() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n";
        for (value, text) in [
            ("hunter2", "hunter2"),
            (" hunter2\n", "hunter2"),
            ("p@ss/word", "p%40ss%2Fword"),
            ("say \"hi\"", "say \\\"hi\\\""),
            ("hunter2hunter2", "aHVudGVyMmh1bnRl"),
            (key, "MIIEvQIBADAN"),
            (
                key,
                "-----BEGIN KEY-----\\nMIIEvQIBADAN\\n-----END KEY-----",
            ),
        ] {
            assert!(hides(value, text), "{value:?} as {text:?}");
        }
        assert!(!hides("hunter2", "hunter3"));
        assert!(Secrets::new(["", " \n"]).is_empty());
    }

    #[test]
    fn printing_secrets_shows_none() {
        assert!(!format!("{:?}", Secrets::new(["hunter2"])).contains("hunter"));
    }
}
