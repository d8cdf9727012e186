//! Credential helpers: real programs, well and badly behaved.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use refit_oci::Repository;
use refit_registry::{CredentialSources, Login, Registries, RegistryError, Settings};
use tempfile::TempDir;

use crate::{quick, write};

/// A folder with helpers on its search path, and a configuration that names them.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("config.json"), config.as_bytes());
        Self { dir }
    }

    fn helper(self, name: &str, script: &str) -> Self {
        let path = self.dir.path().join(format!("docker-credential-{name}"));
        write(&path, format!("#!/bin/sh\n{script}\n").as_bytes());
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn registries(&self) -> Registries {
        Registries::new(Settings {
            credentials: CredentialSources {
                files: vec![self.path("config.json")],
                search_path: self.dir.path().into(),
                helper_timeout: Duration::from_millis(300),
                ..CredentialSources::default()
            },
            ..quick()
        })
    }

    async fn login(&self, repository: &str) -> Result<Login, RegistryError> {
        let repository: Repository = repository.parse().unwrap();
        self.registries().login(&repository).await
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_helper_is_asked_once_a_run_by_the_name_that_it_knows() {
    let config = r#"{"credHelpers":{"gcr.io":"one"},"credsStore":"all"}"#;
    let answer = |user: &str| {
        format!(
            "read server; echo \"$1 $server\" >> \"$(dirname \"$0\")/asked\"; \
             echo '{{\"ServerURL\":\"x\",\"Username\":\"{user}\",\"Secret\":\"s3cret\"}}'"
        )
    };
    let machine = Machine::new(config)
        .helper("one", &answer("one"))
        .helper("all", &answer("<token>"));
    let registries = machine.registries();
    for repository in ["gcr.io/a", "gcr.io/b", "debian", "quay.io/a", "quay.io/b"] {
        let login = registries
            .login(&repository.parse().unwrap())
            .await
            .unwrap();
        assert!(login.found, "{repository}: {login:?}");
        assert!(!login.asked_as.contains("s3cret"));
    }
    assert_eq!(
        lines(&machine.path("asked")),
        [
            "get gcr.io",
            "get https://index.docker.io/v1/",
            "get quay.io"
        ]
    );
}

#[tokio::test]
async fn a_helper_that_knows_nothing_leaves_it_to_the_next() {
    let config = r#"{"credsStore":"empty","auths":{"gcr.io":{}}}"#;
    let machine = Machine::new(config).helper(
        "empty",
        "echo 'credentials not found in native keychain'; exit 1",
    );
    let login = machine.login("gcr.io/a").await.unwrap();
    assert_eq!(
        (login.found, login.asked_as.as_str()),
        (false, "anonymously")
    );
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed() {
    let machine = Machine::new(r#"{"credsStore":"hangs"}"#).helper(
        "hangs",
        "echo $$ > \"$(dirname \"$0\")/pid\"; exec sleep 600",
    );
    let error = machine.login("quay.io/a").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("docker-credential-hangs get` took longer"),
        "{text}"
    );
    let pid = lines(&machine.path("pid"))[0].clone();
    let stat = Path::new("/proc").join(pid).join("stat");
    for _ in 0..200 {
        // It may stay behind as a zombie until it is reaped.
        match std::fs::read_to_string(&stat) {
            Ok(stat) if !stat.contains(") Z ") => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => return,
        }
    }
    panic!("it is still there");
}

#[tokio::test]
async fn a_helper_that_fails_is_quoted_without_what_it_gave() {
    for (script, expect) in [
        (
            "echo s3cret; printf 'locked\\033[31m\\nring\\n' >&2; exit 2",
            "`docker-credential-bad get` failed: locked[31m ring",
        ),
        ("echo s3cret; exit 2", "`docker-credential-bad get` failed"),
        (
            "echo s3cret",
            "`docker-credential-bad get` did not answer with a credential",
        ),
    ] {
        let machine = Machine::new(r#"{"credsStore":"bad"}"#).helper("bad", script);
        let error = machine.login("quay.io/a").await.unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with(expect), "{text}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_name_with_a_path_is_no_helper() {
    let machine = Machine::new(r#"{"credsStore":"x/../../bin/sh"}"#);
    let login = machine.login("quay.io/a").await.unwrap();
    assert!(
        login.asked_as.contains("which is not installed"),
        "{login:?}"
    );
}
