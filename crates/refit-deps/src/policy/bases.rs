//! The rules that take a registry to tell: what bases offer, and how old they are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use refit_dockerfile::{Found, Kind};
use refit_oci::{Digest, Document, Platform, Reference};
use refit_platform::best_match;

use super::{Findings, Rule, Taken, taken};
use crate::{
    image::Image,
    observe::{Answer, Lookup},
    pin,
};

/// None while something is unknown; an error is why it stays so.
type Told<T> = Option<Result<T, String>>;

pub(super) fn find(
    lookup: &Lookup<'_>,
    wanted: &dyn Fn(&Image, &Found) -> bool,
    findings: &mut Findings<'_>,
) -> BTreeMap<Reference, String> {
    let ground = lookup.ground;
    let policy = &ground.inventory.policy.keys;
    let (platforms, max_age) = (policy.platforms(), policy.max_age());
    let mut unknown = BTreeMap::new();
    let mut told = |reference: &Reference, told: Told<()>| {
        if let Some(Err(why)) = told {
            unknown.entry(reference.clone()).or_insert(why);
        }
    };
    let all = taken(ground.inventory, ground.scans, ground.edges);
    // What is copied from an image, or makes one, need not run there.
    let bases = all.filter(|(taken, _)| {
        matches!(taken.found.kind, Kind::Base | Kind::Stage) && wanted(taken.image, taken.found)
    });
    for (base, _) in bases {
        for platform in &platforms {
            let offers = offers(lookup, base.reference, platform);
            if offers == Some(Ok(false)) {
                let name = base.name();
                let problem = base.problem(format!(
                    "`{name}` is not there for {platform}, which `[policy] platforms` asks of every base"
                ));
                findings.add(Rule::Platforms, problem);
            }
            told(base.reference, offers.map(|offers| offers.map(drop)));
        }
        if let Some(max_age) = max_age {
            let created = created(lookup, &base);
            if let Some(Ok(Some(created))) = created {
                age(lookup, &base, (created, max_age), findings);
            }
            told(base.reference, created.map(|created| created.map(drop)));
        }
    }
    unknown
}

/// What is there, or why it can't be told.
fn answered<T>(answer: &Answer<T>) -> Result<&T, String> {
    match answer {
        Answer::Found(found) => Ok(found),
        Answer::Missing => Err("it is not there".to_owned()),
        Answer::Failed(failure) => Err(failure.message.clone()),
    }
}

/// What a reference is now.
fn document<'a>(lookup: &Lookup<'a>, reference: &'a Reference) -> Told<(&'a Document, &'a Digest)> {
    let digest = match reference.digest() {
        Some(digest) => digest,
        None => match answered(lookup.tag(reference)?) {
            Ok(digest) => digest,
            Err(why) => return Some(Err(why)),
        },
    };
    let document = answered(lookup.document(reference.repository(), digest)?);
    Some(document.map(|document| (&**document, digest)))
}

fn offers<'a>(lookup: &Lookup<'a>, reference: &'a Reference, platform: &Platform) -> Told<bool> {
    let (document, digest) = match document(lookup, reference)? {
        Ok(document) => document,
        Err(why) => return Some(Err(why)),
    };
    match document {
        Document::Index(index) => Some(Ok(best_match(&index.value, platform).is_some())),
        Document::Manifest(_) => {
            let config = answered(lookup.config(reference.repository(), digest)?);
            Some(config.map(|config| pin::fits(config, platform)))
        }
    }
}

/// When it was made, for the platform that it is taken for. Reproducible images say the epoch, or another date before
/// there were images: they have no age.
fn created<'a>(lookup: &Lookup<'a>, base: &Taken<'a>) -> Told<Option<Timestamp>> {
    let (document, digest) = match document(lookup, base.reference)? {
        Ok(document) => document,
        Err(why) => return Some(Err(why)),
    };
    let manifest = match document {
        Document::Index(index) => {
            let platform = &base.found.platform;
            let Some(manifest) = best_match(&index.value, platform) else {
                return Some(Err(format!("it is not there for {platform}")));
            };
            &manifest.digest
        }
        Document::Manifest(_) => digest,
    };
    let config = answered(lookup.config(base.reference.repository(), manifest)?);
    Some(config.map(|config| {
        let created: Timestamp = config.created.as_ref()?.parse().ok()?;
        let first = Timestamp::from_second(FIRST_IMAGES).ok()?;
        (created > first).then_some(created)
    }))
}

/// 2013-01-01: Docker is younger.
const FIRST_IMAGES: i64 = 1_356_998_400;

fn age(
    lookup: &Lookup<'_>,
    base: &Taken<'_>,
    (created, max_age): (Timestamp, SignedDuration),
    findings: &mut Findings<'_>,
) {
    let age = lookup.ground.now.duration_since(created);
    if age <= max_age {
        return;
    }
    let days = age.as_hours() / 24;
    let name = base.name();
    let written = findings.policy.keys.max_age.as_ref();
    let written = written
        .map(|age| age.get_ref().as_str())
        .unwrap_or_default();
    let problem = base.problem(format!(
        "`{name}` is {days} days old for {}, more than `[policy] max-age = \"{written}\"` allows",
        base.found.platform
    ));
    let hint = "`refit deps outdated` lists newer tags of the same track";
    findings.add(Rule::MaxAge, problem.with_hint(hint));
}
