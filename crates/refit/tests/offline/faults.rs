//! Registries that misbehave: a sweep does the job all the same, or fails and moves nothing; the next one does it.

use std::{array::repeat, time::Duration};

use refit_testkit::registry::Fault;

use crate::{
    bench::Bench,
    fixtures::{IMAGES, LINEAGE},
};

/// Released on base `one`; the base is `two`; a sweep whose requests meet the faults, one each.
#[track_caller]
fn swept_with(method: &str, path: &str, faults: &[Fault], exits: i32) {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = IMAGES.map(|image| bench.manifests(image));
    bench.push_base("1", "two", "two");
    // The clone has no manifest in its cache: it has to ask for everything.
    std::fs::remove_dir_all(shop.dir().join(".git/refit/documents")).unwrap();
    for fault in faults {
        bench.hub.fail(method, path, 1, fault.clone());
    }

    shop.refit(&["sweep"]).exits(exits);
    assert_eq!(bench.hub.faults_left(), 0, "the faults were met");
    for (image, before) in IMAGES.iter().zip(&before) {
        for (platform, now) in bench.manifests(image) {
            // Whatever a tag holds is whole: the old one, or the patched one.
            let kept = now == before[&platform];
            let expected = if kept { "one" } else { "two" };
            assert_eq!(
                bench.file(image, &platform, "etc/patch").unwrap(),
                expected,
                "{image}@{platform}"
            );
            assert!(!kept || exits != 0, "{image}@{platform} is patched");
        }
    }
    if exits != 0 {
        shop.refit(&["sweep"]).exits(0);
    }
    for image in IMAGES {
        assert_eq!(
            bench.file(image, "linux/arm64", "etc/patch").unwrap(),
            "two"
        );
    }
    bench.hub.forget_requests();
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn a_registry_that_asks_for_a_pause_gets_it() {
    swept_with(
        "HEAD",
        "/v2/base/os/manifests/1",
        &[Fault::TooManyRequests(1)],
        0,
    );
}

#[test]
fn a_registry_that_asks_for_an_hour_is_not_waited_for() {
    swept_with(
        "HEAD",
        "/v2/base/os/manifests/1",
        &[Fault::TooManyRequests(3600)],
        2,
    );
}

#[test]
fn a_server_error_of_a_base_passes() {
    swept_with("GET", "/v2/base/os/manifests/", &[Fault::Status(503)], 0);
}

#[test]
fn a_server_error_of_a_blob_passes() {
    swept_with("GET", "/v2/base/os/blobs/", &[Fault::Status(500)], 0);
}

#[test]
fn a_server_error_while_an_upload_ends_passes() {
    swept_with("PUT", "/blobs/uploads/", &[Fault::Status(502)], 0);
}

#[test]
fn a_server_error_while_a_tag_moves_passes() {
    swept_with(
        "PUT",
        "/v2/team/web/manifests/latest",
        &[Fault::Status(503)],
        0,
    );
}

#[test]
fn a_blob_that_breaks_off_is_asked_for_again() {
    swept_with("GET", "/v2/base/os/blobs/", &[Fault::Truncated(20)], 0);
}

#[test]
fn a_manifest_that_breaks_off_is_asked_for_again() {
    swept_with("GET", "/v2/base/os/manifests/", &[Fault::Truncated(20)], 0);
}

#[test]
fn a_manifest_of_other_bytes_is_never_built_on() {
    swept_with("GET", "/v2/base/os/manifests/", &[Fault::Corrupt], 2);
}

#[test]
fn a_config_of_other_bytes_is_never_built_on() {
    // Of the new base, on two platforms; those of the old one are known since the release.
    let faults: [Fault; 2] = repeat(Fault::Corrupt);
    swept_with("GET", "/v2/base/os/blobs/", &faults, 2);
}

#[test]
fn a_layer_of_other_bytes_is_never_built_on() {
    // The plan reads the configs of the new base on two platforms. The third blob is one that a rebase asks for: it is
    // given up, and the build reads the layer again.
    let configs: [Fault; 2] = repeat(Fault::Slow(Duration::ZERO));
    let faults = [&configs[..], &[Fault::Corrupt]].concat();
    swept_with("GET", "/v2/base/os/blobs/", &faults, 0);
}

#[test]
fn a_tag_that_names_a_digest_which_is_not_there_moves_nothing() {
    swept_with("HEAD", "/v2/base/os/manifests/1", &[Fault::WrongDigest], 1);
}

#[test]
fn a_lead_tag_with_another_digest_when_it_is_read_again_does_not_move() {
    // The first HEAD is the plan's.
    let faults = [Fault::Slow(Duration::ZERO), Fault::WrongDigest];
    swept_with("HEAD", "/v2/team/web/manifests/latest", &faults, 1);
}

#[test]
fn an_upload_without_a_location_fails_its_target_and_what_is_built_on_it() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.all_published(&IMAGES);
    bench.push_base("1", "two", "two");
    bench.hub.fail(
        "POST",
        "/v2/team/base/blobs/uploads/",
        usize::MAX,
        Fault::Without("location"),
    );
    shop.refit(&["sweep"])
        .exits(1)
        .mentions("base@linux/amd64: ")
        .mentions("broke the protocol");
    assert_eq!(bench.all_published(&IMAGES), before);
    bench.hub.behave();
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "two"
    );
}

#[test]
fn a_registry_that_does_not_confirm_a_manifests_digest_is_told_apart() {
    swept_with(
        "PUT",
        "/v2/team/base/manifests/refit-",
        &[Fault::WrongDigest],
        1,
    );
}

#[test]
fn a_registry_that_names_no_digest_is_asked_for_the_manifest_itself() {
    let faults = [Fault::Without("docker-content-digest")];
    swept_with("HEAD", "/v2/base/os/manifests/1", &faults, 0);
    swept_with("HEAD", "/v2/team/web/manifests/latest", &faults, 0);
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    swept_with(
        "*",
        "/v2/team/web/manifests/",
        &repeat::<_, 2>(Fault::Disconnect),
        0,
    );
}

#[test]
fn a_slow_registry_is_waited_for() {
    swept_with(
        "*",
        "/manifests/",
        &repeat::<_, 6>(Fault::Slow(Duration::from_millis(300))),
        0,
    );
}

#[test]
fn a_portal_instead_of_a_registry_is_no_image() {
    swept_with(
        "*",
        "/v2/base/os/manifests/",
        &repeat::<_, 2>(Fault::Page),
        2,
    );
}
