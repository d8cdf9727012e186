//! What a file asks of an engine, by the place that asks.

use std::ops::Range;

use crate::{
    model::{Args, Dockerfile, Instruction, Keyword},
    resolve::{Resolved, Source, StageView},
};

/// Something that not every engine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Executing anything: RUN.
    Run,
    /// `RUN --mount`.
    RunMount,
    /// `RUN --network` other than `default`.
    RunNetwork,
    /// `RUN --security=insecure`.
    RunSecurity,
    /// `RUN --device`.
    RunDevice,
    /// A here-document.
    Heredoc,
    /// `--link` on COPY and ADD.
    CopyLink,
    /// `COPY --parents`.
    CopyParents,
    /// `--exclude` on COPY and ADD.
    CopyExclude,
    /// `--chmod` on COPY and ADD.
    Chmod,
    /// ADD of a URL whose content may change.
    AddRemote,
    /// ADD of a URL, its content fixed by `--checksum`.
    AddPinned,
    /// ADD of a git repository.
    AddGit,
    /// `ADD --checksum`.
    AddChecksum,
    /// `ADD --unpack`.
    AddUnpack,
    /// `ADD --keep-git-dir`.
    KeepGitDir,
    /// `TARGETPLATFORM` and the like, declared in a stage without a default.
    PlatformArg,
    /// ONBUILD of the base executes something here.
    Trigger,
    /// A named context of files.
    NamedContext,
    /// A frontend of another language.
    Frontend,
}

impl Feature {
    /// Whether it takes more than reading what is known by its digest: a command is run, or something else is fetched.
    pub fn executes_or_fetches(self) -> bool {
        match self {
            Self::Run
            | Self::RunMount
            | Self::RunNetwork
            | Self::RunSecurity
            | Self::RunDevice
            | Self::AddRemote
            | Self::AddGit
            | Self::NamedContext
            | Self::Frontend => true,
            Self::Heredoc
            | Self::AddPinned
            | Self::AddChecksum
            | Self::CopyLink
            | Self::CopyParents
            | Self::CopyExclude
            | Self::Chmod
            | Self::AddUnpack
            | Self::KeepGitDir
            | Self::PlatformArg
            | Self::Trigger => false,
        }
    }
}

impl Feature {
    /// What it is, for a sentence such as "the native engine does not know …".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "RUN",
            Self::RunMount => "RUN --mount",
            Self::RunNetwork => "RUN --network",
            Self::RunSecurity => "RUN --security",
            Self::RunDevice => "RUN --device",
            Self::Heredoc => "here-documents",
            Self::CopyLink => "COPY --link",
            Self::CopyParents => "COPY --parents",
            Self::CopyExclude => "COPY --exclude",
            Self::Chmod => "COPY --chmod",
            Self::AddRemote => "ADD of a URL",
            Self::AddPinned => "ADD of a URL with its digest",
            Self::AddGit => "ADD of a git repository",
            Self::AddChecksum => "ADD --checksum",
            Self::AddUnpack => "ADD --unpack",
            Self::KeepGitDir => "ADD --keep-git-dir",
            Self::PlatformArg => "platform arguments",
            Self::Trigger => "ONBUILD",
            Self::NamedContext => "named contexts of files",
            Self::Frontend => "frontends of other languages",
        }
    }
}

/// One place that asks for a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What it asks for.
    pub feature: Feature,
    /// The line of `span`, from 1.
    pub line: usize,
    /// The flag, word or instruction.
    pub span: Range<usize>,
}

