//! The repository of the stories: `base/os:1` → base → web → shop, RUN on each, two platforms.

use refit_testkit::engines::Version;

use crate::{bench::Bench, hub::Hub};

/// The three images, committed and published.
pub(crate) fn released(version: Version) -> (Hub, Bench) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    write(&bench, &hub);
    bench.commit("three images");
    bench.refit(&["build", "--push"]).exits(0);
    (hub, bench)
}

/// Writes the three images and the configuration that pushes them to the registry.
pub(crate) fn write(bench: &Bench, hub: &Hub) {
    let host = hub.host();
    let config = format!(
        "version = 1\npush-to = [\"{host}/team\"]\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\
         network = \"none\"\n\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n"
    );
    let base =
        format!("FROM {host}/base/os:1\nRUN uname -m > /etc/built-on && cat /etc/os-patch\n");
    let web = format!(
        "FROM {host}/team/base\nENV SITE=/site\nWORKDIR /site\nCOPY page .\n\
         RUN echo \"web says $(cat page) on $(uname -m)\" | tee greeting\nCMD [\"cat\", \"greeting\"]\n"
    );
    let shop = format!(
        "FROM {host}/team/web AS build\nRUN sha256sum greeting > /sum\n\n\
         FROM {host}/team/web\nUSER nobody\nLABEL shop=open\nCOPY --from=build /sum /etc/sum\n\
         RUN test -s /etc/sum && id -un\n"
    );
    bench.write(&[
        (".config/refit.toml", &config),
        ("base/Dockerfile", &base),
        ("web/Dockerfile", &web),
        ("web/page", "hello\n"),
        ("shop/Dockerfile", &shop),
    ]);
}
