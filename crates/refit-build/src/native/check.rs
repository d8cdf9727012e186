//! What the native engine does not do, by the place in the Dockerfile that asks for it.

use refit_dockerfile::{Feature, requirements};

use crate::engine::{Recipe, Refusal};

/// The way out of every refusal of something that another engine does.
pub(crate) const DOCKER_CAN: &str = "the docker engine can run it";

/// Refuses the first thing, by place, that cannot be done without executing, or fetching what no digest names.
pub(crate) fn check(recipe: &Recipe) -> Result<(), Refusal> {
    let asked = requirements(&recipe.file, &recipe.resolved);
    let mut refused = asked.iter().filter_map(|asked| {
        let (message, hint) = refusal(asked.feature)?;
        Some(Refusal {
            line: asked.line,
            span: asked.span.clone(),
            message: message.to_owned(),
            hint,
        })
    });
    match refused.next() {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// Why a feature is refused, and what helps; none if it is not.
fn refusal(feature: Feature) -> Option<(&'static str, Option<String>)> {
    let docker_can = || Some(DOCKER_CAN.to_owned());
    match feature {
        Feature::Run
        | Feature::RunMount
        | Feature::RunNetwork
        | Feature::RunSecurity
        | Feature::RunDevice => Some(("the native engine executes nothing", docker_can())),
        Feature::AddRemote => Some((
            "what a URL holds may change",
            Some(format!(
                "say what it is with `--checksum=sha256:…`; {DOCKER_CAN}"
            )),
        )),
        Feature::AddGit => Some(("the native engine clones nothing", docker_can())),
        Feature::NamedContext => Some((
            "a build context of files is nothing that the native engine can read",
            Some("copy from the main context, or from an image".to_owned()),
        )),
        Feature::Frontend => Some(("the native engine has no frontend but Docker's", None)),
        Feature::Heredoc
        | Feature::AddPinned
        | Feature::AddChecksum
        | Feature::CopyLink
        | Feature::CopyParents
        | Feature::CopyExclude
        | Feature::Chmod
        | Feature::AddUnpack
        | Feature::KeepGitDir
        | Feature::PlatformArg
        | Feature::Trigger => None,
    }
}
