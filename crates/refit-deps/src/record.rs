//! Records: the JSON lines of `refs/notes/refit-records`, each complete in itself.

mod compact;
mod failure;
mod had;
mod kinds;
mod lazy;
mod rollback;
mod set;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use compact::{Cutoff, Folded, Live, fold};
pub use failure::{FailureClass, FailureRecord};
pub use had::HadRecord;
pub use kinds::{
    AdoptRecord, AdoptedPlatform, BuildRecord, DepsRecord, HoldRecord, PublishRecord, SeenRecord,
    SweptRecord,
};
pub use lazy::{About, Lines, about};
pub use rollback::RollbackRecord;
pub use set::Records;

/// The version of the record format.
const VERSION: u32 = 1;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// What a commit's Dockerfile depends on. For lineage and people; never makes a target fresh.
    Deps(DepsRecord),
    /// How a manifest was made.
    Build(BuildRecord),
    /// What a moving tag was moved to.
    Publish(PublishRecord),
    /// When a base's digest was seen first.
    Seen(SeenRecord),
    /// When a line was swept.
    Swept(SweptRecord),
    /// What is not to be touched, or not to be taken.
    Hold(HoldRecord),
    /// What a moving tag holds that another tool put there: from now on it is ours to patch.
    Adopt(AdoptRecord),
    /// What a moving tag was moved back to.
    Rollback(RollbackRecord),
    /// What could not be built, and when it is tried again.
    Failure(FailureRecord),
    /// Builds, publications and dependencies of long ago, together: they are as good as on lines of their own.
    Had(HadRecord),
    /// Which lines are gone, so that no replica brings them back; it says nothing of images.
    Compacted {
        /// The beginnings of their SHA-256.
        dropped: String,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(flatten)]
    record: &'a Record,
}

impl Record {
    /// The line, without a newline.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&Line {
            v: VERSION,
            record: self,
        })
        .expect("records have only string keys")
    }

    /// Reads a line. None for types and versions that this refit does not know: they are kept, unread.
    pub fn parse(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Probe {
            v: u32,
        }
        // As every refit of this version begins its lines: only others are read twice.
        let is_ours = line.starts_with("{\"v\":1,")
            || serde_json::from_str(line).is_ok_and(|probe: Probe| probe.v == VERSION);
        is_ours.then(|| serde_json::from_str(line).ok()).flatten()
    }

    /// The image it speaks of.
    pub fn image(&self) -> &str {
        match self {
            Self::Deps(record) => &record.image,
            Self::Build(record) => &record.image,
            Self::Publish(record) => &record.image,
            Self::Seen(record) => &record.image,
            Self::Swept(record) => &record.image,
            Self::Hold(record) => &record.image,
            Self::Adopt(record) => &record.image,
            Self::Rollback(record) => &record.image,
            Self::Failure(record) => &record.image,
            Self::Had(record) => &record.image,
            Self::Compacted { .. } => "",
        }
    }
}

/// Why a line is not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// A type or version that this refit does not know: kept, and counted.
    Unknown {
        /// Its version, where that is a number.
        version: Option<u64>,
        /// Its type, where that is a text.
        kind: Option<String>,
    },
    /// Damaged, or written by hand.
    Malformed(String),
}

impl Unread {
    /// Why a line that [`Record::parse`] refuses is not read.
    pub fn of(line: &str) -> Self {
        let value = match serde_json::from_str(line) {
            Ok(serde_json::Value::Object(value)) => value,
            Ok(_) => return Self::Malformed("it is no JSON object".to_owned()),
            Err(error) => return Self::Malformed(format!("it is no JSON: {error}")),
        };
        let version = value.get("v").and_then(serde_json::Value::as_u64);
        let kind = value.get("type").and_then(serde_json::Value::as_str);
        let kind = kind.map(str::to_owned);
        let error = match serde_json::from_str::<Record>(line) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        if version != Some(u64::from(VERSION)) || error.starts_with("unknown variant") {
            return Self::Unknown { version, kind };
        }
        Self::Malformed(error)
    }
}
