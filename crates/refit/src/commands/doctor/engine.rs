//! What there is to say about Docker Engine: whether it answers, how it is started, what it emulates.

use std::{
    io::ErrorKind,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::Path,
};

use refit_build::{
    buildkit::{BuildKitEngine, BuildKitFacts, Endpoint, Exchange},
    docker::{Address, Builder, DockerEngine, EngineFacts, Way},
    engine::EngineError,
};
use refit_oci::Platform;
use refit_platform::{Placement, runs_on};

use super::Check;
use crate::{
    engines::{self, Told},
    environment::{DOCKER_HOST, Environment},
    error::chain,
    ui::sentence_list,
    user_config::EngineSettings,
};

const NAME: &str = "docker";

/// Docker Engine, and what of `platforms` it can't execute.
pub(super) async fn checks(
    environment: &Environment,
    user: &EngineSettings,
    platforms: &[Platform],
) -> Vec<Check> {
    let address = match engines::docker(environment, user) {
        Ok(address) => address,
        Err(error) => {
            let mend = format!("run `export {DOCKER_HOST}=unix:///var/run/docker.sock`");
            return vec![Check::wrong(NAME, chain(&error), Some(mend))];
        }
    };
    match DockerEngine::connect_for(&address.value, environment.docker_buildkit).await {
        Ok(engine) => {
            let engine = engine.with_relay();
            vec![
                match engine.way().await {
                    Ok(way) => facts(&address.value, engine.facts(), way),
                    Err(error) => Check::wrong(NAME, chain(&error), error.hint()),
                },
                emulation(engine.facts(), platforms),
            ]
        }
        Err(error) => vec![away(environment, &address, &error)],
    }
}

fn facts(address: &Address, facts: &EngineFacts, way: &Way) -> Check {
    let (version, api) = (&facts.version, &facts.api_version);
    let what = match facts.builder {
        Builder::BuildKit => version.clone(),
        Builder::Classic | Builder::Podman => facts.name(),
    };
    let by = match way {
        Way::Loopback | Way::Ssh => "",
        Way::Relay(_) => ", reached by a relay that runs there",
    };
    let detail = format!("{what} at {address}, API {api}, {}{by}", facts.native);
    Check::ok(NAME, detail)
}

/// A BuildKit of its own, where one is spoken of; and the one inside Docker Engine, where an image asks for it.
pub(super) async fn buildkit(
    environment: &Environment,
    user: &EngineSettings,
    is_asked_for: bool,
) -> Option<Check> {
    let name = "buildkit";
    let endpoint = match engines::buildkit(environment, user) {
        Ok(Endpoint::Docker(_)) if !is_asked_for => return None,
        Ok(endpoint) => endpoint,
        Err(error) => {
            let mend = "run `export BUILDKIT_HOST=unix:///run/buildkit/buildkitd.sock`".to_owned();
            return Some(Check::wrong(name, chain(&error), Some(mend)));
        }
    };
    let asked = async {
        let engine = BuildKitEngine::connect(&endpoint).await?;
        let exchange = engine.exchange().await?;
        Ok((engine, exchange))
    };
    Some(match asked.await {
        Ok((engine, exchange)) => {
            let BuildKitFacts {
                name: what, native, ..
            } = engine.facts();
            let how = match exchange {
                Exchange::Registry => "",
                Exchange::Session => ", bases and results go by the session of each build",
            };
            Check::ok(name, format!("{what} at {endpoint}, {native}{how}"))
        }
        Err(error) => {
            let error: EngineError = error;
            Check::wrong(name, chain(&error), error.hint())
        }
    })
}

/// An engine that does not answer, or not as it should.
fn away(environment: &Environment, told: &Told<Address>, error: &EngineError) -> Check {
    let address = &told.value;
    if !matches!(error, EngineError::Unreachable { .. }) {
        return Check::wrong(NAME, chain(error), error.hint());
    }
    let as_root = sudo(environment);
    if let Address::Unix(socket) = address
        && is_forbidden(socket)
    {
        let mend =
            format!("run `{as_root}usermod --append --groups docker $USER`, and log in again");
        return Check::wrong(NAME, chain(error), Some(mend));
    }
    let mend = if told.by == Some(DOCKER_HOST) {
        format!("start the engine there, or run `unset {DOCKER_HOST}` for that of this machine")
    } else if let Some(key) = told.by {
        format!("start the engine there, or mend `[engines] {key}` in the user's configuration")
    } else {
        let init = Init::of_this_machine();
        format!(
            "run `{as_root}{}`",
            start(init, |name| environment.has_program(name))
        )
    };
    let mend = format!("{mend}; Dockerfiles that execute nothing need no engine");
    Check::missing(NAME, chain(error), mend)
}

