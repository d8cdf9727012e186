//! How a registry wants to be authenticated to: the `WWW-Authenticate` headers of its 401.

use reqwest::{Response, Url, header::WWW_AUTHENTICATE};

/// What a host has said so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// It answered without asking who we are.
    Open,
    /// User name and password with every request.
    Basic,
    /// A token of its token service, by scope.
    Bearer(TokenService),
}

/// Who gives tokens for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenService {
    /// Its address.
    pub(super) realm: Url,
    /// What it calls the registry.
    pub(super) name: Option<String>,
}

/// The best scheme that a 401 offers; none if it offers nothing that refit speaks.
pub(super) fn offered(response: &Response) -> Option<Scheme> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE);
    let headers = headers.iter().filter_map(|value| value.to_str().ok());
    best(headers)
}

fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Scheme> {
    let mut basic = None;
    for header in headers {
        for challenge in http_auth::parse_challenges(header).unwrap_or_default() {
            let parameter = |name: &str| {
                let mut parameters = challenge.params.iter();
                let found = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Scheme::Basic);
            }
            let realm = parameter("realm").and_then(|realm| realm.parse::<Url>().ok());
            if let Some(realm) = realm
                && challenge.scheme.eq_ignore_ascii_case("bearer")
                && matches!(realm.scheme(), "http" | "https")
            {
                let name = parameter("service");
                return Some(Scheme::Bearer(TokenService { realm, name }));
            }
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(header in ".{0,80}") {
            let _ = best([header.as_str()].into_iter());
        }
    }

    #[test]
    fn the_best_scheme_is_taken() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:x:pull""#;
        let bearer = Some(Scheme::Bearer(TokenService {
            realm: "https://auth.docker.io/token".parse().unwrap(),
            name: Some("registry.docker.io".to_owned()),
        }));
        for (headers, expect) in [
            (&[hub][..], &bearer),
            (&[r#"Basic realm="x""#, hub], &bearer),
            (&[r#"Basic realm="x""#], &Some(Scheme::Basic)),
            (&["BASIC realm=x, charset=\"UTF-8\""], &Some(Scheme::Basic)),
            (&["Negotiate"], &None),
            (&[r#"Bearer service="no realm""#], &None),
            (&[r#"Bearer realm="file:///etc/passwd""#], &None),
            (&["\"", "", "Bearer realm="], &None),
            (&[], &None),
        ] {
            assert_eq!(&best(headers.iter().copied()), expect, "{headers:?}");
        }
    }
}
