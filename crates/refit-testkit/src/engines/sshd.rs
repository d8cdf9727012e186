//! A real `sshd` on the machine of an engine that has a network of its own.
//!
//! No port is listened at: the client's `ProxyCommand` starts an `sshd` for its one connection over there.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::{Dockerd, EngineError, folder, installed, io_error};

/// A way to an engine's machine by `ssh`.
pub struct Sshd {
    folder: TempDir,
}

impl Sshd {
    /// For the machine of an engine that was started apart. Needs root.
    pub fn to(dockerd: &Dockerd) -> Result<Self, EngineError> {
        let home = TempDir::with_prefix("refit-sshd-");
        let home = home.map_err(io_error(&std::env::temp_dir()))?;
        let at = home.path();
        let engines = folder();
        let sshd = installed("sshd/usr/sbin/sshd")?;
        let network = format!("/proc/{}/ns/net", dockerd.process());
        for key in ["host-key", "key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            run(keygen.arg(at.join(key)))?;
        }
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            engines.join("docker26/usr/bin").display()
        );
        let here = at.display();
        let server = format!(
            "HostKey {here}/host-key\nAuthorizedKeysFile {here}/key.pub\nStrictModes no\n\
             PermitRootLogin yes\nUsePAM no\nPidFile none\nLogLevel ERROR\n\
             SetEnv PATH={path} DOCKER_HOST={}\n",
            dockerd.host()
        );
        let users =
            format!("root:*:0:0::{here}:/bin/sh\nsshd:*:74:65534::/run/sshd:/usr/sbin/nologin\n");
        let libraries = engines.join("sshd/usr/lib/x86_64-linux-gnu");
        // The folder that it must have, and its user, are its own: the mounts go with it.
        let serve = format!(
            "#!/bin/sh\nexec nsenter --net={network} unshare --mount sh -c '\n\
             mount -t tmpfs none /run && mkdir /run/sshd && mount --bind {here}/users /etc/passwd || exit\n\
             exec 2>>{here}/log\nexport LD_LIBRARY_PATH={}\nexec {} -i -f {here}/server'\n",
            libraries.display(),
            sshd.display()
        );
        let client = format!(
            "Host *\n  ProxyCommand {here}/serve\n  IdentityFile {here}/key\n  IdentitiesOnly yes\n  \
             User root\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        );
        fs::create_dir(at.join("bin")).map_err(io_error(at))?;
        for (name, text, mode) in [
            ("server", server, 0o600),
            ("users", users, 0o644),
            ("serve", serve, 0o755),
            ("client", client, 0o600),
            (
                "bin/ssh",
                format!("#!/bin/sh\nexec /usr/bin/ssh -F {here}/client \"$@\"\n"),
                0o755,
            ),
        ] {
            let path = at.join(name);
            fs::write(&path, text).map_err(io_error(&path))?;
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(&path, mode).map_err(io_error(&path))?;
        }
        Ok(Self { folder: home })
    }

    /// The folder of an `ssh` that is at the engine's machine whatever host it is told.
    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// `PATH` with that `ssh` first.
    pub fn search_path(&self) -> OsString {
        let mut path = self.bin().into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }

    /// What it complained of.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Has those that come from now on find that no ports are forwarded.
    pub fn forward_nothing(&self) -> Result<(), EngineError> {
        let path = self.folder.path().join("server");
        let text = fs::read_to_string(&path).map_err(io_error(&path))?;
        fs::write(&path, format!("AllowTcpForwarding no\n{text}")).map_err(io_error(&path))
    }
}

fn run(command: &mut Command) -> Result<(), EngineError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output();
    let output = output.map_err(|source| EngineError::Spawn {
        program: program.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(EngineError::NotReady {
        program,
        what: "failed",
        log_tail: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
