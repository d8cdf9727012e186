//! `refit prune`: what nothing needs any more goes, and whatever a tag leads to stays whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Child,
    time::Duration,
};

use refit_oci::{Digest, Document, Repository};
use refit_registry::{Registries, Registry, Settings};
use refit_testkit::{
    engines::{DockerRegistry, Setup},
    registry::{Fault, Gate, Image, Options, TestRegistry},
};
use serde_json::Value;

use crate::{
    bench::{Bench, os, texts},
    checkout::Checkout,
    fixtures::{IMAGES, LINEAGE, SINGLE},
    said::Said,
};

/// A month from now.
fn later() -> String {
    let later = jiff::Timestamp::now().as_second() + 30 * 24 * 60 * 60;
    later.to_string()
}

/// Runs refit as in a month.
fn in_a_month(clone: &Checkout<'_>, args: &[&str]) -> Said {
    clone.refit_with(&[("SOURCE_DATE_EPOCH", &later())], args)
}

/// Starts a prune as in a month.
fn start_in_a_month(clone: &Checkout<'_>) -> Child {
    clone.start_with(&[("SOURCE_DATE_EPOCH", &later())], &["prune"])
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// What is in a repository: tags, and of the documents that they lead to each with all its blobs.
struct Whole {
    tags: BTreeMap<String, Digest>,
    documents: BTreeSet<Digest>,
}

/// Fails if a tag leads to something that is not there.
fn whole(host: &str, path: &str) -> Whole {
    whole_under(host, path, |_| true)
}

/// The same of tags with such names.
fn whole_under(host: &str, path: &str, is_meant: impl Fn(&str) -> bool) -> Whole {
    let registries = Registries::new(Settings::default());
    let registry = registries.registry(host);
    let repository: Repository = format!("{host}/{path}").parse().unwrap();
    block_on(async {
        let mut whole = Whole {
            tags: BTreeMap::new(),
            documents: BTreeSet::new(),
        };
        let tags = registry.tags(&repository).await.unwrap();
        for tag in tags.into_iter().filter(|tag| is_meant(tag)) {
            let head = registry.head(&repository.tagged(&tag).unwrap()).await;
            let digest = head.unwrap().digest().cloned();
            let digest = digest.unwrap_or_else(|| panic!("{path}:{tag} is listed and not there"));
            whole.tags.insert(tag, digest);
        }
        let mut open: Vec<Digest> = whole.tags.values().cloned().collect();
        while let Some(digest) = open.pop() {
            if whole.documents.insert(digest.clone()) {
                open.extend(parts(registry.as_ref(), &repository, &digest).await);
            }
        }
        whole
    })
}

/// The documents that one holds; of a manifest, every blob is read.
async fn parts(registry: &dyn Registry, repository: &Repository, digest: &Digest) -> Vec<Digest> {
    let document = registry.document(repository, digest).await;
    match document.unwrap_or_else(|error| panic!("{repository}@{digest}: {error}")) {
        Document::Index(index) => {
            let held = index.value.manifests.into_iter();
            held.map(|held| held.digest).collect()
        }
        Document::Manifest(manifest) => {
            let blobs = manifest.value.layers.iter();
            for blob in blobs.chain([&manifest.value.config]) {
                registry.blob(repository, blob).await.unwrap();
            }
            Vec::new()
        }
    }
}

fn has(registry: &TestRegistry, path: &str, digest: &Digest) -> bool {
    registry.document(path, digest).is_some()
}

/// A lineage that was released and patched three times; what its tags held after each.
fn patched_three_times(bench: &Bench) -> (Checkout<'_>, Vec<BTreeMap<String, Digest>>) {
    bench.push_base("1", "0", "0");
    let shop = bench.repository(LINEAGE);
    bench.remote(&shop);
    shop.refit(&["build", "--push"]).exits(0);
    let mut published = vec![bench.all_published(&IMAGES)];
    for patch in ["1", "2", "3"] {
        bench.push_base("1", patch, patch);
        shop.refit(&["sweep"]).exits(0);
        published.push(bench.all_published(&IMAGES));
    }
    (shop, published)
}

#[test]
fn what_nothing_needs_goes_and_everything_else_works_as_before() {
    let bench = Bench::new();
    let (shop, published) = patched_three_times(&bench);
    let status = shop.refit(&["status"]).exits(0).stdout.clone();
    // Nothing is old enough; then everything is, and is only shown.
    shop.refit(&["prune"])
        .exits(0)
        .mentions("nothing to remove");
    bench.hub.forget_requests();
    let planned = in_a_month(&shop, &["prune", "--dry-run"]);
    planned.exits(0).mentions("published until");
    assert_eq!(bench.writes(), 0);

    let pruned = in_a_month(&shop, &["prune", "--format", "json"])
        .exits(0)
        .json();
    for image in IMAGES {
        let path = format!("team/{image}");
        let there: Vec<bool> = published
            .iter()
            .map(|p| has(&bench.hub, &path, &p[image]))
            .collect();
        assert_eq!(there, [false, false, true, true], "{image}");
        let whole = whole(&bench.hub.host(), &path);
        assert_eq!(whole.tags["latest"], published[3][image]);
        // Of the present and the one before: a staging tag each, and the list of what is attached to the index.
        let staging = whole.tags.keys().filter(|tag| tag.starts_with("refit-"));
        assert_eq!(staging.count(), 4, "{:?}", whole.tags);
        assert_eq!(whole.tags.len(), 7, "{:?}", whole.tags);
        let of = |r: &&Value| r["repository"] == format!("{}/{path}", bench.hub.host());
        let repositories = pruned["repositories"].as_array().unwrap();
        let repository = repositories.iter().find(of).unwrap();
        // Two indexes with two manifests, the list of what is attached, and that.
        let removed = texts(&repository["remove"], "what");
        let count = |what: &str| removed.iter().filter(|removed| *removed == what).count();
        assert_eq!(
            (count("index"), count("manifest"), count("attached")),
            (2, 4, 4)
        );
    }
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("nothing to remove");
    assert_eq!(shop.refit(&["status"]).exits(0).stdout, status);
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
    shop.refit(&["verify"]).exits(0);
    for image in ["shop", "web", "base"] {
        shop.refit(&["rollback", image]).exits(0);
        assert_eq!(bench.published(image), published[2][image]);
    }
    shop.refit(&["rollback", "base", "--to", published[0]["base"].as_str()])
        .exits(2)
        .mentions("any more");
    // What it was rolled back to is patched as ever.
    bench.push_base("1", "4", "4");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("shop", "linux/arm64", "etc/patch").unwrap(), "4");
}

