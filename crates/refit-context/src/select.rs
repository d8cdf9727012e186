//! Narrows a listing to what `COPY`, `ADD` and bind mounts can see.

use crate::{
    ContextEntry, EntryKind,
    glob::{Glob, Token},
    go_path::clean,
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
    let sources: Option<Vec<Source>> = sources
        .into_iter()
        .map(|source| Source::parse(source.as_ref()))
        .collect();
    let sees_all = |source: &Source| {
        let mut links = entries.iter().filter(|e| e.kind == EntryKind::Symlink);
        source.0.is_empty() || links.any(|link| source.names_or_passes(&link.path))
    };
    match sources {
        Some(sources) if !sources.iter().any(sees_all) => entries
            .iter()
            .filter(|entry| sources.iter().any(|source| source.sees(&entry.path)))
            .collect(),
        _ => entries.iter().collect(),
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
