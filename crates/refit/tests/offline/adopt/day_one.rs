//! The first day on a repository of many images: what is stale is shown, for as few requests as can be.

use std::fmt::Write as _;

use super::{Made, asked};
use crate::bench::Bench;

const N: usize = 300;

#[test]
fn three_hundred_images_are_asked_for_once() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let old = bench.hub.tag("base/os", "1").unwrap();
    let mut files = String::from(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n\
         [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n",
    );
    for n in 0..N {
        let text = format!(
            "//- i{n}/Dockerfile\nFROM HUB/base/os:1\nCOPY page /srv/\n//- i{n}/page\none\n"
        );
        write!(files, "{text}").unwrap();
    }
    let shop = bench.repository(&files);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    let name = format!("{}/base/os:1", bench.hub.host());
    bench.push_base("1", "two", "two");
    let new = bench.hub.tag("base/os", "1").unwrap();
    // Every tenth was built on what the base is now.
    for n in 0..N {
        let (patch, base) = if n % 10 == 0 {
            ("two", &new)
        } else {
            ("one", &old)
        };
        Made::on(patch).push_attested(&bench.hub, &format!("i{n}"), (&name, base, &commit));
    }
    bench.hub.forget_requests();
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(
        (&status["stale"], &status["total"]),
        (&270.into(), &N.into())
    );
    // A HEAD for each tag, for the base, and for what may be staged of the stale ones; then of each image its index, its
    // attestation and the statement, and of both bases index, manifest and config.
    assert_eq!(asked(&bench.hub, "HEAD"), N + 1 + 270);
    assert_eq!(asked(&bench.hub, "GET"), 3 * N + 6);
    bench.hub.forget_requests();
    shop.refit(&["status"])
        .exits(0)
        .mentions("270 of 300 targets are stale");
    assert_eq!(
        (asked(&bench.hub, "HEAD"), asked(&bench.hub, "GET")),
        (N + 1 + 270, 0)
    );

    bench.hub.forget_requests();
    let adopted = shop.refit(&["adopt"]).exits(0);
    adopted.mentions("300 images were adopted");
    assert_eq!((asked(&bench.hub, "GET"), bench.writes()), (0, 0));
    bench.hub.forget_requests();
    let status = shop.refit(&["status", "--format", "json"]).exits(0).json();
    assert_eq!(status["stale"], 270);
    assert_eq!(status["states"], serde_json::json!([]));
    assert_eq!(asked(&bench.hub, "GET"), 0);
}