#[test]
fn what_others_pushed_stays() {
    let bench = Bench::new();
    let (shop, published) = patched_three_times(&bench);
    let theirs = bench
        .hub
        .put_index("team/web", "theirs", &[os("linux/amd64", "by hand")]);
    bench
        .hub
        .put_index("team/web", "theirs", &[os("linux/amd64", "by hand again")]);
    bench.retag_as("web", &published[0]["web"], "in-use");
    in_a_month(&shop, &["prune"]).exits(0);
    assert!(has(&bench.hub, "team/web", &theirs));
    whole(&bench.hub.host(), "team/web");
    assert!(has(&bench.hub, "team/web", &published[0]["web"]));
    assert!(!has(&bench.hub, "team/web", &published[1]["web"]));
}

/// One image that takes a file from another base than its own.
const TOOLED: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]

[[image]]
name = "web"
context = "web"
//- web/Dockerfile
FROM HUB/base/tools:1 AS tools
FROM HUB/base/os:1
COPY --from=tools /etc/tool /srv/
"#;

/// Moves `base/tools:1`, whose tool stays what it is.
fn push_tools(bench: &Bench, other: &str) {
    let files: &[(&str, &str)] = &[("etc/tool", "tool"), ("etc/other", other)];
    let image = Image::new("linux/amd64", &[files]);
    bench.hub.put_index("base/tools", "1", &[image]);
}

