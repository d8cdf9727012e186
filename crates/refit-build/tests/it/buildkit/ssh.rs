//! A real `ssh-agent` with one key, and a context that holds the real `ssh-add`.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// An agent of one test; dropped, it is killed.
pub(super) struct Agent {
    process: Child,
    pub(super) socket: PathBuf,
    /// Of its only key, as `ssh-add -l` has it.
    pub(super) fingerprint: String,
}

impl Agent {
    pub(super) fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket);
        let process = command.stdout(Stdio::null()).spawn().unwrap();
        while UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        let key = folder.join("key");
        let key = key.to_str().unwrap();
        run(
            &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key],
            &socket,
        );
        run(&["ssh-add", "-q", key], &socket);
        let listed = run(&["ssh-add", "-l"], &socket);
        let fingerprint = listed.split(' ').nth(1).unwrap().to_owned();
        assert!(fingerprint.starts_with("SHA256:"), "{listed}");
        Self {
            process,
            socket,
            fingerprint,
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &[&str], agent: &Path) -> String {
    let mut process = Command::new(command[0]);
    let process = process.args(&command[1..]).env("SSH_AUTH_SOCK", agent);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A context with `ssh-add`, its libraries and what loads them.
pub(super) fn packed_ssh_add(folder: &Path) -> PathBuf {
    let path = folder.join("context.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    let mut add = |name: &str, from: &Path| {
        let content = fs::read(from).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice())
            .unwrap();
    };
    add("ssh-add", Path::new("/usr/bin/ssh-add"));
    let linked = run(&["ldd", "/usr/bin/ssh-add"], folder);
    for word in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let name = word.rsplit('/').next().unwrap();
        let name = if name.starts_with("ld-") {
            "loader"
        } else {
            name
        };
        add(name, Path::new(word));
    }
    tar.finish().unwrap();
    path
}
