//! Records: the JSON lines of `refs/notes/refit-records`, each complete in itself.

mod kinds;
mod set;

use serde::{Deserialize, Serialize};

pub use kinds::{
    AdoptRecord, AdoptedPlatform, BuildRecord, DepsRecord, HoldRecord, PublishRecord, SeenRecord,
};
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
    /// What is not to be touched, or not to be taken.
    Hold(HoldRecord),
    /// What a moving tag holds that another tool put there: from now on it is ours to patch.
    Adopt(AdoptRecord),
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
            Self::Hold(record) => &record.image,
            Self::Adopt(record) => &record.image,
        }
    }
}
