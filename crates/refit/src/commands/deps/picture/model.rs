//! What a picture shows, free of where it comes from and of how it is written.

use serde::Serialize;

/// A graph with everything that is said of it.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Picture {
    /// The repository's name.
    pub(in super::super) name: String,
    /// The commit whose images these are; none for files that no commit has.
    pub(in super::super) revision: Option<String>,
    /// The image that the picture is about, if it is about one.
    pub(in super::super) focus: Option<String>,
    /// Whether registries were asked what is stale.
    pub(in super::super) asked: bool,
    /// External references, then images, each sorted.
    pub(in super::super) nodes: Vec<Node>,
    /// What is built on what, sorted.
    pub(in super::super) links: Vec<Link>,
}

/// A box.
#[derive(Clone, Debug, Default, Serialize)]
pub(in super::super) struct Node {
    /// An image's name, or a whole reference.
    pub(in super::super) name: String,
    /// What the box says.
    pub(in super::super) label: String,
    /// What stands below it: of a reference, its registry and namespace.
    pub(in super::super) place: String,
    pub(in super::super) is_image: bool,
    pub(in super::super) dockerfile: Option<String>,
    pub(in super::super) target: Option<String>,
    pub(in super::super) platforms: Vec<String>,
    pub(in super::super) state: Option<State>,
    /// What was built last, by platform.
    pub(in super::super) built: Vec<Fact>,
}

/// How an image stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in super::super) struct State {
    pub(in super::super) word: String,
    pub(in super::super) tone: Tone,
    /// Why, in words.
    pub(in super::super) why: Vec<String>,
}

/// How much a state wants to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum Tone {
    Fresh,
    Stale,
    /// A base that is another one now: why something is stale.
    Moved,
    /// Something is wrong.
    Alarm,
    /// Worth knowing.
    Quiet,
}

impl Tone {
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Moved => "moved",
            Self::Alarm => "alarm",
            Self::Quiet => "quiet",
        }
    }
}

/// A digest on a platform, as a record has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in super::super) struct Fact {
    pub(in super::super) platform: String,
    pub(in super::super) digest: String,
    /// When it was recorded, RFC 3339.
    pub(in super::super) at: String,
    pub(in super::super) commit: Option<String>,
}

/// `to` is built on `from`, or takes something from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in super::super) struct Link {
    pub(in super::super) from: usize,
    pub(in super::super) to: usize,
    /// `base`, `stage`, `copy`, …
    pub(in super::super) kinds: Vec<&'static str>,
    pub(in super::super) inferred: bool,
    pub(in super::super) platforms: Vec<String>,
    /// What it was built on last.
    pub(in super::super) pins: Vec<Fact>,
}

/// How a link is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Stroke {
    /// The result contains it: solid.
    Base,
    /// It is used to build, and nothing of it has to be in the result: dashed.
    Build,
    /// Files are taken from it: dotted.
    Files,
}

impl Stroke {
    pub(in super::super) const ALL: [Self; 3] = [Self::Base, Self::Build, Self::Files];

    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Build => "build",
            Self::Files => "files",
        }
    }
}

impl Link {
    /// Its most important kind decides.
    pub(in super::super) fn stroke(&self) -> Stroke {
        let strokes = self.kinds.iter().map(|kind| match *kind {
            "base" => Stroke::Base,
            "stage" | "frontend" => Stroke::Build,
            _ => Stroke::Files,
        });
        strokes.min().unwrap_or(Stroke::Files)
    }

    /// `base`, `copy and stage, inferred`.
    pub(in super::super) fn words(&self) -> String {
        let kinds = crate::ui::sentence_list(&self.kinds);
        let inferred = if self.inferred { ", inferred" } else { "" };
        format!("{kinds}{inferred}")
    }
}

impl Picture {
    pub(in super::super) fn n_images(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_image).count()
    }

    pub(in super::super) fn n_externals(&self) -> usize {
        self.nodes.len() - self.n_images()
    }

    pub(in super::super) fn n_stale(&self) -> usize {
        let stale = |node: &&Node| node.tone() == Some(Tone::Stale);
        self.nodes.iter().filter(stale).count()
    }

    /// What is known of the picture as a whole: no time, nothing that changes by itself.
    pub(in super::super) fn facts(&self) -> Vec<String> {
        use crate::ui::count;
        let mut facts = vec![
            match &self.revision {
                Some(revision) => format!("commit {}", short(revision)),
                None => "working tree".to_owned(),
            },
            count(self.n_images(), "image"),
            format!("on {}", count(self.n_externals(), "external base")),
        ];
        if self.asked {
            facts.push(format!("{} stale", self.n_stale()));
        }
        facts
    }
}

impl Node {
    pub(in super::super) fn tone(&self) -> Option<Tone> {
        self.state.as_ref().map(|state| state.tone)
    }
}

/// A digest or commit id as people read it.
pub(in super::super) fn short(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}
