//! Where something is measured: the release build of refit, and a folder for its repositories.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::shell::{Failure, Outcome, cargo, io_failure, output, target};

/// How many images and bases a large repository has here.
pub(super) const N_IMAGES: usize = 200;
pub(super) const N_BASES: usize = 10;

/// The program under measurement, and an empty folder.
pub(super) struct Site {
    refit: PathBuf,
    folder: PathBuf,
}

impl Site {
    /// An empty folder of this name below `target/bench`.
    pub(super) fn empty(name: &str) -> Outcome<Self> {
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

    /// A folder inside of this one.
    pub(super) fn sub(&self, name: &str) -> Outcome<Self> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(io_failure(&folder))?;
        Ok(Self {
            refit: self.refit.clone(),
            folder,
        })
    }

    /// A file's path in the folder, its parent folders made.
    pub(super) fn path(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.folder.join(name);
        let parent = path.parent().expect("it lies in the folder");
        fs::create_dir_all(parent).map_err(io_failure(parent))?;
        Ok(path)
    }

    /// refit itself, in the folder.
    pub(super) fn refit(&self) -> Command {
        self.command(&self.refit)
    }

    /// git, in the folder.
    pub(super) fn git(&self) -> Command {
        self.command("git".as_ref())
    }

    /// graphviz, in the folder.
    pub(super) fn dot(&self) -> Command {
        self.command("dot".as_ref())
    }

    /// Another program, in the folder.
    pub(super) fn program(&self, name: &str) -> Command {
        self.command(name.as_ref())
    }

    /// A program that sees the folder and nothing of the user's configuration.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("XDG_CONFIG_HOME", &self.folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "bench");
            command.env(format!("GIT_{who}_EMAIL"), "bench@example.com");
        }
        command
    }

    /// A repository of many small images on a few bases of `namespace`, in one commit.
    pub(super) fn images(&self, namespace: &str) -> Outcome {
        let image = |n| {
            let base = n % N_BASES;
            (
                format!("s{n:03}"),
                format!("FROM {namespace}/base-{base}\nLABEL n={n}\nCOPY content /content\n"),
            )
        };
        self.repository(namespace, (0..N_IMAGES).map(image))
    }

    /// A repository of the bases of [`Site::images`].
    pub(super) fn bases(&self, namespace: &str) -> Outcome {
        let base = |n| {
            (
                format!("base-{n}"),
                "FROM scratch\nCOPY content /base\n".to_owned(),
            )
        };
        self.repository(namespace, (0..N_BASES).map(base))
    }

    /// A repository of images, each a name and a Dockerfile with a file `content` beside it, that pushes to `namespace`.
    pub(super) fn repository(
        &self,
        namespace: &str,
        images: impl Iterator<Item = (String, String)>,
    ) -> Outcome {
        let config = format!(
            "version = 1\npush-to = [\"{namespace}\"]\n\n[[images]]\nfiles = \"images/*/Dockerfile\"\nname = \"{{dir}}\"\n"
        );
        let write = |name: &str, text: &str| {
            let file = self.path(name)?;
            fs::write(&file, text).map_err(io_failure(&file))
        };
        write(".config/refit.toml", &config)?;
        for (name, dockerfile) in images {
            write(&format!("images/{name}/Dockerfile"), &dockerfile)?;
            write(&format!("images/{name}/content"), &name)?;
        }
        output(
            self.git()
                .args(["init", "--quiet", "--initial-branch=main"]),
        )?;
        output(self.git().args(["add", "--all"]))?;
        output(self.git().args(["commit", "--quiet", "--message=all"])).map(drop)
    }
}

/// Where cargo puts a program of the release build: a `--bench` or an `--example`.
pub(super) fn built(package: &str, kind: &str, name: &str) -> Outcome<PathBuf> {
    let mut build = cargo(&["build", "--release", "--message-format=json"]);
    build.args(["--package", package, kind, name]);
    let told = output(build.stderr(Stdio::inherit()))?;
    let artifacts = told
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let program = artifacts
        .filter(|artifact: &Value| artifact["target"]["name"] == name)
        .find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    program.ok_or_else(|| Failure(format!("cargo did not say where `{name}` is")))
}