/// Everything that the reached stages ask of an engine, by place. What a trigger of an external base asks for is told of
/// that base's word.
pub fn requirements(file: &Dockerfile, resolved: &Resolved) -> Vec<Requirement> {
    let mut asked: Vec<(Feature, Range<usize>)> = Vec::new();
    if resolved.opaque {
        let span = file
            .syntax
            .as_ref()
            .map_or(0..0, |syntax| syntax.span.clone());
        asked.push((Feature::Frontend, span));
    }
    for (stage, view) in resolved.views() {
        of_stage(file, stage, view, &mut asked);
    }
    for link in &resolved.links {
        if matches!(link.source, Source::Files(_)) {
            let from = &file.stages[link.stage].from.image.span;
            let span = if link.trigger.is_some() {
                from
            } else {
                &link.span
            };
            asked.push((Feature::NamedContext, span.clone()));
        }
    }
    for remote in &resolved.remote {
        let feature = match (remote.is_git, &remote.digest) {
            (true, _) => Feature::AddGit,
            (false, Some(_)) => Feature::AddPinned,
            (false, None) => Feature::AddRemote,
        };
        asked.push((feature, remote.url.span.clone()));
    }
    asked.sort_by_key(|(feature, span)| (span.start, span.end, *feature));
    asked.dedup();
    let asked = asked.into_iter().map(|(feature, span)| Requirement {
        feature,
        line: file.line_number(span.start),
        span,
    });
    asked.collect()
}

fn of_stage(
    file: &Dockerfile,
    stage: usize,
    view: &StageView,
    asked: &mut Vec<(Feature, Range<usize>)>,
) {
    let stage = &file.stages[stage];
    let from = &stage.from.image.span;
    if matches!(view.from, Source::Files(_)) {
        asked.push((Feature::NamedContext, from.clone()));
    }
    let in_file = matches!(view.from, Source::Stage(_));
    for trigger in &view.triggers {
        asked.push((Feature::Trigger, from.clone()));
        let mut of_trigger = Vec::new();
        of_instruction(trigger, &mut of_trigger);
        asked.extend(
            of_trigger
                .into_iter()
                .map(|(feature, span)| (feature, if in_file { span } else { from.clone() })),
        );
    }
    if !view.replaced {
        for instruction in &stage.instructions {
            of_instruction(instruction, asked);
        }
    }
}

fn of_instruction(instruction: &Instruction, asked: &mut Vec<(Feature, Range<usize>)>) {
    if instruction.keyword == Keyword::Run {
        asked.push((Feature::Run, instruction.span.clone()));
    }
    if !instruction.heredocs.is_empty() {
        asked.push((Feature::Heredoc, instruction.span.clone()));
    }
    if let (Keyword::Arg, Args::Pairs(pairs)) = (instruction.keyword, &instruction.args) {
        let platform = pairs
            .iter()
            .filter(|pair| pair.value.is_none() && is_platform(&pair.name));
        asked.extend(platform.map(|pair| (Feature::PlatformArg, pair.span.clone())));
    }
    for flag in &instruction.flags {
        let value = flag.value.as_ref().map(|value| value.value.as_str());
        let on = !value.is_some_and(|value| value.eq_ignore_ascii_case("false"));
        let feature = match (instruction.keyword, flag.name.as_str()) {
            (Keyword::Run, "mount") => Feature::RunMount,
            (Keyword::Run, "network") if value != Some("default") => Feature::RunNetwork,
            (Keyword::Run, "security") if value == Some("insecure") => Feature::RunSecurity,
            (Keyword::Run, "device") => Feature::RunDevice,
            (Keyword::Copy | Keyword::Add, "link") if on => Feature::CopyLink,
            (Keyword::Copy, "parents") if on => Feature::CopyParents,
            (Keyword::Copy | Keyword::Add, "exclude") => Feature::CopyExclude,
            (Keyword::Copy | Keyword::Add, "chmod") => Feature::Chmod,
            (Keyword::Add, "checksum") => Feature::AddChecksum,
            (Keyword::Add, "unpack") => Feature::AddUnpack,
            (Keyword::Add, "keep-git-dir") if on => Feature::KeepGitDir,
            _ => continue,
        };
        asked.push((feature, flag.span.clone()));
    }
}

