//! `docker-credential-…` programs: asked on stdin, killed when they take too long.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::Credential;
use crate::error::visible;

/// What the programs' names begin with.
pub(super) const PREFIX: &str = "docker-credential-";
/// No credential is longer than that.
const ANSWER_LIMIT: u64 = 1 << 20;
/// The user's name that stands for an identity token.
const TOKEN_USER: &str = "<token>";

/// A helper that is installed.
pub(super) struct Helper {
    pub(super) name: String,
    program: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helper {
    /// The helper in the folders of `search_path`; none if it is not there, or its name is no name.
    pub(super) fn find(name: &str, search_path: &OsStr) -> Option<Self> {
        if name.contains(['/', '\\', '\0']) {
            return None;
        }
        let file = format!("{PREFIX}{name}");
        let mut folders = std::env::split_paths(search_path).filter(|f| f.is_absolute());
        let program = folders.find_map(|folder| Some(folder.join(&file)).filter(|p| runs(p)))?;
        let name = name.to_owned();
        Some(Self { name, program })
    }

    /// The credential for a server; none if the helper has none. An error is a sentence.
    pub(super) async fn get(
        &self,
        server: &str,
        timeout: Duration,
    ) -> Result<Option<Credential>, String> {
        let called = format!("`{PREFIX}{} get`", self.name);
        match tokio::time::timeout(timeout, self.run(server)).await {
            // The child dies with the future that waited for it.
            Err(_) => Err(format!("{called} took longer than {} s", timeout.as_secs())),
            Ok(Err(error)) => Err(format!("{called}: {error}")),
            Ok(Ok(Ran { ok: true, out, .. })) => match serde_json::from_slice::<Answer>(&out) {
                Ok(answer) if answer.secret.is_empty() => Ok(None),
                Ok(answer) if answer.username == TOKEN_USER => {
                    Ok(Some(Credential::IdentityToken(answer.secret)))
                }
                Ok(answer) => Ok(Some(Credential::Password {
                    user: answer.username,
                    password: answer.secret,
                })),
                // What it printed instead may be a secret.
                Err(_) => Err(format!("{called} did not answer with a credential")),
            },
            // Helpers say so on stdout.
            Ok(Ok(ran)) if String::from_utf8_lossy(&ran.out).contains("credentials not found") => {
                Ok(None)
            }
            Ok(Ok(ran)) => Err(
                match visible(&String::from_utf8_lossy(&ran.errors)).as_str() {
                    "" => format!("{called} failed"),
                    words => format!("{called} failed: {words}"),
                },
            ),
        }
    }

    async fn run(&self, server: &str) -> std::io::Result<Ran> {
        let mut child = Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that knows its answer without reading the question closes this.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let (out, errors) = tokio::join!(all(out), all(errors));
        let status = child.wait().await?;
        Ok(Ran {
            ok: status.success(),
            out: out?,
            errors: errors?,
        })
    }
}

struct Ran {
    ok: bool,
    out: Vec<u8>,
    errors: Vec<u8>,
}

async fn all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(ANSWER_LIMIT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn runs(program: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let executable = |m: std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 != 0;
        std::fs::metadata(program).is_ok_and(executable)
    }
    #[cfg(not(unix))]
    program.is_file()
}
