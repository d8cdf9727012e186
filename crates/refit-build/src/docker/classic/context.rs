//! What `POST /build` is sent: the packed context as it is, and behind it the Dockerfile.
//!
//! A tar may name a file twice, and the last one counts: so the context, which may be large, is not written anew.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use futures_util::{Stream, stream};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tokio::io::AsyncReadExt as _;

use super::super::Builder;
use crate::{
    connection::frames,
    engine::{EngineError, Recipe, Refusal},
};

const BLOCK: u64 = 512;

/// Mode and time of a file.
type Stat = (u32, u64);

const PLAIN: Stat = (0o644, 0);

/// Docker's ignore file, and the one that Podman looks for first.
const DOCKER_IGNORE: &str = ".dockerignore";
const PODMAN_IGNORE: &str = ".containerignore";

/// A body of `POST /build`.
#[derive(Debug)]
pub(super) struct Sent {
    tar: PathBuf,
    /// Where the context's last entry ends in it.
    end: u64,
    /// What follows there.
    more: Vec<u8>,
    /// The Dockerfile's name in it.
    pub(super) dockerfile: String,
}

impl Sent {
    /// Puts the Dockerfile beside the context, and hides it from COPY.
    pub(super) fn of(
        recipe: &Recipe,
        dockerfile: &str,
        builder: Builder,
    ) -> Result<Self, EngineError> {
        let tar = &recipe.context.path;
        let found = Found::of(tar).map_err(|source| EngineError::Io {
            path: tar.clone(),
            source,
        })?;
        let name = free_name(&found.names);
        let mut more = tar::Builder::new(Vec::new());
        let hidden = match builder {
            // It hides nothing else: what is not to be seen was not packed.
            Builder::Podman if found.names.contains(PODMAN_IGNORE) => {
                return Err(no_ignore_file(recipe).into());
            }
            Builder::Podman => (PODMAN_IGNORE, format!("{PODMAN_IGNORE}\n{name}\n"), PLAIN),
            // As Docker's own client does it: the engine removes what is named there, and nothing else.
            Builder::Classic | Builder::BuildKit => match &found.ignore {
                Some((text, stat)) => (DOCKER_IGNORE, format!("{text}\n{name}\n"), *stat),
                None => (DOCKER_IGNORE, format!("{DOCKER_IGNORE}\n{name}\n"), PLAIN),
            },
        };
        let (ignore, text, stat) = hidden;
        let written = append(&mut more, (ignore, stat), text.as_bytes())
            .and_then(|()| append(&mut more, (&name, PLAIN), dockerfile.as_bytes()))
            .and_then(|()| more.into_inner());
        Ok(Self {
            tar: tar.clone(),
            end: found.end,
            more: written.map_err(|source| EngineError::Io {
                path: name.clone().into(),
                source,
            })?,
            dockerfile: name,
        })
    }

    /// The bytes.
    pub(super) async fn body(
        self,
    ) -> Result<StreamBody<impl Stream<Item = io::Result<Frame<Bytes>>> + Send>, EngineError> {
        let Self { tar, end, more, .. } = self;
        let file = tokio::fs::File::open(&tar).await;
        let file = file.map_err(|source| EngineError::Io { path: tar, source })?;
        let context = frames(file.take(end));
        let more = stream::iter([Ok(Frame::data(more.into()))]);
        Ok(StreamBody::new(stream::StreamExt::chain(context, more)))
    }
}

/// What is in a context.
struct Found {
    names: BTreeSet<String>,
    /// Its `.dockerignore`.
    ignore: Option<(String, Stat)>,
    end: u64,
}

impl Found {
    fn of(path: &Path) -> io::Result<Self> {
        let mut archive = tar::Archive::new(File::open(path)?);
        let mut found = Self {
            names: BTreeSet::new(),
            ignore: None,
            end: 0,
        };
        for entry in archive.entries_with_seek()? {
            let mut entry = entry?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.trim_start_matches("./").trim_end_matches('/');
            found.end = entry.raw_file_position() + entry.size().next_multiple_of(BLOCK);
            if name == DOCKER_IGNORE && entry.header().entry_type().is_file() {
                let mut text = Vec::new();
                entry.read_to_end(&mut text)?;
                let text = String::from_utf8_lossy(&text).into_owned();
                let stat = (entry.header().mode()?, entry.header().mtime()?);
                found.ignore = Some((text, stat));
            }
            // Only names of the folder itself are looked for.
            if !name.contains('/') {
                found.names.insert(name.to_owned());
            }
        }
        Ok(found)
    }
}

