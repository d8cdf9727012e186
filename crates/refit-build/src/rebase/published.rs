//! What is published, checked to be what the Dockerfile makes on the base that it was built on.

use refit_oci::{Config, Descriptor, Digest, History, ImageConfig};

use super::{
    refused::Refused,
    replay::{Makes, Replay},
};
use crate::native::bases::BaseImage;

/// The part of a published image that is its own.
#[derive(Clone, Debug)]
pub(super) struct Own<'p> {
    pub(super) diff_ids: &'p [Digest],
    pub(super) layers: &'p [Descriptor],
    /// Its lines of the history, one for each step of the replay.
    pub(super) history: &'p [History],
    /// The layer that each of them made.
    pub(super) made: Vec<Option<&'p Digest>>,
}

/// The layers behind those of the base.
pub(super) fn behind<'p>(
    published: &'p BaseImage,
    base: &ImageConfig,
) -> Result<(&'p [Digest], &'p [Descriptor]), Refused> {
    let (all, below) = (&published.config.rootfs.diff_ids, &base.rootfs.diff_ids);
    let differs = all
        .iter()
        .zip(below)
        .position(|(ours, theirs)| ours != theirs);
    let at = differs.or((all.len() < below.len()).then_some(all.len()));
    match at {
        None => Ok((&all[below.len()..], &published.layers[below.len()..])),
        Some(at) => Err(Refused::of(format!(
            "layer {} of the published image is not the one of the base that it was built on",
            at + 1
        ))),
    }
}

/// The published image's own part, if it is what `replay` says.
pub(super) fn own<'p>(
    published: &'p BaseImage,
    base: &ImageConfig,
    replay: &Replay,
) -> Result<Own<'p>, Refused> {
    let (diff_ids, layers) = behind(published, base)?;
    if let Some(key) = difference(&replay.config.config, &published.config.config) {
        return Err(Refused::of(format!(
            "the published image's `{key}` is not what its Dockerfile says"
        )));
    }
    let all = &published.config.history;
    let n_own = replay.steps.len();
    let unlike = || Refused::of("the published image's history is not that of its Dockerfile");
    let at = all.len().checked_sub(n_own).ok_or_else(unlike)?;
    let (inherited, history) = all.split_at(at);
    let n_layers = |lines: &[History]| lines.iter().filter(|line| !line.empty_layer).count();
    let counts = (n_layers(inherited), n_layers(history));
    if counts != (base.rootfs.diff_ids.len(), diff_ids.len()) {
        return Err(unlike());
    }
    for (line, step) in history.iter().zip(&replay.steps) {
        let written = line.created_by.as_deref().unwrap_or_default();
        let is_of_step = written.starts_with(step.keyword.as_str());
        let may_make = step.makes != Makes::Nothing;
        if !is_of_step || (!line.empty_layer && !may_make) {
            return Err(Refused::at(&step.span, unlike().message));
        }
    }
    let mut left = diff_ids.iter();
    let mut layer = |line: &History| if line.empty_layer { None } else { left.next() };
    Ok(Own {
        diff_ids,
        layers,
        made: history.iter().map(&mut layer).collect(),
        history,
    })
}

/// The first key of the config in which two images differ for who runs or builds upon them.
fn difference(a: &Config, b: &Config) -> Option<&'static str> {
    // Docker writes "" for what is not set, others nothing.
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let words = |value: &Option<Vec<String>>| value.clone().unwrap_or_default();
    let same = [
        ("Env", a.env == b.env),
        ("User", text(&a.user) == text(&b.user)),
        ("WorkingDir", text(&a.working_dir) == text(&b.working_dir)),
        ("Entrypoint", words(&a.entrypoint) == words(&b.entrypoint)),
        ("Cmd", words(&a.cmd) == words(&b.cmd)),
        ("Labels", a.labels == b.labels),
        ("ExposedPorts", a.exposed_ports == b.exposed_ports),
        ("Volumes", a.volumes == b.volumes),
        ("StopSignal", text(&a.stop_signal) == text(&b.stop_signal)),
        ("Shell", words(&a.shell) == words(&b.shell)),
        ("Healthcheck", a.healthcheck == b.healthcheck),
        ("OnBuild", a.on_build == b.on_build),
    ];
    same.into_iter()
        .find(|(_, is_same)| !is_same)
        .map(|(key, _)| key)
}
