//! The process's environment: the only place that reads it. Everything else gets this value.

use std::{
    env,
    ffi::OsString,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use refit_build::sign::Signer;
use refit_deps::image::Executor;
use refit_oci::Platform;
use refit_registry::CredentialSources;

use crate::{error::CommandError, ui::Annotations};

/// The user's configuration file instead of `refit/config.toml` in the XDG configuration folder.
pub(crate) const REFIT_CONFIG: &str = "REFIT_CONFIG";
/// The platform that `$BUILDPLATFORM` stands for, instead of Linux on this machine's processor.
pub(crate) const REFIT_BUILD_PLATFORM: &str = "REFIT_BUILD_PLATFORM";
/// How many milliseconds `refit hook post-commit` waits for registries; 300 unless set.
pub(crate) const REFIT_HOOK_BUDGET_MS: &str = "REFIT_HOOK_BUDGET_MS";
/// What `engine = "auto"` takes for what executes.
pub(crate) const REFIT_ENGINE: &str = "REFIT_ENGINE";
/// The file of the key that statements of provenance are signed with.
pub(crate) const REFIT_SIGNING_KEY: &str = "REFIT_SIGNING_KEY";
/// The line that a release belongs to where no branch is checked out, as `build --line`.
pub(crate) const REFIT_LINE: &str = "REFIT_LINE";
/// The folder of users' configuration, `~/.config` unless set.
pub(crate) const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// The Docker Engine to build with, as Docker's own tools understand it.
pub(crate) const DOCKER_HOST: &str = "DOCKER_HOST";
/// Any value: a Docker Engine at `tcp://` is spoken to by TLS, and both sides show certificates.
pub(crate) const DOCKER_TLS_VERIFY: &str = "DOCKER_TLS_VERIFY";
/// The folder with `ca.pem`, `cert.pem` and `key.pem` for that, `~/.docker` unless set.
pub(crate) const DOCKER_CERT_PATH: &str = "DOCKER_CERT_PATH";
/// `0`: Docker Engine builds with its classic builder, as Docker's own tools have it do; `1`: with BuildKit, whatever its
/// configuration prefers.
pub(crate) const DOCKER_BUILDKIT: &str = "DOCKER_BUILDKIT";
/// The buildkitd to build with, as BuildKit's own client understands it.
pub(crate) const BUILDKIT_HOST: &str = "BUILDKIT_HOST";
/// The socket of the SSH agent that an image's `ssh` lets RUN ask.
pub(crate) const SSH_AUTH_SOCK: &str = "SSH_AUTH_SOCK";
/// The folder with Docker's `config.json` and its credentials, `~/.docker` unless set.
pub(crate) const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// The text of a `config.json` with credentials, asked before any file.
pub(crate) const DOCKER_AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";
/// A file with credentials, asked before Docker's and Podman's own.
pub(crate) const REGISTRY_AUTH_FILE: &str = "REGISTRY_AUTH_FILE";
/// The folder of what lives as long as a login, where Podman keeps its credentials.
pub(crate) const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Any value turns colours off.
pub(crate) const NO_COLOR: &str = "NO_COLOR";
/// Seconds since 1970: the time that records and logs carry instead of the clock's.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Digests of `.config/refit.toml` whose commands may run, as `refit trust` says them; `1` for any.
pub(crate) const REFIT_TRUST: &str = "REFIT_TRUST";

/// `true` in GitHub Actions, where problems are shown beside the code.
pub(crate) const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// `True` in Azure Pipelines.
pub(crate) const TF_BUILD: &str = "TF_BUILD";

/// The file that GitLab reads remarks from: a code quality report, in JSON.
pub(crate) const REFIT_CODE_QUALITY: &str = "REFIT_CODE_QUALITY";

/// Every variable with what it does, for `refit --help`.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (REFIT_CONFIG, "the user's configuration file"),
    (
        REFIT_BUILD_PLATFORM,
        "the platform that `$BUILDPLATFORM` stands for",
    ),
    (
        REFIT_HOOK_BUDGET_MS,
        "milliseconds that the post-commit hook waits for registries (300)",
    ),
    (
        REFIT_ENGINE,
        "what `engine = \"auto\"` takes for what executes: `docker`, `buildkit`",
    ),
    (
        REFIT_SIGNING_KEY,
        "a P-256 key (PEM) that signs the provenance of what is published",
    ),
    (
        REFIT_LINE,
        "the branch or tag that is released, where none is checked out",
    ),
    (
        REFIT_TRUST,
        "the digest of a `.config/refit.toml` whose commands may run; `1` for any",
    ),
    (
        REFIT_CODE_QUALITY,
        "a file that problems are added to, as GitLab's code quality report",
    ),
    (
        XDG_CONFIG_HOME,
        "where `refit/config.toml` is looked for (~/.config)",
    ),
    (DOCKER_HOST, "the Docker Engine to build with"),
    (
        DOCKER_TLS_VERIFY,
        "any value: by TLS, to a Docker Engine at `tcp://`",
    ),
    (
        DOCKER_CERT_PATH,
        "the folder with `ca.pem`, `cert.pem`, `key.pem` for that (~/.docker)",
    ),
    (
        DOCKER_BUILDKIT,
        "`0`: Docker Engine builds without BuildKit; `1`: with it",
    ),
    (
        BUILDKIT_HOST,
        "the buildkitd of `engine = \"buildkit\"` (that inside Docker Engine)",
    ),
    (
        SSH_AUTH_SOCK,
        "the SSH agent that an image's `ssh` lets RUN ask",
    ),
    (
        DOCKER_CONFIG,
        "the folder with Docker's credentials (~/.docker)",
    ),
    (
        DOCKER_AUTH_CONFIG,
        "the text of a `config.json` with credentials",
    ),
    (
        REGISTRY_AUTH_FILE,
        "a file with credentials, asked before Docker's and Podman's",
    ),
    (
        XDG_RUNTIME_DIR,
        "where Podman's `containers/auth.json` is looked for",
    ),
    (
        GITHUB_ACTIONS,
        "`true`: problems are annotations of GitHub Actions, too",
    ),
    (
        TF_BUILD,
        "`true`: problems are issues of Azure Pipelines, too",
    ),
    (NO_COLOR, "any value turns colours off"),
    (
        SOURCE_DATE_EPOCH,
        "the time that records carry, in seconds since 1970",
    ),
];

