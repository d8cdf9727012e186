use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
};

use refit_context::{
    ContextEntry, ContextError, EntryKind, Ignore, Location, ignore_file, list, list_seen, select,
};

use crate::git::Fixture;

fn paths(entries: &[ContextEntry]) -> Vec<&str> {
    entries.iter().map(|e| e.path.as_str()).collect()
}

#[test]
fn a_clean_checkout_lists_what_its_commit_lists() {
    let fixture = Fixture::new();
    fixture.write("web/Dockerfile", "FROM scratch\n");
    fixture.write("web/src/a.rs", "a");
    fixture.write("web/src/deep/b.rs", "b");
    fixture.write("web/src.txt", "between `src` and `src/`");
    fixture.write("web/target/app", "built");
    fixture.write("web/target/keep", "kept");
    fixture.write("web/.dockerignore", "target\n!target/keep\n");
    fixture.write("other/x", "outside");
    symlink("../other/x", fixture.dir().join("web/link")).unwrap();
    fixture.write("web/run.sh", "#!/bin/sh\n");
    fixture.git(&["add", "--all"]);
    fixture.git(&["update-index", "--chmod=+x", "web/run.sh"]);
    fixture.git(&["commit", "--quiet", "-m", "x"]);
    fixture.git(&["checkout", "--quiet", "--force", "HEAD"]);
    fixture.git(&["checkout-index", "--force", "web/run.sh"]);
    let repo = fixture.repo();
    let commit = repo.resolve("HEAD").unwrap();
    let web = fixture.dir().join("web");

    let from_commit = Location::Commit {
        repo: &repo,
        commit: &commit,
        folder: "web",
    };
    let from_disk = Location::Dir {
        dir: &web,
        repo: Some(&repo),
    };
    let rules = ignore_file(&from_commit, "web/Dockerfile").unwrap();
    assert_eq!(rules.path.as_deref(), Some("web/.dockerignore"));
    let listed = list(&from_commit, &rules.ignore).unwrap();
    assert_eq!(
        paths(&listed),
        [
            ".dockerignore",
            "Dockerfile",
            "link",
            "run.sh",
            "src.txt",
            "src/a.rs",
            "src/deep/b.rs",
            "target/keep"
        ]
    );
    assert_eq!(list(&from_disk, &rules.ignore).unwrap(), listed);
    let from_listing = Location::Listed {
        repo: &repo,
        commit: &commit,
        entries: &repo.tree(&commit).unwrap(),
        folder: "./web/",
    };
    let same_rules = ignore_file(&from_listing, "web/Dockerfile").unwrap();
    assert_eq!(same_rules.path, rules.path);
    assert_eq!(list(&from_listing, &same_rules.ignore).unwrap(), listed);
    let kinds: Vec<EntryKind> = listed[2..5].iter().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [EntryKind::Symlink, EntryKind::Executable, EntryKind::File]
    );

    // What differs is read: the id is the one that git would give it.
    fixture.write("web/src/a.rs", "changed");
    fixture.write("web/new", "untracked");
    let dirty = list(&from_disk, &rules.ignore).unwrap();
    let id = |path: &str| {
        dirty
            .iter()
            .find(|e| e.path == path)
            .unwrap()
            .id
            .clone()
            .unwrap()
    };
    for path in ["src/a.rs", "new", "Dockerfile"] {
        assert_eq!(
            id(path).as_str(),
            fixture.git(&["hash-object", &format!("web/{path}")]).trim(),
            "{path}"
        );
    }
    let without = Location::Dir {
        dir: &web,
        repo: None,
    };
    assert!(
        list(&without, &rules.ignore)
            .unwrap()
            .iter()
            .all(|e| e.id.is_none())
    );
}

