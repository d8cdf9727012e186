//! A writer that lets no secret through, however the writes cut it.

use std::io::{self, Write};

use crate::Secrets;

/// What a secret is replaced with, whatever its length.
const MARK: &[u8] = b"***";

/// Passes bytes on to `inner`, each secret replaced by `***`.
///
/// Bytes that may be the start of a secret are held back until the next write decides.
pub struct Redactor<W> {
    inner: W,
    secrets: Secrets,
    held: Vec<u8>,
    /// How many of the held bytes belong to a secret already found; secrets may overlap.
    covered: usize,
    /// Whether the last byte dealt with was hidden: one mark serves a whole run.
    hiding: bool,
}

impl<W: Write> Redactor<W> {
    /// Hides `secrets` in what goes to `inner`.
    pub fn new(inner: W, secrets: Secrets) -> Self {
        Self {
            inner,
            secrets,
            held: Vec::new(),
            covered: 0,
            hiding: false,
        }
    }

    /// Writes what was held back; a secret that the end cut off is hidden too.
    pub fn finish(mut self) -> io::Result<W> {
        self.pump(End::Reached)?;
        Ok(self.inner)
    }

    fn pump(&mut self, end: End) -> io::Result<()> {
        let mut clean = Vec::with_capacity(self.held.len());
        let mut done = 0;
        while let Some(byte) = self.held.get(done) {
            let rest = &self.held[done..];
            let verdict = self.secrets.at_start_of(rest);
            self.covered = self.covered.max(done + verdict.found);
            if verdict.may_grow {
                match end {
                    End::Open => break,
                    End::Reached if Secrets::is_cut_off(rest) => self.covered = self.held.len(),
                    End::Reached => {}
                }
            }
            if done >= self.covered {
                clean.push(*byte);
            } else if !self.hiding {
                clean.extend_from_slice(MARK);
            }
            self.hiding = done < self.covered;
            done += 1;
        }
        self.held.drain(..done);
        self.covered = self.covered.saturating_sub(done);
        self.inner.write_all(&clean)
    }
}

/// Whether more bytes may come.
#[derive(Clone, Copy)]
enum End {
    Open,
    Reached,
}

impl<W: Write> Write for Redactor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.secrets.is_empty() {
            return self.inner.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.pump(End::Open)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact<'a>(secrets: &[&str], writes: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut redactor = Redactor::new(Vec::new(), Secrets::new(secrets));
        for bytes in writes {
            redactor.write_all(bytes).unwrap();
        }
        String::from_utf8(redactor.finish().unwrap()).unwrap()
    }

    #[test]
    fn secrets_are_hidden_however_the_writes_cut_them() {
        for (secrets, text, expect) in [
            (&["hunter2"][..], "pw=hunter2;", "pw=***;"),
            (&["hunter2"], "hunter2hunter2", "***"),
            (&["hunter2"], "hunthunter2er2", "hunt***er2"),
            (&["aab"], "aaab", "a***"),
            (&["abcd", "cdef"], "xabcdefx", "x***x"),
            (&["abcd", "abcdefgh"], "abcdefgx abcdefgh", "***efgx ***"),
            (&["x"], "axbxc", "a***b***c"),
            (&["one\ntwo longer"], "one\r\ntwo longer", "one\r\n***"),
            (&["hunter2"], "it ends in hunt", "it ends in ***"),
            (&["hunter2"], "it ends in hu", "it ends in hu"),
            (&[], "hunter2", "hunter2"),
        ] {
            assert_eq!(redact(secrets, [text.as_bytes()]), expect, "{text}");
            for step in 1..5 {
                assert_eq!(
                    redact(secrets, text.as_bytes().chunks(step)),
                    expect,
                    "{text} by {step}"
                );
            }
        }
    }
}
