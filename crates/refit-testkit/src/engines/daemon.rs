//! A background process that cannot outlive the test process, whatever ends it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::EngineError;

/// How long a daemon may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs `$@` until standard input closes. The kernel closes it with the process that holds the other end, so a killed
/// test leaves nothing behind; a parent-death signal would follow the *thread* that started the daemon instead.
const UNTIL_STDIN_CLOSES: &str = r#"
log=$1; shift
exec 3<&0
"$@" </dev/null >"$log" 2>&1 3<&- &
daemon=$!
{ read -r _ <&3; kill -KILL $daemon; } &
wait $daemon
"#;

/// As process 1 of its own process namespace: when it ends, the kernel ends everything that the daemon started, and
/// the mount namespace goes with all mounts. An engine that runs on the machine stays out of sight.
const ISOLATED: &str = r"
[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd
";

/// A network of its own begins without.
const LOOPBACK: &str = "ip link set lo up\n";

/// A running daemon; dropped, it is killed.
pub(super) struct Daemon {
    watcher: Child,
    program: String,
    log: PathBuf,
}

/// How a daemon is kept apart from the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Its own process and mount namespaces; needs root.
    Namespaces,
    /// Its own network as well, as in a virtual machine; needs root.
    Network,
    /// None: a plain process.
    Process,
}

impl Daemon {
    /// Starts `command`, whose output goes to `log`. Its environment is what `command` sets and nothing else.
    pub(super) fn spawn(
        command: &Command,
        isolation: Isolation,
        log: &Path,
    ) -> Result<Self, EngineError> {
        let (mut watcher, script) = match isolation {
            Isolation::Namespaces | Isolation::Network => {
                let mut unshare = Command::new("unshare");
                let mut script = format!("{ISOLATED}{UNTIL_STDIN_CLOSES}");
                if isolation == Isolation::Network {
                    unshare.arg("--net");
                    script.insert_str(0, LOOPBACK);
                }
                unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
                unshare.arg("sh");
                (unshare, script)
            }
            Isolation::Process => (Command::new("sh"), UNTIL_STDIN_CLOSES.to_owned()),
        };
        watcher.args(["-c", &script, "sh"]).arg(log);
        watcher.arg(command.get_program()).args(command.get_args());
        watcher.env_clear();
        for (key, value) in command.get_envs() {
            watcher.env(key, value.unwrap_or_default());
        }
        watcher
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let program = command.get_program().to_string_lossy().into_owned();
        match watcher.spawn() {
            Ok(watcher) => Ok(Self {
                watcher,
                program,
                log: log.to_owned(),
            }),
            Err(source) => Err(EngineError::Spawn { program, source }),
        }
    }

    /// Waits until `ready` says so.
    pub(super) fn wait_until<T>(
        &mut self,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, EngineError> {
        let start = Instant::now();
        loop {
            if let Some(answer) = ready() {
                return Ok(answer);
            }
            if !matches!(self.watcher.try_wait(), Ok(None)) {
                return Err(self.not_ready("ended at once"));
            }
            if start.elapsed() > PATIENCE {
                return Err(self.not_ready("did not answer in a minute"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process that waits for it, in its network.
    pub(super) fn process(&self) -> u32 {
        self.watcher.id()
    }

    fn not_ready(&self, what: &'static str) -> EngineError {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        EngineError::NotReady {
            program: self.program.clone(),
            what,
            log_tail: lines[lines.len().saturating_sub(20)..].join("\n"),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}
