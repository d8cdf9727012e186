//! `cargo xtask dist`: what a release consists of. The same commit with the same tools gives the same bytes.
//!
//! For each target there is the executable by itself, which CI files and `action.yml` download, and an archive with the
//! manual pages, completions and licences; beside them an image of refit and the sums of all.

mod archive;
mod elf;
mod image;
mod licences;
mod sums;
#[cfg(test)]
mod tests;
mod toolchain;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use self::{
    archive::{Entries, Entry},
    toolchain::{TARGETS, Target},
};
use crate::shell::{Failure, Outcome, cargo, io_failure, output, root, target};

/// A shell, what `refit completions` calls it, and what its file is called.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "refit.bash"),
    ("elvish", "refit.elv"),
    ("fish", "refit.fish"),
    ("powershell", "_refit.ps1"),
    ("zsh", "_refit"),
];

/// What all files of a release have in common.
#[derive(Debug)]
struct Release {
    version: String,
    /// The commit that is checked out.
    commit: String,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time.
    time: u64,
    /// Where they are put.
    folder: PathBuf,
}

/// An executable.
#[derive(Debug)]
struct Built {
    target: &'static Target,
    program: PathBuf,
}

/// Makes everything for some targets, or for all. What cannot be had is named, and the rest is made all the same.
pub(crate) fn dist(names: &[&str]) -> Outcome {
    let wanted = wanted(names)?;
    let release = Release::current()?;
    let (mut built, mut failed) = (Vec::new(), Vec::new());
    for target in wanted {
        match toolchain::build(target) {
            Ok(program) => built.push(Built { target, program }),
            Err(failure) => failed.push(format!("{}: {failure}", target.triple)),
        }
    }
    if !built.is_empty() {
        write(&release, &built)?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!("not built:\n  {}", failed.join("\n  "))))
    }
}

fn wanted(names: &[&str]) -> Outcome<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &&str| {
        let found = TARGETS.iter().find(|target| target.triple == *name);
        found.ok_or_else(|| {
            let all: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
            Failure(format!(
                "no target `{name}`; there are `{}`",
                all.join("`, `")
            ))
        })
    };
    names.iter().map(find).collect()
}

impl Release {
    fn current() -> Outcome<Self> {
        let git = |args: &[&str]| output(Command::new("git").args(args).current_dir(root()));
        if !git(&["status", "--porcelain"])?.is_empty() {
            eprintln!(
                "warning: the working tree differs from its commit, and so does what is built"
            );
        }
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let time = time.trim().parse();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            commit: git(&["rev-parse", "HEAD"])?.trim().to_owned(),
            time: time
                .map_err(|_| Failure("`SOURCE_DATE_EPOCH` is no number of seconds".into()))?,
            folder: releases(&target().join("releases"), &version),
            version,
        })
    }

    /// What an executable, its archive and the archive's folder are called: CI files and `action.yml` know it, too.
    fn name(&self, target: &Target) -> String {
        format!("refit-{}-{}", self.version, target.triple)
    }
}

/// The folder of a version: `REFIT_RELEASES` names the one that it is in.
fn releases(folder: &Path, version: &str) -> PathBuf {
    folder.join(format!("v{version}"))
}

/// Writes the files anew.
fn write(release: &Release, built: &[Built]) -> Outcome {
    let work = target().join("releases/work");
    for folder in [&work, &release.folder] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(io_failure(folder))?;
        }
        fs::create_dir_all(folder).map_err(io_failure(folder))?;
    }
    let refit = runnable(built)?;
    let common = common(release, &refit, &work)?;
    for built in built {
        let program = fs::read(&built.program).map_err(io_failure(&built.program))?;
        let name = release.name(built.target);
        publish(release, &name, &program)?;
        let mut entries = common.clone();
        entries.insert("refit".to_owned(), Entry::Program(program));
        let licences = licences::third_party(built.target)?;
        entries.insert(
            "LICENSES-OF-OTHERS".to_owned(),
            Entry::File(licences.into_bytes()),
        );
        let entries: Entries = { entries.into_iter() }
            .map(|(path, entry)| (format!("{name}/{path}"), entry))
            .collect();
        let archive = archive::tar_gz(&entries, release.time);
        publish(
            release,
            &format!("{name}.tar.gz"),
            &archive.map_err(in_memory)?,
        )?;
    }
    let image = image::build(&refit, built, release, &work)?;
    let image = archive::tar(&image, release.time).map_err(in_memory)?;
    publish(
        release,
        &format!("refit-{}-oci.tar", release.version),
        &image,
    )?;
    sums::write(&release.folder)?;
    fs::remove_dir_all(&work).map_err(io_failure(&work))?;
    eprintln!("written: {}", release.folder.display());
    Ok(())
}

/// A file at the top of the repository.
fn of_repository(name: &str) -> Outcome<Vec<u8>> {
    let path = root().join(name);
    fs::read(&path).map_err(io_failure(&path))
}

/// What is the same in all archives.
fn common(release: &Release, refit: &Path, work: &Path) -> Outcome<Entries> {
    let mut entries = Entries::new();
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
        entries.insert(name.to_owned(), Entry::File(of_repository(name)?));
    }
    entries.insert("git-refit".to_owned(), Entry::Link("refit"));
    for (shell, file) in SHELLS {
        let script = output(Command::new(refit).args(["completions", shell]))?;
        entries.insert(
            format!("completions/{file}"),
            Entry::File(script.into_bytes()),
        );
    }
    let pages = work.join("man");
    output(
        Command::new(refit)
            .arg("man")
            .arg(&pages)
            .env("SOURCE_DATE_EPOCH", release.time.to_string()),
    )?;
    for page in fs::read_dir(&pages).map_err(io_failure(&pages))? {
        let page = page.map_err(io_failure(&pages))?;
        let bytes = fs::read(page.path()).map_err(io_failure(&page.path()))?;
        let name = page.file_name().to_string_lossy().into_owned();
        entries.insert(format!("man/man1/{name}"), Entry::File(bytes));
    }
    Ok(entries)
}

/// An executable that this machine can run, to ask it for its pages and have it build its image.
fn runnable(built: &[Built]) -> Outcome<PathBuf> {
    let is_native = |built: &&Built| {
        cfg!(target_os = "linux") && built.target.triple.starts_with(std::env::consts::ARCH)
    };
    if let Some(native) = built.iter().find(is_native) {
        return Ok(native.program.clone());
    }
    output(&mut cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--package",
        "refit",
    ]))?;
    Ok(target().join("debug/refit"))
}

fn publish(release: &Release, name: &str, bytes: &[u8]) -> Outcome {
    let path = release.folder.join(name);
    fs::write(&path, bytes).map_err(io_failure(&path))?;
    eprintln!("{name}: {} bytes", bytes.len());
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "a function for `map_err`")]
fn in_memory(error: std::io::Error) -> Failure {
    Failure(format!("cannot write an archive: {error}"))
}
