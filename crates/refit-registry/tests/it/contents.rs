//! Stores for engines that ask on a connection of their own.

use refit_oci::{Descriptor, Digest, media_type};
use refit_registry::{
    RegistryError,
    contents::{Content, Contents, Failure, Unwritten},
};
use refit_testkit::registry::{Fault, Image};
use tempfile::TempDir;

use crate::{Open, image};

/// A store with one image of a registry.
struct Site {
    open: Open,
    image: Image,
    contents: Contents,
    _folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let open = Open::start();
        let image = image();
        open.server.put_image("library/debian", "12", &image);
        let folder = TempDir::new().unwrap();
        let contents = Contents::new(folder.path()).unwrap();
        let repository = open.repository("library/debian");
        let manifest = image.digest().clone();
        contents.allow("bases", open.client(), repository, manifest);
        Self {
            open,
            image,
            contents,
            _folder: folder,
        }
    }

    fn layer(&self, number: usize) -> Digest {
        Digest::sha256(&self.image.layers[number])
    }
}

#[tokio::test]
async fn a_layer_that_nobody_reads_is_not_fetched() {
    let site = Site::new();
    let bases = site.contents.store("bases").unwrap();
    for (number, layer) in site.image.layers.iter().enumerate() {
        let known = bases.size_of(&site.layer(number)).await;
        assert_eq!(known, Ok(Some(layer.len() as u64)));
    }
    assert_eq!(site.open.server.count("GET", "/blobs/"), 0);

    for _ in 0..3 {
        let content = bases.open(&site.layer(1)).await.unwrap().unwrap();
        let Content::File(file) = content else {
            panic!("a layer is no document");
        };
        assert_eq!(std::fs::read(file.path()).unwrap(), site.image.layers[1]);
    }
    let fetched = |number| site.open.server.count("GET", site.layer(number).as_str());
    assert_eq!((fetched(0), fetched(1)), (0, 1));
    assert!(site.contents.failures().is_empty());
    assert!(site.contents.store("other").is_none());
    assert!(site.contents.take("bases").unwrap().is_none());
}

#[tokio::test]
async fn what_can_t_be_read_is_remembered() {
    let site = Site::new();
    let bases = site.contents.store("bases").unwrap();
    let layer = site.layer(0);
    let fault = Fault::Corrupt;
    site.open
        .server
        .fail("GET", layer.as_str(), usize::MAX, fault);
    let told = bases.open(&layer).await.err().unwrap();
    assert!(told.contains("was damaged or forged"), "{told}");
    let failures = site.contents.failures();
    let [failure @ Failure::Unread { repository, source }] = &failures[..] else {
        panic!("{failures:?}");
    };
    assert_eq!(failure.to_string(), told);
    assert_eq!(*repository, site.open.repository("library/debian"));
    assert!(matches!(source, RegistryError::DigestMismatch { .. }));
    assert!(site.contents.failures().is_empty(), "told once");
    site.open.server.behave();
    assert!(bases.open(&layer).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_written_last_is_the_result_if_it_is_a_document() {
    let site = Site::new();
    let known = vec![Descriptor::of(
        media_type::OCI_LAYER_GZIP,
        &site.image.layers[0],
    )];
    site.contents.output("export", known);
    assert!(site.contents.take("export").unwrap().is_none());
    let export = site.contents.store("export").unwrap();
    assert_eq!(
        export.size_of(&site.layer(0)).await,
        Ok(Some(site.image.layers[0].len() as u64))
    );
    let put = async |bytes: &[u8]| {
        let mut writing = export.write("a").await.unwrap();
        writing.append(bytes).await.unwrap();
        writing.commit(None, None).await.unwrap()
    };
    put(b"no document").await;
    let error = site.contents.take("export").unwrap_err();
    assert!(matches!(error, RegistryError::Document { .. }), "{error:?}");

    put(&site.image.config).await;
    let layer = put(&site.image.layers[1]).await;
    put(&site.image.manifest.bytes).await;
    let pushed = site.contents.take("export").unwrap().unwrap();
    assert_eq!(pushed.manifest.digest(), site.image.digest());
    let sent = std::fs::read(&pushed.blobs[&layer]).unwrap();
    assert_eq!(sent, site.image.layers[1]);
    let nobody = site.contents.store("bases").unwrap().write("a").await;
    assert!(matches!(nobody.err(), Some(Unwritten::ReadOnly)));
}
