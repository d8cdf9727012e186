//! The main story, once on each engine: released, patched on one platform, left alone, rolled back, taken over.

mod patch;
mod release;

use std::collections::BTreeMap;

use refit_oci::Digest;
use refit_testkit::engines::Version;

use crate::{bench::Bench, hub::Hub, lineage};

const IMAGES: [&str; 3] = ["base", "web", "shop"];

#[test]
fn needs_engine_docker20_a_lineage_is_released_patched_and_left_alone() {
    story(Version::V20);
}

#[test]
fn needs_engine_docker26_a_lineage_is_released_patched_and_left_alone() {
    story(Version::V26);
}

#[test]
fn needs_engine_docker26_with_containerds_image_store_a_lineage_is_released_patched_and_left_alone()
{
    story(Version::V26Containerd);
}

fn story(version: Version) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    lineage::write(&bench, &hub);
    bench.commit("three images");
    let story = Story { hub, bench };
    let released = story.is_released();
    story.ran_on_both_platforms();
    story.runs();
    story.sent_no_layer_of_the_base();
    story.is_recorded();
    let patched = story.is_patched_on_arm64(&released);
    story.is_left_alone();
    story.a_rollback_is_left_alone(&released, &patched);
    story.is_taken_over(&released, &patched);
    assert_eq!(story.bench.left_in_engine(), (Vec::new(), 0));
}

/// The platforms' manifests of each image.
type Manifests = BTreeMap<&'static str, BTreeMap<String, String>>;

struct Story {
    hub: Hub,
    bench: Bench,
}

impl Story {
    fn latest(image: &str) -> String {
        format!("team/{image}:latest")
    }

    fn manifests(&self) -> Manifests {
        IMAGES
            .map(|image| (image, self.hub.manifests(&Self::latest(image))))
            .into()
    }

    fn indexes(&self) -> BTreeMap<&'static str, Digest> {
        IMAGES
            .map(|image| (image, self.hub.digest(&Self::latest(image))))
            .into()
    }

    /// All that a run could have written: every tag with its digest, and both notes refs.
    fn everything(&self) -> (Vec<BTreeMap<String, Digest>>, String) {
        let tags = IMAGES.map(|image| self.hub.tags(&format!("team/{image}")));
        let notes = self
            .bench
            .git(&["for-each-ref", "refs/notes"])
            .exits(0)
            .line();
        (tags.into(), notes)
    }
}
