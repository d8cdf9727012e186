//! Annotation keys that refit writes: final, they are how records are restored from a registry.

/// OCI: the platform manifest (on a manifest) or index (on an index) of the base image.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// OCI: the reference of the base image.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// OCI: when the index was put together, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// OCI: the commit that was built; on the index.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// OCI layouts: the name of an entry of `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// BuildKit, on an index's entry for what it attests: that it is such a one.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// BuildKit, on the same: the manifest that the attestation is about.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// BuildKit, on a layer with a statement: the type of its predicate, which readers of attestations go by.
pub const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// On manifests and indexes: the image's name in its repository's inventory.
pub const IMAGE: &str = "dev.refit.image";
/// On manifests: the source id (`s1:…`).
pub const SOURCE: &str = "dev.refit.source";
/// On manifests: the pins, a JSON array of `{kind, reference, platform, manifest}`.
pub const PINS: &str = "dev.refit.pins";
/// On indexes: the line that was published.
pub const LINE: &str = "dev.refit.line";
/// On indexes: the digest that the lead tag had before.
pub const REPLACES: &str = "dev.refit.replaces";