/// Released on tools that moved twice since, while the image comes to the same: its manifest has three staging tags.
fn kept_manifest(bench: &Bench) -> (Checkout<'_>, Digest) {
    bench.push_base("1", "one", "one");
    push_tools(bench, "a");
    let shop = bench.repository(TOOLED);
    shop.refit(&["build", "--push"]).exits(0);
    for other in ["b", "c"] {
        push_tools(bench, other);
        shop.refit(&["sweep"]).exits(0);
    }
    let manifest = bench.manifests("web")["linux/amd64"].clone();
    (shop, manifest)
}

#[test]
fn a_prune_killed_at_every_removal_is_finished_by_the_next() {
    let bench = Bench::new();
    let (shop, _) = kept_manifest(&bench);
    for patch in ["two", "three", "four"] {
        bench.push_base("1", patch, patch);
        shop.refit(&["sweep"]).exits(0);
    }
    let published = bench.published("web");
    let host = bench.hub.host();
    let mut n_killed = 0;
    loop {
        bench.hub.fail("DELETE", "", 1, Fault::Slow(Duration::ZERO));
        let gate = Gate::default();
        bench.hub.fail("DELETE", "", 1, Fault::Held(gate.clone()));
        let mut prune = start_in_a_month(&shop);
        let finished = gate.wait_or(|| prune.try_wait().unwrap().is_some());
        prune.kill().unwrap();
        prune.wait().unwrap();
        bench.hub.behave();
        // But for the list of what is attached to an index on its way out.
        let tags = whole_under(&host, "team/web", |tag| !tag.starts_with("sha256-")).tags;
        assert_eq!(tags["latest"], published);
        if finished {
            break;
        }
        n_killed += 1;
    }
    // Two indexes, each with a manifest, a list of what is attached and that: before all but the first of them.
    assert_eq!(n_killed, 7);
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("nothing to remove");
    assert_eq!(whole(&host, "team/web").tags.len(), 5);
    shop.refit(&["rollback", "web"]).exits(0);
}

#[test]
fn a_staging_tag_on_a_manifest_that_stays_is_taken_away_alone() {
    for by_name in [true, false] {
        let bench = Bench::new();
        let (shop, manifest) = kept_manifest(&bench);
        let staging = |bench: &Bench| -> Vec<Digest> {
            let whole = whole(&bench.hub.host(), "team/web");
            let tags = whole
                .tags
                .into_iter()
                .filter(|(tag, _)| tag.starts_with("refit-"));
            tags.map(|(_, digest)| digest).collect()
        };
        assert_eq!(staging(&bench), vec![manifest.clone(); 3]);
        if !by_name {
            bench.hub.fail(
                "DELETE",
                "/manifests/refit-",
                usize::MAX,
                Fault::Status(405),
            );
        }
        let pruned = in_a_month(&shop, &["prune"]).exits(0);
        let pruned = pruned.mentions("2 staging tags taken away");
        if !by_name {
            pruned.mentions("the registry removes no tag by name");
        }
        assert_eq!(staging(&bench), vec![manifest.clone()]);
        shop.refit(&["status", "--exit-code"]).exits(0);
        in_a_month(&shop, &["prune"])
            .exits(0)
            .mentions("nothing to remove");
    }
}

#[test]
fn a_placeholder_that_was_left_is_no_result_and_goes() {
    let bench = Bench::new();
    let (shop, manifest) = kept_manifest(&bench);
    bench.hub.fail(
        "DELETE",
        "/manifests/refit-",
        usize::MAX,
        Fault::Status(405),
    );
    // The first removal by digest asks whether there is such a thing; the second would remove it.
    bench.hub.fail(
        "DELETE",
        "/manifests/sha256:",
        1,
        Fault::Slow(Duration::ZERO),
    );
    let gate = Gate::default();
    bench
        .hub
        .fail("DELETE", "/manifests/sha256:", 1, Fault::Held(gate.clone()));
    let mut prune = start_in_a_month(&shop);
    assert!(gate.wait());
    prune.kill().unwrap();
    prune.wait().unwrap();
    bench.hub.behave();
    let tags = whole(&bench.hub.host(), "team/web").tags;
    let left: Vec<&String> = tags
        .iter()
        .filter(|(tag, digest)| tag.starts_with("refit-") && **digest != manifest)
        .map(|(tag, _)| tag)
        .collect();
    assert_eq!(left.len(), 1, "{tags:?}");
    // The same base as then: its result is looked for under the very tag.
    push_tools(&bench, "a");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.manifests("web")["linux/amd64"], manifest);
    in_a_month(&shop, &["prune"]).exits(0);
    let tags = whole(&bench.hub.host(), "team/web").tags;
    assert!(
        tags.iter()
            .all(|(tag, digest)| !tag.starts_with("refit-") || *digest == manifest),
        "{tags:?}"
    );
}

