//! The repositories that stories are told of. `HUB` is the registry's host.

/// `base/os:1` → base → web → shop, on two platforms.
pub(crate) const LINEAGE: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[defaults]
platforms = ["linux/amd64", "linux/arm64"]

[[images]]
files = "*/Dockerfile"
name = "{dir}"
//- base/Dockerfile
FROM HUB/base/os:1
COPY ca.pem /etc/ssl/
//- base/ca.pem
certificate
//- web/Dockerfile
FROM HUB/team/base
WORKDIR /srv
COPY site ./site
//- web/site
hello
//- shop/Dockerfile
FROM HUB/team/web
COPY prices .
CMD ["serve"]
//- shop/prices
apple 1
"#;

/// The images of [`LINEAGE`].
pub(crate) const IMAGES: [&str; 3] = ["base", "web", "shop"];

/// One image on one platform.
pub(crate) const SINGLE: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "web"
context = "web"
//- web/Dockerfile
FROM HUB/base/os:1
COPY page /srv/
//- web/page
one
"#;
