//! An image that copies many files: built and pushed by the native engine, and by both builders of Docker Engine 20.10.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use super::{
    Figure, Peer,
    dockerd::{Builder, Dockerd},
    memory::peak,
    registries::DockerRegistry,
    site::Site,
};
use crate::shell::{Failure, Outcome, io_failure, output};

const N_FILES: usize = 7_500;
const N_BYTES: usize = 80 << 20;

/// Each is done so often; the fastest counts, as other work of the machine only ever slows one down.
const N_TIMES: usize = 3;

pub(super) fn classic(site: &Site) -> Outcome<Figure> {
    measure(site, Builder::Classic, "Engine 20.10's classic builder")
}

pub(super) fn buildkit(site: &Site) -> Outcome<Figure> {
    measure(site, Builder::BuildKit, "Engine 20.10's BuildKit")
}

fn measure(site: &Site, builder: Builder, name: &'static str) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    let dockerd = Dockerd::start()?;
    let namespace = format!("{}/bench", registry.host);
    let base = site.sub("base")?;
    let of_base = "FROM scratch\nCOPY content /base\n".to_owned();
    base.repository(&namespace, [("base".to_owned(), of_base)].into_iter())?;
    output(base.refit().args(["build", "--push"]))?;
    let image = site.sub("image")?;
    sources(&image)?;
    let dockerfile = format!("FROM {namespace}/base\nCOPY tree /tree\n");
    image.repository(&namespace, [("app".to_owned(), dockerfile)].into_iter())?;

    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    let mut memory = 0;
    for n in 0..N_TIMES {
        // Another tag and another file: nothing that was pushed is pushed again, and nothing is in a cache.
        let file = image.path("images/app/tree/n")?;
        fs::write(&file, n.to_string()).map_err(io_failure(&file))?;
        output(
            image
                .git()
                .args(["commit", "--all", "--quiet", "--message=n"]),
        )?;
        let start = Instant::now();
        let used = peak(image.refit().args(["build", "--push"]))?;
        ours = ours.min(start.elapsed());
        memory = memory.max(used);

        let script = format!(
            "docker build --no-cache --quiet -t {namespace}/peer:{n} images/app\ndocker push --quiet {namespace}/peer:{n}"
        );
        let start = Instant::now();
        output(&mut dockerd.script(&image, builder, &script))?;
        theirs = theirs.min(start.elapsed());
    }
    Ok(Figure {
        wall: ours,
        peer: Some(Peer { name, wall: theirs }),
        detail: format!(
            "{N_FILES} files, {} MB, built and pushed, gzip level 6, peak memory {memory} MB, best of {N_TIMES}",
            N_BYTES >> 20
        ),
    })
}

/// Text as of sources: words, not noise.
fn sources(site: &Site) -> Outcome {
    let mut state = 1_u64;
    for number in 0..N_FILES {
        let mut text = String::new();
        while text.len() < N_BYTES / N_FILES {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let word = state >> 40;
            let _ = write!(
                text,
                "let {} = call_{}({}); ",
                word % 97,
                word % 4_001,
                word
            );
            if word.is_multiple_of(7) {
                text.push('\n');
            }
        }
        let path = site.path(&format!("images/app/tree/d{}/f{number}.rs", number % 150))?;
        let file = fs::File::create(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(io_failure(&path))?;
    }
    let path = site.path("images/app/tree/n")?;
    fs::write(&path, "").map_err(io_failure(&path))?;
    if number_of_files(site)? == N_FILES + 1 {
        Ok(())
    } else {
        Err(Failure("the sources are not all there".to_owned()))
    }
}

fn number_of_files(site: &Site) -> Outcome<usize> {
    let listed = output(site.program("find").args(["images/app/tree", "-type", "f"]))?;
    Ok(listed.lines().count())
}