/// What the environment says.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The folder the process was started in.
    pub(crate) current_dir: PathBuf,
    /// The user's configuration file, whether it exists or not.
    pub(crate) user_config: Option<PathBuf>,
    /// [`DOCKER_HOST`], if set.
    pub(crate) docker_host: Option<String>,
    /// The certificates for Docker Engine, if [`DOCKER_TLS_VERIFY`] is set.
    pub(crate) docker_certificates: Option<PathBuf>,
    /// [`DOCKER_BUILDKIT`], if set.
    pub(crate) docker_buildkit: Option<bool>,
    /// [`BUILDKIT_HOST`], if set.
    pub(crate) buildkit_host: Option<String>,
    /// [`SSH_AUTH_SOCK`], if set.
    pub(crate) ssh_agent: Option<PathBuf>,
    /// [`REFIT_SIGNING_KEY`], if set.
    pub(crate) signing_key: Option<PathBuf>,
    /// [`REFIT_ENGINE`], if set.
    pub(crate) executor: Option<Executor>,
    /// Where credentials are looked for.
    pub(crate) credentials: CredentialSources,
    /// What `$BUILDPLATFORM` stands for.
    pub(crate) build_platform: Platform,
    /// The user's own folder.
    pub(crate) home: Option<PathBuf>,
    /// Where programs are looked for.
    search_path: OsString,
    /// [`REFIT_TRUST`], empty if unset.
    pub(crate) trust: String,
    /// [`REFIT_CODE_QUALITY`], if set.
    pub(crate) code_quality: Option<PathBuf>,
    /// How long the post-commit hook waits for registries.
    pub(crate) hook_budget: Duration,
    /// What is wrong with variables that were ignored for it.
    pub(crate) problems: Vec<String>,
    /// Where output goes.
    pub(crate) terminal: Terminal,
    fixed_time: Option<Timestamp>,
}

/// Where output goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminal {
    /// Standard output's width in columns; none if it is no terminal.
    pub(crate) stdout_width: Option<usize>,
    /// Standard error's width in columns; none if it is no terminal.
    pub(crate) stderr_width: Option<usize>,
    /// Whether colours are unwelcome whatever the terminal can do.
    pub(crate) no_color: bool,
    /// The CI system that shows remarks beside the code, if this runs in one.
    pub(crate) annotations: Option<Annotations>,
}

impl Environment {
    /// Reads the process's environment.
    pub(crate) fn read() -> Result<Self, std::io::Error> {
        let current_dir = env::current_dir()?;
        Ok(Self::from_variables(current_dir, terminal(), |name| {
            env::var_os(name)
        }))
    }