#[test]
fn the_dockerfiles_ignore_file_wins_at_a_commit_and_on_disk() {
    let fixture = Fixture::new();
    fixture.write("web/Dockerfile", "FROM scratch\n");
    fixture.write("web/a.Dockerfile", "FROM scratch\n");
    fixture.write("web/a.Dockerfile.dockerignore", "a\n[\n");
    fixture.write("common", "c\n");
    fixture.write("web/.keep", "");
    symlink("../common", fixture.dir().join("web/.dockerignore")).unwrap();
    let commit = fixture.commit();
    let repo = fixture.repo();
    let web = fixture.dir().join("web");
    for (dockerfile, expect, n_problems) in [("a.Dockerfile", "a", 1), ("Dockerfile", "c", 0)] {
        let at_commit = Location::Commit {
            repo: &repo,
            commit: &commit,
            folder: "web",
        };
        let on_disk = Location::Dir {
            dir: &web,
            repo: Some(&repo),
        };
        for found in [
            ignore_file(&at_commit, &format!("web/{dockerfile}")).unwrap(),
            ignore_file(&on_disk, web.join(dockerfile).to_str().unwrap()).unwrap(),
        ] {
            assert!(found.ignore.excludes(expect), "{dockerfile}");
            assert_eq!(found.problems.len(), n_problems, "{dockerfile}");
        }
    }
    let root = Location::Commit {
        repo: &repo,
        commit: &commit,
        folder: "",
    };
    assert_eq!(ignore_file(&root, "web/Dockerfile").unwrap().path, None);
}

#[test]
fn odd_files_are_named() {
    let fixture = Fixture::new();
    fixture.write("a", "a");
    let repo = fixture.repo();
    let commit = fixture.commit();
    let nowhere = Location::Commit {
        repo: &repo,
        commit: &commit,
        folder: "nowhere",
    };
    let error = list(&nowhere, &Ignore::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("there is no folder `nowhere` at commit `"),
        "{error}"
    );

    let dir = tempfile::tempdir().unwrap();
    let location = Location::Dir {
        dir: dir.path(),
        repo: None,
    };
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    assert_eq!(list(&location, &Ignore::default()).unwrap(), []);
    let status = std::process::Command::new("mkfifo")
        .arg(dir.path().join("pipe"))
        .status()
        .unwrap();
    assert!(status.success());
    assert!(matches!(
        list(&location, &Ignore::default()),
        Err(ContextError::Special(_))
    ));
    assert_eq!(list(&location, &Ignore::parse("pipe").0).unwrap(), []);

    fs::remove_file(dir.path().join("pipe")).unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    assert!(matches!(
        list(&location, &Ignore::default()),
        Err(ContextError::NotUtf8(_))
    ));
    assert_eq!(list(&location, &Ignore::parse("caf*").0).unwrap(), []);
}

#[test]
fn a_listing_is_narrowed_to_what_the_sources_can_see() {
    let files = [
        "Cargo.toml",
        "src/a.rs",
        "src/deep/b.rs",
        "srcs/x",
        "web/a.js",
        "web/b.ts",
        "web/lib/c.js",
    ];
    let entry = |path: &str, kind| ContextEntry {
        path: path.to_owned(),
        kind,
        id: None,
    };
    let mut entries: Vec<_> = files
        .iter()
        .map(|path| entry(path, EntryKind::File))
        .collect();
    let all = &files[..];
    for (sources, expect) in [
        (&["src"][..], &["src/a.rs", "src/deep/b.rs"][..]),
        (&["src/"], &["src/a.rs", "src/deep/b.rs"]),
        (&["./src/../web/a.js"], &["web/a.js"]),
        (&["/web/*.js"], &["web/a.js"]),
        (&["../web/*.js"], &["web/a.js"]),
        (&["w?b/l*"], &["web/lib/c.js"]),
        (&["*.toml", "src/a.rs"], &["Cargo.toml", "src/a.rs"]),
        (&["web/[ab].*"], &["web/a.js", "web/b.ts"]),
        (&["src\\*"], &[]),
        (&["nowhere"], &[]),
        (&["a.rs"], &[]),
        (&["web/**/*.js"], &["web/a.js", "web/b.ts", "web/lib/c.js"]),
        (&["."], all),
        (&[""], all),
        (&["/"], all),
        (&["*"], all),
        (&["**"], all),
        (&["[malformed"], all),
        (&["src", "["], all),
        (&[], &[]),
    ] {
        let found: Vec<&str> = select(&entries, sources)
            .iter()
            .map(|e| e.path.as_str())
            .collect();
        assert_eq!(found, expect, "{sources:?}");
    }

    // Behind a link may be anything, in a copied folder it is only a link.
    entries.push(entry("web/link", EntryKind::Symlink));
    for (sources, n_expected) in [
        (["web/link"], 8),
        (["web/link/x"], 8),
        (["web/l*"], 8),
        (["web"], 4),
        (["src"], 2),
    ] {
        assert_eq!(select(&entries, sources).len(), n_expected, "{sources:?}");
    }
}