#[test]
fn a_registry_that_deletes_nothing_is_named_and_others_are_pruned() {
    let bench = Bench::new();
    let second = TestRegistry::start(Options::default());
    bench.push_base("1", "0", "0");
    let text = SINGLE.replace(
        "push-to = [\"HUB/team\"]",
        &format!("push-to = [\"HUB/team\", \"{}/copy\"]", second.host()),
    );
    let shop = bench.repository(&text);
    shop.refit(&["build", "--push"]).exits(0);
    let first = bench.published("web");
    for patch in ["1", "2"] {
        bench.push_base("1", patch, patch);
        shop.refit(&["sweep"]).exits(0);
    }
    bench.hub.fail("DELETE", "", usize::MAX, Fault::Status(405));
    in_a_month(&shop, &["prune"])
        .exits(1)
        .mentions(&format!("`{}` lets nothing be deleted", bench.hub.host()));
    assert!(has(&bench.hub, "team/web", &first));
    assert!(!has(&second, "copy/web", &first));
    whole(&second.host(), "copy/web");
    bench.hub.behave();
    in_a_month(&shop, &["prune"]).exits(0);
    assert!(!has(&bench.hub, "team/web", &first));
}

#[test]
fn what_moved_meanwhile_is_not_removed() {
    let bench = Bench::new();
    let (shop, published) = patched_three_times(&bench);
    let gate = Gate::default();
    // The plan asks first; the second listing is that before anything is removed.
    bench
        .hub
        .fail("GET", "/team/web/tags/list", 1, Fault::Slow(Duration::ZERO));
    bench
        .hub
        .fail("GET", "/team/web/tags/list", 1, Fault::Held(gate.clone()));
    let mut prune = start_in_a_month(&shop);
    assert!(gate.wait());
    bench.retag("web", &published[0]["web"]);
    gate.open();
    assert!(prune.wait().unwrap().success());
    assert!(has(&bench.hub, "team/web", &published[0]["web"]));
    whole(&bench.hub.host(), "team/web");
}

#[test]
fn a_sweep_that_goes_on_elsewhere_is_waited_out_and_no_records_are_no_leave() {
    let bench = Bench::new();
    let (shop, _) = patched_three_times(&bench);
    bench.push_base("1", "4", "4");
    let gate = Gate::default();
    bench
        .hub
        .fail("PUT", "/manifests/refit-", 1, Fault::Held(gate.clone()));
    let mut sweep = shop.start(&["sweep"]);
    assert!(gate.wait());
    shop.refit(&["prune"])
        .exits(2)
        .mentions("another sweep is under way");
    gate.open();
    assert!(sweep.wait().unwrap().success());
    shop.refit(&["prune"]).exits(0);

    let other = Bench::new();
    let fresh = other.repository(SINGLE);
    fresh
        .refit(&["prune"])
        .exits(2)
        .mentions("no records are here");
    fresh
        .refit(&["prune", "--older-than", "5m"])
        .exits(2)
        .mentions("may be of a run that goes on");
}

