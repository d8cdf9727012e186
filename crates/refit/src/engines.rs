//! Where engines are: the environment's word, then the user's configuration. A repository's file has no say in it.

use refit_build::{
    buildkit::{DaemonAddress, Endpoint},
    docker::{Address, AddressError},
};

use refit_deps::image::Executor;

use crate::{
    environment::{BUILDKIT_HOST, DOCKER_HOST, Environment},
    user_config::EngineSettings,
};

/// An address, and whose word it is, for messages.
pub(crate) struct Told<T> {
    pub(crate) value: T,
    /// `DOCKER_HOST`, or the key of the user's configuration; none: the engine's own default.
    pub(crate) by: Option<&'static str>,
}

/// Docker Engine's address.
pub(crate) fn docker(
    environment: &Environment,
    user: &EngineSettings,
) -> Result<Told<Address>, AddressError> {
    let told: Told<Address> = told(
        (environment.docker_host.as_deref(), DOCKER_HOST),
        (user.docker.as_deref(), "docker"),
    )?;
    Ok(match environment.docker_certificates.clone() {
        Some(certificates) => Told {
            value: told.value.with_certificates(certificates),
            ..told
        },
        None => told,
    })
}

/// A buildkitd's address; none: the BuildKit inside Docker Engine.
pub(crate) fn buildkitd(
    environment: &Environment,
    user: &EngineSettings,
) -> Result<Option<Told<DaemonAddress>>, AddressError> {
    let told: Told<DaemonAddress> = told(
        (environment.buildkit_host.as_deref(), BUILDKIT_HOST),
        (user.buildkit.as_deref(), "buildkit"),
    )?;
    // Another daemon, that the environment names, need not have the same authority.
    let of_user = user.buildkit_certificates.clone();
    let of_user = of_user.filter(|_| environment.buildkit_host.is_none());
    let told = match of_user {
        Some(certificates) => Told {
            value: told.value.with_certificates(certificates),
            ..told
        },
        None => told,
    };
    Ok(told.by.is_some().then_some(told))
}

/// Where the engine `buildkit` is.
pub(crate) fn buildkit(
    environment: &Environment,
    user: &EngineSettings,
) -> Result<Endpoint, AddressError> {
    Ok(match buildkitd(environment, user)? {
        Some(told) => Endpoint::Daemon(told.value),
        None => Endpoint::Docker(docker(environment, user)?.value),
    })
}

/// What `engine = "auto"` takes for what executes.
pub(crate) fn executor(environment: &Environment, user: &EngineSettings) -> Executor {
    let nodes = user.nodes.iter().map(|node| node.engine);
    // Where only BuildKits are spoken of, they are meant.
    let of_nodes = nodes.min_by_key(|&engine| engine != Executor::Docker);
    let told = environment.executor.or(user.auto).or(of_nodes);
    told.unwrap_or_default()
}

fn told<T: std::str::FromStr>(
    (variable, name): (Option<&str>, &'static str),
    (setting, key): (Option<&str>, &'static str),
) -> Result<Told<T>, T::Err> {
    let (text, by) = match (variable, setting) {
        (Some(text), _) => (text, Some(name)),
        (None, Some(text)) => (text, Some(key)),
        (None, None) => ("", None),
    };
    let value = text.parse()?;
    Ok(Told { value, by })
}
