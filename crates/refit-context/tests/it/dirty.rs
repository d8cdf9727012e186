//! Checkouts that differ from what was committed.

use std::{fs, os::unix::fs::symlink};

use proptest::prelude::*;
use refit_context::{ContextEntry, Ignore, Location, list, list_seen};

use crate::git::Fixture;

const RULES: [&str; 5] = [
    "",
    "a\n",
    "*\n!a\n!b/a\n",
    "**/x\n!a/x\n",
    "b\n!b/a\n!b/x/a\n",
];

/// What becomes of a path.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Write(&'static str),
    Link,
    Repository,
    Remove,
    Stage,
    Unstage,
}

impl Deed {
    /// Does it, where that is possible.
    fn on(self, fixture: &Fixture, path: &str) {
        let file = fixture.dir().join(path);
        let _ = fs::create_dir_all(file.parent().unwrap());
        let is_other = fs::symlink_metadata(&file).is_ok_and(|there| !there.is_file());
        let quietly = |args: &[&str]| {
            let git = std::process::Command::new("git")
                .current_dir(fixture.dir())
                .args(args)
                .output();
            drop(git);
        };
        match self {
            Self::Write(_) if is_other => {}
            Self::Write(text) => drop(fs::write(&file, text)),
            Self::Link => drop(symlink("a", &file)),
            Self::Repository => quietly(&["init", "--quiet", path]),
            Self::Remove => drop(fs::remove_dir_all(&file).or_else(|_| fs::remove_file(&file))),
            Self::Stage => quietly(&["add", "--", path]),
            Self::Unstage => quietly(&["rm", "-rq", "--cached", "--", path]),
        }
    }
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, String)>> {
    let deeds = [
        Deed::Write("1"),
        Deed::Write("2"),
        Deed::Write("x\n"),
        Deed::Link,
        Deed::Repository,
        Deed::Remove,
        Deed::Stage,
        Deed::Unstage,
    ];
    let path = "([abx]/){0,2}([abx]|\\.gitignore|\\.dockerignore)";
    prop::collection::vec((prop::sample::select(deeds.to_vec()), path), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_became_of_a_checkout_its_listing_is_that_of_the_disk(
        before in deeds(),
        after in deeds(),
    ) {
        let fixture = Fixture::new();
        for path in ["a/a", "a/x/b", "b/a", "b/x/a", "b/x/x", "x"] {
            fixture.write(path, "1");
        }
        for (deed, path) in before {
            deed.on(&fixture, &path);
        }
        // A repository without a commit cannot be added.
        Deed::Stage.on(&fixture, ".");
        fixture.git(&["commit", "--quiet", "--allow-empty", "-m", "before"]);
        for (deed, path) in after {
            deed.on(&fixture, &path);
        }
        let dir = fixture.dir();
        let looked = fixture.repo().looking_once();
        // Names of other spellings may be meant: then the disk is asked.
        fixture.git(&["config", "core.precomposeUnicode", "true"]);
        let asked = fixture.repo().looking_once();
        for folder in ["", "a", "b"] {
            let dir = dir.join(folder);
            for rules in RULES {
                let ignore = Ignore::parse(rules).0;
                let [looked, asked, plain] = [Some(&looked), Some(&asked), None].map(|repo| {
                    let location = Location::Dir { dir: &dir, repo };
                    let all = list(&location, &ignore);
                    let seen = list_seen(&location, &ignore, &["a", "x/*", "b/x"]);
                    (all.map_err(|e| e.to_string()), seen.map_err(|e| e.to_string()))
                });
                prop_assert_eq!(&looked, &asked, "{} after {:?}", folder, rules);
                // Without a repository other words are found for what cannot be listed.
                let bare = |listed: Result<Vec<ContextEntry>, String>| {
                    let bare = |entry| ContextEntry { id: None, ..entry };
                    listed.ok().map(|listed| listed.into_iter().map(bare).collect::<Vec<_>>())
                };
                let [looked, plain] = [looked, plain].map(|(all, seen)| (bare(all), bare(seen)));
                prop_assert_eq!(looked, plain, "{} after {:?}", folder, rules);
            }
        }
    }
}
