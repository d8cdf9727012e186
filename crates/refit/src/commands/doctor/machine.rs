//! What there is to say about the machine: the engine, what it emulates, credentials.

use std::path::Path;

use refit_build::docker::{Address, DockerEngine, EngineFacts};
use refit_oci::Platform;
use refit_platform::{Placement, runs_on};

use super::Check;
use crate::{commands::App, environment::DOCKER_HOST, error::chain, ui::sentence_list};

/// The engine, and what of `platforms` it can't execute.
pub(super) async fn engine(app: &App, platforms: &[Platform]) -> Vec<Check> {
    let name = "docker";
    let address = match app
        .environment
        .docker_host
        .as_deref()
        .unwrap_or_default()
        .parse::<Address>()
    {
        Ok(address) => address,
        Err(error) => {
            let mend = format!("set {DOCKER_HOST} to `unix:///path` or `tcp://host:port`");
            return vec![Check::wrong(name, chain(&error), Some(mend))];
        }
    };
    match DockerEngine::connect(&address).await {
        Ok(engine) => vec![
            facts(name, &address, engine.facts()),
            emulation(engine.facts(), platforms),
        ],
        Err(error) => {
            let mend = "start Docker Engine, or set DOCKER_HOST; Dockerfiles that execute nothing need none";
            vec![Check::missing(name, chain(&error), mend)]
        }
    }
}

fn facts(name: &'static str, address: &Address, facts: &EngineFacts) -> Check {
    Check::ok(
        name,
        format!(
            "{} at {address}, API {}, {}",
            facts.version, facts.api_version, facts.native
        ),
    )
}

fn emulation(facts: &EngineFacts, platforms: &[Platform]) -> Check {
    let name = "emulation";
    let mut lacking: Vec<&Platform> = platforms
        .iter()
        .filter(|p| runs_on(p, &facts.native, &facts.emulated) == Placement::No)
        .collect();
    lacking.sort();
    lacking.dedup();
    if let Some(platform) = lacking.first() {
        let all: Vec<String> = lacking.iter().map(ToString::to_string).collect();
        let install = format!(
            "run `docker run --privileged --rm tonistiigi/binfmt --install {}`",
            platform.architecture
        );
        return Check::missing(
            name,
            format!("RUN can't be executed for {}", sentence_list(&all)),
            install,
        );
    }
    let emulated: Vec<String> = facts.emulated.iter().map(ToString::to_string).collect();
    let detail = if emulated.is_empty() {
        "none, and none is needed".to_owned()
    } else {
        emulated.join(", ")
    };
    Check::ok(name, detail)
}

/// Which registries have a credential; never what it is.
pub(super) fn credentials(dir: Option<&Path>) -> Check {
    let name = "credentials";
    let login = "run `docker login HOST` for registries that want one";
    let Some(path) = dir.map(|dir| dir.join("config.json")) else {
        return Check::missing(name, "no home folder to look in", login);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::missing(
                name,
                format!("no `{}`: registries are asked anonymously", path.display()),
                login,
            );
        }
        Err(error) => return Check::wrong(name, format!("`{}`: {error}", path.display()), None),
    };
    let config: serde_json::Value = match serde_json::from_str(&text) {
        Ok(config) => config,
        Err(error) => {
            return Check::wrong(
                name,
                format!("`{}` is no JSON: {error}", path.display()),
                None,
            );
        }
    };
    let keys = |key: &str| -> Vec<String> {
        config
            .get(key)
            .and_then(|hosts| hosts.as_object())
            .into_iter()
            .flatten()
            .map(|(host, _)| host.clone())
            .collect()
    };
    let mut hosts = keys("auths");
    hosts.extend(keys("credHelpers"));
    hosts.sort();
    hosts.dedup();
    let helper = config.get("credsStore").and_then(|helper| helper.as_str());
    let helper = helper
        .map(|helper| format!(", helper `{helper}`"))
        .unwrap_or_default();
    let hosts = if hosts.is_empty() {
        "no registry".to_owned()
    } else {
        hosts.join(", ")
    };
    Check::ok(name, format!("`{}`: {hosts}{helper}", path.display()))
}