/// The platform arguments that BuildKit predefines.
fn is_platform(name: &str) -> bool {
    let part = name
        .strip_prefix("TARGET")
        .or_else(|| name.strip_prefix("BUILD"));
    part.is_some_and(|part| matches!(part, "PLATFORM" | "OS" | "OSVERSION" | "ARCH" | "VARIANT"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refit_oci::Platform;

    use super::*;
    use crate::{NamedContext, Settings, parse, resolve_with_triggers};

    #[track_caller]
    fn check(text: &str, expect: &[(Feature, usize, &str)]) {
        let platform = Platform::linux_amd64();
        let contexts = BTreeMap::from([("files".to_owned(), NamedContext::Files)]);
        let settings = Settings {
            target: None,
            platform: &platform,
            build_platform: &platform,
            build_args: &BTreeMap::new(),
            contexts: &contexts,
        };
        let file = parse(text).unwrap();
        let triggers = BTreeMap::from([(0, vec!["RUN --mount=target=/x y".to_owned()])]);
        let triggers = if text.contains("triggering") {
            triggers
        } else {
            BTreeMap::new()
        };
        let resolved = resolve_with_triggers(&file, &settings, &triggers).unwrap();
        let asked = requirements(&file, &resolved);
        let asked = asked
            .iter()
            .map(|r| (r.feature, r.line, &text[r.span.clone()]));
        assert_eq!(asked.collect::<Vec<_>>(), expect, "{text}");
    }

    #[test]
    fn requirements_point_at_what_asks() {
        use Feature::{
            AddChecksum, AddGit, AddPinned, AddRemote, Chmod, CopyExclude, CopyLink, CopyParents,
            Frontend, Heredoc, KeepGitDir, NamedContext, PlatformArg, Run, RunMount, RunNetwork,
            RunSecurity, Trigger,
        };
        check("FROM a\nCOPY a b\nENV x=y\nARG z\nCMD q", &[]);
        check(
            "FROM a\nRUN --mount=target=/x --network=none --security=insecure y",
            &[
                (
                    Run,
                    2,
                    "RUN --mount=target=/x --network=none --security=insecure y",
                ),
                (RunMount, 2, "--mount=target=/x"),
                (RunNetwork, 2, "--network=none"),
                (RunSecurity, 2, "--security=insecure"),
            ],
        );
        check(
            "FROM a\nRUN --network=default x",
            &[(Run, 2, "RUN --network=default x")],
        );
        check(
            "FROM a\nCOPY --link --parents --chmod=1 --exclude=x a b\nCOPY --link=false a b",
            &[
                (CopyLink, 2, "--link"),
                (CopyParents, 2, "--parents"),
                (Chmod, 2, "--chmod=1"),
                (CopyExclude, 2, "--exclude=x"),
            ],
        );
        check(
            "FROM a\nARG U=https://e.com\nADD --checksum=x $U/f /\nADD --keep-git-dir $U/r.git /",
            &[
                (AddChecksum, 3, "--checksum=x"),
                (AddRemote, 3, "$U/f"),
                (KeepGitDir, 4, "--keep-git-dir"),
                (AddGit, 4, "$U/r.git"),
            ],
        );
        let digest = format!("--checksum=sha256:{}", "0".repeat(64));
        check(
            &format!("FROM a\nADD {digest} http://e.com/f /\nADD {digest} http://e.com/r.git /"),
            &[
                (AddChecksum, 2, digest.as_str()),
                (AddPinned, 2, "http://e.com/f"),
                (AddChecksum, 3, digest.as_str()),
                (AddGit, 3, "http://e.com/r.git"),
            ],
        );
        check(
            "FROM a\nCOPY <<E /x\ny\nE\n",
            &[(Heredoc, 2, "COPY <<E /x\ny\nE")],
        );
        check(
            "FROM a\nARG TARGETARCH X BUILDOS=x",
            &[(PlatformArg, 2, "TARGETARCH")],
        );
        check(
            "FROM files\nCOPY --from=files / /",
            &[(NamedContext, 1, "files"), (NamedContext, 2, "files")],
        );
        check(
            "FROM a AS b\nONBUILD RUN x\nFROM b",
            &[(Run, 2, "RUN x"), (Trigger, 3, "b")],
        );
        check(
            "FROM triggering",
            &[
                (Run, 1, "triggering"),
                (RunMount, 1, "triggering"),
                (Trigger, 1, "triggering"),
            ],
        );
        check("FROM a AS unused\nRUN x\nFROM b", &[]);
        check(
            "# syntax=e.com/other\nx: y",
            &[(Frontend, 1, "e.com/other")],
        );
    }
}
