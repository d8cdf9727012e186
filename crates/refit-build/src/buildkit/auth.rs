//! Credentials of registries that BuildKit itself fetches something from.

use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse, auth_server::Auth,
};
use tonic::{Request, Response, Status};

use crate::engine::Logins;

/// Docker Hub, as its API and as references call it.
const HUB: (&str, &str) = ("registry-1.docker.io", "docker.io");

/// What may be shown, and to whom.
pub(super) struct Shown(pub(super) Logins);

#[tonic::async_trait]
impl Auth for Shown {
    /// Whoever is not known is asked anonymously: that is an answer, and no error.
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let asked = request.into_inner().host;
        let host = if asked == HUB.0 { HUB.1 } else { &asked };
        let login = self.0.0.get(host);
        let answer = login.map(|login| CredentialsResponse {
            username: login.user.clone(),
            secret: login.secret.clone(),
        });
        Ok(Response::new(answer.unwrap_or_default()))
    }

    /// BuildKit fetches tokens itself where nobody does it for it.
    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("tokens are not fetched here"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are not fetched here"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("tokens are not fetched here"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refit_registry::BasicLogin;

    use super::*;

    #[tokio::test]
    async fn each_registry_is_shown_its_own() {
        let login = |user: &str| BasicLogin {
            user: user.to_owned(),
            secret: format!("of {user}"),
        };
        let known = [("docker.io", login("hub")), ("r.io:5000", login("r"))];
        let known = known.map(|(host, login)| (host.to_owned(), login));
        let shown = Shown(Logins(BTreeMap::from(known)));
        for (host, expect) in [
            ("registry-1.docker.io", ("hub", "of hub")),
            ("r.io:5000", ("r", "of r")),
            ("r.io", ("", "")),
        ] {
            let host = host.to_owned();
            let answer = shown.credentials(Request::new(CredentialsRequest { host }));
            let answer = answer.await.unwrap().into_inner();
            assert_eq!((answer.username.as_str(), answer.secret.as_str()), expect);
        }
    }
}
