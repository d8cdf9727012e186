//! 1,600 Dockerfiles of real size for two platforms, beside BuildKit's own frontend converting them.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Figure, Peer, site::Site};
use crate::{
    engines,
    shell::{Failure, Outcome, io_failure, output, root},
};

const N_FILES: usize = 1_600;
const PLATFORMS: &str = "linux/amd64,linux/arm64";
/// How often each is measured: the best counts, as others use the machine as well.
const TIMES: usize = 5;

/// The whole process of refit, and of the peer the conversions alone.
pub(super) fn scan(site: &Site) -> Outcome<Figure> {
    let mut paths = String::new();
    let mut n_lines = 0;
    for number in 0..N_FILES {
        let path = site.path(&format!("s{number:04}/Dockerfile"))?;
        let text = dockerfile(number);
        n_lines += text.lines().count();
        fs::write(&path, text).map_err(io_failure(&path))?;
        let _ = writeln!(paths, "{}", path.display());
    }
    let convert = peer()?;
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..TIMES {
        let start = Instant::now();
        let args = [
            "deps",
            "scan",
            "--platform",
            PLATFORMS,
            "--format",
            "json",
            ".",
        ];
        let told = output(site.refit().args(args))?;
        ours = ours.min(start.elapsed());
        check(&told)?;
        theirs = theirs.min(converted(&convert, &paths)?);
    }
    let each = theirs.as_secs_f64() * 1e3 / f64::from(u32::try_from(2 * N_FILES).unwrap_or(1));
    Ok(Figure {
        wall: ours,
        peer: Some(Peer {
            name: "BuildKit's frontend",
            wall: theirs,
        }),
        detail: format!(
            "{N_FILES} files of {} lines, 2 platforms; BuildKit {each:.2} ms a file and platform",
            n_lines / N_FILES
        ),
    })
}

/// Every file was read, and depends on something.
fn check(told: &str) -> Outcome {
    let told: Value = serde_json::from_str(told)
        .map_err(|error| Failure(format!("`refit deps scan` printed no JSON: {error}")))?;
    let results = told["results"].as_array().map_or(&[][..], Vec::as_slice);
    let good = |result: &&Value| {
        let found = result["dependencies"].as_array();
        result["error"].is_null() && found.is_some_and(|found| !found.is_empty())
    };
    match results.iter().filter(good).count() {
        n if n == 2 * N_FILES => Ok(()),
        n => Err(Failure(format!("only {n} of the results are good"))),
    }
}

/// What the peer measured within its process.
fn converted(convert: &PathBuf, paths: &str) -> Outcome<Duration> {
    let failure = |error| Failure(format!("`{}`: {error}", convert.display()));
    let mut child = Command::new(convert)
        .arg(PLATFORMS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failure)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(paths.as_bytes()).map_err(failure)?;
    }
    let out = child.wait_with_output().map_err(failure)?;
    let told = String::from_utf8_lossy(&out.stdout);
    let told: Vec<u64> = told.split_whitespace().flat_map(str::parse).collect();
    match told[..] {
        [micros, n, 0] if n == 2 * N_FILES as u64 => Ok(Duration::from_micros(micros)),
        _ => Err(Failure(format!(
            "BuildKit's frontend refused files: {told:?}"
        ))),
    }
}

