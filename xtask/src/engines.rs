//! `cargo xtask engines install`: the real engines and tools that tests run against.
//!
//! Daemons are unpacked from Debian's packages into `target/engines`, never installed: no service starts, none that
//! was there is touched. Only plain tools (git, skopeo, a browser, the emulator) are installed, and only where they are
//! missing.

mod frontend;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use frontend::BUILDKIT_FRONTEND;

use crate::shell::{Failure, Outcome, has_program, io_failure, output, run, target};

/// Changes when the lists below do, so that an older folder is filled anew.
const RECIPE: &str = "1";

/// Folder, Debian suite, packages. `runc` of the older suite serves both engines: the newer one needs a newer libc.
const UNPACKED: [(&str, &str, &[&str]); 7] = [
    (
        "docker20",
        "bookworm",
        &[
            "docker.io",
            "containerd",
            "runc",
            "libdevmapper1.02.1",
            "libseccomp2",
        ],
    ),
    (
        "podman",
        "bookworm",
        &[
            "podman",
            "conmon",
            "libgpgme11",
            "libassuan0",
            "libsubid4",
            "libdevmapper1.02.1",
            "libseccomp2",
        ],
    ),
    ("registry", "bookworm", &["docker-registry"]),
    ("sshd", "bookworm", &["openssh-server", "libwrap0"]),
    (
        "docker26",
        "trixie",
        &["docker.io", "docker-cli", "containerd", "docker-buildx"],
    ),
    ("busybox/amd64", "trixie", &["busybox-static:amd64"]),
    ("busybox/arm64", "trixie", &["busybox-static:arm64"]),
];

/// A file that proves that a folder is complete.
const PROOFS: [(&str, &str); 8] = [
    ("docker20", "usr/sbin/dockerd"),
    ("podman", "usr/bin/podman"),
    ("registry", "usr/bin/docker-registry"),
    ("sshd", "usr/sbin/sshd"),
    ("docker26", "usr/sbin/dockerd"),
    ("busybox/amd64", "busybox"),
    ("busybox/arm64", "busybox"),
    ("linters", LINTERS_PROOF),
];

/// Linters of CI files from PyPI, with the published schemas among them: they ask no network when they run.
const LINTERS: [&str; 2] = ["check-jsonschema==0.39.0", "zizmor==1.32.0"];

/// Written last. Another name where the list changes, so that an older folder is filled anew.
const LINTERS_PROOF: &str = "complete-1";

