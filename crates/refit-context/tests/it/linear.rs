//! What ignore rules and patterns cost: in proportion to their number, their length, and that of the paths.
//!
//! Counted is what is allocated, in bytes, as unlike time it is the same in every run. What is slow without allocating
//! would still be seen, as a test that hangs.

use std::alloc::System;

use refit_context::{Ignore, glob::Glob};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const N: usize = 100_000;

/// Eight times as much is at most some 11 times the work.
#[track_caller]
fn is_linear(work: impl Fn(usize)) {
    let allocated = |n| {
        let region = Region::new(ALLOCATOR);
        work(n);
        region.change().bytes_allocated
    };
    let (few, many) = (allocated(N / 8), allocated(N));
    assert!(
        few > 0 && many <= few * 11,
        "{few} bytes, then {many} bytes"
    );
}

fn lines(line: impl Fn(usize) -> String, n: usize) -> String {
    let lines = (0..n).map(line);
    lines.collect::<Vec<String>>().concat()
}

#[test]
fn rules() {
    let kinds: [fn(usize) -> String; 6] = [
        |i| format!("a/b{i}\n"),
        |i| format!("**/b{i}\n"),
        |i| format!("b{i}/**\n"),
        |i| format!("a/*b{i}*[x-z]\n!a/*b{i}?\n"),
        |i| format!("**/a**/b{i}/**/c\n"),
        |i| format!("[b-a]{i}\n"),
    ];
    for line in kinds {
        is_linear(|n| {
            let (ignore, _) = Ignore::parse(&lines(line, n));
            for path in ["a/b1", "a/xb77z", "x/y/z/b3"] {
                let _ = (ignore.excludes(path), ignore.may_skip_dir(path));
            }
        });
    }
}

#[test]
fn long_rules() {
    let kinds: [fn(usize) -> String; 8] = [
        |n| "x".repeat(n),
        |n| "*".repeat(n),
        |n| "**/a".repeat(n),
        |n| "a*?".repeat(n),
        |n| "../".repeat(n) + "*",
        |n| format!("*[{}]", "a-b".repeat(n)),
        |n| "[^a]*".repeat(n),
        |n| "[!-]".repeat(n),
    ];
    for rule in kinds {
        is_linear(|n| {
            let (ignore, _) = Ignore::parse(&rule(n));
            let _ = ignore.excludes("a/xb77z");
            let _ = Glob::parse(&rule(n)).map(|glob| glob.matches("a/xb77z"));
        });
    }
}

#[test]
fn paths() {
    let rules = "*.log\n**/node_modules\n!web/**\na/*/b?c[x-z]\n";
    let (ignore, problems) = Ignore::parse(rules);
    assert_eq!(problems, []);
    is_linear(|n| {
        let excluded = (0..n).filter(|i| ignore.excludes(&format!("a/{i}/bxcz")));
        assert_eq!(excluded.count(), n);
    });
    let (ignore, _) = Ignore::parse("a*b*/c\n**/d*?\n");
    let glob = Glob::parse("a*[b-c]*d").unwrap();
    is_linear(|n| {
        let path = "ab".repeat(n);
        assert!(!ignore.excludes(&path) && !glob.matches(&path));
    });
}

/// As many as fit into a path that a system takes, on such a path: a matcher that tries one way after the other would
/// not end.
#[test]
fn patterns_that_nearly_match_in_many_ways_end() {
    let path = format!("{}/c", "a/".repeat(2_047));
    for (rule, expect) in [
        ("**/a".repeat(1_000) + "/b", false),
        ("a*/**/".repeat(600) + "c", true),
        ("*/".repeat(2_047) + "b", false),
        ("?*".repeat(2_000) + "b", false),
        ("[^b]*".repeat(800) + "b", false),
        ("**/*".repeat(1_000) + "b", false),
    ] {
        let (ignore, problems) = Ignore::parse(&rule);
        assert_eq!(
            (ignore.excludes(&path), problems),
            (expect, vec![]),
            "{rule}"
        );
        let _ = Glob::parse(&rule).map(|glob| glob.matches(&path));
    }
}