/// The peer's program, compiled anew whenever it changed.
fn peer() -> Outcome<PathBuf> {
    let folder = engines::buildkit_frontend()?;
    let program = folder.join("convert");
    let go = folder.join("usr/lib/go-1.24");
    output(
        Command::new(go.join("bin/go"))
            .args(["build", "-o"])
            .arg(&program)
            .arg(root().join("xtask/src/bench/convert.go"))
            .env("GO111MODULE", "off")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .env("GOROOT", &go)
            .env("GOPATH", folder.join("usr/share/gocode"))
            .env("GOCACHE", folder.join("cache")),
    )?;
    Ok(program)
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

const PACKAGES: [&str; 16] = [
    "ca-certificates",
    "curl",
    "git",
    "gnupg",
    "build-essential",
    "libssl-dev",
    "pkg-config",
    "python3",
    "tini",
    "libpq-dev",
    "libxml2-dev",
    "zlib1g-dev",
    "openssh-client",
    "unzip",
    "jq",
    "xz-utils",
];

/// One of 40 to 150 lines in the shapes of the corpus: arguments before FROM, one to five stages, long RUNs over many
/// lines, here-documents, mounts, copies between stages and from images.
fn dockerfile(number: usize) -> String {
    let mut numbers = Numbers(number as u64);
    let mut text = String::new();
    if numbers.below(3) == 0 {
        text.push_str("# syntax=docker/dockerfile:1\n");
    }
    let language = numbers.of(&[
        "golang",
        "node",
        "python",
        "rust",
        "eclipse-temurin",
        "ruby",
    ]);
    let flavour = numbers.of(&["bookworm", "alpine", "slim"]);
    let _ = writeln!(
        text,
        "ARG VERSION={}.{}\nARG FLAVOUR={flavour}\n",
        1 + numbers.below(24),
        numbers.below(12)
    );
    let _ = writeln!(
        text,
        "FROM --platform=$BUILDPLATFORM docker.io/library/{language}:${{VERSION}}-${{FLAVOUR:-slim}} AS build\n\
         ARG TARGETOS TARGETARCH\nWORKDIR /src"
    );
    packages(&mut text, &mut numbers);
    text.push_str("COPY go.* package*.json requirements*.txt ./\n");
    text.push_str("RUN --mount=type=cache,target=/root/.cache \\\n    --mount=type=secret,id=token \\\n    make fetch\n");
    text.push_str("COPY . .\nRUN --mount=type=cache,target=/root/.cache make GOOS=$TARGETOS GOARCH=$TARGETARCH all\n\n");
    for stage in 0..numbers.below(4) {
        let _ = writeln!(
            text,
            "FROM registry.example.com/tools/t{}:{} AS tools-{stage}",
            numbers.below(40),
            numbers.below(9)
        );
        packages(&mut text, &mut numbers);
        here_document(&mut text, &mut numbers);
        let _ = writeln!(
            text,
            "COPY --from=build /src/bin/tool-{stage} /usr/local/bin/\n"
        );
    }
    let _ = writeln!(
        text,
        "FROM debian:{}-slim AS runtime",
        numbers.of(&["11", "12", "13"])
    );
    environment(&mut text, &mut numbers);
    packages(&mut text, &mut numbers);
    while text.lines().count() < 30 + numbers.below(90) {
        match numbers.below(4) {
            0 => here_document(&mut text, &mut numbers),
            1 => environment(&mut text, &mut numbers),
            _ => packages(&mut text, &mut numbers),
        }
    }
    let _ = writeln!(
        text,
        "COPY --from=build --chown=1000:1000 /src/bin/app /usr/local/bin/app\n\
         COPY --from=ghcr.io/example/init:{} /init /init\n\
         EXPOSE 8080/tcp 9090\nUSER 1000:1000\nHEALTHCHECK --interval=30s CMD [\"app\", \"health\"]\n\
         ENTRYPOINT [\"/init\", \"--\"]\nCMD [\"app\", \"serve\"]",
        numbers.below(9)
    );
    text
}

fn packages(text: &mut String, numbers: &mut Numbers) {
    text.push_str("# What it needs at run time.\nRUN set -eux; \\\n    apt-get update; \\\n    apt-get install -y --no-install-recommends \\\n");
    for _ in 0..2 + numbers.below(10) {
        let _ = writeln!(text, "      {} \\", numbers.of(&PACKAGES));
    }
    text.push_str("    ; \\\n    rm -rf /var/lib/apt/lists/*\n");
}

fn here_document(text: &mut String, numbers: &mut Numbers) {
    let _ = writeln!(
        text,
        "COPY --chmod=0755 <<-EOF /etc/app/conf-{}.d/main.conf",
        numbers.below(9)
    );
    for line in 0..2 + numbers.below(8) {
        let _ = writeln!(text, "\tkey-{line} = \"${{NAME:-default}}\"");
    }
    text.push_str("EOF\n");
}

fn environment(text: &mut String, numbers: &mut Numbers) {
    let _ = writeln!(
        text,
        "ARG REVISION=unknown\nENV NAME=app-{} \\\n    PATH=/opt/app/bin:$PATH \\\n    REVISION=${{REVISION%%-*}}",
        numbers.below(99)
    );
    let _ = writeln!(
        text,
        "LABEL org.opencontainers.image.revision=$REVISION \\\n      maintainer=\"team-{}@example.com\"",
        numbers.below(20)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_of_real_size_and_differ() {
        let mut texts: Vec<String> = (0..200).map(dockerfile).collect();
        let lines = texts.iter().map(|text| text.lines().count());
        assert!(lines.clone().min() >= Some(40), "{:?}", lines.min());
        assert!(lines.clone().max() <= Some(170), "{:?}", lines.max());
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 200);
    }
}