fn is_forbidden(socket: &Path) -> bool {
    let connected = UnixStream::connect(socket);
    connected.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// `sudo ` for whoever is not root already.
fn sudo(environment: &Environment) -> &'static str {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root || !environment.has_program("sudo") {
        ""
    } else {
        "sudo "
    }
}

/// Who starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    Systemd,
    Scripts,
    Nobody,
}

impl Init {
    fn of_this_machine() -> Self {
        // What sd_booted(3) looks at.
        if Path::new("/run/systemd/system").is_dir() {
            Self::Systemd
        } else if Path::new("/etc/init.d/docker").is_file() {
            Self::Scripts
        } else {
            Self::Nobody
        }
    }
}

/// The command that starts the engine of this machine, or installs it.
fn start(init: Init, has_program: impl Fn(&str) -> bool) -> String {
    if has_program("dockerd") {
        let start = match init {
            Init::Systemd => "systemctl start docker",
            Init::Scripts => "service docker start",
            Init::Nobody => "dockerd",
        };
        return start.to_owned();
    }
    let packaged = installers()
        .into_iter()
        .find(|(program, ..)| has_program(program));
    packaged.map_or_else(
        || "curl -fsSL https://get.docker.com | sh".to_owned(),
        |(_, install, docker)| format!("{install} {docker}"),
    )
}

/// The program, its command, and its name for Docker Engine.
fn installers() -> [(&'static str, &'static str, &'static str); 5] {
    [
        ("apt-get", "apt-get install", "docker.io"),
        ("dnf", "dnf install", "moby-engine"),
        ("zypper", "zypper install", "docker"),
        ("pacman", "pacman -S", "docker"),
        ("apk", "apk add", "docker"),
    ]
}

fn emulation(facts: &EngineFacts, platforms: &[Platform]) -> Check {
    let name = "emulation";
    let Some(emulated) = &facts.emulated else {
        return Check::ok(
            name,
            format!("{} does not say what it emulates", facts.name()),
        );
    };
    let mut lacking: Vec<&Platform> = platforms
        .iter()
        .filter(|p| runs_on(p, &facts.native, emulated) == Placement::No)
        .collect();
    lacking.sort();
    lacking.dedup();
    if !lacking.is_empty() {
        let all: Vec<String> = lacking.iter().map(ToString::to_string).collect();
        let mut processors: Vec<&str> = lacking.iter().map(|p| p.architecture.as_str()).collect();
        processors.dedup();
        let processors = processors.join(",");
        return Check::missing(
            name,
            format!("RUN can't be executed for {}", sentence_list(&all)),
            format!("run `docker run --privileged --rm tonistiigi/binfmt --install {processors}`"),
        );
    }
    let emulated: Vec<String> = emulated.iter().map(ToString::to_string).collect();
    let detail = if emulated.is_empty() {
        "none, and none is needed".to_owned()
    } else {
        emulated.join(", ")
    };
    Check::ok(name, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_there_is_started_and_another_is_installed() {
        for (init, programs, expect) in [
            (
                Init::Systemd,
                &["dockerd", "apt-get"][..],
                "systemctl start docker",
            ),
            (Init::Scripts, &["dockerd"], "service docker start"),
            (Init::Nobody, &["dockerd"], "dockerd"),
            (Init::Systemd, &["apt-get"], "apt-get install docker.io"),
            (Init::Nobody, &["apk"], "apk add docker"),
            (Init::Nobody, &[], "curl -fsSL https://get.docker.com | sh"),
        ] {
            assert_eq!(start(init, |name| programs.contains(&name)), expect);
        }
    }

    #[test]
    fn what_the_engine_does_not_emulate_is_installed_by_name() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let facts = |emulated: &[&str]| EngineFacts {
            builder: Builder::BuildKit,
            version: "26.1".to_owned(),
            release: (26, 1),
            api_version: "1.45".to_owned(),
            native: platform("linux/amd64"),
            emulated: Some(emulated.iter().map(|p| platform(p)).collect()),
        };
        let wanted = ["linux/arm64", "linux/amd64", "linux/riscv64"].map(platform);
        let check = emulation(&facts(&[]), &wanted);
        assert_eq!(
            check.detail,
            "RUN can't be executed for linux/arm64 and linux/riscv64"
        );
        assert!(check.mend.unwrap().contains("--install arm64,riscv64`"));
        let check = emulation(&facts(&["linux/arm64", "linux/riscv64"]), &wanted);
        assert_eq!(check.detail, "linux/arm64, linux/riscv64");
        assert_eq!(
            emulation(&facts(&[]), &wanted[1..2]).detail,
            "none, and none is needed"
        );
        let podman = EngineFacts {
            builder: Builder::Podman,
            emulated: None,
            ..facts(&[])
        };
        let detail = emulation(&podman, &wanted).detail;
        assert_eq!(detail, "Podman 26.1 does not say what it emulates");
    }
}