/// A name that no file of the context has; the same one for the same files, so that caches are read.
fn free_name(names: &BTreeSet<String>) -> String {
    let mut name = ".refit.Dockerfile".to_owned();
    while names.contains(&name) {
        name.push('_');
    }
    name
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    (name, (mode, mtime)): (&str, Stat),
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
}

fn no_ignore_file(recipe: &Recipe) -> Refusal {
    let from = recipe.file.stages.get(recipe.resolved.target);
    let span = from.map_or(0..0, |stage| stage.from.span.clone());
    Refusal {
        line: recipe.file.position(span.start).0,
        span,
        message: format!(
            "Podman would take the context's `{PODMAN_IGNORE}` for a list of files to leave out"
        ),
        hint: Some(format!("name it in the image's `{DOCKER_IGNORE}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::TryStreamExt as _;
    use http_body_util::BodyExt as _;
    use refit_oci::Platform;

    use super::*;
    use crate::check::tests::recipe;

    fn recipe_of(files: &[(&str, &str)]) -> (Recipe, tempfile::NamedTempFile) {
        let packed = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in files {
            append(&mut tar, (name, (0o600, 7)), text.as_bytes()).unwrap();
        }
        std::fs::write(packed.path(), tar.into_inner().unwrap()).unwrap();
        let mut recipe = recipe("FROM scratch\nCOPY . /\n", &Platform::linux_amd64());
        recipe.context.path = packed.path().to_owned();
        (recipe, packed)
    }

    /// The files that an engine unpacks: of one name the last counts.
    async fn unpacked(files: &[(&str, &str)], builder: Builder) -> BTreeMap<String, String> {
        let (recipe, _packed) = recipe_of(files);
        let sent = Sent::of(&recipe, "FROM a\n", builder).unwrap();
        let body = sent.body().await.unwrap().into_data_stream();
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        let bytes = pieces.concat();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.insert(entry.path().unwrap().to_string_lossy().into_owned(), text);
        }
        found
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[tokio::test]
    async fn the_dockerfile_goes_behind_the_context_and_is_hidden() {
        let files = [("a", "A"), ("sub/.refit.Dockerfile", "deep")];
        let hides = ".dockerignore\n.refit.Dockerfile\n";
        assert_eq!(
            unpacked(&files, Builder::Classic).await,
            map(&[
                (".dockerignore", hides),
                (".refit.Dockerfile", "FROM a\n"),
                ("a", "A"),
                ("sub/.refit.Dockerfile", "deep"),
            ])
        );
        let hides = ".containerignore\n.refit.Dockerfile\n";
        assert_eq!(
            unpacked(&files[..1], Builder::Podman).await,
            map(&[
                (".containerignore", hides),
                (".refit.Dockerfile", "FROM a\n"),
                ("a", "A"),
            ])
        );
    }

    #[tokio::test]
    async fn what_is_there_under_these_names_stays() {
        let files = [(".dockerignore", "*.md"), (".refit.Dockerfile", "mine")];
        let found = unpacked(&files, Builder::Classic).await;
        assert_eq!(found[".dockerignore"], "*.md\n.refit.Dockerfile_\n");
        assert_eq!(found[".refit.Dockerfile"], "mine");
        assert_eq!(found[".refit.Dockerfile_"], "FROM a\n");
        // Podman reads one ignore file only, and it is not this one.
        let found = unpacked(&files, Builder::Podman).await;
        assert_eq!(found[".dockerignore"], "*.md");
        let (recipe, _packed) = recipe_of(&[(".containerignore", "")]);
        let refused = Sent::of(&recipe, "", Builder::Podman).unwrap_err();
        assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    }

    #[tokio::test]
    async fn an_empty_context_is_one() {
        let found = unpacked(&[], Builder::Podman).await;
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
