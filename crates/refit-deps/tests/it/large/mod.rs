//! A large repository: images on images on a few bases, all of them published. For tests and benchmarks.

pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::{
    edges::Edges,
    image::Image,
    inventory::{self, Files, Inventory},
    pin::Pin,
    record::{BuildRecord, PublishRecord, Record},
    scan::Scans,
    source::{EntryMode, Source, SourceEntry, source},
};
use refit_dockerfile::{Found, FoundSource};
use refit_oci::{Digest, ObjectId, Platform, Reference};

/// How large.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) images: usize,
    /// External bases.
    pub(crate) bases: usize,
    /// How many images are below the deepest one, itself counted.
    pub(crate) levels: usize,
}

/// A repository and what its Dockerfiles say.
pub(crate) struct Large {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) inventory: Inventory,
    pub(crate) scans: Scans,
    pub(crate) edges: Edges,
    pub(crate) build_platform: Platform,
}

/// What is published: names for digests, however they come about.
pub(crate) trait Published {
    /// The commit that was released.
    fn commit(&self) -> &ObjectId;
    /// A file's blob.
    fn blob(&self, path: &str) -> ObjectId;
    /// An external base: its index, and its manifest for a platform.
    fn base(&self, reference: &Reference, platform: &Platform) -> (Digest, Digest);
    /// An image's manifest for a platform.
    fn manifest(&self, image: &str, platform: &Platform) -> Digest;
    /// An image's index.
    fn index(&self, image: &str) -> Digest;
}

/// The files of a repository that pushes to `host`: each image has a Dockerfile of two stages, a context of a few files
/// and an ignore file. The first `images / levels` of them are on external bases, the next ones on those, and so on.
pub(crate) fn files(host: &str, size: Size) -> BTreeMap<String, String> {
    let config = format!(
        "version = 1\npush-to = [\"{host}/team\"]\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n\
         [[images]]\nfiles = \"images/*/Dockerfile\"\nname = \"{{dir}}\"\n"
    );
    let mut files = BTreeMap::from([(".config/refit.toml".to_owned(), config)]);
    let per_level = size.images.div_ceil(size.levels).max(1);
    for n in 0..size.images {
        let level = n / per_level;
        let parent = match level {
            0 => base(host, n % size.bases),
            _ => format!(
                "{host}/team/s{:05}",
                (level - 1) * per_level + n % per_level
            ),
        };
        let tools = base(host, n * 7 % size.bases);
        let dockerfile = format!(
            "ARG VERSION={n}\nFROM {tools} AS build\nARG VERSION\nWORKDIR /src\nCOPY src ./\n\
             RUN make VERSION=\"${{VERSION}}\" && make install DESTDIR=/out\n\nFROM {parent}\n\
             LABEL org.opencontainers.image.title=\"s{n}\"\nENV SERVICE=s{n} PORT=8080\n\
             COPY --from=build /out /usr/local\nCOPY content /content\nUSER 1000\nCMD [\"/usr/local/bin/s{n}\"]\n"
        );
        let mut file = |name: &str, text: String| {
            files.insert(format!("images/s{n:05}/{name}"), text);
        };
        file("Dockerfile", dockerfile);
        file(".dockerignore", "*.md\n".to_owned());
        file("README.md", format!("# s{n}\n"));
        file("content", format!("{n}\n"));
        file(
            "src/main.c",
            format!("int main(void) {{ return {}; }}\n", n % 256),
        );
    }
    files
}

/// The reference of a base.
pub(crate) fn base(host: &str, n: usize) -> String {
    format!("{host}/base/b{n:02}:12")
}

/// An image's source, the same on all platforms.
pub(crate) fn source_of(image: &Image, published: &dyn Published) -> Source {
    let entry = |name: &str| SourceEntry {
        path: name.to_owned(),
        mode: EntryMode::File,
        id: published.blob(&format!("{}/{name}", image.context)),
    };
    let entries = [entry("content"), entry("src/main.c")];
    source(image, &published.blob(&image.dockerfile), &entries)
}

impl Large {
    pub(crate) fn new(files: BTreeMap<String, String>) -> Self {
        let build_platform = Platform::linux_amd64();
        let paths: BTreeSet<String> = files.keys().cloned().collect();
        let inventory = inventory::read(&Files {
            paths: &paths,
            read: &|path| files.get(path).map(|text| text.clone().into_bytes()),
            name: "large",
            line: "main",
        });
        assert!(inventory.problems.is_empty(), "{:?}", inventory.problems);
        let scans = Scans::of(&inventory.images, &build_platform);
        let edges = Edges::of(&inventory, &scans);
        Self {
            files,
            inventory,
            scans,
            edges,
            build_platform,
        }
    }

    /// The records of every image's release, with the Dockerfile that they are kept on.
    pub(crate) fn records(&self, published: &dyn Published) -> Vec<(&str, Record)> {
        let of_image = |image| {
            let records = self.records_of(image, published).into_iter();
            records.map(|record| (image.dockerfile.as_str(), record))
        };
        self.inventory.images.iter().flat_map(of_image).collect()
    }

    fn records_of(&self, image: &Image, published: &dyn Published) -> Vec<Record> {
        let at = "2026-01-01T00:00:00Z";
        let source = source_of(image, published).id;
        let build = |platform: &Platform| {
            let file = self.scans.target(&image.name, platform);
            let found = file.into_iter().flat_map(|file| &file.found);
            let deps = found.filter_map(|found| self.pin(image, found, published));
            Record::Build(BuildRecord {
                image: image.name.clone(),
                platform: platform.clone(),
                line: Some("main".to_owned()),
                source: source.clone(),
                commit: Some(published.commit().clone()),
                deps: deps.collect(),
                base_diff_ids: Vec::new(),
                manifest: published.manifest(&image.name, platform),
                how: "rebuild".to_owned(),
                engine: "docker".to_owned(),
                run: "01KA0000000000000000000000".to_owned(),
                log: None,
                reasons: std::collections::BTreeSet::new(),
                at: at.to_owned(),
            })
        };
        let platforms = image.platforms.iter();
        let platforms = platforms.map(|p| (p.clone(), published.manifest(&image.name, p)));
        let publish = Record::Publish(PublishRecord {
            id: format!("p-{}", image.name),
            after: None,
            image: image.name.clone(),
            line: "main".to_owned(),
            commit: Some(published.commit().clone()),
            index: published.index(&image.name),
            replaces: None,
            platforms: platforms.collect(),
            tags: image.moving_tags(),
            promotes: None,
            run: "01KA0000000000000000000000".to_owned(),
            at: at.to_owned(),
        });
        image.platforms.iter().map(build).chain([publish]).collect()
    }

    fn pin(&self, image: &Image, found: &Found, published: &dyn Published) -> Option<Pin> {
        let FoundSource::Reference(reference) = &found.source else {
            return None;
        };
        let (index, manifest) = if let Some(parent) = self.edges.parent(&image.name, found) {
            (None, published.manifest(parent.image, &found.platform))
        } else {
            let (index, manifest) = published.base(reference, &found.platform);
            (Some(index), manifest)
        };
        Some(Pin {
            kind: found.kind,
            reference: reference.clone(),
            platform: found.platform.clone(),
            index,
            manifest: Some(manifest),
        })
    }
}
