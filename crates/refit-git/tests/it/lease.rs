//! A lease that several clones want.

use std::thread;

use refit_git::{
    Repo,
    notes::{LEASE, LeaseMove},
};

use crate::fixture::{Fixture, git, open};

/// Clones of one bare remote.
fn clones<const N: usize>(fixture: &Fixture) -> [Repo; N] {
    fixture.git(&["clone", "--quiet", "--bare", ".", "../remote.git"]);
    std::array::from_fn(|n| {
        let dir = fixture.beside(&format!("clone{n}"));
        let clone = ["clone", "--quiet", "../remote.git", dir.to_str().unwrap()];
        git(&fixture.path(), &clone);
        open(&dir)
    })
}

#[test]
fn one_of_many_gets_it_and_the_others_see_whose_it_is() {
    let fixture = Fixture::with("//- a\n1");
    let clones: [Repo; 6] = clones(&fixture);
    let moves = thread::scope(|scope| {
        let take = |(n, repo): (usize, &Repo)| {
            let text = format!("holder {n}");
            let taken = repo.lease_take("origin", None, &text).unwrap();
            matches!(taken, LeaseMove::Moved(Some(_))).then_some(text)
        };
        let taking: Vec<_> = clones
            .iter()
            .enumerate()
            .map(|of| scope.spawn(move || take(of)))
            .collect();
        taking
            .into_iter()
            .filter_map(|t| t.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(moves.len(), 1, "{moves:?}");
    for repo in &clones {
        let lease = repo.lease("origin").unwrap().unwrap();
        assert_eq!(lease.text.trim_end(), moves[0]);
    }
}

#[test]
fn it_moves_from_what_it_was_and_from_nothing_else() {
    let fixture = Fixture::with("//- a\n1");
    let [one, two] = clones(&fixture);
    assert_eq!(one.lease("origin").unwrap(), None);
    let LeaseMove::Moved(Some(first)) = one.lease_take("origin", None, "first").unwrap() else {
        panic!("nobody else was there");
    };
    let LeaseMove::Moved(Some(second)) = two
        .lease("origin")
        .unwrap()
        .map(|lease| {
            assert_eq!(lease.id, first);
            two.lease_take("origin", Some(&first), "second").unwrap()
        })
        .unwrap()
    else {
        panic!("it was what it was");
    };
    for old in [None, Some(&first)] {
        let moved = one.lease_take("origin", old, "third").unwrap();
        assert!(matches!(moved, LeaseMove::Beaten), "{moved:?}");
    }
    assert!(matches!(
        one.lease_drop("origin", &first).unwrap(),
        LeaseMove::Beaten
    ));
    assert!(matches!(
        two.lease_drop("origin", &second).unwrap(),
        LeaseMove::Moved(None)
    ));
    assert_eq!(one.lease("origin").unwrap(), None);
    git(&fixture.beside("remote.git"), &["fsck", "--strict"]);
}

#[test]
fn a_remote_that_takes_no_such_ref_is_no_error() {
    let fixture = Fixture::with("//- a\n1");
    let [one] = clones(&fixture);
    fixture.write(&format!(
        "//- ../remote.git/hooks/update\n#!/bin/sh\ntest \"$1\" != {LEASE}\n"
    ));
    let hook = fixture.beside("remote.git/hooks/update");
    std::fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let moved = one.lease_take("origin", None, "first").unwrap();
    assert!(matches!(moved, LeaseMove::NotAllowed(_)), "{moved:?}");
}
