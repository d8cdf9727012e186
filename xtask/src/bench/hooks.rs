//! What a commit waits for: both hooks on 1,000 images and 100,000 files, beside git's own look at the same state.

use std::{fs, time::Duration};

use super::{
    Figure, Peer,
    registries::DockerRegistry,
    site::{N_BASES, Site},
    timed,
};
use crate::shell::{Failure, Outcome, io_failure, output};

pub(super) const N_IMAGES: usize = 1_000;
pub(super) const N_FILES: usize = 100;
/// How often each is measured: the best counts.
const TIMES: usize = 5;

/// A commit that concerns no image.
pub(super) fn idle(site: &Site) -> Outcome<Figure> {
    measure(site, &|site, time| {
        let file = site.path("README.md")?;
        fs::write(&file, format!("{time}\n")).map_err(io_failure(&file))
    })
}

/// A commit of ten Dockerfiles, whose bases were looked up before.
pub(super) fn ten(site: &Site) -> Outcome<Figure> {
    measure(site, &|site, time| {
        for image in 0..10 {
            let file = site.path(&format!("images/s{image:04}/Dockerfile"))?;
            let text = fs::read_to_string(&file).map_err(io_failure(&file))?;
            let text = format!("{text}LABEL time={time}\n");
            fs::write(&file, text).map_err(io_failure(&file))?;
        }
        Ok(())
    })
}

fn measure(site: &Site, change: &dyn Fn(&Site, usize) -> Outcome) -> Outcome<Figure> {
    let registry = DockerRegistry::start(site)?;
    let namespace = format!("{}/bench", registry.host);
    let (bases, images) = (site.sub("bases")?, site.sub("images")?);
    bases.bases(&namespace)?;
    output(bases.refit().args(["build", "--push"]))?;
    lay(&images, &namespace)?;
    let [mut before, mut after, mut status, mut diff] = [Duration::MAX; 4];
    // The first commit is there to be remembered.
    for time in 0..=TIMES {
        change(&images, time)?;
        output(images.git().args(["add", "--update"]))?;
        output(images.git().args(["add", "README.md"]))?;
        let git = [
            timed(images.git().arg("status"))?,
            timed(images.git().args(["diff", "--cached", "--name-only"]))?,
        ];
        let pre_commit = timed(images.refit().args(["hook", "pre-commit"]))?;
        output(images.git().args(["commit", "--quiet", "--message=change"]))?;
        let post_commit = timed(images.refit().args(["hook", "post-commit"]))?;
        if time > 0 {
            status = status.min(git[0]);
            diff = diff.min(git[1]);
            before = before.min(pre_commit);
            after = after.min(post_commit);
        }
    }
    let notes = output(images.git().args(["notes", "--ref=refit", "list"]))?;
    if notes.lines().count() == 0 {
        return Err(Failure(
            "the hook recorded nothing, not even the first commit".to_owned(),
        ));
    }
    let ms = |wall: Duration| wall.as_secs_f64() * 1e3;
    Ok(Figure {
        wall: before + after,
        peer: Some(Peer {
            name: "git status",
            wall: status,
        }),
        detail: format!(
            "{N_IMAGES} images, {} files; pre-commit {:.0} ms, post-commit {:.0} ms; git diff --cached {:.0} ms",
            N_IMAGES * N_FILES,
            ms(before),
            ms(after),
            ms(diff)
        ),
    })
}

/// Images with a hundred files each, committed.
pub(super) fn lay(site: &Site, namespace: &str) -> Outcome {
    for image in 0..N_IMAGES {
        // The Dockerfile and `content` are two more.
        for file in 0..N_FILES - 2 {
            let file = site.path(&format!("images/s{image:04}/src/f{file:02}"))?;
            fs::write(&file, format!("{image}\n")).map_err(io_failure(&file))?;
        }
    }
    let readme = site.path("README.md")?;
    fs::write(&readme, "images\n").map_err(io_failure(&readme))?;
    let image = |n| {
        let base = n % N_BASES;
        let text = format!("FROM {namespace}/base-{base}\nCOPY content src /content/\n");
        (format!("s{n:04}"), text)
    };
    site.repository(namespace, (0..N_IMAGES).map(image))?;
    output(site.refit().args(["hook", "post-commit"])).map(drop)
}
