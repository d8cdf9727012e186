//! A large repository and a registry that has all of its images, for `cargo xtask bench` to run refit on.
//!
//! `large FOLDER N_IMAGES N_BASES N_LEVELS` writes the repository with its records into an empty folder, prints the
//! registry's host, and then serves what it is told on standard input, a word a line, until that ends: `requests` prints
//! how many there were of each method since it was asked last, `move` pushes every base again.
#![expect(clippy::unwrap_used, reason = "a benchmark says what it expects")]
#![expect(clippy::print_stdout, reason = "the answers are the result")]

#[path = "../../../refit-deps/tests/it/large/mod.rs"]
#[expect(dead_code, reason = "the world without git and registry is for others")]
mod large;
mod published;
mod repository;

use std::{collections::BTreeMap, io, path::Path};

use refit_testkit::registry::{Options, TestRegistry};

use large::Size;
use published::Registry;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, sizes @ ..] = arguments.as_slice() else {
        return; // `cargo bench` alone measures nothing here
    };
    let sizes: Vec<usize> = sizes.iter().flat_map(|size| size.parse()).collect();
    let [images, bases, levels] = sizes[..] else {
        return;
    };
    let size = Size {
        images,
        bases,
        levels,
    };
    let registry = TestRegistry::start(Options::default());
    let mut published = Registry::new(&registry);
    published.push_bases(size);
    repository::write(Path::new(folder), size, &mut published);
    registry.forget_requests();
    println!("{}", registry.host());
    for word in io::stdin().lines() {
        match word.unwrap().as_str() {
            "requests" => println!("{}", serde_json::json!(requests(&registry))),
            "move" => {
                published.push_bases(size);
                println!("moved");
            }
            other => println!("`{other}` is unknown"),
        }
    }
}

/// How many requests there were of each method since this was asked last.
fn requests(registry: &TestRegistry) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for logged in registry.requests() {
        *counts.entry(logged.method).or_insert(0) += 1;
    }
    registry.forget_requests();
    counts
}