const SOURCES: [&str; 30] = [
    "",
    ".",
    "/",
    "*",
    "**",
    "[",
    "src",
    "src/",
    "./src/../web/a.js",
    "/web/*.js",
    "src/deep",
    "src/deep/b.rs/x",
    "w?b/l*",
    "web/*/deep",
    "web/[ab].*",
    "web/**/*.js",
    "src\\*",
    "s\\rc",
    "Cargo.toml",
    "Cargo.toml/x",
    "nowhere",
    "nowhere/x",
    "web/link",
    "web/link/a.rs",
    "way",
    "way/a.js",
    "web",
    "a\0b",
    ".git",
    "w*/x",
];

const RULES: [&str; 10] = [
    "",
    "*",
    "src",
    "*\n!src",
    "*\n!web/lib",
    "**/*.js",
    "web\n!web/a.js",
    "way\nweb/link",
    "**/deep\n!src/deep",
    "*\n!nothing",
];

#[test]
fn what_sources_see_is_listed_without_looking_at_the_rest() {
    let fixture = Fixture::new();
    let files = [
        "Cargo.toml",
        "src/a.rs",
        "src/deep/b.rs",
        "src-old/a.rs",
        "src.txt",
        "srcs/x",
        "web/a.js",
        "web/b.ts",
        "web/lib/c.js",
        "web/lib/deep/d.js",
    ];
    for file in files {
        fixture.write(&format!("app/{file}"), file);
    }
    symlink("../src", fixture.dir().join("app/web/link")).unwrap();
    symlink("web", fixture.dir().join("app/way")).unwrap();
    fixture.write("zoo/x", "outside");
    fixture.git(&["add", "--all"]);
    fixture.git(&["commit", "--quiet", "-m", "x"]);
    let repo = fixture.repo();
    let commit = repo.resolve("HEAD").unwrap();
    let (entries, dir) = (repo.tree(&commit).unwrap(), fixture.dir().join("app"));
    let folder = "app";
    let locations = [
        Location::Commit {
            repo: &repo,
            commit: &commit,
            folder,
        },
        Location::Listed {
            repo: &repo,
            commit: &commit,
            entries: &entries,
            folder,
        },
        Location::Dir {
            dir: &dir,
            repo: Some(&repo),
        },
    ];
    let mut n_narrowed = 0;
    for location in &locations {
        for rules in RULES {
            let ignore = Ignore::parse(rules).0;
            let all = list(location, &ignore).unwrap();
            for (at, first) in SOURCES.iter().enumerate() {
                // Alone, beside the next one, and not at all.
                for sources in [
                    &SOURCES[at..=at],
                    &SOURCES[at..SOURCES.len().min(at + 2)],
                    &[],
                ] {
                    let want: Vec<_> = select(&all, sources).into_iter().cloned().collect();
                    let seen = list_seen(location, &ignore, sources).unwrap();
                    assert_eq!(seen, want, "{first:?} {sources:?} after {rules:?}");
                    n_narrowed += usize::from(!seen.is_empty() && seen.len() < all.len());
                }
            }
        }
    }
    assert!(n_narrowed > 300, "{n_narrowed}");
    let nowhere = Location::Commit {
        repo: &repo,
        commit: &commit,
        folder: "nowhere",
    };
    let error = list_seen(&nowhere, &Ignore::default(), &["src"]);
    assert!(
        matches!(error, Err(ContextError::NoFolder { .. })),
        "{error:?}"
    );
}
