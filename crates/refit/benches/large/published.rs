//! The registry's side: bases with a layer, and images of ours that are but their manifests.

use std::collections::BTreeMap;

use refit_deps::image::Image;
use refit_oci::{
    Descriptor, Digest, Document, Exact, Index, Manifest, ObjectId, Platform, Reference,
    annotations, media_type,
};
use refit_testkit::registry::{self, TestRegistry};

use super::large::{Published, Size, base};

/// What a registry holds, by names.
pub(crate) struct Registry<'r> {
    hub: &'r TestRegistry,
    /// How often the bases were pushed.
    patch: usize,
    /// Index, and manifests by platform.
    bases: BTreeMap<Reference, (Digest, BTreeMap<Platform, Digest>)>,
    images: BTreeMap<String, (Digest, BTreeMap<Platform, Digest>)>,
    pub(crate) commit: ObjectId,
    pub(crate) blobs: BTreeMap<String, ObjectId>,
}

impl<'r> Registry<'r> {
    pub(crate) fn new(hub: &'r TestRegistry) -> Self {
        Self {
            hub,
            patch: 0,
            bases: BTreeMap::new(),
            images: BTreeMap::new(),
            commit: "0".repeat(40).parse().unwrap(),
            blobs: BTreeMap::new(),
        }
    }

    /// The registry's name in references.
    pub(crate) fn host(&self) -> String {
        self.hub.host()
    }

    /// Pushes every base, each time another one.
    pub(crate) fn push_bases(&mut self, size: Size) {
        self.patch += 1;
        for n in 0..size.bases {
            let reference: Reference = base(&self.hub.host(), n).parse().unwrap();
            let release = format!("{n} {}\n", self.patch);
            let image = |p: &str| registry::Image::new(p, &[&[("etc/release", &release)]]);
            let images = ["linux/amd64", "linux/arm64"].map(image);
            let path = reference.repository().path();
            let index = self.hub.put_index(path, "12", &images);
            let manifests = images.map(|image| (image.platform, image.manifest.digest));
            self.bases
                .insert(reference, (index, manifests.into_iter().collect()));
        }
    }

    /// Pushes an image of ours: a manifest for each platform, and the index over them.
    pub(crate) fn push(&mut self, image: &Image) {
        let path = image.destination().path();
        let mut manifests = BTreeMap::new();
        let mut entries = Vec::new();
        for platform in &image.platforms {
            let config = format!("{{\"image\":\"{}\",\"for\":\"{platform}\"}}", image.name);
            let config = (self.hub).put_blob(path, media_type::OCI_CONFIG, config.as_bytes());
            let manifest = Manifest::new(config, Vec::new(), BTreeMap::new());
            let manifest = Exact::encode(media_type::OCI_MANIFEST, manifest);
            let mut entry: Descriptor = manifest.descriptor();
            entry.platform = Some(platform.clone());
            let document = Document::Manifest(manifest);
            let digest = self.hub.put_document(path, "", &document);
            manifests.insert(platform.clone(), digest);
            entries.push(entry);
        }
        let ours = [
            (annotations::IMAGE, image.name.as_str()),
            (annotations::REVISION, self.commit.as_str()),
        ];
        let ours = ours.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let index = Index::new(entries, ours.into_iter().collect());
        let index = Document::Index(Exact::encode(media_type::OCI_INDEX, index));
        let index = self.hub.put_document(path, "latest", &index);
        self.images.insert(image.name.clone(), (index, manifests));
    }
}

impl Published for Registry<'_> {
    fn commit(&self) -> &ObjectId {
        &self.commit
    }

    fn blob(&self, path: &str) -> ObjectId {
        self.blobs[path].clone()
    }

    fn base(&self, reference: &Reference, platform: &Platform) -> (Digest, Digest) {
        let (index, manifests) = &self.bases[reference];
        (index.clone(), manifests[platform].clone())
    }

    fn manifest(&self, image: &str, platform: &Platform) -> Digest {
        self.images[image].1[platform].clone()
    }

    fn index(&self, image: &str) -> Digest {
        self.images[image].0.clone()
    }
}
