//! What reading a repository costs: in proportion to its files and to the length of its globs.
//!
//! Counted is what is allocated, in bytes, as unlike time it is the same in every run. What is slow without allocating
//! would still be seen, as a test that hangs.

use std::{alloc::System, collections::BTreeSet};

use refit_deps::{
    glob_matches,
    inventory::{self, Files},
    scan::Scans,
};
use refit_oci::Platform;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Eight times as much is at most some 11 times the work: trees grow by their logarithm.
#[track_caller]
fn is_linear(n: usize, work: impl Fn(usize)) {
    let allocated = |n| {
        let region = Region::new(ALLOCATOR);
        work(n);
        region.change().bytes_allocated
    };
    let (few, many) = (allocated(n / 8), allocated(n));
    assert!(
        few > 0 && many <= few * 11,
        "{few} bytes, then {many} bytes"
    );
}

/// Reads and scans a repository of these files; the number of its images.
fn scan(paths: impl Iterator<Item = String>, text: &str, config: Option<&str>) -> usize {
    let mut paths: BTreeSet<String> = paths.collect();
    paths.extend(config.map(|_| ".config/refit.toml".to_owned()));
    let read = |path: &str| {
        if path.starts_with(".config/") {
            return Some(config?.as_bytes().to_vec());
        }
        // Each is another text: equal ones are looked at once.
        Some(format!("{text}# {path}\n").into_bytes())
    };
    let files = Files {
        paths: &paths,
        read: &read,
        name: "repo",
        line: "main",
    };
    let inventory = inventory::read(&files);
    let scans = Scans::of(&inventory.images, &Platform::linux_amd64());
    assert_eq!(inventory.problems, []);
    assert_eq!(scans.n_resolved(), inventory.images.len());
    inventory.images.len()
}

#[test]
fn many_dockerfiles() {
    let text = "FROM debian:12 AS build\nRUN make\nFROM scratch\nCOPY --from=build /x /x\n";
    let config = "version = 1\n[[images]]\nfiles = \"**/Dockerfile\"\nname = \"{dir}\"\n";
    for config in [None, Some(config)] {
        is_linear(10_000, |n| {
            let paths = (0..n).map(|i| format!("services/s{i}/Dockerfile"));
            assert_eq!(scan(paths, text, config), n);
        });
    }
}

#[test]
fn many_files_that_are_no_dockerfiles() {
    let config = "version = 1\n[[images]]\nfiles = \"s/*/Dockerfile*\"\nname = \"{dir}\"\n";
    is_linear(100_000, |n| {
        let sources = (0..n).map(|i| format!("src/{i}.c"));
        let images = (0..10).map(|i| format!("s/{i}/Dockerfile"));
        assert_eq!(scan(sources.chain(images), "FROM a\n", Some(config)), 10);
    });
}

#[test]
fn many_images_that_no_folder_tells_apart() {
    is_linear(10_000, |n| {
        let paths =
            (0..n).map(|i| format!("{}/Dockerfile", "-".repeat(i % 100) + &"_".repeat(i / 100)));
        assert!(scan(paths, "FROM a\n", None) > n - 110);
    });
    // Two that differ at the root of a deep folder make no others be named again.
    is_linear(10_000, |n| {
        let deep = |root: &str| format!("{root}/{}Dockerfile", "d/".repeat(200));
        let others = (0..n).map(|i| format!("s{i}/Dockerfile"));
        let all = others.chain(["a", "b"].map(deep));
        assert_eq!(scan(all, "FROM a\n", None), n + 2);
    });
}

#[test]
fn long_globs_and_long_paths() {
    let kinds: [fn(usize) -> String; 7] = [
        |n| "x".repeat(n),
        |n| "*".repeat(n),
        |n| "**/".repeat(n),
        |n| "**/a".repeat(n),
        |n| "a*?".repeat(n),
        |n| format!("[{}]", "a-b".repeat(n)),
        |n| "[!-]".repeat(n),
    ];
    for glob in kinds {
        is_linear(100_000, |n| {
            glob_matches(&glob(n), "a/xb77z");
        });
    }
    is_linear(100_000, |n| {
        assert!(glob_matches("**/*b?b", &"ab".repeat(n)));
    });
}

/// A matcher that tries one way after the other would not end.
#[test]
fn globs_that_nearly_match_in_many_ways_end() {
    let path = format!("{}c", "a/".repeat(2_047));
    for (glob, expect) in [
        ("**/a".repeat(1_000) + "/b", false),
        ("a*/**/".repeat(600) + "c", true),
        ("*/".repeat(2_047) + "b", false),
        ("?*".repeat(2_000) + "b", false),
        ("**/*".repeat(1_000) + "b", false),
    ] {
        assert_eq!(glob_matches(&glob, &path), expect, "{glob}");
    }
}
