//! What the dependencies resolved to at a commit, by its records; for the working tree, what is published now.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use refit_deps::{pin::Pin, record::Records};
use refit_dockerfile::Kind;
use refit_oci::{Digest, ObjectId, Platform, Reference};

use crate::{
    error::CommandError,
    project::{Project, Snapshot},
};

/// History further back than this is not searched for records.
const MOST_COMMITS: usize = 50_000;

/// By image and platform, then by dependency: the platform's manifest.
pub(super) type Pins = BTreeMap<(String, Platform), BTreeMap<(Kind, Reference), Digest>>;

/// A target, and one of its dependencies.
type Dependency = ((String, Platform), (Kind, Reference));

/// One record's word: the nearest commit's counts, of one commit the `deps` record before a build, the first build
/// before later ones.
type Rank<'a> = (usize, bool, &'a str);

/// The pins at a snapshot.
pub(super) fn pins(
    project: &Project,
    records: &Records,
    snapshot: &Snapshot,
) -> Result<Pins, CommandError> {
    let commit = snapshot.commit.as_ref();
    let head = match project.repo.head()? {
        refit_git::Head::Commit { id, .. } => Some(id),
        refit_git::Head::Unborn { .. } => None,
    };
    let mut pins = match commit.or(head.as_ref()) {
        Some(commit) => recorded(project, records, commit)?,
        None => Pins::new(),
    };
    if commit.is_none() {
        pins.extend(published(records, snapshot));
    }
    Ok(pins)
}

fn recorded(project: &Project, records: &Records, commit: &ObjectId) -> Result<Pins, CommandError> {
    let deps = records.deps().iter().map(|record| {
        let key = (record.image.clone(), record.platform.clone());
        (
            key,
            &record.commit,
            &record.deps,
            (false, record.at.as_str()),
        )
    });
    let builds = records.builds().filter_map(|record| {
        let key = (record.image.clone(), record.platform.clone());
        let commit = record.commit.as_ref()?;
        Some((key, commit, &record.deps, (true, record.at.as_str())))
    });
    let all: Vec<_> = deps.chain(builds).collect();
    let wanted: BTreeSet<&ObjectId> = all.iter().map(|(_, commit, ..)| *commit).collect();
    let near = near(project, commit, &wanted)?;
    let mut best: BTreeMap<Dependency, (Rank<'_>, &Digest)> = BTreeMap::new();
    for (key, commit, pins, (is_build, at)) in &all {
        let Some(distance) = near.get(*commit) else {
            continue;
        };
        let rank = (*distance, *is_build, *at);
        for (dependency, digest) in pins.iter().filter_map(of_pin) {
            let entry = best
                .entry((key.clone(), dependency))
                .or_insert((rank, digest));
            if rank < entry.0 {
                *entry = (rank, digest);
            }
        }
    }
    let mut pins = Pins::new();
    for ((target, dependency), (_, digest)) in best {
        pins.entry(target)
            .or_default()
            .insert(dependency, digest.clone());
    }
    Ok(pins)
}

fn of_pin(pin: &Pin) -> Option<((Kind, Reference), &Digest)> {
    Some(((pin.kind, pin.reference.clone()), pin.manifest.as_ref()?))
}

/// How near a commit's ancestors are that are wanted, latest first; itself is the nearest.
fn near(
    project: &Project,
    commit: &ObjectId,
    wanted: &BTreeSet<&ObjectId>,
) -> Result<BTreeMap<ObjectId, usize>, CommandError> {
    let repo = &project.repo;
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::from([commit.clone()]);
    let mut open = BinaryHeap::from([(repo.commit_time(commit)?, commit.clone())]);
    let mut distance = 0;
    while let Some((_, next)) = open.pop() {
        if wanted.contains(&next) {
            found.insert(next.clone(), distance);
        }
        distance += 1;
        if found.len() == wanted.len() || distance > MOST_COMMITS {
            break;
        }
        for parent in repo.commit_parents(&next)? {
            if seen.insert(parent.clone()) {
                // What a partial clone lacks is no nearer than what it has.
                let time = repo.commit_time(&parent).unwrap_or(i64::MIN);
                open.push((time, parent));
            }
        }
    }
    Ok(found)
}

/// What is published now was built on these, by the records.
fn published(records: &Records, snapshot: &Snapshot) -> Pins {
    let mut pins = Pins::new();
    for image in &snapshot.inventory.images {
        let Some(lead) = image.lead_tag() else {
            continue;
        };
        let heads = records.heads(&image.name, &lead);
        for (platform, manifest) in heads.last().into_iter().flat_map(|head| &head.platforms) {
            let builds = records.builds_of(&image.name, manifest);
            if let Some(build) = builds.max_by(|a, b| a.at.cmp(&b.at)) {
                let of_build = build.deps.iter().filter_map(of_pin);
                let of_build = of_build.map(|(dependency, digest)| (dependency, digest.clone()));
                pins.insert((image.name.clone(), platform.clone()), of_build.collect());
            }
        }
    }
    pins
}
