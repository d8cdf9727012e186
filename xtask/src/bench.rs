//! `cargo xtask bench`: what a user waits for, measured on the release build, each beside a peer of the same run.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::shell::{Failure, Outcome, cargo, io_failure, output, run, target};

/// How many images and bases a large repository has here.
const N_IMAGES: usize = 200;
const N_BASES: usize = 10;

/// One row of the result.
struct Measurement {
    name: &'static str,
    measure: fn(&Site) -> Outcome<Figure>,
}

const MEASUREMENTS: [Measurement; 2] = [
    Measurement {
        name: "demo",
        measure: demo,
    },
    Measurement {
        name: "hook-post-commit",
        measure: hook_post_commit,
    },
];

/// What was measured.
struct Figure {
    wall: Duration,
    peer: Option<Peer>,
}

/// Something well known that does comparable work on the same input.
struct Peer {
    name: &'static str,
    wall: Duration,
}

/// The program under measurement, and an empty folder for it.
struct Site {
    refit: PathBuf,
    folder: PathBuf,
}

/// Measures everything, or what `names` name.
#[expect(clippy::print_stdout, reason = "the figures are the result")]
pub(crate) fn bench(names: &[&str]) -> Outcome {
    let known = || MEASUREMENTS.iter().map(|m| m.name);
    if let Some(unknown) = names
        .iter()
        .find(|name| !known().any(|known| known == **name))
    {
        let known: Vec<_> = known().collect();
        return Err(Failure(format!(
            "no measurement `{unknown}`; there are `{}`",
            known.join("`, `")
        )));
    }
    run(&mut cargo(&[
        "build",
        "--release",
        "--quiet",
        "--package",
        "refit",
    ]))?;
    let chosen = MEASUREMENTS
        .iter()
        .filter(|m| names.is_empty() || names.contains(&m.name));
    for Measurement { name, measure } in chosen {
        let site = Site::empty(name)?;
        let figure = measure(&site)?;
        println!("{}", row(name, &figure));
    }
    Ok(())
}

/// `name  wall time  peer's wall time  ratio`
fn row(name: &str, figure: &Figure) -> String {
    let mut row = format!("{name:<18} {:>9.3} s", figure.wall.as_secs_f64());
    if let Some(Peer { name, wall }) = &figure.peer {
        let ratio = figure.wall.as_secs_f64() / wall.as_secs_f64().max(f64::EPSILON);
        let _ = write!(row, "   {ratio:.2} × {name} ({:.3} s)", wall.as_secs_f64());
    }
    row
}

/// The demo's wall time; no peer does the like.
fn demo(site: &Site) -> Outcome<Figure> {
    let wall = timed(site.refit().arg("demo"))?;
    Ok(Figure { wall, peer: None })
}

/// What a developer waits for at a commit that touches every image, beside git itself noting a line on each Dockerfile.
fn hook_post_commit(site: &Site) -> Outcome<Figure> {
    site.large_repository()?;
    let wall = timed(site.refit().args(["hook", "post-commit"]))?;
    let start = Instant::now();
    for image in 0..N_IMAGES {
        let on = format!("HEAD:services/s{image:03}/Dockerfile");
        output(
            site.git()
                .args(["notes", "--ref=peer", "add", "-m", "a line", &on]),
        )?;
    }
    let peer = Peer {
        name: "git notes add",
        wall: start.elapsed(),
    };
    Ok(Figure {
        wall,
        peer: Some(peer),
    })
}

fn timed(command: &mut Command) -> Outcome<Duration> {
    let start = Instant::now();
    output(command)?;
    Ok(start.elapsed())
}

impl Site {
    fn empty(name: &str) -> Outcome<Self> {
        let folder = target().join("bench").join(name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_failure(&folder)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(io_failure(&folder))?;
        Ok(Self {
            refit: target().join("release/refit"),
            folder,
        })
    }

    fn refit(&self) -> Command {
        self.command(&self.refit)
    }

    fn git(&self) -> Command {
        self.command("git".as_ref())
    }

    /// A program that sees this folder and nothing of the user's git configuration.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "bench");
            command.env(format!("GIT_{who}_EMAIL"), "bench@example.com");
        }
        command
    }

    /// A repository of many small images on a few bases, in one commit.
    fn large_repository(&self) -> Outcome {
        output(
            self.git()
                .args(["init", "--quiet", "--initial-branch=main"]),
        )?;
        for image in 0..N_IMAGES {
            let folder = self.folder.join(format!("services/s{image:03}"));
            fs::create_dir_all(&folder).map_err(io_failure(&folder))?;
            let base = image % N_BASES;
            let files = [
                (
                    "Dockerfile",
                    format!("FROM example.com/base-{base}:1\nCOPY app /app\n"),
                ),
                ("app", format!("{image}\n")),
            ];
            for (name, content) in files {
                let file = folder.join(name);
                fs::write(&file, content).map_err(io_failure(&file))?;
            }
        }
        output(self.git().args(["add", "--all"]))?;
        output(self.git().args(["commit", "--quiet", "--message=all"])).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_ratio_to_its_peer() {
        let peer = Peer {
            name: "git",
            wall: Duration::from_millis(500),
        };
        let figure = Figure {
            wall: Duration::from_millis(250),
            peer: Some(peer),
        };
        let told = row("x", &figure);
        assert!(
            told.starts_with("x ") && told.ends_with("0.250 s   0.50 × git (0.500 s)"),
            "{told}"
        );
    }
}
