//! Why a step is not built as it was planned, in words.

use refit_deps::plan::shard::Unfit;
use refit_oci::{Digest, ObjectId};

use crate::ui;

/// A word for programs.
pub(super) fn word(unfit: &Unfit) -> &'static str {
    match unfit {
        Unfit::NotPlanned => "not-planned",
        Unfit::State(kind) => kind.word(),
        Unfit::Commit { .. } => "commit-moved",
        Unfit::Source { .. } => "source-differs",
        Unfit::Engine { .. } => "engine-differs",
        Unfit::Base { .. } => "base-moved",
        Unfit::Tag { .. } => "tag-moved",
    }
}

/// A sentence for people.
pub(super) fn words(unfit: &Unfit) -> String {
    match unfit {
        Unfit::NotPlanned => "nothing would be built of it now".to_owned(),
        Unfit::State(kind) => format!("{}: {}", kind.word(), ui::state_words(kind)),
        Unfit::Commit { planned, now } => {
            let short = |commit: &Option<ObjectId>| match commit {
                Some(commit) => format!("commit {}", commit.short()),
                None => "no commit".to_owned(),
            };
            format!(
                "it would be built from {} now, and {} was planned",
                short(now),
                short(planned)
            )
        }
        Unfit::Source { .. } => "its commit has another source than was planned".to_owned(),
        Unfit::Engine { planned, now } => {
            format!("{now} would build it now, and {planned} was planned")
        }
        Unfit::Base {
            reference,
            planned,
            now,
        } => format!(
            "{} is {} now, and {} was planned",
            reference.familiar(),
            base(now.as_ref()),
            base(planned.as_ref())
        ),
        Unfit::Tag { planned, now } => format!(
            "its tag holds {} now, and held {}",
            tag(now.as_ref()),
            tag(planned.as_ref())
        ),
    }
}

fn base(digest: Option<&Digest>) -> &str {
    digest.map_or("something else", Digest::short)
}

fn tag(digest: Option<&Digest>) -> &str {
    digest.map_or("nothing", Digest::short)
}
