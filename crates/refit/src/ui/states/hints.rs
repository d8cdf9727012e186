//! What helps in a state.

use refit_deps::reason::{StateKind, TagOwner};

/// What helps, with the registry's name in it; `IMAGE` stands for the image.
pub(crate) fn hint(kind: &StateKind) -> Option<String> {
    let hint = way_out(kind)?.to_owned();
    Some(match kind {
        StateKind::Unauthorized { reference, .. } => hint.replace(
            "docker login HOST",
            &login(reference.repository().registry()),
        ),
        _ => hint,
    })
}

/// Docker's command knows its Hub without a name.
fn login(host: &str) -> String {
    match host {
        "docker.io" => "docker login".to_owned(),
        host => format!("docker login {host}"),
    }
}

/// What helps; `IMAGE` and `HOST` stand for the image and the registry.
fn way_out(kind: &StateKind) -> Option<&'static str> {
    Some(match kind {
        StateKind::Foreign { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push --take-over` writes over it"
        }
        StateKind::MovedElsewhere { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push --take-over` moves on from it"
        }
        StateKind::Pinned { .. } => {
            "change the digest in the Dockerfile, or set `pinned = \"follow\"` in `.config/refit.toml`"
        }
        StateKind::Unreachable { .. } => "`refit doctor` says what is missing",
        StateKind::Unauthorized { .. } => "run `docker login HOST`",
        StateKind::RateLimited { .. } => {
            "run it again later, or log in: registries let those they know ask more often"
        }
        StateKind::NestedIndex { .. } => {
            "name what it holds for the platform in the FROM line, by digest, or a tag that holds the platforms themselves"
        }
        StateKind::Schema1 { .. } => {
            "use another tag in the FROM line, or have the base pulled and pushed again by whoever owns it"
        }
        StateKind::MissingTag {
            owner: TagOwner::Base,
            ..
        } => "use a tag that is there in the FROM line; what is published stays as it is",
        StateKind::MissingTag {
            owner: TagOwner::Image,
            ..
        } => "`refit build IMAGE --push` publishes it again",
        StateKind::MissingPlatform { .. } => {
            "use another base, or leave the platform out of the image's `platforms`"
        }
        StateKind::ReleaseSourceGone { .. } => {
            "`refit build IMAGE --push` releases what is there now"
        }
        StateKind::ReleaseSourceUnknown { .. } => {
            "`refit adopt IMAGE --source REV` says so; `refit build IMAGE --push` releases what is there now"
        }
        StateKind::ReleaseSourceKnown { .. } => {
            "`refit adopt IMAGE` takes it as it is; `refit build IMAGE --push` releases another commit"
        }
        StateKind::Adoptable { .. } => "run `refit adopt` so that sweeps patch it",
        StateKind::NewerIsPublished { .. } => "run `git fetch`, or check out a newer commit",
        StateKind::Unpublished | StateKind::Unreleased { .. } => {
            "`refit build IMAGE --push` releases it"
        }
        StateKind::Deferred { .. } => "`refit sweep IMAGE --force` does not wait",
        StateKind::Queued(_) => "`refit sweep IMAGE` does not wait",
        StateKind::BackingOff { .. } => "`refit sweep IMAGE` tries it at once",
        StateKind::CheckNotAccepted => "`refit trust` accepts the commands of this repository",
        StateKind::CheckStillFails => "`refit sweep IMAGE --force` builds it once more",
        StateKind::NeedsGeneratedFiles { .. } => {
            "commit it, or set `prepare = [\"make\", \"dist\"]` in `.config/refit.toml` to have it made"
        }
        StateKind::Held { .. }
        | StateKind::BaseHeld { .. }
        | StateKind::CheckError { .. }
        | StateKind::NoMovingTag
        | StateKind::Broken { .. }
        | StateKind::Behind { .. } => return None,
        StateKind::Claimed { .. } => {
            "give the image tags of its own on this line, such as `tags = [\"{{.Line}}\"]`"
        }
    })
}