/// Program that must be on the PATH, and Debian's package for it.
const TOOLS: [(&str, &str); 10] = [
    ("git", "git"),
    ("skopeo", "skopeo"),
    ("chromium", "chromium"),
    ("qemu-aarch64-static", "qemu-user-static"),
    ("update-binfmts", "binfmt-support"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("ssh-agent", "openssh-client"),
    ("mandoc", "mandoc"),
    ("shellcheck", "shellcheck"),
];

const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Where the engines are, or will be.
pub(crate) fn folder() -> PathBuf {
    target().join("engines")
}

/// Whether an unpacked engine (`docker20`, `docker26`, `podman`, `registry`) is complete.
pub(crate) fn has(name: &str) -> bool {
    let proof = PROOFS.iter().find(|(folder, _)| *folder == name);
    proof.is_some_and(|(_, file)| folder().join(name).join(file).is_file())
}

/// Whether a private engine can be started, and execute RUN on both platforms.
pub(crate) fn can_start(name: &str) -> bool {
    // The others borrow the oldest one's `runc`.
    let unpacked = has(name) && has("docker20") && has("busybox/amd64") && has("busybox/arm64");
    unpacked && is_root() && has_program("unshare") && has_emulation()
}

/// Whether RUN on `linux/arm64` works: natively, or by a registered emulator.
fn has_emulation() -> bool {
    cfg!(target_arch = "aarch64") || Path::new(BINFMT).join("qemu-aarch64").is_file()
}

/// The folder with Go and the sources of BuildKit's frontend, unpacked if it is missing.
pub(crate) fn buildkit_frontend() -> Outcome<PathBuf> {
    let name = "buildkit-frontend";
    let place = folder().join(name);
    if !place.join("usr/lib/go-1.24/bin/go").is_file() {
        fs::create_dir_all(folder()).map_err(io_failure(&folder()))?;
        let config = private_apt("trixie")?;
        run(apt_get().env("APT_CONFIG", &config).arg("update"))?;
        unpack(name, &BUILDKIT_FRONTEND, &config)?;
    }
    Ok(place)
}

/// The folder with musl's headers for a processor, as Debian calls it; unpacked if they are missing.
pub(crate) fn musl(architecture: &str) -> Outcome<PathBuf> {
    let name = format!("musl/{architecture}");
    let place = folder().join(&name);
    if !place.join("usr/include").is_dir() {
        fs::create_dir_all(folder()).map_err(io_failure(&folder()))?;
        let config = private_apt("trixie")?;
        run(apt_get().env("APT_CONFIG", &config).arg("update"))?;
        unpack(&name, &[&format!("musl-dev:{architecture}")], &config)?;
    }
    Ok(place)
}

/// Installs Debian's package for a program that is missing.
pub(crate) fn get_program(program: &str, package: &str) -> Outcome {
    if has_program(program) {
        return Ok(());
    }
    install_packages(&[package])
}

/// Installs what is missing; a second run does next to nothing.
pub(crate) fn install() -> Outcome {
    if !has_program("apt-get") || !has_program("dpkg-deb") {
        return Err(Failure(
            "the engines come from Debian's packages, and this machine has no `apt-get`".to_owned(),
        ));
    }
    install_tools()?;
    unpack_engines()?;
    install_linters()?;
    enable_emulation()
}

/// Into an environment of their own.
fn install_linters() -> Outcome {
    if has("linters") {
        return Ok(());
    }
    // Debian's Python comes without what makes environments.
    let can_make = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output();
    if !can_make.is_ok_and(|output| output.status.success()) {
        install_packages(&["python3", "python3-venv"])?;
    }
    let place = folder().join("linters");
    remove(&place)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
    run(Command::new(place.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(LINTERS))?;
    let proof = place.join(LINTERS_PROOF);
    fs::write(&proof, LINTERS.join("\n")).map_err(io_failure(&proof))
}

fn install_tools() -> Outcome {
    let missing = TOOLS.iter().filter(|(program, _)| !has_program(program));
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    install_packages(&packages)
}

fn install_packages(packages: &[&str]) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(Failure(format!(
            "missing tools; run `sudo apt-get update && sudo apt-get install -y {}`",
            packages.join(" ")
        )));
    }
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn unpack_engines() -> Outcome {
    let marker = folder().join("recipe");
    let current = fs::read_to_string(&marker).is_ok_and(|recipe| recipe == RECIPE);
    let missing = UNPACKED.iter().filter(|(name, ..)| !current || !has(name));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder()).map_err(io_failure(&folder()))?;
    for suite in ["bookworm", "trixie"] {
        let of_suite: Vec<_> = missing.iter().filter(|(_, s, _)| *s == suite).collect();
        if of_suite.is_empty() {
            continue;
        }
        let config = private_apt(suite)?;
        run(apt_get().env("APT_CONFIG", &config).arg("update"))?;
        for (name, _, packages) in of_suite {
            unpack(name, packages, &config)?;
        }
    }
    fs::write(&marker, RECIPE).map_err(io_failure(&marker))
}

