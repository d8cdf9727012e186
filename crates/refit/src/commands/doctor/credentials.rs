//! What there is to say about credentials: which registries have one, never what it is.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    image::{EMBEDDED_HOST, Image},
    inventory::Inventory,
};
use refit_oci::Repository;
use refit_registry::{Login, Registries, RegistryError, Settings};

use super::Check;
use crate::{environment::Environment, error::chain, project::Project, ui::sentence_list};

const NAME: &str = "credentials";
/// What everybody pulls from.
const HUB: &str = "docker.io/library/debian";

/// The repositories that images and copies of bases are pushed to, but for those in a folder or on this machine.
pub(super) fn pushed_to(project: &Project, inventory: &Inventory) -> BTreeSet<Repository> {
    let settings = project.user.hosts();
    let is_folder = |host: &str| settings.get(host).is_some_and(|s| s.layout.is_some());
    let images = inventory.images.iter();
    let mut repositories: BTreeSet<Repository> = images.map(Image::destination).cloned().collect();
    let mirror = inventory.mirror.as_ref();
    repositories.extend(mirror.and_then(|mirror| mirror.repository(&hub())));
    let elsewhere = repositories.into_iter().filter(|repository| {
        let host = repository.registry();
        host != EMBEDDED_HOST && !is_folder(host) && !is_loopback(host)
    });
    elsewhere.collect()
}

fn hub() -> Repository {
    HUB.parse().expect("it is a repository")
}

fn is_loopback(host: &str) -> bool {
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|start| host.starts_with(start))
}

/// Which of the registries that are pushed to lack a credential. Helpers are asked, registries are not.
pub(super) async fn check(environment: &Environment, pushed_to: &BTreeSet<Repository>) -> Check {
    let registries = Registries::new(Settings {
        credentials: environment.credentials.clone(),
        ..Settings::default()
    });
    let mut logins = BTreeMap::new();
    for repository in pushed_to {
        match registries.login(repository).await {
            // A host is as good as the worst of its repositories.
            Ok(login) if !login.found || !logins.contains_key(repository.registry()) => {
                logins.insert(repository.registry().to_owned(), login);
            }
            Ok(_) => {}
            Err(error) => return wrong(&error),
        }
    }
    if !logins.is_empty() {
        return of_logins(&logins);
    }
    // Pulls want what there is as well.
    match registries.login(&hub()).await {
        Ok(login) => {
            let whom = login.asked_as;
            Check::ok(
                NAME,
                format!("nothing is pushed to a registry; docker.io is asked {whom}"),
            )
        }
        Err(error) => wrong(&error),
    }
}

fn wrong(error: &RegistryError) -> Check {
    Check::wrong(NAME, chain(error), error.hint())
}

fn of_logins(logins: &BTreeMap<String, Login>) -> Check {
    let lacking = logins.iter().filter(|(_, login)| !login.found);
    let lacking: Vec<&str> = lacking.map(|(host, _)| host.as_str()).collect();
    let said: Vec<String> = logins
        .iter()
        .map(|(host, login)| format!("{host} is asked {}", login.asked_as))
        .collect();
    let said = said.join("; ");
    if lacking.is_empty() {
        return Check::ok(NAME, said);
    }
    let commands = lacking.iter().map(|host| match *host {
        "docker.io" => "`docker login`".to_owned(),
        host => format!("`docker login {host}`"),
    });
    let commands: Vec<String> = commands.collect();
    Check::missing(NAME, said, format!("run {}", sentence_list(&commands)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_pushed_to_wants_a_credential() {
        let login = |found, asked_as: &str| Login {
            found,
            asked_as: asked_as.to_owned(),
        };
        let mut logins = BTreeMap::from([(
            "ghcr.io".to_owned(),
            login(true, "with the credential from `config.json`"),
        )]);
        let fine = of_logins(&logins);
        assert_eq!(
            (fine.detail.as_str(), fine.mend),
            (
                "ghcr.io is asked with the credential from `config.json`",
                None
            )
        );
        logins.insert("docker.io".to_owned(), login(false, "anonymously"));
        logins.insert("quay.io".to_owned(), login(false, "anonymously"));
        let lacking = of_logins(&logins);
        assert_eq!(
            lacking.detail,
            "docker.io is asked anonymously; ghcr.io is asked with the credential from `config.json`; \
             quay.io is asked anonymously"
        );
        assert_eq!(
            lacking.mend.as_deref(),
            Some("run `docker login` and `docker login quay.io`")
        );
    }
}
