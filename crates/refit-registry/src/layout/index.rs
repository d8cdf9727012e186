//! The entries of a layout's `index.json`: which name stands for which document.

use std::collections::BTreeSet;

use refit_oci::{
    Descriptor, Digest, Document, Index, Platform, Reference, Repository, annotations,
};

use crate::Deleted;

/// What containerd, BuildKit and `docker save` write beside a bare tag as `ref.name`: the full reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The entry that a tagged reference names.
pub(super) fn find<'a>(index: &'a Index, reference: &Reference) -> Option<&'a Descriptor> {
    let wanted = reference.without_digest()?;
    let full = wanted.to_string();
    let mut entries = index.manifests.iter();
    let exact = entries.find(|entry| name(entry) == Some(&full));
    exact.or_else(|| {
        let mut entries = index.manifests.iter();
        entries.find(|entry| meant(entry).as_ref() == Some(&wanted))
    })
}

/// The tags of a repository, sorted.
pub(super) fn tags(index: &Index, repository: &Repository) -> Vec<String> {
    let names = index.manifests.iter().filter_map(meant);
    let ours = names.filter(|reference| reference.repository() == repository);
    let tags: BTreeSet<String> = ours.filter_map(|r| r.tag().map(str::to_owned)).collect();
    tags.into_iter().collect()
}

/// Whether an entry has exactly this name.
pub(super) fn has_name(index: &Index, full: &str) -> bool {
    index.manifests.iter().any(|e| name(e) == Some(full))
}

/// Adds a document, under a name that it takes from whatever had it before; the latter stays, unnamed.
pub(super) fn insert(index: &mut Index, descriptor: &Descriptor, full: Option<&str>) {
    let Some(full) = full else {
        let known = |entry: &Descriptor| entry.digest == descriptor.digest;
        if !index.manifests.iter().any(known) {
            index.manifests.push(descriptor.clone());
        }
        return;
    };
    unname(index, full);
    let bare = |e: &Descriptor| e.digest == descriptor.digest && name(e).is_none();
    index.manifests.retain(|entry| !bare(entry));
    let mut entry = descriptor.clone();
    let key = annotations::REF_NAME.to_owned();
    entry.annotations.insert(key, full.to_owned());
    index.manifests.push(entry);
    sort(index);
}

/// Takes a name away; an entry that has no other name stays as one without.
pub(super) fn unname(index: &mut Index, full: &str) -> Deleted {
    let Some(at) = index.manifests.iter().position(|e| name(e) == Some(full)) else {
        return Deleted::Missing;
    };
    let mut entry = index.manifests.remove(at);
    entry.annotations.remove(annotations::REF_NAME);
    if !index.manifests.iter().any(|e| e.digest == entry.digest) {
        index.manifests.push(entry);
    }
    sort(index);
    Deleted::Deleted
}

/// Takes a document out of a repository: its names there, and its entry without one. Names of other repositories stay.
pub(super) fn remove(index: &mut Index, repository: &Repository, digest: &Digest) -> Deleted {
    let is_elsewhere = |entry: &Descriptor| {
        let reference = meant(entry);
        name(entry).is_some() && reference.is_none_or(|r| r.repository() != repository)
    };
    let before = index.manifests.len();
    index
        .manifests
        .retain(|entry| entry.digest != *digest || is_elsewhere(entry));
    if index.manifests.len() == before {
        Deleted::Missing
    } else {
        Deleted::Deleted
    }
}

/// A descriptor of a document, with the media type that it is served with.
pub(super) fn descriptor_of(document: &Document) -> Descriptor {
    match document {
        Document::Manifest(exact) => exact.descriptor(),
        Document::Index(exact) => exact.descriptor(),
    }
}

/// Names first, then digests: the file does not depend on the order of pushes.
fn sort(index: &mut Index) {
    fn key(e: &Descriptor) -> (bool, Option<&str>, &str, Option<&Platform>) {
        let name = name(e);
        (name.is_none(), name, e.digest.as_str(), e.platform.as_ref())
    }
    index.manifests.sort_by(|a, b| key(a).cmp(&key(b)));
}

