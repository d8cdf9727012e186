//! Mirrors: what a digest names from them, what a tag holds from the origin.

use std::collections::BTreeMap;

use refit_oci::{Document, Repository};
use refit_registry::{HostSettings, Registries, Settings};
use refit_testkit::registry::{Fault, Options, TestRegistry};

use crate::{image, quick};

struct Both {
    origin: TestRegistry,
    mirror: TestRegistry,
}

impl Both {
    /// The origin, and a mirror of it below `hub/`.
    fn start() -> Self {
        Self {
            origin: TestRegistry::start(Options::default()),
            mirror: TestRegistry::start(Options::default()),
        }
    }

    fn registries(&self, mirror_tags: bool) -> Registries {
        let address = format!("http://{}/hub", self.mirror.host());
        let settings = HostSettings {
            mirrors: vec![address.parse().unwrap()],
            mirror_tags,
            ..HostSettings::default()
        };
        Registries::new(Settings {
            hosts: BTreeMap::from([(self.origin.host(), settings)]),
            ..quick()
        })
    }

    fn web(&self) -> Repository {
        format!("{}/web", self.origin.host()).parse().unwrap()
    }
}

#[tokio::test]
async fn content_comes_from_the_mirror_and_tags_from_the_origin() {
    let both = Both::start();
    both.origin.put_image("web", "1", &image());
    both.mirror.put_image("hub/web", "", &image());
    let (registries, web) = (both.registries(false), both.web());
    let client = registries.registry(web.registry());
    let head = client.head(&web.tagged("1").unwrap()).await.unwrap();
    let document = client.document(&web, head.digest().unwrap()).await.unwrap();
    let Document::Manifest(manifest) = document else {
        panic!("an index")
    };
    client.blob(&web, &manifest.value.config).await.unwrap();
    assert_eq!(both.mirror.count("GET", "/v2/hub/web/"), 2);
    assert_eq!(both.mirror.count("HEAD", ""), 0);
    assert_eq!(
        (both.origin.count("HEAD", ""), both.origin.count("GET", "")),
        (1, 0)
    );
}

#[tokio::test]
async fn what_the_mirror_lacks_or_spoils_comes_from_the_origin() {
    for broken in [None, Some(Fault::Corrupt), Some(Fault::Status(403))] {
        let both = Both::start();
        both.origin.put_image("web", "1", &image());
        if let Some(fault) = broken.clone() {
            both.mirror.put_image("hub/web", "", &image());
            both.mirror.fail("GET", "", 9, fault);
        }
        let (registries, web) = (both.registries(false), both.web());
        let client = registries.registry(web.registry());
        let document = client.document(&web, image().digest()).await;
        assert_eq!(document.unwrap().digest(), image().digest(), "{broken:?}");
        assert_eq!(both.origin.count("GET", ""), 1);
    }
}

#[tokio::test]
async fn a_mirror_that_is_down_is_left_alone_after_the_first_time() {
    let mut both = Both::start();
    both.origin.put_image("web", "1", &image());
    both.mirror.stop();
    let (registries, web) = (both.registries(false), both.web());
    let client = registries.registry(web.registry());
    for _ in 0..3 {
        client.document(&web, image().digest()).await.unwrap();
    }
    // Two attempts at the mirror, then the origin; from then on the origin alone.
    assert_eq!(registries.requests().get, 2 + 3);
}

#[tokio::test]
async fn an_origin_out_of_reach_is_no_matter_where_mirrors_answer_for_tags() {
    let mut both = Both::start();
    both.mirror.put_image("hub/web", "1", &image());
    let web = both.web();
    both.origin.stop();
    let tag = web.tagged("1").unwrap();
    let told = both.registries(true);
    let head = told.registry(web.registry()).head(&tag).await.unwrap();
    assert_eq!(head.digest(), Some(image().digest()));
    let asked = both.registries(false);
    let error = asked.registry(web.registry()).head(&tag).await.unwrap_err();
    assert!(error.is_offline(), "{error}");
}

#[tokio::test]
async fn what_is_pushed_to_is_never_read_from_a_mirror() {
    let both = Both::start();
    both.origin.put_image("web", "1", &image());
    both.mirror.put_image("hub/web", "1", &image());
    let (registries, web) = (both.registries(true), both.web());
    registries.never_mirror([web.clone()]);
    let client = registries.registry(web.registry());
    client.head(&web.tagged("1").unwrap()).await.unwrap();
    client.document(&web, image().digest()).await.unwrap();
    assert_eq!(both.mirror.count("*", ""), 0);
}

#[tokio::test]
async fn nothing_is_pushed_to_a_mirror() {
    let both = Both::start();
    let (registries, web) = (both.registries(true), both.web());
    let client = registries.registry(web.registry());
    crate::push(&*client, &web, &image(), Some("1")).await;
    assert!(both.origin.tag("web", "1").is_some());
    let written = both.mirror.requests().into_iter();
    assert!(written.filter(|r| r.method != "HEAD").count() == 0);
}
