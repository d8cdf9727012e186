//! A sweep of twelve targets that is killed at every step: before each manifest, index and tag that it writes, with this
//! machine's disk kept and with it gone, and at each push to the git remote.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use refit_oci::Document;
use refit_testkit::registry::{Fault, Gate, Image};
use serde_json::Value;

use crate::{
    bench::{Bench, texts},
    checkout::{Checkout, publishes},
    fixtures::{IMAGES, LINEAGE},
};

const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le"];

/// A manifest for each target; for each image an index, the manifest and the list that attach its provenance, and a tag.
const WRITES: usize = 12 + 3 * 4;

/// Moves the base on all platforms.
fn patch(bench: &Bench, text: &str) {
    let image = |platform: &&str| Image::new(platform, &[&[("etc/patch", text)]]);
    let images: Vec<Image> = PLATFORMS.iter().map(image).collect();
    bench.hub.put_index("base/os", "1", &images);
}

/// Released on the first patch of the base, which is at the second now.
fn released(bench: &Bench) -> (Checkout<'_>, Checkout<'_>) {
    patch(bench, "one");
    let list: Vec<String> = PLATFORMS.iter().map(|p| format!("\"{p}\"")).collect();
    let files = LINEAGE.replace("\"linux/amd64\", \"linux/arm64\"", &list.join(", "));
    let shop = bench.repository(&files);
    let remote = bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    shop.refit(&["notes", "push"]).exits(0);
    patch(bench, "two");
    (shop, remote)
}

/// Whether everything that a tag leads to is there, and no child is ahead of its parent.
fn is_whole(bench: &Bench, at: &str) {
    for image in IMAGES {
        let repository = format!("team/{image}");
        for tag in bench.hub.tags(&repository) {
            let digest = bench.hub.tag(&repository, &tag).unwrap();
            let mut open = vec![digest];
            while let Some(digest) = open.pop() {
                let bytes = bench.hub.document(&repository, &digest);
                let bytes = bytes.unwrap_or_else(|| panic!("{at}: {image}:{tag} leads to nothing"));
                match Document::decode(None, bytes).unwrap() {
                    Document::Index(index) => {
                        open.extend(index.value.manifests.iter().map(|d| d.digest.clone()));
                    }
                    Document::Manifest(manifest) => {
                        let blobs = manifest.value.layers.iter().chain([&manifest.value.config]);
                        for blob in blobs {
                            let there = bench.hub.blob(&repository, &blob.digest);
                            assert!(there.is_some(), "{at}: {image}:{tag} lacks {}", blob.digest);
                        }
                    }
                }
            }
        }
    }
    let patches = IMAGES.map(|image| bench.file(image, "linux/s390x", "etc/patch").unwrap());
    assert!(
        patches.is_sorted_by(|parent, child| parent >= child),
        "{at}: {patches:?}"
    );
}

/// What lies under a staging tag.
fn staged(bench: &Bench) -> BTreeSet<String> {
    let of_image = |image: &str| -> Vec<String> {
        let tags = bench.hub.tags(&format!("team/{image}"));
        let tags = tags.into_iter().filter(|tag| tag.starts_with("refit-"));
        tags.map(|tag| format!("/v2/team/{image}/manifests/{tag}"))
            .collect()
    };
    IMAGES.into_iter().flat_map(of_image).collect()
}

/// Nothing that was staged before has been pushed again.
fn nothing_is_built_twice(bench: &Bench, before: &BTreeSet<String>, at: &str) {
    let requests = bench.hub.requests();
    let again = requests
        .iter()
        .filter(|r| r.method == "PUT" && before.contains(&r.path));
    assert_eq!(again.count(), 0, "{at}");
}

/// A run that was killed between a tag and its record may be under way for all that others know, for an hour.
fn hours_later(clone: &Checkout<'_>) -> crate::said::Said {
    let later = (jiff::Timestamp::now().as_second() + 2 * 60 * 60).to_string();
    clone.refit_with(&[("SOURCE_DATE_EPOCH", &later)], &["sweep"])
}

/// Everything is patched and recorded.
fn is_done(bench: &Bench, clone: &Checkout<'_>) {
    hours_later(clone)
        .exits(0)
        .mentions("nothing to do: 12 targets are");
    clone.refit(&["notes", "verify"]).exits(0);
    let records = clone.records();
    let records: Vec<Value> = records
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    for image in IMAGES {
        let index = bench.published(image).to_string();
        let publishes = publishes(clone, image);
        assert_eq!(
            publishes
                .iter()
                .filter(|p| p["index"] == index.as_str())
                .count(),
            1,
            "{image}: {publishes:#?}"
        );
        for (platform, manifest) in bench.manifests(image) {
            let build = records.iter().any(|record| {
                record["type"] == "build"
                    && record["image"] == image
                    && record["platform"] == platform.as_str()
                    && record["manifest"] == manifest.to_string()
            });
            assert!(build, "{image}@{platform} has no record of its build");
            assert_eq!(bench.file(image, &platform, "etc/patch").unwrap(), "two");
        }
    }
    clone.git(&["fsck", "--strict"]);
}

