//! Narrows a listing to what `COPY`, `ADD` and bind mounts can see.

use std::collections::BTreeSet;

use crate::{
    ContextEntry, EntryKind,
    glob::{Glob, Token},
    go_path::{clean, with_parents},
};

/// The entries that at least one of the sources can see, in the listing's order.
///
/// A source is a `COPY`, `ADD` or bind-mount source with its variables expanded: a path or a pattern of Go's
/// `filepath.Match`, anchored at the context's root. Naming a folder means all that is in it. When in doubt an entry
/// is kept: behind a symbolic link and for a malformed pattern, that is all of them.
pub fn select<S: AsRef<str>>(
    entries: &[ContextEntry],
    sources: impl IntoIterator<Item = S>,
) -> Vec<&ContextEntry> {
    match Sources::parse(sources) {
        Some(sources) if !sources.see_all(entries) => entries
            .iter()
            .filter(|entry| sources.see(&entry.path))
            .collect(),
        _ => entries.iter().collect(),
    }
}

/// What instructions copy or mount.
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// None if one is malformed.
    pub(crate) fn parse<S: AsRef<str>>(sources: impl IntoIterator<Item = S>) -> Option<Self> {
        let sources = sources.into_iter();
        let sources = sources.map(|source| Source::parse(source.as_ref()));
        sources.collect::<Option<_>>().map(Self)
    }

    /// Whether at least one sees the path.
    pub(crate) fn see(&self, path: &str) -> bool {
        self.0.iter().any(|source| source.sees(path))
    }

    /// Whether one is the root, or may go through a link.
    pub(crate) fn see_all(&self, entries: &[ContextEntry]) -> bool {
        let mut links = entries.iter().filter(|e| e.kind == EntryKind::Symlink);
        let is_root = |source: &Source| source.0.is_empty();
        let passed = |link: &ContextEntry| self.0.iter().any(|s| s.names_or_passes(&link.path));
        self.0.iter().any(is_root) || links.any(passed)
    }

    /// The paths that they name up to their first patterns, sorted and none within another: all that they see is there or
    /// below. None if that is the whole context.
    pub(crate) fn areas(&self) -> Option<Vec<String>> {
        let mut areas: Vec<String> = self.0.iter().map(Source::area).collect();
        areas.sort_unstable();
        if areas.first().is_some_and(String::is_empty) {
            return None;
        }
        let mut outer: BTreeSet<String> = BTreeSet::new();
        for area in areas {
            // What an area lies in is sorted before it.
            if !with_parents(&area).any(|parent| outer.contains(parent)) {
                outer.insert(area);
            }
        }
        Some(outer.into_iter().collect())
    }
}

/// One pattern a component; the empty source is the root.
struct Source(Vec<Glob>);

impl Source {
    /// None for a malformed pattern.
    fn parse(source: &str) -> Option<Self> {
        // BuildKit joins the source to the root: it cannot climb out.
        let cleaned = clean(&format!("/{source}"));
        let mut globs = Vec::new();
        for component in cleaned.split('/').filter(|c| !c.is_empty()) {
            let glob = Glob::parse(component).ok()?;
            // `COPY --parents` knows `**`: any number of folders, so all that is below.
            let is_deep = glob
                .0
                .windows(2)
                .any(|two| two == [Token::AnyChars, Token::AnyChars]);
            if is_deep {
                break;
            }
            globs.push(glob);
        }
        Some(Self(globs))
    }

    /// The path that it names up to its first pattern.
    fn area(&self) -> String {
        let literal = |glob: &Glob| -> Option<String> {
            let chars = glob.0.iter().map(|token| match token {
                Token::Literal(c) => Some(*c),
                _ => None,
            });
            chars.collect()
        };
        let names: Vec<String> = self.0.iter().map_while(literal).collect();
        names.join("/")
    }

    /// Whether the path is what the source names, or lies below it.
    fn sees(&self, path: &str) -> bool {
        let mut names = path.split('/');
        self.0
            .iter()
            .all(|glob| names.next().is_some_and(|name| glob.matches(name)))
    }

    /// Whether the path is what the source names, or lies on the way to it.
    fn names_or_passes(&self, path: &str) -> bool {
        let mut globs = self.0.iter();
        path.split('/')
            .all(|name| globs.next().is_some_and(|glob| glob.matches(name)))
    }
}
