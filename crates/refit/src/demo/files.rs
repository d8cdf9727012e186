//! The files of the demo's two repositories.

/// Docker Hub is a folder: everything else is as in real life.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    (
        "config.toml",
        "[registries.\"docker.io\"]\nlayout = \"registry\"\n",
    ),
    ("registry/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"),
    (
        "registry/index.json",
        "{\"schemaVersion\":2,\"manifests\":[]}",
    ),
];

/// The repository that plays Debian.
pub(super) const DEBIAN: &[(&str, &str)] = &[
    (".config/refit.toml", DEBIAN_CONFIG),
    (
        "debian/Dockerfile",
        "FROM scratch\nARG TARGETARCH\nCOPY rootfs /\nCOPY $TARGETARCH /\nCMD [\"/bin/sh\"]\n",
    ),
    (
        "debian/rootfs/etc/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
    ),
    (
        "debian/rootfs/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n",
    ),
    ("debian/rootfs/etc/group", "root:x:0:\nwww-data:x:33:\n"),
    (
        "debian/amd64/usr/lib/libssl.so.3",
        "openssl 3.0.11-1 for amd64\n",
    ),
    (
        "debian/arm64/usr/lib/libssl.so.3",
        "openssl 3.0.11-1 for arm64\n",
    ),
];

const DEBIAN_CONFIG: &str = "\
version = 1
push-to = [\"docker.io/library\"]

[[image]]
name = \"debian\"
context = \"debian\"
tags = [\"12-slim\"]
platforms = [\"linux/amd64\", \"linux/arm64\"]
";

/// A patch of one platform.
pub(super) const PATCH: &[(&str, &str)] = &[(
    "debian/arm64/usr/lib/libssl.so.3",
    "openssl 3.0.15-1 for arm64\n",
)];

/// The user's repository.
pub(super) const SHOP: &[(&str, &str)] = &[
    (".config/refit.toml", SHOP_CONFIG),
    (
        "base/Dockerfile",
        "FROM debian:12-slim\nCOPY ca.pem /etc/ssl/certs/\nENV LANG=C.UTF-8\n",
    ),
    ("base/ca.pem", "-----BEGIN CERTIFICATE-----\n"),
    (
        "web/Dockerfile",
        "FROM registry.example.com/shop/base\nWORKDIR /srv\nCOPY --chown=www-data site ./site\nUSER www-data\n",
    ),
    ("web/site/index.html", "<h1>Shop</h1>\n"),
    (
        "shop/Dockerfile",
        "FROM registry.example.com/shop/web\nCOPY prices.json ./\nCMD [\"serve\", \"site\"]\n",
    ),
    ("shop/prices.json", "{\"apple\": 1}\n"),
    ("README.md", "# Shop\n"),
];

const SHOP_CONFIG: &str = "\
version = 1

[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]

[[images]]
files = \"*/Dockerfile\"
name = \"{dir}\"
repository = \"registry.example.com/shop/{dir}\"
";
