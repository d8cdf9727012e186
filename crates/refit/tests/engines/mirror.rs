//! Bases built from a mirror of ours: a real registry, and an engine that sees no other.

use refit_testkit::{
    engines::Version,
    registry::{Fault, Gate, Options, TestRegistry},
};

use crate::{
    bench::Bench,
    hub::{Hub, push_base},
    said::Said,
};

#[test]
fn needs_engine_docker20_a_base_whose_registry_is_gone_after_the_copy_is_built_on() {
    a_registry_that_goes(Version::V20);
}

#[test]
fn needs_engine_docker26_a_base_whose_registry_is_gone_after_the_copy_is_built_on() {
    a_registry_that_goes(Version::V26);
}

fn a_registry_that_goes(version: Version) {
    let mirror = Hub::start();
    let team = TestRegistry::start(Options::default());
    let mut origin = TestRegistry::start(Options::default());
    push_base(&origin.host(), "base/os", "1", "1");
    let bench = Bench::with_engine(version);
    let config = format!(
        "version = 1\npush-to = [\"{}/team\"]\n\n[bases]\nmirror = \"{}/mirror\"\n\n\
         [[image]]\nname = \"web\"\ncontext = \"web\"\nnetwork = \"none\"\n",
        team.host(),
        mirror.host()
    );
    let dockerfile = format!(
        "FROM {}/base/os:1\nRUN cat /etc/os-patch > /built-on\n",
        origin.host()
    );
    bench.write(&[
        (".config/refit.toml", &config),
        ("web/Dockerfile", &dockerfile),
    ]);
    bench.commit("Add an image");

    // The plan asks for the staged result, and so does the run before it builds. By then bases are copied.
    let (planned, copied) = (Gate::default(), Gate::default());
    planned.open();
    for gate in [&planned, &copied] {
        let held = Fault::Held(gate.clone());
        team.fail("HEAD", "/manifests/refit-", 1, held);
    }
    let mut command = bench.refit_command(&bench.repository(), &["build", "--push", "--quiet"]);
    let released = std::thread::scope(|scope| {
        let release = scope.spawn(|| Said::by(&mut command));
        assert!(copied.wait(), "nothing was to be built");
        origin.stop();
        copied.open();
        release.join().unwrap()
    });
    released.exits(0);
    assert!(team.tag("team/web", "latest").is_some());
    let path = format!("mirror/{}/base/os", origin.host().replace(':', "-"));
    let tags = mirror.tags(&path);
    let [(tag, manifest)] = tags.iter().collect::<Vec<_>>()[..] else {
        panic!("one platform, one copy: {tags:?}");
    };
    assert_eq!(*tag, format!("base-{}", manifest.hex()));

    // Once it is back and has moved, a patch copies what is new.
    origin.resume();
    push_base(&origin.host(), "base/os", "2", "2");
    let swept = bench.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(swept["mirrors"][0]["copied"], true, "{swept}");
    assert_eq!(mirror.tags(&path).len(), 2);
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}
