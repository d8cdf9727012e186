//! The dependency graph as a tree of text: external bases as roots, images below what they are built on.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::{AnsiColor, Style};
use refit_deps::graph::{Edge, Node};
use refit_dockerfile::Kind;
use refit_oci::Platform;

use crate::{
    project::Snapshot,
    ui::{self, DIM},
};

const ROOT: Style = AnsiColor::Cyan.on_default();
const FOCUS: Style = Style::new().bold();

/// What a tree hangs from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    /// A base outside of the repository.
    External(String),
    /// Images without a base.
    Scratch,
    /// An image on a cycle: nothing is above it.
    Cycle(String),
    /// Images whose Dockerfile can't be read.
    Unreadable,
}

/// An image as it hangs below one parent.
#[derive(Clone, Debug)]
struct Branch<'a> {
    image: &'a str,
    platforms: BTreeSet<&'a Platform>,
    inferred: bool,
}

/// All trees of a graph.
pub(super) struct Forest<'a> {
    roots: BTreeMap<Root, Vec<Branch<'a>>>,
    below: BTreeMap<&'a str, Vec<Branch<'a>>>,
    /// What an image takes beside its base.
    beside: BTreeMap<&'a str, Vec<String>>,
    /// The platforms that all images have; none if they differ.
    common: Option<BTreeSet<&'a Platform>>,
    focus: Option<&'a str>,
}

impl<'a> Forest<'a> {
    /// The trees of the images in `shown`; `focus` is set off from the others.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        shown: &BTreeSet<&str>,
        focus: Option<&'a str>,
    ) -> Self {
        let images = &snapshot.inventory.images;
        let mut platforms = images
            .iter()
            .map(|image| image.platforms.iter().collect::<BTreeSet<_>>());
        let first = platforms.next();
        let common = first.filter(|first| platforms.all(|other| other == *first));
        let mut forest = Self {
            roots: BTreeMap::new(),
            below: BTreeMap::new(),
            beside: BTreeMap::new(),
            common,
            focus,
        };
        for edge in snapshot
            .graph
            .edges
            .iter()
            .filter(|edge| shown.contains(edge.from.as_str()))
        {
            forest.add(edge, shown);
        }
        for image in images
            .iter()
            .filter(|image| shown.contains(image.name.as_str()))
        {
            let mut scratch = BTreeSet::new();
            let mut unreadable = BTreeSet::new();
            for platform in &image.platforms {
                match snapshot.scans.target(&image.name, platform) {
                    Some(resolved)
                        if resolved.found.iter().any(|found| found.kind == Kind::Base) => {}
                    Some(_) => _ = scratch.insert(platform),
                    None => _ = unreadable.insert(platform),
                }
            }
            for (root, platforms) in [(Root::Scratch, scratch), (Root::Unreadable, unreadable)] {
                if !platforms.is_empty() {
                    let branch = Branch {
                        image: &image.name,
                        platforms,
                        inferred: false,
                    };
                    forest.roots.entry(root).or_default().push(branch);
                }
            }
        }
        forest.add_cycles(shown, snapshot);
        forest
    }

    fn add(&mut self, edge: &'a Edge, shown: &BTreeSet<&str>) {
        let branch = Branch {
            image: &edge.from,
            platforms: edge.platforms.iter().collect(),
            inferred: edge.inferred,
        };
        match (&edge.to, edge.kind) {
            (Node::External(reference), Kind::Base) => {
                self.roots
                    .entry(Root::External(ui::reference(reference)))
                    .or_default()
                    .push(branch);
            }
            (Node::Image(parent), Kind::Base) if shown.contains(parent.as_str()) => {
                self.below.entry(parent).or_default().push(branch);
            }
            (to, kind) => {
                let name = match to {
                    Node::External(reference) => ui::reference(reference),
                    Node::Image(name) => name.clone(),
                };
                let inferred = if edge.inferred { ", inferred" } else { "" };
                self.beside
                    .entry(&edge.from)
                    .or_default()
                    .push(format!("{name} ({}{inferred})", kind.as_str()));
            }
        }
    }

    /// Images that hang from no root are on a cycle, or below one.
    fn add_cycles(&mut self, shown: &BTreeSet<&str>, snapshot: &'a Snapshot) {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = self
            .roots
            .values()
            .flatten()
            .map(|branch| branch.image)
            .collect();
        let on_cycle = snapshot.graph.cyclic();
        let candidates = snapshot
            .graph
            .images
            .iter()
            .map(String::as_str)
            .filter(|image| shown.contains(image));
        let mut candidates: Vec<&str> = candidates.collect();
        candidates.sort_by_key(|image| !on_cycle.contains(image));
        let mut candidates = candidates.into_iter();
        loop {
            while let Some(image) = open.pop() {
                if reached.insert(image) {
                    open.extend(
                        self.below
                            .get(image)
                            .into_iter()
                            .flatten()
                            .map(|branch| branch.image),
                    );
                }
            }
            let Some(next) = candidates.find(|image| !reached.contains(image)) else {
                return;
            };
            let Some(image) = snapshot.inventory.image(next) else {
                continue;
            };
            let branch = Branch {
                image: next,
                platforms: image.platforms.iter().collect(),
                inferred: false,
            };
            self.roots
                .insert(Root::Cycle(next.to_owned()), vec![branch]);
            open.push(next);
        }
    }

    /// The text, no line wider than `width`.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let mut lines = Vec::new();
        let mut drawn = BTreeSet::new();
        for (root, branches) in &self.roots {
            match root {
                Root::External(reference) => lines.push(Line::new("", reference, ROOT)),
                Root::Scratch => lines.push(Line::new("", "scratch", ROOT)),
                Root::Unreadable => lines.push(Line::new("", "unreadable", ROOT)),
                Root::Cycle(_) => lines.push(Line::new("", "a cycle", ROOT)),
            }
            self.branches(branches, "", &mut drawn, &mut lines);
        }
        let text = lines.iter().map(|line| line.fit(width) + "\n");
        text.collect()
    }

    fn branches(
        &self,
        branches: &[Branch<'a>],
        indent: &str,
        drawn: &mut BTreeSet<&'a str>,
        lines: &mut Vec<Line>,
    ) {
        for (i, branch) in branches.iter().enumerate() {
            let is_last = i + 1 == branches.len();
            let (knot, under) = if is_last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            let style = if self.focus == Some(branch.image) {
                FOCUS
            } else {
                Style::new()
            };
            let mut line = Line::new(&format!("{indent}{knot}"), branch.image, style);
            line.marks = self.marks(branch);
            let below = self.below.get(branch.image).map_or(&[][..], Vec::as_slice);
            // What was drawn once is not drawn again: two ways to one image, or a cycle.
            let again = !drawn.insert(branch.image) && !below.is_empty();
            if again {
                line.marks.push_str("  (see above)");
            }
            lines.push(line);
            if !again {
                self.branches(below, &format!("{indent}{under}"), drawn, lines);
            }
        }
    }

    fn marks(&self, branch: &Branch<'_>) -> String {
        let mut marks = String::new();
        if branch.inferred {
            marks.push_str(" (inferred)");
        }
        if self.common.as_ref() != Some(&branch.platforms) {
            let platforms: Vec<String> = branch.platforms.iter().map(ToString::to_string).collect();
            marks.push_str("  ");
            marks.push_str(&platforms.join(", "));
        }
        if let Some(beside) = self.beside.get(branch.image) {
            marks.push_str("  + ");
            marks.push_str(&beside.join(", "));
        }
        marks
    }
}

