//! What a plan of 10,000 images × 2 platforms, 6 levels deep, takes once everything is known: no git, no network.
//!
//! Prints one JSON object a line: what was measured, the best wall and processor times of three in milliseconds. An
//! argument measures only what has it in its name.
#![expect(clippy::unwrap_used, reason = "a benchmark says what it expects")]
#![expect(clippy::print_stdout, reason = "the figures are the result")]

#[path = "../tests/it/large/mod.rs"]
mod large;

use std::{collections::BTreeSet, hint::black_box, time::Instant};

use refit_deps::{
    edges::Edges,
    graph::Graph,
    inventory::{self, Files},
    observe::Resolved,
    plan::{self, SweepOptions},
    scan::Scans,
};

use large::{Size, world::World};

const SIZE: Size = Size {
    images: 10_000,
    bases: 50,
    levels: 6,
};

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut world = World::new(SIZE);
    let options = SweepOptions::default();
    let large = &world.large;
    let paths: BTreeSet<String> = large.files.keys().cloned().collect();
    let read = || {
        inventory::read(&Files {
            paths: &paths,
            read: &|path| large.files.get(path).map(|text| text.clone().into_bytes()),
            name: "large",
            line: "main",
        })
    };
    told("inventory", || _ = black_box(read()));
    let scan = || Scans::of(&large.inventory.images, &large.build_platform);
    told("scans", || _ = black_box(scan()));
    let edges = || Edges::of(&large.inventory, &large.scans);
    let graph = || Graph::of(&large.inventory, &large.scans, &edges());
    told("graph", || {
        let graph = graph();
        assert!(graph.problems(&large.inventory).is_empty());
    });
    // They are the generator's: nothing is planned with them.
    world.large.files.clear();
    world.resolve(|ground| plan::sweep(ground, &options));
    world.resolve(plan::status);
    told("sweep, nothing moved", || {
        assert!(
            matches!(plan::sweep(&world.ground(), &options), Resolved::Done(p) if p.steps.is_empty())
        );
    });
    told("status, nothing moved", || {
        assert!(matches!(plan::status(&world.ground()), Resolved::Done(_)));
    });
    world.answers.tags.clear();
    world.bases_moved = true;
    world.resolve(|ground| plan::sweep(ground, &options));
    world.resolve(plan::status);
    told("sweep, every base moved", || {
        assert!(
            matches!(plan::sweep(&world.ground(), &options), Resolved::Done(p) if p.steps.len() == 20_000)
        );
    });
    told("status, every base moved", || {
        assert!(matches!(plan::status(&world.ground()), Resolved::Done(_)));
    });
}

fn told(what: &str, measured: impl Fn()) {
    // Cargo passes `--bench` along.
    let mut wanted = std::env::args().skip(1).filter(|arg| arg != "--bench");
    if wanted.next().is_some_and(|wanted| !what.contains(&wanted)) {
        return;
    }
    let once = |_| {
        let (start, on_cpu) = (Instant::now(), cpu_ms());
        measured();
        (start.elapsed().as_secs_f64() * 1e3, cpu_ms() - on_cpu)
    };
    let all: Vec<(f64, f64)> = (0..3).map(once).collect();
    let ms = all.iter().map(|all| all.0).fold(f64::MAX, f64::min);
    let cpu_ms = all.iter().map(|all| all.1).fold(f64::MAX, f64::min);
    let told = serde_json::json!({"what": what, "ms": ms, "cpu_ms": cpu_ms, "peak_mb": peak_mb()});
    println!("{told}");
}

/// What the kernel has given all threads of this process, in milliseconds and steps of ten: unlike the wall time, no other
/// program takes from it.
fn cpu_ms() -> f64 {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, the 12th and 13th field: user and system time in hundredths (proc(5)).
    let fields = told.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        * 10.0
}

/// The most memory that this process ever had, in megabytes.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(
        line.trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()?
            / 1024,
    )
}
