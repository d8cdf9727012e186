//! The first releases of each engine that know a feature.

use refit_dockerfile::Feature;

/// What reads the Dockerfile: the frontend or builder that came with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Docker Engine's BuildKit.
    Docker(u32, u32),
    /// BuildKit's own.
    BuildKit(u32, u32),
    /// Podman's, which is Buildah.
    Podman(u32, u32),
    /// Docker Engine's builder from before BuildKit, which learns nothing new.
    Classic,
    /// It does not say.
    Unknown,
}

/// The first releases that know a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    Always,
    Releases(Releases),
    Never,
}

/// Of Docker Engine, the BuildKit inside it, and Podman; none of the last: no release is known to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Releases {
    docker: (u32, u32),
    buildkit: (u32, u32),
    podman: Option<(u32, u32)>,
}

/// From here on Podman's builder is left to say no itself. Debian's and Ubuntu's 4.9 has no here-documents, whatever its
/// release notes say.
const PODMAN: Option<(u32, u32)> = Some((5, 0));

const fn releases(
    docker: (u32, u32),
    buildkit: (u32, u32),
    podman: Option<(u32, u32)>,
) -> Releases {
    Releases {
        docker,
        buildkit,
        podman,
    }
}

pub(super) fn since(feature: Feature) -> Since {
    match feature {
        Feature::Heredoc | Feature::CopyLink | Feature::RunNetwork => {
            Since::Releases(releases((23, 0), (0, 10), PODMAN))
        }
        // 20.10 would take the repository's URL for a file, and say nothing.
        Feature::AddGit | Feature::AddChecksum | Feature::KeepGitDir => {
            Since::Releases(releases((25, 0), (0, 12), PODMAN))
        }
        Feature::RunSecurity
        | Feature::RunDevice
        | Feature::CopyParents
        | Feature::CopyExclude
        | Feature::AddUnpack => Since::Releases(releases((27, 0), (0, 14), PODMAN)),
        // Its files would have to be packed, and a frontend to be pulled.
        Feature::NamedContext | Feature::Frontend => Since::Never,
        Feature::Run
        | Feature::RunMount
        | Feature::Chmod
        | Feature::AddRemote
        | Feature::AddPinned
        | Feature::PlatformArg
        | Feature::Trigger => Since::Always,
    }
}

/// Whether the classic builder knows a feature. Platform arguments are given to it as any others.
pub(super) fn is_classic(feature: Feature) -> bool {
    use Feature as F;
    matches!(feature, F::Run | F::AddRemote | F::PlatformArg | F::Trigger)
}

/// The first releases that read a `--chmod` other than an octal number; older ones ignore it, and say nothing.
pub(super) const SYMBOLIC_CHMOD: Releases = releases((28, 0), (0, 20), None);

/// The first releases in which a trigger may refer to an image, which a named context then pins.
pub(super) const TRIGGERS_REFER: Releases = releases((27, 4), (0, 17), None);

impl Release {
    /// Whether it is one of these or a later one; none that does not say which it is.
    pub(super) fn is_since(self, first: Releases) -> Option<bool> {
        match self {
            Self::Docker(major, minor) => Some((major, minor) >= first.docker),
            Self::BuildKit(major, minor) => Some((major, minor) >= first.buildkit),
            Self::Podman(major, minor) => {
                Some(first.podman.is_some_and(|first| (major, minor) >= first))
            }
            Self::Classic => Some(false),
            Self::Unknown => None,
        }
    }

    /// Which one to take instead.
    pub(super) fn newer(self, first: Releases) -> String {
        let ((major, minor), name) = match (self, first.podman) {
            (Self::Docker(..), _) => (first.docker, "Docker Engine "),
            (Self::BuildKit(..) | Self::Unknown, _) => (first.buildkit, "BuildKit v"),
            (Self::Podman(..), Some(first)) => (first, "Podman "),
            (Self::Podman(..), None) | (Self::Classic, _) => return self.another(),
        };
        format!("use {name}{major}.{minor} or newer")
    }

    /// What to take instead of it, whichever release it is.
    pub(super) fn another(self) -> String {
        match self {
            Self::Classic => "let BuildKit build it: run `export DOCKER_BUILDKIT=1`, or take an engine that has it",
            _ => "let BuildKit build it: take Docker Engine, or a buildkitd with `engine = \"buildkit\"`",
        }
        .to_owned()
    }
}
