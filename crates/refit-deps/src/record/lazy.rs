//! Records that stay lines until something asks for them.

use std::{
    borrow::Cow,
    fmt,
    num::NonZero,
    ops::{Range, RangeInclusive},
    sync::{Arc, OnceLock},
    thread,
};

use refit_oci::Digest;
use serde::Deserialize;

use super::{BuildRecord, PublishRecord, Record, Records};

/// What a line is about. Of the lines of a kind, those with a number are about the same, up to chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct About {
    /// Which of the types that are read late; zero for all others.
    pub kind: u32,
    /// A hash of the manifest that was built, or of the image that was published.
    pub hash: u64,
}

impl About {
    /// The way to tell: with another one, what was told before is worth nothing.
    pub const VERSION: u32 = 1;

    const OTHER: u32 = 0;
    const BUILD: u32 = 1;
    const PUBLISH: u32 = 2;
    const DEPS: u32 = 3;

    fn of(kind: u32, text: &str) -> Self {
        // FNV-1a: files keep it, so it is the same wherever it is told.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { kind, hash }
    }
}

/// Tells what a line is about, without reading more of it than that takes.
pub fn about(line: &str) -> About {
    #[derive(Deserialize)]
    struct Probe<'l> {
        v: u32,
        #[serde(rename = "type")]
        kind: &'l str,
        image: &'l str,
        manifest: Option<&'l str>,
    }
    let other = About {
        kind: About::OTHER,
        hash: 0,
    };
    // Names with escapes in them are among those that are read at once.
    let Ok(probe) = serde_json::from_str::<Probe<'_>>(line) else {
        return other;
    };
    match (probe.v, probe.kind, probe.manifest) {
        (super::VERSION, "build", Some(manifest)) => About::of(About::BUILD, manifest),
        (super::VERSION, "publish", None) => About::of(About::PUBLISH, probe.image),
        (super::VERSION, "deps", None) => About::of(About::DEPS, probe.image),
        _ => other,
    }
}

/// Lines, and where those are that are about something.
pub trait Lines: Send + Sync {
    /// How many there are.
    fn n_lines(&self) -> usize;

    /// One of them, by its number.
    fn line(&self, number: usize) -> Cow<'_, str>;

    /// The places of those that [`about`] tells to be in a range, where all are put in the order of what they are about.
    fn about(&self, range: RangeInclusive<About>) -> Range<usize>;

    /// The number of the line at a place in that order.
    fn at(&self, place: usize) -> usize;

    /// Told before every line is asked for.
    fn read_all(&self) {}
}

impl dyn Lines {
    fn kind(&self, kind: u32) -> Range<usize> {
        let about = |hash| About { kind, hash };
        self.about(about(0)..=about(u64::MAX))
    }

    /// The numbers of those that are read at once.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> {
        self.kind(About::OTHER).map(|place| self.at(place))
    }
}

/// What was read of lines so far.
#[derive(Clone)]
pub(super) struct Lazy {
    pub(super) lines: Arc<dyn Lines>,
    builds: Slots<BuildRecord>,
    publishes: Slots<PublishRecord>,
    pub(super) all: OnceLock<Box<Records>>,
}

/// For each line of a kind, room for what it and those about the same say: they are neighbours, and the first has it.
type Slots<T> = OnceLock<Vec<OnceLock<Vec<T>>>>;

impl Lazy {
    pub(super) fn new(lines: Arc<dyn Lines>) -> Self {
        Self {
            lines,
            builds: OnceLock::new(),
            publishes: OnceLock::new(),
            all: OnceLock::new(),
        }
    }

    /// What lines say of the builds of a manifest, without what is known already.
    pub(super) fn builds_of<'a>(
        &'a self,
        manifest: &Digest,
        is_new: impl Fn(&BuildRecord) -> bool,
    ) -> Vec<&'a BuildRecord> {
        let about = About::of(About::BUILD, manifest.as_str());
        let build = |record| match record {
            Record::Build(build) => Some(build).filter(&is_new),
            _ => None,
        };
        let found = self.slot(&self.builds, about, build);
        found.iter().filter(|b| b.manifest == *manifest).collect()
    }

    /// What lines say of the publications of an image, without what is known already.
    pub(super) fn publishes_of<'a>(
        &'a self,
        image: &str,
        is_new: impl Fn(&PublishRecord) -> bool,
    ) -> Vec<&'a PublishRecord> {
        let about = About::of(About::PUBLISH, image);
        let publish = |record| match record {
            Record::Publish(publish) => Some(publish).filter(&is_new),
            _ => None,
        };
        let found = self.slot(&self.publishes, about, publish);
        found.iter().filter(|p| p.image == image).collect()
    }

    fn slot<'a, T: PartialEq>(
        &'a self,
        slots: &'a Slots<T>,
        about: About,
        read: impl Fn(Record) -> Option<T>,
    ) -> &'a [T] {
        let places = self.lines.about(about..=about);
        let all = self.lines.kind(about.kind);
        let slots = slots.get_or_init(|| all.clone().map(|_| OnceLock::new()).collect());
        let first = places.start.checked_sub(all.start);
        let Some(slot) = first
            .and_then(|at| slots.get(at))
            .filter(|_| !places.is_empty())
        else {
            return &[];
        };
        slot.get_or_init(|| {
            let mut found = Vec::new();
            for place in places {
                let record = Record::parse(&self.lines.line(self.lines.at(place)));
                found.extend(record.and_then(&read).filter(|new| !found.contains(new)));
            }
            found
        })
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.n_lines();
        f.debug_struct("Lazy")
            .field("lines", &lines)
            .finish_non_exhaustive()
    }
}

/// Every line with what it says, read on every core.
pub(super) fn parsed(lines: &dyn Lines) -> Vec<(Cow<'_, str>, Option<Record>)> {
    lines.read_all();
    let n_lines = lines.n_lines();
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = n_lines.div_ceil(n_threads).max(1000);
    let read = |first: usize| {
        let numbers = first..n_lines.min(first + share);
        let read = numbers.map(|number| {
            let line = lines.line(number);
            let record = Record::parse(&line);
            (line, record)
        });
        read.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let read = &read;
        let threads: Vec<_> = (share..n_lines.max(share))
            .step_by(share)
            .map(|first| scope.spawn(move || read(first)))
            .collect();
        let mut all = read(0);
        for thread in threads {
            match thread.join() {
                Ok(more) => all.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}