    fn from_variables(
        current_dir: PathBuf,
        terminal: Terminal,
        var: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let mut problems = Vec::new();
        let mut parsed = Parsed {
            problems: &mut problems,
        };
        // XDG's specification: a relative path is to be ignored.
        let config_home = path(XDG_CONFIG_HOME).filter(|path| path.is_absolute());
        let home = path("HOME");
        let config_home = config_home.or_else(|| home.as_ref().map(|home| home.join(".config")));
        let docker = path(DOCKER_CONFIG).or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let certificates = path(DOCKER_CERT_PATH).or_else(|| docker.clone());
        let docker_certificates = certificates.filter(|_| set(DOCKER_TLS_VERIFY).is_some());
        let podman = [path(XDG_RUNTIME_DIR), config_home.clone()];
        // In this order: the table of `refit_registry::credentials`.
        let credential_files: Vec<PathBuf> = path(REGISTRY_AUTH_FILE)
            .into_iter()
            .chain(docker.map(|dir| dir.join("config.json")))
            .chain(
                podman
                    .into_iter()
                    .flatten()
                    .map(|dir| dir.join("containers/auth.json")),
            )
            .collect();
        let build_platform = parsed.value(REFIT_BUILD_PLATFORM, set(REFIT_BUILD_PLATFORM));
        let executor = parsed.value(REFIT_ENGINE, set(REFIT_ENGINE));
        let budget: Option<u64> = parsed.value(REFIT_HOOK_BUDGET_MS, set(REFIT_HOOK_BUDGET_MS));
        let epoch: Option<i64> = parsed.value(SOURCE_DATE_EPOCH, set(SOURCE_DATE_EPOCH));
        Self {
            user_config: path(REFIT_CONFIG)
                .or_else(|| config_home.map(|dir| dir.join("refit/config.toml"))),
            search_path: set("PATH").unwrap_or_default(),
            docker_host: text(DOCKER_HOST),
            docker_certificates,
            docker_buildkit: parsed.flag(DOCKER_BUILDKIT, set(DOCKER_BUILDKIT)),
            buildkit_host: text(BUILDKIT_HOST),
            ssh_agent: path(SSH_AUTH_SOCK),
            signing_key: path(REFIT_SIGNING_KEY).map(|path| current_dir.join(path)),
            executor,
            credentials: CredentialSources {
                inline: text(DOCKER_AUTH_CONFIG),
                files: credential_files,
                search_path: set("PATH").unwrap_or_default(),
                ..CredentialSources::default()
            },
            build_platform: build_platform
                .unwrap_or_else(|| Platform::new("linux", env::consts::ARCH, None)),
            trust: set(REFIT_TRUST)
                .map(|value| value.to_string_lossy().into_owned())
                .unwrap_or_default(),
            code_quality: path(REFIT_CODE_QUALITY).map(|path| current_dir.join(path)),
            hook_budget: Duration::from_millis(budget.unwrap_or(300)),
            fixed_time: epoch.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            terminal: Terminal {
                no_color: terminal.no_color || set(NO_COLOR).is_some(),
                ..terminal
            },
            home,
            current_dir,
            problems,
        }
    }

    /// The key that statements are signed with; an error if it is of no use.
    pub(crate) fn signer(&self) -> Result<Option<Signer>, CommandError> {
        let Some(path) = &self.signing_key else {
            return Ok(None);
        };
        let wrong = |why: String| {
            let message = format!("the key `{}` of {REFIT_SIGNING_KEY}: {why}", path.display());
            CommandError::new(message).hint(
                "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem` makes one",
            )
        };
        let pem = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let signer = Signer::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(signer))
    }

    /// The time that records carry.
    pub(crate) fn now(&self) -> Timestamp {
        self.fixed_time.unwrap_or_else(Timestamp::now)
    }

    /// The same as RFC 3339 in UTC, to the second.
    pub(crate) fn now_text(&self) -> String {
        let now = self.now();
        Timestamp::from_second(now.as_second())
            .unwrap_or(now)
            .to_string()
    }

    /// What this machine is called.
    #[expect(clippy::unused_self, reason = "the environment is asked nowhere else")]
    pub(crate) fn machine(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = name.map(|name| name.trim().to_owned());
        let given = || {
            let mut names = ["HOSTNAME", "COMPUTERNAME"].into_iter();
            names.find_map(|name| env::var(name).ok())
        };
        let name = name.or_else(given).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| "a machine without a name".to_owned())
    }

    /// A variable that a configuration names: a build secret.
    #[expect(clippy::unused_self, reason = "the environment is asked nowhere else")]
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        env::var_os(name)
    }

    /// Whether there is a program of that name; those of the administrator are not on everybody's path.
    pub(crate) fn has_program(&self, name: &str) -> bool {
        let for_root = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let mut folders = env::split_paths(&self.search_path).chain(for_root);
        folders.any(|folder| folder.join(name).is_file())
    }

    /// The folder that `-C` names.
    pub(crate) fn folder(&self, given: Option<&Path>) -> PathBuf {
        given.map_or_else(
            || self.current_dir.clone(),
            |given| self.current_dir.join(given),
        )
    }
}

