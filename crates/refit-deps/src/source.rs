//! Source ids: the content identity of everything of ours that goes into a target.
//!
//! `s1:` + SHA-256 over a canonical list of JSON arrays, one a line. `1` is the version of this rule: any change to
//! it is a new version.

use std::{fmt, fmt::Write as _, str::FromStr};

use refit_dockerfile::NamedContext;
use refit_oci::{Digest, ObjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::image::Image;

/// `s1:` and 64 hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId(String);

/// Why a text is no source id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no source id (want `s1:` and 64 hex digits)")]
pub struct SourceIdError(String);

/// One file that the build can see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceEntry {
    /// Path relative to the context.
    pub path: String,
    /// What git would record for it.
    pub mode: EntryMode,
    /// The blob's id; of a symlink, its target's.
    pub id: ObjectId,
}

/// A file's kind, as git tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryMode {
    /// `100644`
    File,
    /// `100755`
    Executable,
    /// `120000`
    Symlink,
    /// `160000`
    Submodule,
}

/// A source id and the digests of its parts, so that a change can be told by its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The whole.
    pub id: SourceId,
    /// The Dockerfile's blob.
    pub dockerfile: ObjectId,
    /// Target stage, args, named contexts, labels, annotations, network.
    pub settings: Digest,
    /// The context's files.
    pub context: Digest,
    /// What the Dockerfile copies and its context has not: nothing can be built before it is made. Nothing of it is part
    /// of the id.
    pub missing: Vec<MissingInput>,
}

/// Something that an instruction copies and that is not in the context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingInput {
    /// Relative to the context; the first of several patterns.
    pub path: String,
    /// The instruction's line, from 1.
    pub line: usize,
}

/// About as many bytes has the line of a file in the canonical list.
const LINE: usize = 128;

/// The source of a target: `entries` are the context's files that the ignore file keeps and that a reachable
/// instruction can see, in any order.
///
/// Of an image with `prepare` they are all files of the repository, with their whole paths: the command may read any of
/// them, and what it makes is not there before it runs. So the id is that of what the generated files are made from, and
/// not of them: whatever a command takes from elsewhere (the network, the clock, its own version) changes no id.
pub fn source(image: &Image, dockerfile: &ObjectId, entries: &[SourceEntry]) -> Source {
    let settings = settings_list(image);
    let mut sorted: Vec<&SourceEntry> = entries.iter().collect();
    sorted.sort();
    let mut context = Vec::with_capacity(sorted.len() * LINE);
    for entry in sorted {
        let line = ("file", &entry.path, entry.mode.as_str(), entry.id.as_str());
        serde_json::to_writer(&mut context, &line).expect("writing to bytes");
        context.push(b'\n');
    }
    let mut whole = format!("{}\n{settings}", json!(["dockerfile", dockerfile])).into_bytes();
    whole.extend_from_slice(&context);
    Source {
        id: SourceId(format!("s1:{}", Digest::sha256(&whole).hex())),
        dockerfile: dockerfile.clone(),
        settings: Digest::sha256(settings.as_bytes()),
        context: Digest::sha256(&context),
        missing: Vec::new(),
    }
}

/// [`Source::settings`] of an image alone.
pub fn settings(image: &Image) -> Digest {
    Digest::sha256(settings_list(image).as_bytes())
}

/// The settings that count, one JSON array a line: what [`Source::settings`] is the digest of.
pub fn settings_list(image: &Image) -> String {
    let mut settings = String::new();
    let mut line =
        |value: serde_json::Value| writeln!(settings, "{value}").expect("writing to a string");
    line(json!(["target", image.target]));
    for (name, value) in &image.build_args {
        line(json!(["build-arg", name, value]));
    }
    for (name, context) in &image.build_contexts {
        let value = match context {
            NamedContext::Image(reference) => format!("docker-image://{reference}"),
            NamedContext::InRepo(image) => format!("image:{image}"),
            NamedContext::Files => "files".to_owned(),
            NamedContext::Scratch => "scratch".to_owned(),
        };
        line(json!(["build-context", name, value]));
    }
    for (name, value) in &image.labels {
        line(json!(["label", name, value]));
    }
    for (name, value) in &image.annotations {
        line(json!(["annotation", name, value]));
    }
    line(json!(["network", image.network]));
    if !image.prepare.is_empty() {
        line(json!(["prepare", image.context, image.prepare]));
    }
    settings
}

impl EntryMode {
    /// As git writes it in a tree.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }
}

impl SourceId {
    /// The first 12 hex digits, for people.
    pub fn short(&self) -> &str {
        &self.0[3..15]
    }
}

impl FromStr for SourceId {
    type Err = SourceIdError;

    fn from_str(text: &str) -> Result<Self, SourceIdError> {
        let hex = text
            .strip_prefix("s1:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        hex.map(|_| Self(text.to_owned()))
            .ok_or_else(|| SourceIdError(text.to_owned()))
    }
}

impl TryFrom<String> for SourceId {
    type Error = SourceIdError;

    fn try_from(text: String) -> Result<Self, SourceIdError> {
        text.parse()
    }
}

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