/// Downloads packages and unpacks them into a fresh folder, which is renamed into place when it is complete.
fn unpack(name: &str, packages: &[&str], apt_config: &Path) -> Outcome {
    let place = folder().join(name);
    let fresh = folder().join(format!("{}.part", name.replace('/', "-")));
    remove(&fresh)?;
    let debs = fresh.join("debs");
    fs::create_dir_all(&debs).map_err(io_failure(&debs))?;
    run(apt_get()
        .env("APT_CONFIG", apt_config)
        .arg("download")
        .args(packages)
        .current_dir(&debs))?;
    for entry in fs::read_dir(&debs).map_err(io_failure(&debs))? {
        let deb = entry.map_err(io_failure(&debs))?.path();
        run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&fresh))?;
    }
    remove(&debs)?;
    if name.starts_with("busybox/") {
        // Its folder in the package differs between releases; here it is `busybox` beside nothing.
        let found = ["usr/bin/busybox", "bin/busybox"].map(|path| fresh.join(path));
        let found = found.iter().find(|path| path.is_file());
        let found =
            found.ok_or_else(|| Failure(format!("no `busybox` in {}", packages.join(" "))))?;
        fs::rename(found, fresh.join("busybox")).map_err(io_failure(found))?;
    }
    remove(&place)?;
    let parent = place.parent().expect("lies in the engines' folder");
    fs::create_dir_all(parent).map_err(io_failure(parent))?;
    fs::rename(&fresh, &place).map_err(io_failure(&place))
}

/// An apt configuration for one suite on the machine's own mirror, with its own state: the machine's package lists
/// stay as they are, and no foreign architecture is added to it.
fn private_apt(suite: &str) -> Outcome<PathBuf> {
    let folder = folder().join("apt").join(suite);
    for sub in ["lists/partial", "cache/archives/partial"] {
        let sub = folder.join(sub);
        fs::create_dir_all(&sub).map_err(io_failure(&sub))?;
    }
    let keyring = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    let signed = if keyring.is_file() {
        format!("[signed-by={}] ", keyring.display())
    } else {
        String::new()
    };
    let sources = folder.join("sources.list");
    let line = format!("deb {signed}{} {suite} main\n", mirror()?);
    fs::write(&sources, line).map_err(io_failure(&sources))?;
    // What the machine has installed, from another suite perhaps, is nobody's business.
    let status = folder.join("status");
    fs::write(&status, "").map_err(io_failure(&status))?;
    let mut text = String::new();
    for (key, value) in [
        ("Dir::State::Status", status),
        ("Dir::Etc::SourceList", sources),
        ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
        ("Dir::State::Lists", folder.join("lists")),
        ("Dir::Cache", folder.join("cache")),
    ] {
        let _ = writeln!(text, "{key} \"{}\";", value.display());
    }
    text.push_str("Acquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n");
    text.push_str("#clear APT::Architectures;\n");
    let native = output(Command::new("dpkg").arg("--print-architecture"))?;
    // The first one is what a package name without an architecture means.
    let mut architectures = vec![native.trim(), "amd64", "arm64"];
    architectures.dedup();
    let _ = writeln!(
        text,
        "APT::Architectures {{ \"{}\"; }};",
        architectures.join("\"; \"")
    );
    let config = folder.join("apt.conf");
    fs::write(&config, text).map_err(io_failure(&config))?;
    Ok(config)
}

/// The Debian mirror that this machine already uses.
fn mirror() -> Outcome<String> {
    let os_release = Path::new("/etc/os-release");
    let text = fs::read_to_string(os_release).map_err(io_failure(os_release))?;
    let codename = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let codename = codename.unwrap_or_default().trim_matches('"');
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
    let targets =
        output(apt_get().args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let found = targets.lines().find_map(|line| {
        let (uri, rest) = line.split_once('|')?;
        (rest == format!("{codename}|main")).then(|| uri.to_owned())
    });
    found.ok_or_else(|| {
        Failure(format!(
            "apt's sources name no mirror of Debian's release `{codename}`"
        ))
    })
}

fn enable_emulation() -> Outcome {
    if has_emulation() {
        return Ok(());
    }
    if !is_root() {
        return Err(Failure(
            "no emulator for arm64; run `sudo update-binfmts --enable qemu-aarch64`".to_owned(),
        ));
    }
    if !Path::new(BINFMT).join("register").exists() {
        run(Command::new("mount").args(["-t", "binfmt_misc", "binfmt_misc", BINFMT]))?;
    }
    run(Command::new("update-binfmts").args(["--enable", "qemu-aarch64"]))?;
    if has_emulation() {
        Ok(())
    } else {
        Err(Failure(
            "`update-binfmts` registered no emulator for arm64".to_owned(),
        ))
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io_failure(folder)(error))
        }
        _ => Ok(()),
    }
}