fn name(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotations.get(annotations::REF_NAME);
    name.map(String::as_str)
}

/// What another tool's entry stands for: containerd's full name, or a name that is more than a bare tag.
fn meant(entry: &Descriptor) -> Option<Reference> {
    let full = entry.annotations.get(CONTAINERD_NAME).map(String::as_str);
    let named = name(entry).filter(|name| name.contains([':', '/']));
    full.or(named)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use refit_oci::media_type;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn whatever_names_come_and_go_no_document_is_lost(
            steps in proptest::collection::vec((0..4_usize, 0..4_usize, any::<bool>()), 0..24)
        ) {
            let names = ["example.com/a:1", "example.com/a:2", "example.com/b:1"];
            let contents = ["w", "x", "y", "z"].map(descriptor);
            let mut index = Index::new(Vec::new(), BTreeMap::new());
            let mut pushed = BTreeSet::new();
            for (content, name, is_push) in steps {
                if is_push {
                    insert(&mut index, &contents[content], names.get(name).copied());
                    pushed.insert(contents[content].digest.clone());
                } else if let Some(name) = names.get(name) {
                    unname(&mut index, name);
                }
                let listed: BTreeSet<_> = index.manifests.iter().map(|e| e.digest.clone()).collect();
                prop_assert_eq!(&listed, &pushed);
                for full in names {
                    prop_assert!(index.manifests.iter().filter(|e| name_is(e, full)).count() <= 1);
                }
            }
        }
    }

    fn name_is(entry: &Descriptor, full: &str) -> bool {
        super::name(entry) == Some(full)
    }

    fn descriptor(content: &str) -> Descriptor {
        Descriptor::of(media_type::OCI_MANIFEST, content.as_bytes())
    }

    fn shape(index: &Index) -> Vec<(&str, Option<&str>)> {
        let entries = index.manifests.iter();
        entries.map(|e| (e.digest.short(), name(e))).collect()
    }

    #[test]
    fn a_name_moves_and_what_it_left_stays_without_one() {
        let mut index = Index::new(Vec::new(), BTreeMap::new());
        let (old, new) = (descriptor("old"), descriptor("new"));
        insert(&mut index, &old, None);
        insert(&mut index, &old, None);
        assert_eq!(shape(&index), [(old.digest.short(), None)]);

        insert(&mut index, &old, Some("example.com/x:1"));
        insert(&mut index, &old, Some("example.com/x:2"));
        insert(&mut index, &new, Some("example.com/x:2"));
        assert_eq!(
            shape(&index),
            [
                (old.digest.short(), Some("example.com/x:1")),
                (new.digest.short(), Some("example.com/x:2")),
            ]
        );
        assert_eq!(unname(&mut index, "example.com/x:1"), Deleted::Deleted);
        assert_eq!(unname(&mut index, "example.com/x:1"), Deleted::Missing);
        assert_eq!(
            shape(&index),
            [
                (new.digest.short(), Some("example.com/x:2")),
                (old.digest.short(), None)
            ]
        );
        let repository = "example.com/x".parse().unwrap();
        assert_eq!(tags(&index, &repository), ["2"]);
    }

    #[test]
    fn names_that_other_tools_write_are_understood() {
        for (key, written, wanted, found) in [
            (
                annotations::REF_NAME,
                "docker.io/library/debian:12",
                "debian:12",
                true,
            ),
            (annotations::REF_NAME, "debian:12", "debian:12", true),
            (
                CONTAINERD_NAME,
                "docker.io/library/debian:12",
                "debian:12",
                true,
            ),
            (annotations::REF_NAME, "12", "debian:12", false),
            (annotations::REF_NAME, "debian", "debian:latest", false),
            (
                annotations::REF_NAME,
                "quay.io/debian:12",
                "debian:12",
                false,
            ),
        ] {
            let mut entry = descriptor("x");
            entry.annotations.insert(key.to_owned(), written.to_owned());
            let index = Index::new(vec![entry], BTreeMap::new());
            let wanted: Reference = wanted.parse().unwrap();
            assert_eq!(find(&index, &wanted).is_some(), found, "{written}");
        }
    }
}
