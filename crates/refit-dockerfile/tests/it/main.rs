//! What reading a Dockerfile costs: in proportion to its length, whatever is in it.
//!
//! Counted is what is allocated, in bytes: unlike time it is the same in every run. What is long without allocating
//! would still be seen, as the files here are large enough for a test to hang.

use std::{alloc::System, collections::BTreeMap};

use refit_dockerfile::{Settings, parse, reduce, resolve};
use refit_oci::Platform;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What it allocates to parse, resolve and reduce a text. Errors count as results.
fn work(text: &str) -> usize {
    let region = Region::new(ALLOCATOR);
    let platform = Platform::linux_amd64();
    let settings = Settings {
        target: None,
        platform: &platform,
        build_platform: &platform,
        build_args: &BTreeMap::new(),
        contexts: &BTreeMap::new(),
    };
    if let Ok(file) = parse(text)
        && let Ok(resolved) = resolve(&file, &settings)
    {
        let pin = |_: &_| Some("pinned.example.com/x@sha256:1f".to_owned());
        let _ = reduce(&file, &resolved, &pin);
    }
    region.change().bytes_allocated
}

/// Ten times the file is at most some 13 times the work: trees grow by their logarithm, buffers by doubling.
#[track_caller]
fn is_linear(make: impl Fn(usize) -> String, n: usize) {
    let (few, many) = (work(&make(n / 10)), work(&make(n)));
    assert!(
        few > 0 && many <= few * 13,
        "{few} bytes, then {many} bytes"
    );
}

fn repeated(head: &str, line: impl Fn(usize) -> String, n: usize) -> String {
    std::iter::once(head.to_owned())
        .chain((0..n).map(line))
        .collect()
}

const N: usize = 100_000;

#[test]
fn continuation_lines() {
    is_linear(
        |n| {
            format!(
                "{}\n",
                repeated("FROM a\nRUN x", |_| " \\\n y".to_owned(), n)
            )
        },
        N,
    );
    is_linear(
        |n| {
            format!(
                "{}y\n",
                repeated("FROM a\nRUN x \\\n", |_| "# no\n".to_owned(), n)
            )
        },
        N,
    );
}

#[test]
fn one_line() {
    is_linear(|n| format!("FROM a\nRUN {}\n", "x ".repeat(n)), 32_000);
    assert!(parse(&format!("FROM a\nRUN {}\n", "x".repeat(1 << 20))).is_err());
}

#[test]
fn stages() {
    is_linear(|n| repeated("", |i| format!("FROM a:{i} AS s{i}\n"), n), N);
    is_linear(
        |n| {
            repeated(
                "FROM a AS s0\n",
                |i| format!("FROM s{i} AS s{}\n", i + 1),
                n,
            )
        },
        N,
    );
    is_linear(
        |n| {
            repeated(
                "FROM a AS s0\n",
                |i| format!("FROM a AS s{}\nCOPY --from=s{i} x y\n", i + 1),
                n,
            )
        },
        N / 4,
    );
}

#[test]
fn environments_that_stages_inherit() {
    let stage = |i: usize| format!("FROM s{i} AS s{}\nENV E{i}=$E0\n", i + 1);
    is_linear(|n| repeated("FROM a AS s0\nENV E0=x\n", stage, n), N / 4);
    let children = |i: usize| format!("FROM base\nENV A=${{E{i}}}\nCOPY $A y\n");
    is_linear(
        |n| {
            let base = repeated("FROM a AS base\n", |i| format!("ENV E{i}=x\n"), n);
            repeated(&base, children, n)
        },
        N / 4,
    );
}

#[test]
fn arguments() {
    is_linear(
        |n| format!("{}FROM a\n", repeated("", |i| format!("ARG A{i}=x\n"), n)),
        N,
    );
    let chained = |i: usize| format!("ARG A{}=$A{i}\n", i + 1);
    is_linear(
        |n| format!("{}FROM a:$A1\n", repeated("ARG A0=x\n", chained, n)),
        N,
    );
}

#[test]
fn here_documents() {
    is_linear(
        |n| repeated("FROM a\n", |_| "RUN <<A\nx\nA\n".to_owned(), n),
        N,
    );
    let markers = |n| repeated("FROM a\nRUN x", |_| " \\\n<<A".to_owned(), n);
    is_linear(
        |n| repeated(&format!("{}\n", markers(n)), |_| "A\n".to_owned(), n),
        N,
    );
}

#[test]
fn flags_and_mounts() {
    let mounts = |n| {
        repeated(
            "FROM a\nRUN",
            |i| format!(" \\\n--mount=from=i{i},target=/x"),
            n,
        )
    };
    is_linear(|n| format!("{} \\\n true\n", mounts(n)), N / 4);
    let fields = |n| repeated("FROM a\nRUN --mount=from=i", |_| ",\\\nro".to_owned(), n);
    is_linear(|n| format!("{} true\n", fields(n)), N);
}

#[test]
fn words_pairs_and_strings() {
    is_linear(
        |n| {
            format!(
                "{} /y\n",
                repeated("FROM a\nCOPY", |_| " \\\n x".to_owned(), n)
            )
        },
        N,
    );
    is_linear(
        |n| {
            format!(
                "{}\n",
                repeated("FROM a\nENV", |i| format!(" \\\n A{i}=x"), n)
            )
        },
        N,
    );
    is_linear(
        |n| {
            format!(
                "{}\"x\"]\n",
                repeated("FROM a\nRUN [", |_| "\"x\", \\\n".to_owned(), n)
            )
        },
        N,
    );
}

#[test]
fn substitutions_within_substitutions_have_a_bound() {
    let nested = |n: usize| format!("FROM a:{}x{}\n", "${A:-".repeat(n), "}".repeat(n));
    for n in [65, 5_000, 10_000] {
        let file = parse(&nested(n)).unwrap();
        let settings = Settings {
            target: None,
            platform: &Platform::linux_amd64(),
            build_platform: &Platform::linux_amd64(),
            build_args: &BTreeMap::new(),
            contexts: &BTreeMap::new(),
        };
        let error = resolve(&file, &settings).unwrap_err();
        assert!(error.message.contains("too deeply"), "{error}");
    }
    is_linear(nested, 640);
}

#[test]
fn what_doubles_itself_has_a_bound() {
    let doubled = |i: usize| format!("ARG A{}=$A{i}$A{i}\n", i + 1);
    let copied = |i: usize| format!("ARG B{i}=$A19\n");
    let text = repeated(&repeated("ARG A0=x\n", doubled, 19), copied, 10_000) + "FROM a\n";
    assert!(work(&text) < 1 << 30);
    // Each match becomes as long as all of them.
    let text = repeated("ARG A0=x\n", doubled, 19) + "FROM a:${A19//x/$A19}\n";
    assert!(work(&text) < 1 << 30);
    let matches = "$0".repeat(10_000);
    let text = repeated("ARG A0=x\n", doubled, 19) + &format!("FROM a:${{A19//*/\\{matches}}}\n");
    assert!(work(&text) < 1 << 30);
}