#[test]
fn what_is_built_for_this_machine_goes_from_the_embedded_store_with_its_blobs() {
    let bench = Bench::new();
    bench.push_base("1", "0", "0");
    let text = LINEAGE
        .replace("push-to = [\"HUB/team\"]\n", "")
        .replace("HUB/team", "refit.local");
    let shop = bench.repository(&text);
    shop.refit(&["build", "--push"]).exits(0);
    for n in ["1", "2"] {
        shop.write(&format!("//- base/ca.pem\n{}\n", n.repeat(9999)));
        shop.commit(n);
        shop.refit(&["build", "--push", "--with-dependents"])
            .exits(0);
    }
    let store = shop.dir().join(".git/refit/store");
    let n_blobs = || {
        std::fs::read_dir(store.join("blobs/sha256"))
            .unwrap()
            .count()
    };
    let status = shop.refit(&["status"]).exits(0).stdout.clone();
    let before = n_blobs();
    in_a_month(&shop, &["prune", "--dry-run"])
        .exits(0)
        .mentions("lead to nothing");
    assert_eq!(n_blobs(), before);
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("embedded store: ");
    assert!(n_blobs() < before, "{} of {before}", n_blobs());
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("nothing to remove");
    assert_eq!(shop.refit(&["status"]).exits(0).stdout, status);
    let layout = refit_registry::Layout::open(&store).unwrap();
    for image in IMAGES {
        let repository: Repository = format!("refit.local/{image}").parse().unwrap();
        block_on(async {
            let head = layout.head(&repository.tagged("latest").unwrap()).await;
            let mut open = vec![head.unwrap().digest().unwrap().clone()];
            while let Some(digest) = open.pop() {
                open.extend(parts(&layout, &repository, &digest).await);
            }
        });
        shop.refit(&["rollback", image]).exits(0);
    }
}

#[test]
fn needs_docker_registry_a_real_registry_is_pruned_and_stays_whole() {
    let real = DockerRegistry::start().unwrap();
    let bench = Bench::new();
    let text = TOOLED.replace("HUB/team", &format!("{}/team", real.host()));
    bench.push_base("1", "0", "0");
    push_tools(&bench, "a");
    let shop = bench.repository(&text);
    shop.refit(&["build", "--push"]).exits(0);
    let tags = || whole(&real.host(), "team/web").tags;
    for patch in ["1", "2"] {
        bench.push_base("1", patch, patch);
        shop.refit(&["sweep"]).exits(0);
    }
    let before = tags()["latest"].clone();
    bench.push_base("1", "3", "3");
    shop.refit(&["sweep"]).exits(0);
    let present = tags()["latest"].clone();
    // It comes to the very same: the manifest that stays has three staging tags.
    for other in ["b", "c"] {
        push_tools(&bench, other);
        shop.refit(&["sweep"]).exits(0);
    }
    assert_eq!(tags()["latest"], present);
    let n_before = tags().len();
    let status = shop.refit(&["status"]).exits(0).stdout.clone();
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("2 staging tags taken away")
        .mentions("the registry removes no tag by name");
    // The tag, and of the present image and the one before a staging tag, and the list of what is attached.
    assert_eq!((n_before, tags().len()), (11, 5), "{:?}", tags());
    assert_eq!(tags()["latest"], present);
    assert_eq!(shop.refit(&["status"]).exits(0).stdout, status);
    in_a_month(&shop, &["prune"])
        .exits(0)
        .mentions("nothing to remove");
    shop.refit(&["rollback", "web"]).exits(0);
    assert_eq!(tags()["latest"], before);
}

#[test]
fn needs_docker_registry_that_deletes_nothing_to_be_left_as_it_is() {
    let real = DockerRegistry::start_as(Setup {
        keeps_all: true,
        ..Setup::default()
    });
    let real = real.unwrap();
    let bench = Bench::new();
    let text = TOOLED.replace("HUB/team", &format!("{}/team", real.host()));
    bench.push_base("1", "0", "0");
    push_tools(&bench, "a");
    let shop = bench.repository(&text);
    shop.refit(&["build", "--push"]).exits(0);
    push_tools(&bench, "b"); // a second staging tag on what stays
    shop.refit(&["sweep"]).exits(0);
    let before = whole(&real.host(), "team/web").tags;
    in_a_month(&shop, &["prune"])
        .exits(1)
        .mentions(&format!("`{}` lets nothing be deleted", real.host()));
    assert_eq!(whole(&real.host(), "team/web").tags, before);
    for patch in ["1", "2"] {
        bench.push_base("1", patch, patch);
        shop.refit(&["sweep"]).exits(0);
    }
    let before = whole(&real.host(), "team/web").tags;
    in_a_month(&shop, &["prune"]).exits(1);
    assert_eq!(whole(&real.host(), "team/web").tags, before);
}
