//! Tags as sources write them.

use refit_oci::Reference;

use super::model::Tag;

/// A tag of the source: `web`, `web:1.2`, `ghcr.io/team/web:{{.Line}}`.
pub(super) fn tag(text: &str) -> Result<Tag, String> {
    let (repository, tag) = match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (text, "latest"),
    };
    if repository.contains('@') {
        return Err("it names a digest".to_owned());
    }
    if repository.chars().any(char::is_uppercase) {
        return Err(format!("`{repository}` has upper-case letters"));
    }
    let is_unique = tag.contains("{{.Run.Commit}}");
    let filled = tag
        .replace("{{.Line}}", "line")
        .replace("{{.Run.Commit}}", "commit");
    format!("{repository}:{filled}")
        .parse::<Reference>()
        .map_err(|error| error.to_string())?;
    Ok(Tag {
        repository: repository.to_owned(),
        name: tag.to_owned(),
        is_unique,
    })
}

/// Whether a repository names no registry: what an engine calls an image of its own.
pub(super) fn is_local(repository: &str) -> bool {
    !repository.contains('/')
}