/// One line before it is styled and cut.
struct Line {
    indent: String,
    name: String,
    style: Style,
    marks: String,
}

impl Line {
    fn new(indent: &str, name: &str, style: Style) -> Self {
        Self {
            indent: indent.to_owned(),
            name: name.to_owned(),
            style,
            marks: String::new(),
        }
    }

    /// The styled line; what does not fit is cut from its end.
    fn fit(&self, width: Option<usize>) -> String {
        let width = width.unwrap_or(usize::MAX);
        let mut room = width;
        let mut take = |text: &str| {
            let n = text.chars().count();
            let taken = if n <= room {
                text.to_owned()
            } else if room == 0 {
                String::new()
            } else {
                text.chars().take(room - 1).chain(['…']).collect()
            };
            room -= taken.chars().count();
            taken
        };
        let (indent, name, marks) = (take(&self.indent), take(&self.name), take(&self.marks));
        let style = self.style;
        if marks.is_empty() {
            return format!("{DIM}{indent}{DIM:#}{style}{name}{style:#}");
        }
        format!("{DIM}{indent}{DIM:#}{style}{name}{style:#}{DIM}{marks}{DIM:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(width: usize) -> String {
        let line = Line {
            marks: " (inferred)".to_owned(),
            ..Line::new("└── ", "base-notebook", Style::new())
        };
        anstream::adapter::strip_str(&line.fit(Some(width))).to_string()
    }

    #[test]
    fn a_line_is_cut_at_the_terminals_edge() {
        assert_eq!(fit(80), "└── base-notebook (inferred)");
        assert_eq!(fit(20), "└── base-notebook (…");
        assert_eq!(fit(10), "└── base-…");
        assert_eq!(fit(0), "");
        for width in 0..40 {
            assert!(fit(width).chars().count() <= width);
        }
    }
}
