//! `cargo xtask test`: all tests that this machine can run; with `--engines` all there are.

use std::process::Command;

use crate::{
    engines,
    scratch::Scratch,
    shell::{Failure, Outcome, cargo, has_program, output, run},
};

/// Tests with this in their name need something of the machine; one may need several things.
struct Need {
    mark: &'static str,
    is_met: fn() -> bool,
}

const NEEDS: [Need; 14] = [
    Need {
        mark: "needs_engine_docker20_",
        is_met: || engines::can_start("docker20"),
    },
    Need {
        mark: "needs_engine_docker26_",
        is_met: || engines::can_start("docker26"),
    },
    Need {
        mark: "needs_engine_podman_",
        is_met: || engines::can_start("podman"),
    },
    Need {
        mark: "needs_engine_busybox_",
        is_met: || engines::has("busybox/amd64") && engines::has("busybox/arm64"),
    },
    Need {
        mark: "needs_docker_registry_",
        is_met: || engines::has("registry"),
    },
    Need {
        mark: "needs_skopeo_",
        is_met: || has_program("skopeo"),
    },
    Need {
        mark: "needs_chromium_",
        is_met: || has_program("chromium"),
    },
    Need {
        mark: "needs_dpkg_",
        is_met: || has_program("dpkg") && has_program("dpkg-deb"),
    },
    Need {
        mark: "needs_linters_",
        is_met: || engines::has("linters"),
    },
    Need {
        mark: "needs_mandoc_",
        is_met: || has_program("mandoc"),
    },
    Need {
        mark: "needs_shellcheck_",
        is_met: || has_program("shellcheck"),
    },
    Need {
        mark: "needs_ssh_",
        is_met: || has_program("ssh-agent"),
    },
    Need {
        mark: "needs_sshd_",
        is_met: || engines::has("sshd") && has_program("ip"),
    },
    Need {
        mark: "needs_git_",
        is_met: || has_program("git"),
    },
];

/// How snapshots that differ are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshots {
    /// A difference fails its test.
    Compare,
    /// A difference is written over the old snapshot.
    Accept,
}

/// Runs the tests; `args` are `--engines`, and after `--` what the test runner is to get (a part of a name).
pub(crate) fn test(args: &[&str], snapshots: Snapshots) -> Outcome {
    let (own, runners) = match args.iter().position(|arg| *arg == "--") {
        Some(end) => (&args[..end], &args[end + 1..]),
        None => (args, &args[..0]),
    };
    match own {
        [] => {}
        ["--engines"] => with_engines()?,
        other => {
            return Err(Failure(format!(
                "unknown argument `{}`; expected `--engines`, or `--` and the test runner's own",
                other.join(" ")
            )));
        }
    }
    let missing = missing();
    let scratch = Scratch::in_memory();
    let scratch = scratch.as_ref();
    // The last lines are the main runner's own summary, unless something is left out.
    if runners.is_empty() {
        run(with_environment(
            &mut cargo(&["test", "--quiet", "--workspace", "--doc"]),
            snapshots,
            scratch,
        ))?;
    }
    run(with_environment(
        &mut runner(&missing, runners),
        snapshots,
        scratch,
    ))?;
    if !missing.is_empty() {
        tell_left_out(&missing)?;
    }
    Ok(())
}

/// Gets everything that tests need: after it, none is left out.
pub(crate) fn with_engines() -> Outcome {
    engines::install()?;
    match missing().as_slice() {
        [] => Ok(()),
        missing => Err(Failure(format!(
            "this machine cannot run the tests `{}*`",
            missing.join("*`, `")
        ))),
    }
}

/// The marks of tests that this machine cannot run.
fn missing() -> Vec<&'static str> {
    let unmet = NEEDS.iter().filter(|need| !(need.is_met)());
    unmet.map(|need| need.mark).collect()
}

/// nextest where it is installed: it is faster, and a test that hangs is named.
fn runner(missing: &[&str], args: &[&str]) -> Command {
    if has_program("cargo-nextest") {
        let mut command = cargo(&["nextest", "run", "--workspace"]);
        if !missing.is_empty() {
            let needs: Vec<_> = missing.iter().map(|mark| format!("test({mark})")).collect();
            command
                .arg("-E")
                .arg(format!("not ({})", needs.join(" or ")));
        }
        // One more than there are processors: many wait for an engine, a registry, a process.
        if let Ok(processors) = std::thread::available_parallelism()
            && !args.iter().any(|arg| arg.starts_with("--test-threads"))
        {
            command.arg(format!("--test-threads={}", processors.get() + 1));
        }
        command.args(args);
        return command;
    }
    let mut command = cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--"]);
    for mark in missing {
        command.args(["--skip", mark]);
    }
    command.args(args);
    command
}

fn with_environment<'c>(
    command: &'c mut Command,
    snapshots: Snapshots,
    scratch: Option<&Scratch>,
) -> &'c mut Command {
    command.env("REFIT_TEST_ENGINES", engines::folder());
    if let Some(scratch) = scratch {
        command.env("TMPDIR", scratch.folder());
    }
    match snapshots {
        Snapshots::Compare => command.env("INSTA_UPDATE", "no"),
        Snapshots::Accept => command
            .env("INSTA_UPDATE", "always")
            .env("INSTA_FORCE_PASS", "1"),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a chore talks to the person at the terminal"
)]
fn tell_left_out(missing: &[&str]) -> Outcome {
    let args = [
        "test",
        "--quiet",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--",
        "--list",
    ];
    let listed = output(&mut cargo(&args))?;
    let names: Vec<&str> = left_out(&listed, missing);
    println!("\nleft out, because this machine lacks what they need:");
    for name in &names {
        println!("  {name}");
    }
    println!(
        "hint: run `cargo xtask test --engines` as root: it gets what they need, and leaves nothing out"
    );
    Ok(())
}

/// The names in a test binary's `--list` that have one of the marks.
fn left_out<'l>(listed: &'l str, missing: &[&str]) -> Vec<&'l str> {
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    names
        .filter(|name| missing.iter().any(|mark| name.contains(mark)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_left_out_by_what_their_name_says() {
        let listed = "a::needs_skopeo_to_read: test\nneeds_skopeo_and_needs_git_x: test\n\
                      a::reads_with_skopeo: test\n\n3 tests, 0 benchmarks\n";
        let both = left_out(listed, &["needs_skopeo_"]);
        assert_eq!(
            both,
            ["a::needs_skopeo_to_read", "needs_skopeo_and_needs_git_x"]
        );
        assert_eq!(
            left_out(listed, &["needs_git_"]),
            ["needs_skopeo_and_needs_git_x"]
        );
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let failure = test(&["--engine"], Snapshots::Compare).unwrap_err();
        assert!(failure.to_string().contains("`--engine`"), "{failure}");
    }
}
