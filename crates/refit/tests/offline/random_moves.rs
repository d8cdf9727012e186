//! Whatever moves: after one sweep everything is built on what the bases are, and a second one writes nothing.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::bench::Bench;

/// A small generator of numbers: the same sequence on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        // Knuth's constants; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Three bases, images on one or two of them, images on those.
const IMAGES: [(&str, &str, &[&str]); 5] = [
    ("a", "FROM HUB/base/os:0\nCOPY n /\n", &["0"]),
    (
        "b",
        "FROM HUB/base/os:1 AS one\nFROM HUB/team/a\nCOPY --from=one /etc/patch /one\n",
        &["0", "1"],
    ),
    (
        "c",
        "FROM HUB/base/os:2\nCOPY --from=HUB/team/a /n /n\n",
        &["2", "0"],
    ),
    (
        "d",
        "FROM HUB/team/b\nCOPY --from=HUB/team/c /etc/patch /two\n",
        &["0", "1", "2"],
    ),
    ("e", "FROM HUB/base/os:2\nCOPY n /\n", &["2"]),
];

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

fn story(seed: u64) {
    let mut numbers = Numbers(seed);
    let bench = Bench::new();
    let mut bases: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut move_bases = |bases: &mut BTreeMap<(&'static str, &'static str), u64>| {
        for base in ["0", "1", "2"] {
            for platform in PLATFORMS {
                let patch = bases.entry((base, platform)).or_default();
                *patch = if *patch == 0 || numbers.below(3) == 0 {
                    1 + numbers.below(4)
                } else {
                    *patch
                };
            }
            let [amd64, arm64] = PLATFORMS.map(|platform| bases[&(base, platform)].to_string());
            bench.push_base(base, &amd64, &arm64);
        }
    };
    let mut files = String::from(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\"]\n[defaults]\n\
         platforms = [\"linux/amd64\", \"linux/arm64\"]\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n",
    );
    for (name, dockerfile, _) in IMAGES {
        write!(
            files,
            "//- {name}/Dockerfile\n{dockerfile}//- {name}/n\n{name}\n"
        )
        .unwrap();
    }
    move_bases(&mut bases);
    let shop = bench.repository(&files);
    shop.refit(&["build", "--push"]).exits(0);
    for round in 0..3 {
        move_bases(&mut bases);
        shop.refit(&["sweep"]).exits(0);
        for (name, _, on) in IMAGES {
            for platform in PLATFORMS {
                let expected = bases[&(on[0], platform)].to_string();
                let got = bench.file(name, platform, "etc/patch").unwrap();
                assert_eq!(
                    got, expected,
                    "seed {seed}, round {round}, {name}@{platform}"
                );
            }
        }
        for (path, base) in [("one", "1"), ("two", "2")] {
            for platform in PLATFORMS {
                let got = bench.file("d", platform, path).unwrap();
                assert_eq!(
                    got,
                    bases[&(base, platform)].to_string(),
                    "seed {seed}, round {round}, {path}"
                );
            }
        }
        let names = IMAGES.map(|(name, ..)| name);
        let before = (bench.all_published(&names), shop.notes());
        bench.hub.forget_requests();
        shop.refit(&["sweep"])
            .exits(0)
            .mentions("nothing to do: 10 targets are");
        assert_eq!(bench.writes(), 0, "seed {seed}, round {round}");
        assert_eq!(before, (bench.all_published(&names), shop.notes()));
    }
}

#[test]
fn one_sweep_is_enough_and_two_are_as_good_as_one() {
    for seed in 1..=3 {
        story(seed);
    }
}
