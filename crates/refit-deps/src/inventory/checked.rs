//! An image's keys, checked one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use refit_dockerfile::NamedContext;
use refit_oci::{Reference, Tag};

use super::reader::Reader;
use crate::{
    check,
    config::{TestKey, parse_duration},
    image::{
        Attestation, EMBEDDED_HOST, EngineChoice, Executor, Pinned, RebaseChoice, SecretSource,
    },
    names,
};

pub(super) const ENGINES: [(&str, EngineChoice); 4] = [
    ("auto", EngineChoice::Auto(Executor::Docker)),
    ("docker", EngineChoice::Docker),
    ("buildkit", EngineChoice::BuildKit),
    ("native", EngineChoice::Native),
];
pub(super) const PINNED: [(&str, Pinned); 2] =
    [("report", Pinned::Report), ("follow", Pinned::Follow)];
pub(super) const REBASE: [(&str, RebaseChoice); 3] = [
    ("auto", RebaseChoice::Auto),
    ("never", RebaseChoice::Never),
    ("always", RebaseChoice::Always),
];

/// The keys of one image, each problem naming the image.
pub(super) struct Checked<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) image: &'r str,
}

impl Checked<'_, '_> {
    pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        key: &str,
        text: &str,
    ) -> Option<T> {
        text.parse()
            .map_err(|error| self.problem(&format!("`{key}`: {error}"), "mend the value"))
            .ok()
    }

    pub(super) fn tags(&mut self, key: &str, tags: Vec<String>) -> Vec<Tag> {
        let line = names::slug(self.reader.files.line);
        let expanded = tags.into_iter().map(|tag| {
            tag.replace("{{.Line}}", &line)
                .replace("{{ .Line }}", &line)
        });
        expanded.filter_map(|tag| self.parse(key, &tag)).collect()
    }

    pub(super) fn contexts(
        &mut self,
        contexts: BTreeMap<String, String>,
    ) -> BTreeMap<String, NamedContext> {
        let mut parsed = BTreeMap::new();
        for (name, value) in contexts {
            let context = if let Some(image) = value.strip_prefix("image:") {
                Some(NamedContext::InRepo(image.to_owned()))
            } else if value == "docker-image://scratch" {
                Some(NamedContext::Scratch)
            } else if let Some(reference) = value.strip_prefix("docker-image://") {
                self.parse("build-contexts", reference)
                    .map(NamedContext::Image)
            } else {
                let message = format!("`build-contexts`: `{name} = \"{value}\"` is no image");
                self.problem(&message, "give `image:NAME` or `docker-image://REFERENCE`");
                None
            };
            parsed.extend(context.map(|context| (name, context)));
        }
        parsed
    }

    /// Build secrets. An id is what a `RUN --mount=type=secret` can name, within a CSV record.
    pub(super) fn secrets(
        &mut self,
        secrets: BTreeMap<String, String>,
    ) -> BTreeMap<String, SecretSource> {
        let mut parsed = BTreeMap::new();
        for (id, source) in secrets {
            if id.is_empty() || id.contains([',', '"', '\n']) {
                let message = format!("`secrets`: `{id}` is no id of a secret");
                self.problem(
                    &message,
                    "name it as the Dockerfile's `--mount=type=secret,id=…` does",
                );
                continue;
            }
            parsed.extend(self.parse("secrets", &source).map(|source| (id, source)));
        }
        parsed
    }

    /// Layer caches: a repository with a tag, or `local`, which is the embedded store.
    pub(super) fn caches(&mut self, key: &str, places: Vec<String>) -> Vec<Reference> {
        let mut parsed = Vec::new();
        for place in places {
            let local = || format!("{EMBEDDED_HOST}/cache/{}:layers", self.image);
            let text = if place == "local" { local() } else { place };
            let Some(reference) = self.parse::<Reference>(key, &text) else {
                continue;
            };
            if reference.digest().is_some() {
                let message = format!("`{key}`: `{text}` never changes");
                self.problem(&message, "give a tag instead of the digest");
                continue;
            }
            let tag = reference.tag().unwrap_or("latest");
            parsed.extend(reference.repository().tagged(tag));
        }
        parsed
    }

    /// The ids of SSH's agent, which a `RUN --mount=type=ssh` can name.
    pub(super) fn ssh(&mut self, ids: Vec<String>) -> BTreeSet<String> {
        let is_id = |id: &String| !id.is_empty() && !id.contains([',', '"', '\n']);
        if let Some(bad) = ids.iter().find(|id| !is_id(id)) {
            let message = format!("`ssh`: `{bad}` is no id of an agent");
            self.problem(
                &message,
                "give `ssh = [\"default\"]`, or the ids of the Dockerfile's mounts",
            );
        }
        ids.into_iter().filter(is_id).collect()
    }

    /// What BuildKit attests, and with which of its attributes.
    pub(super) fn attest(
        &mut self,
        written: Vec<String>,
        engine: EngineChoice,
    ) -> BTreeMap<Attestation, String> {
        let mut attest = BTreeMap::new();
        for text in written {
            let (kind, attributes) = text.split_once('=').unwrap_or((&text, ""));
            let kinds = [Attestation::Provenance, Attestation::Sbom];
            let known = kinds.into_iter().find(|known| known.as_str() == kind);
            match known.filter(|_| !attributes.contains(['"', '\n', '\r'])) {
                Some(kind) => {
                    attest.insert(kind, attributes.to_owned());
                }
                None => self.problem(
                    &format!("`attest`: `{text}` is nothing that BuildKit attests"),
                    "give `attest = [\"provenance\", \"sbom\"]`, with attributes as `provenance=mode=max`",
                ),
            }
        }
        if !attest.is_empty() && matches!(engine, EngineChoice::Docker | EngineChoice::Native) {
            self.problem(
                "`attest`: only the engine `buildkit` attests anything",
                "set `engine = \"buildkit\"`",
            );
        }
        attest
    }

    /// The gate before tags move. A file of tasks that silently is none would be an incident.
    pub(super) fn test(&mut self, value: Option<TestKey>) -> Vec<String> {
        match value {
            None => Vec::new(),
            Some(TestKey::Command(words)) => self.command("test", Some(words)),
            Some(TestKey::File(path)) => {
                let message =
                    format!("`test = \"{path}\"`: files of tasks are not run by this version");
                self.problem(
                    &message,
                    "give a command as a list, such as `test = [\"./smoke.sh\", \"{{.Image}}\"]`",
                );
                Vec::new()
            }
        }
    }

    /// How long one of its targets may be built; nothing can be built in no time.
    pub(super) fn timeout(&mut self, value: Option<&str>) -> Option<Duration> {
        let text = value?;
        let parsed = parse_duration(text).and_then(|span| Duration::try_from(span).ok());
        let timeout = parsed.filter(|timeout| !timeout.is_zero());
        if timeout.is_none() {
            let message = format!("`timeout = \"{text}\"` is no duration");
            self.problem(&message, "give it as `90s`, `30m` or `2h`");
        }
        timeout
    }

    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        key: &str,
        value: Option<String>,
        known: &[(&str, T)],
    ) -> T {
        let Some(value) = value else {
            return T::default();
        };
        if let Some((_, choice)) = known.iter().find(|(word, _)| *word == value) {
            return *choice;
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        self.problem(
            &format!("`{key} = \"{value}\"` is unknown"),
            &format!("one of `{}`", words.join("`, `")),
        );
        T::default()
    }

    /// A command.
    pub(super) fn program(&mut self, key: &str, words: Option<Vec<String>>) -> Vec<String> {
        let Some(words) = words else {
            return Vec::new();
        };
        if words
            .first()
            .is_none_or(|program| program.trim().is_empty())
        {
            self.problem(
                &format!("`{key}` names no program"),
                "give `[\"PROGRAM\", \"ARGUMENT\", …]`",
            );
            return Vec::new();
        }
        words
    }

    /// A command, its placeholders known.
    pub(super) fn command(&mut self, key: &str, words: Option<Vec<String>>) -> Vec<String> {
        let words = self.program(key, words);
        if let Some(unknown) = words
            .iter()
            .find_map(|word| check::unknown_placeholder(word))
        {
            let known = check::PLACEHOLDERS
                .map(|(name, _)| format!("`{{{{.{name}}}}}`"))
                .join(", ");
            self.problem(
                &format!("`{key}`: `{unknown}` is no placeholder"),
                &format!("there are {known}"),
            );
            return Vec::new();
        }
        words
    }

    pub(super) fn problem(&mut self, message: &str, hint: &str) {
        self.reader
            .config_problem(format!("image `{}`: {message}", self.image), hint);
    }
}
