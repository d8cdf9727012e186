//! How much is asked and how often, for many images: bounds that no machine's speed can blur.

use std::collections::BTreeSet;

use refit_deps::{
    image::Image,
    plan::{self, SweepOptions, Word},
    scan::{Scans, Triggers},
};

use crate::large::{Large, Size, files, world::World};

const SIZE: Size = Size {
    images: 240,
    bases: 10,
    levels: 6,
};

#[test]
fn a_sweep_of_many_fresh_images_asks_for_each_tag_once_and_for_nothing_else() {
    let mut world = World::new(SIZE);
    let options = SweepOptions::default();
    let (plan, rounds) = world.resolve(|ground| plan::sweep(ground, &options));
    assert_eq!(
        (plan.steps.len(), plan.kept.len(), plan.states.len()),
        (0, 480, 0)
    );
    let asked = (world.answers.tags.len(), world.answers.documents.len());
    assert_eq!(asked, (250, 0));
    assert!(rounds <= 4, "{rounds} rounds");
    // A Dockerfile in which no platform decides anything is resolved once for all, when the repository is read.
    assert_eq!(
        (world.large.scans.n_resolved(), plan.n_evaluated),
        (240, 480)
    );
}

#[test]
fn twice_as_many_images_take_twice_the_work() {
    let work = |images, bases_moved| {
        let mut world = World::new(Size { images, ..SIZE });
        world.bases_moved = bases_moved;
        let options = SweepOptions::default();
        let (plan, rounds) = world.resolve(|ground| plan::sweep(ground, &options));
        let asked = &world.answers;
        let n_own = asked.tags.len() - SIZE.bases;
        let counts = [
            n_own,
            asked.releases.len(),
            world.large.scans.n_resolved(),
            plan.n_evaluated,
        ];
        (counts, rounds)
    };
    for bases_moved in [false, true] {
        let (once, rounds) = work(240, bases_moved);
        let (twice, rounds_of_twice) = work(480, bases_moved);
        assert_eq!(once.map(|n| 2 * n), twice, "bases moved: {bases_moved}");
        assert_eq!(rounds, rounds_of_twice);
        assert!(once.iter().all(|n| *n <= 480), "{once:?}");
    }
}

#[test]
fn images_of_one_dockerfile_share_what_it_resolves_to() {
    let world = World::new(Size { images: 60, ..SIZE });
    let scans = &world.large.scans;
    let resolved = scans.n_resolved();
    let image = &world.large.inventory.images[0];
    let other = Image {
        name: "other".to_owned(),
        ..image.clone()
    };
    let scan = |image: &Image| scans.scan(image, &image.platforms[0], &Triggers::new());
    assert_eq!(scan(image), scan(&other));
    assert_eq!(scans.n_resolved(), resolved);
    let with_argument = Image {
        build_args: [("VERSION".to_owned(), "2".to_owned())].into(),
        ..image.clone()
    };
    assert!(scan(&with_argument).is_some_and(|scanned| scanned.is_ok()));
    assert_eq!(scans.n_resolved(), resolved + 1);
}

#[test]
fn what_threads_share_comes_to_the_same() {
    let images = 2000; // more than one thread is given
    let large = Large::new(files("registry.test", Size { images, ..SIZE }));
    let mut found = large.scans.found();
    for image in &large.inventory.images {
        let alone = Scans::of([image], &large.build_platform);
        for expect in alone.found() {
            assert_eq!(found.next(), Some(expect));
        }
    }
    assert_eq!(found.next(), None);
    assert_eq!(large.scans.n_resolved(), images);
}

/// Parents come first: threads find them evaluated, and do not evaluate them again each for itself.
#[test]
fn threads_evaluate_each_target_once() {
    let mut world = World::new(SIZE);
    world.bases_moved = true;
    let options = SweepOptions {
        share: Some(7),
        ..SweepOptions::default()
    };
    let (plan, _) = world.resolve(|ground| plan::sweep(ground, &options));
    assert_eq!((plan.steps.len(), plan.n_evaluated), (480, 480));
}

#[test]
fn a_sweep_of_many_stale_images_takes_as_many_rounds_as_one_of_a_few() {
    let mut few = World::new(Size {
        images: 6,
        bases: 1,
        ..SIZE
    });
    let mut many = World::new(SIZE);
    let options = SweepOptions::default();
    let [rounds_of_few, rounds_of_many] = [&mut few, &mut many].map(|world| {
        world.bases_moved = true;
        let (plan, rounds) = world.resolve(|ground| plan::sweep(ground, &options));
        let n_images = world.large.inventory.images.len();
        assert_eq!((plan.steps.len(), plan.kept.len()), (2 * n_images, 0));
        assert_eq!(plan.publications.len(), n_images);
        assert_eq!(plan.steps.last().map(|step| step.wave), Some(6));
        rounds
    });
    assert!(rounds_of_many <= rounds_of_few, "{rounds_of_many} rounds");
}

#[test]
fn a_chain_of_five_hundred_images_needs_no_stack_of_that_depth() {
    let mut world = World::new(Size {
        images: 500,
        bases: 1,
        levels: 500,
    });
    world.bases_moved = true;
    let (status, rounds) = world.resolve(plan::status);
    assert!(status.rows.iter().all(|row| row.word == Word::Stale));
    let last = status.plan.steps.last().map(|step| step.wave);
    assert_eq!(last, Some(500));
    assert!(rounds <= 8, "{rounds} rounds");
}

/// What a cache gave, a forced build must not take for its own result: its key names what it replaces.
#[test]
fn a_forced_build_is_staged_under_a_tag_of_its_own() {
    let staged = |force| {
        let mut world = World::new(Size { images: 24, ..SIZE });
        world.bases_moved = true;
        let options = SweepOptions {
            force,
            ..SweepOptions::default()
        };
        let (plan, _) = world.resolve(|ground| plan::sweep(ground, &options));
        let n_known = plan.steps.iter().filter(|step| step.wave == 1).count();
        let tags = world.answers.tags.keys();
        let tags = tags.filter(|tag| tag.tag().is_some_and(|tag| tag.starts_with("refit-")));
        let tags: BTreeSet<refit_oci::Reference> = tags.cloned().collect();
        assert_eq!(tags.len(), n_known, "{tags:?}");
        tags
    };
    assert!(staged(false).is_disjoint(&staged(true)));
}
