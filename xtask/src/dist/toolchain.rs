//! Static executables: Rust's musl targets, GCC for the C code among the crates (ring, zstd, mimalloc), musl's headers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::elf;
use crate::{
    engines,
    shell::{Failure, Outcome, cargo, has_program, io_failure, output, root, run, target},
};

/// A kind of machine that executables are made for.
#[derive(Debug)]
pub(super) struct Target {
    /// What Rust calls it.
    pub(super) triple: &'static str,
    /// What Docker, Go and Debian call its processor.
    pub(super) docker_arch: &'static str,
    /// The compiler, and Debian's package for it.
    gcc: (&'static str, &'static str),
}

/// All of them.
pub(super) const TARGETS: [Target; 2] = [
    Target {
        triple: "x86_64-unknown-linux-musl",
        docker_arch: "amd64",
        gcc: ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        docker_arch: "arm64",
        gcc: ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    },
];

/// Builds `refit` for a target and gives the path of the executable.
pub(super) fn build(for_target: &Target) -> Outcome<PathBuf> {
    let triple = for_target.triple;
    get_rust(triple)?;
    let (gcc, package) = for_target.gcc;
    engines::get_program(gcc, package)?;
    let headers = headers(for_target)?;
    let own_headers = output(Command::new(gcc).arg("-print-file-name=include"))?;
    let variable = triple.replace('-', "_");
    let maps = prefix_maps()?;
    let map = |(from, to): &(PathBuf, &str)| format!("{}={to}", from.display());
    let for_c: Vec<String> = { maps.iter() }
        .map(|prefix| format!("-ffile-prefix-map={}", map(prefix)))
        .collect();
    let for_rust: Vec<String> = { maps.iter() }
        .map(|prefix| format!("--remap-path-prefix={}", map(prefix)))
        .collect();
    let args = [
        "build",
        "--locked",
        "--package",
        "refit",
        "--bin",
        "refit",
        "--profile",
        "dist",
    ];
    let mut command = cargo(&args);
    command
        .args(["--target", triple])
        .env(format!("CC_{variable}"), gcc)
        .env(
            format!("CFLAGS_{variable}"),
            format!(
                "-nostdinc -isystem {} -isystem {} {}",
                headers.display(),
                own_headers.trim(),
                for_c.join(" ")
            ),
        )
        .env(
            format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()),
            gcc,
        )
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [&for_rust[..], &["-Ctarget-feature=+crt-static".to_owned()]]
                .concat()
                .join("\u{1f}"),
        );
    run(&mut command)?;
    let program = target().join(triple).join("dist/refit");
    let bytes = fs::read(&program).map_err(io_failure(&program))?;
    if elf::is_static(&bytes) {
        Ok(program)
    } else {
        Err(Failure(format!("`{}` is not static", program.display())))
    }
}

/// Rust's own library for the target, from rustup if it is missing.
fn get_rust(triple: &str) -> Outcome {
    let folder =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if has_program("rustup") {
        return run(Command::new("rustup").args(["target", "add", triple]));
    }
    Err(Failure(format!(
        "Rust's library for it is missing, and there is no `rustup` to add it; expected it in `{}`",
        folder.trim()
    )))
}

/// Folders of this machine, and what stands in an executable for them: it must not tell where it was built.
fn prefix_maps() -> Outcome<Vec<(PathBuf, &'static str)>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let sources = home.unwrap_or_default().join("registry/src");
    let mut maps = vec![(root(), "/refit")];
    // The index's folder has the registry's name in it, and mirrors have other ones.
    if sources.is_dir() {
        for entry in fs::read_dir(&sources).map_err(io_failure(&sources))? {
            maps.push((entry.map_err(io_failure(&sources))?.path(), "/crates"));
        }
    }
    maps.sort();
    Ok(maps)
}

/// musl's headers for the target; its library comes with Rust.
fn headers(of: &Target) -> Outcome<PathBuf> {
    let gnu = of.triple.replace("-unknown", "");
    Ok(engines::musl(of.docker_arch)?.join("usr/include").join(gnu))
}

/// The licence of musl.
pub(super) fn musl_copyright(of: &Target) -> Outcome<String> {
    let path = engines::musl(of.docker_arch)?.join("usr/share/doc/musl-dev/copyright");
    let text = fs::read_to_string(&path).map_err(io_failure(&path))?;
    Ok(text.trim().to_owned())
}