struct Parsed<'a> {
    problems: &'a mut Vec<String>,
}

impl Parsed<'_> {
    fn value<T: std::str::FromStr>(&mut self, name: &str, value: Option<OsString>) -> Option<T> {
        let text = value?.to_string_lossy().into_owned();
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.problems
                .push(format!("`{name}={text}` is ignored: it is malformed"));
        }
        parsed
    }

    /// As Go's `strconv.ParseBool` reads it, for Docker's own variables.
    fn flag(&mut self, name: &str, value: Option<OsString>) -> Option<bool> {
        let value = value?;
        match value.to_string_lossy().as_ref() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => self.value(name, Some(value)),
        }
    }
}

/// GitHub and Azure say of themselves that they run a process.
fn annotations() -> Option<Annotations> {
    let is_true = |name: &str| env::var(name).is_ok_and(|v| v.eq_ignore_ascii_case("true"));
    if is_true(GITHUB_ACTIONS) {
        Some(Annotations::Github)
    } else if is_true(TF_BUILD) {
        Some(Annotations::Azure)
    } else {
        None
    }
}

fn terminal() -> Terminal {
    let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    let columns = env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let width = || columns.or_else(measured).unwrap_or(80);
    Terminal {
        stdout_width: std::io::stdout().is_terminal().then(width),
        stderr_width: std::io::stderr().is_terminal().then(width),
        no_color: dumb,
        annotations: annotations(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.to_vec();
        Environment::from_variables("/here".into(), Terminal::default(), move |name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn folders_follow_the_xdg_rules() {
        let home = environment(&[("HOME", "/home/a")]);
        assert_eq!(
            home.user_config.unwrap(),
            Path::new("/home/a/.config/refit/config.toml")
        );
        assert_eq!(
            home.credentials.files,
            [
                Path::new("/home/a/.docker/config.json"),
                Path::new("/home/a/.config/containers/auth.json")
            ]
        );
        let all = environment(&[
            ("HOME", "/home/a"),
            ("REGISTRY_AUTH_FILE", "/auth.json"),
            ("DOCKER_CONFIG", "/d"),
            ("XDG_RUNTIME_DIR", "/run/user/7"),
            ("XDG_CONFIG_HOME", "/x"),
        ]);
        assert_eq!(
            all.credentials.files,
            [
                Path::new("/auth.json"),
                Path::new("/d/config.json"),
                Path::new("/run/user/7/containers/auth.json"),
                Path::new("/x/containers/auth.json"),
            ]
        );
        let xdg = environment(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/x")]);
        assert_eq!(xdg.user_config.unwrap(), Path::new("/x/refit/config.toml"));
        let relative = environment(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "x")]);
        assert_eq!(
            relative.user_config.unwrap(),
            Path::new("/home/a/.config/refit/config.toml")
        );
        assert_eq!(environment(&[]).user_config, None);
        let direct = environment(&[("REFIT_CONFIG", "/c.toml"), ("HOME", "/home/a")]);
        assert_eq!(direct.user_config.unwrap(), Path::new("/c.toml"));
    }

    #[test]
    fn malformed_values_are_said_and_ignored() {
        let odd = environment(&[
            ("REFIT_HOOK_BUDGET_MS", "soon"),
            ("REFIT_BUILD_PLATFORM", "linux/arm64"),
        ]);
        assert_eq!(
            odd.problems,
            ["`REFIT_HOOK_BUDGET_MS=soon` is ignored: it is malformed"]
        );
        assert_eq!(odd.hook_budget, Duration::from_millis(300));
        assert_eq!(odd.build_platform, Platform::linux_arm64());
    }

    #[test]
    fn a_fixed_time_replaces_the_clock() {
        let fixed = environment(&[("SOURCE_DATE_EPOCH", "86400")]);
        assert_eq!(fixed.now().to_string(), "1970-01-02T00:00:00Z");
    }

    #[test]
    fn empty_values_count_as_unset() {
        assert!(!environment(&[("NO_COLOR", "")]).terminal.no_color);
        assert!(environment(&[("NO_COLOR", "1")]).terminal.no_color);
    }
}
