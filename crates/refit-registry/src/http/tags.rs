//! A repository's tags: listed page by page, removed one by one; and what refers to its documents.

use refit_oci::{Descriptor, Digest, Index, Reference, Repository};
use reqwest::{Method, Response, StatusCode, Url, header::LINK};
use serde::Deserialize;

use super::{
    answer::refusal,
    backoff::Backoff,
    endpoint::{Ask, Endpoint},
    pull::text,
    scopes::Scopes,
};
use crate::{DOCUMENT_LIMIT, Deleted, RegistryError};

/// Tags asked for at once; registries may give fewer.
const PAGE: &str = "1000";
/// A registry that goes on after so many pages is going in circles.
const MAX_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    /// Go writes an empty list as `null`.
    tags: Option<Vec<String>>,
}

impl Endpoint {
    pub(super) async fn list_tags(
        &self,
        repository: &Repository,
    ) -> Result<Vec<String>, RegistryError> {
        let what = format!("the tags of {repository}");
        let mut url = self.url(repository, "tags/list")?;
        url.query_pairs_mut().append_pair("n", PAGE);
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let ask = Ask::new(Method::GET, url.clone(), Scopes::pull(repository.path()));
            let mut backoff = Backoff::new(&self.wire.patience);
            let response = self.send(&mut backoff, &ask).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => break,
                _ => return Err(refusal(&self.wire, response, &what).await),
            }
            let next = self.next(&response);
            let read = self.wire.body(response, DOCUMENT_LIMIT, &what).await?;
            let page: Page = serde_json::from_slice(&read)
                .map_err(|_| self.wire.protocol("its list of tags is malformed"))?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) if next != url => url = next,
                _ => break,
            }
        }
        tags.sort();
        tags.dedup();
        Ok(tags)
    }

    /// What the registry itself lists as referring to a document; none if it keeps no such lists.
    pub(super) async fn list_referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let what = format!("{repository}@{subject}");
        let mut url = self.url(repository, &format!("referrers/{subject}"))?;
        let mut all = Vec::new();
        for page in 0..MAX_PAGES {
            let ask = Ask::new(Method::GET, url.clone(), Scopes::pull(repository.path()));
            let mut backoff = Backoff::new(&self.wire.patience);
            let response = self.send(&mut backoff, &ask).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND
                | StatusCode::BAD_REQUEST
                | StatusCode::METHOD_NOT_ALLOWED
                    if page == 0 =>
                {
                    return Ok(None);
                }
                _ => return Err(refusal(&self.wire, response, &what).await),
            }
            let next = self.next(&response);
            let read = self.wire.body(response, DOCUMENT_LIMIT, &what).await?;
            let index: Index = serde_json::from_slice(&read)
                .map_err(|_| self.wire.protocol("its list of referrers is malformed"))?;
            all.extend(index.manifests);
            match next {
                Some(next) if next != url => url = next,
                _ => break,
            }
        }
        Ok(Some(all))
    }

    /// Removes what is under a tag's name, or a digest's document.
    pub(super) async fn remove(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Deleted, RegistryError> {
        let tag = reference.tag().unwrap_or_default();
        let name = reference.digest().map_or(tag, Digest::as_str);
        let url = self.url(repository, &format!("manifests/{name}"))?;
        let ask = Ask::new(Method::DELETE, url, Scopes::delete(repository.path()));
        let mut backoff = Backoff::new(&self.wire.patience);
        let response = self.send(&mut backoff, &ask).await?;
        let is_tag = reference.digest().is_none();
        match response.status() {
            StatusCode::NOT_FOUND => Ok(Deleted::Missing),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Ok(Deleted::Unsupported)
            }
            // It is taken for a digest that is malformed.
            StatusCode::BAD_REQUEST if is_tag => Ok(Deleted::Unsupported),
            status if status.is_success() => Ok(Deleted::Deleted),
            _ => Err(refusal(&self.wire, response, &reference.to_string()).await),
        }
    }

    /// The next page, if there is one on this registry.
    fn next(&self, response: &Response) -> Option<Url> {
        let target = next_link(text(response.headers(), LINK.as_str())?)?;
        let url = response.url().join(target).ok()?;
        self.is_ours(&url).then_some(url)
    }
}

/// The target of a `Link` header with `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    let (target, parameters) = header.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters.split(';').map(str::trim);
    let is_next = |p: &str| matches!(p, r#"rel="next""# | "rel=next");
    parameters.any(is_next).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_link_header_is_read_without_panic(header in "[<>;= \\PC]{0,60}") {
            let _ = next_link(&header);
        }
    }

    #[test]
    fn only_a_next_link_is_followed() {
        for (header, expect) in [
            (
                r#"</v2/x/tags/list?n=2&last=b>; rel="next""#,
                Some("/v2/x/tags/list?n=2&last=b"),
            ),
            ("</next>; rel=next", Some("/next")),
            (r#"</prev>; rel="prev""#, None),
            ("/v2/x", None),
            ("<", None),
            ("", None),
        ] {
            assert_eq!(next_link(header), expect, "{header}");
        }
    }
}