/// Kills the sweep as soon as it has got on by one step, again and again, so that it is killed before every one. `machine`
/// gives the clone for a run. How often it was killed.
fn walk<'b>(bench: &'b Bench, mut machine: impl FnMut(usize) -> Checkout<'b>) -> usize {
    let state = || (staged(bench), bench.all_published(&IMAGES));
    let mut n_pass = 0;
    for n in 0.. {
        let clone = machine(n);
        let (at, before) = (format!("killed {n} times"), state());
        bench.hub.forget_requests();
        let writes = "/manifests/";
        if n_pass > 0 {
            let pass = Fault::Slow(Duration::ZERO);
            bench.hub.fail("PUT", writes, n_pass, pass);
        }
        let gate = Gate::default();
        bench.hub.fail("PUT", writes, 1, Fault::Held(gate.clone()));
        let mut sweep = clone.start(&["sweep", "--jobs", "1", "--take-lease"]);
        let finished = gate.wait_or(|| sweep.try_wait().unwrap().is_some());
        sweep.kill().unwrap();
        let code = sweep.wait().unwrap().code();
        bench.hub.behave();
        is_whole(bench, &at);
        nothing_is_built_twice(bench, &before.0, &at);
        if finished {
            assert_eq!(code, Some(0), "{at}");
            return n;
        }
        // An index and its provenance have the time in them, and are written again if the tag did not move.
        n_pass = if n > 0 && state() == before {
            n_pass + 1
        } else {
            1
        };
    }
    unreachable!("there is no last number");
}

#[test]
fn a_sweep_killed_at_every_write_goes_on_from_there_on_the_same_disk() {
    let bench = Bench::new();
    let (shop, _) = released(&bench);
    shop.git(&["remote", "remove", "origin"]);
    let n_killed = walk(&bench, |_| bench.folder_of("shop"));
    assert_eq!(n_killed, WRITES);
    is_done(&bench, &shop);
    let runs = shop
        .refit(&["runs", "--limit", "0", "--format", "json"])
        .exits(0)
        .json();
    let outcomes = texts(&runs["runs"], "outcome");
    let n_interrupted = outcomes.iter().filter(|o| *o == "interrupted").count();
    assert_eq!(n_interrupted, n_killed, "{outcomes:?}");
    for image in IMAGES {
        for platform in PLATFORMS {
            shop.refit(&["logs", &format!("{image}@{platform}")])
                .exits(0);
        }
    }
}

#[test]
fn a_sweep_killed_at_every_write_goes_on_from_there_without_a_disk() {
    let bench = Bench::new();
    let (_, remote) = released(&bench);
    let n_killed = walk(&bench, |n| {
        if n > 0 {
            fs::remove_dir_all(bench.folder_of(&format!("ci{}", n - 1)).dir()).unwrap();
        }
        bench.clone_of(&remote, &format!("ci{n}"), &[])
    });
    assert_eq!(n_killed, WRITES);
    is_done(&bench, &bench.clone_of(&remote, "reader", &[]));
    remote.git(&["fsck", "--strict"]);
}

#[test]
fn what_a_killed_sweep_did_not_record_is_followed_by_what_is_published_next() {
    let bench = Bench::new();
    let (shop, _) = released(&bench);
    let gate = Gate::default();
    let path = "/v2/team/web/manifests/latest";
    bench.hub.fail("PUT", path, 1, Fault::Held(gate.clone()));
    let mut sweep = shop.start(&["sweep"]);
    assert!(gate.wait());
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    let unrecorded = bench.published("base").to_string();
    assert!(
        publishes(&shop, "base")
            .iter()
            .all(|p| p["index"] != unrecorded.as_str())
    );
    patch(&bench, "three");
    hours_later(&shop).exits(0);
    let publishes = publishes(&shop, "base");
    let follows = |id: &Value| publishes.iter().any(|publish| publish["after"] == *id);
    let heads: Vec<&Value> = publishes.iter().filter(|p| !follows(&p["id"])).collect();
    assert_eq!(heads.len(), 1, "{publishes:#?}");
    assert_eq!(heads[0]["index"], bench.published("base").to_string());
    assert_eq!(publishes.len(), 3, "{publishes:#?}");
    assert_eq!(
        publishes
            .iter()
            .filter(|p| p["index"] == unrecorded.as_str())
            .count(),
        1
    );
}

/// A hook of the remote that kills whoever pushes the n-th time, and takes what is pushed or not.
const HOOK: &str = r#"#!/bin/sh
n=$(($(cat pushes) + 1))
echo $n >pushes
[ $n -eq $(cat kill-at) ] || exit 0
p=$PPID
while [ "$(cat /proc/$p/comm)" != refit ]; do
  p=$(cut -d ' ' -f 4 /proc/$p/stat)
done
kill -9 $p
exit $(cat takes)
"#;

#[test]
fn a_sweep_killed_at_every_push_goes_on_from_there() {
    let bench = Bench::new();
    let (shop, remote) = released(&bench);
    let set =
        |name: &str, value: usize| fs::write(remote.dir().join(name), value.to_string()).unwrap();
    let hook = remote.dir().join("hooks/pre-receive");
    fs::write(&hook, HOOK).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let mut n_killed = 0;
    // What an earlier run has pushed is not pushed again: the first pushes of all runs, then the second ones…
    for n in 1.. {
        set("pushes", 0);
        set("kill-at", n);
        set("takes", n % 2);
        let before = staged(&bench);
        bench.hub.forget_requests();
        let said = shop.refit(&["sweep", "--jobs", "1"]);
        let at = format!("killed at push {n}");
        is_whole(&bench, &at);
        nothing_is_built_twice(&bench, &before, &at);
        if said.code.is_some() {
            said.exits(0);
            break;
        }
        n_killed += 1;
    }
    // The lease, and the records of three waves at least.
    assert!(n_killed >= 4, "{n_killed}");
    fs::remove_file(hook).unwrap();
    shop.refit(&["notes", "push"]).exits(0);
    is_done(&bench, &bench.clone_of(&remote, "reader", &[]));
    remote.git(&["fsck", "--strict"]);
    // Killed when it gave up the lease, it left that behind: nobody is held up by it here, and it ends with the next.
    patch(&bench, "three");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(remote.git(&["for-each-ref", "refs/refit"]), "");
}
