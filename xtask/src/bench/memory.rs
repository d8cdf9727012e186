//! How much memory a program takes, and how many bytes pass through one.

use std::{fs, process::Command, thread, time::Duration};

use crate::shell::{Failure, Outcome, io_failure};

/// Runs a command to its end; the most memory that it had, in MB.
pub(super) fn peak(command: &mut Command) -> Outcome<u64> {
    let child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let child = child.map_err(io_failure("refit".as_ref()))?;
    let status = format!("/proc/{}/status", child.id());
    // The kernel keeps the highest mark; it goes with the process.
    let watched = thread::spawn(move || {
        let mut most = 0;
        while let Some(now) = fs::read_to_string(&status).ok().as_deref().and_then(mark) {
            most = now;
            thread::sleep(Duration::from_millis(10));
        }
        most
    });
    let done = child
        .wait_with_output()
        .map_err(io_failure("refit".as_ref()))?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr);
        return Err(Failure(format!("it failed: {}", stderr.trim())));
    }
    let kilobytes = watched.join().unwrap_or_default();
    Ok(kilobytes >> 10)
}

fn mark(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The bytes that a process has read so far, from files and from connections.
pub(super) fn bytes_read(process: u32) -> Outcome<u64> {
    let path = format!("/proc/{process}/io");
    let text = fs::read_to_string(&path).map_err(io_failure(path.as_ref()))?;
    let read = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.and_then(|n| n.parse().ok())
        .ok_or_else(|| Failure(format!("`{path}` says nothing of what was read")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_mark_is_read() {
        assert_eq!(mark("VmPeak:\t1 kB\nVmHWM:\t  2048 kB\n"), Some(2048));
        assert_eq!(mark("Name:\tx\n"), None);
    }
}
