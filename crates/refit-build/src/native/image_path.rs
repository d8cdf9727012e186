//! Paths inside an image: absolute, lexically clean, never above the root.

use std::{borrow::Borrow, fmt};

/// A clean path inside an image, kept without its leading slash as tars have it. The root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(String);

impl ImagePath {
    /// The image's root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Go's `path.Join("/", text)`: `.`, `..`, doubled and trailing slashes resolved lexically, bounded by the root.
    pub fn clean(text: &str) -> Self {
        Self::root().join(text)
    }

    /// `relative` below this path, cleaned lexically and bounded by the root. A leading `/` of `relative` is ignored.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let mut joined = self.0.clone();
        for component in relative.split('/') {
            match component {
                "" | "." => {}
                ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
                name => {
                    if !joined.is_empty() {
                        joined.push('/');
                    }
                    joined.push_str(name);
                }
            }
        }
        Self(joined)
    }

    /// The folder above; none above the root.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.rfind('/').unwrap_or(0);
        (!self.is_root()).then(|| Self(self.0[..cut].to_owned()))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The part of this path below `ancestor`, without a leading slash; empty if they are equal, none if this is not
    /// below it.
    pub fn below(&self, ancestor: &Self) -> Option<&str> {
        if ancestor.is_root() {
            return Some(&self.0);
        }
        match self.0.strip_prefix(&ancestor.0)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    /// The components in order.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|c| !c.is_empty())
    }

    /// The path without its leading slash, as tars have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ordered and hashed as its text.
impl Borrow<str> for ImagePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// With the leading slash, for people.
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does_and_stay_inside() {
        for (text, expect) in [
            ("", "/"),
            (".", "/"),
            ("/", "/"),
            ("a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("a/./b/.", "/a/b"),
            ("a/../b", "/b"),
            ("../../etc", "/etc"),
            ("a/b/../../../c", "/c"),
            ("..", "/"),
        ] {
            assert_eq!(ImagePath::clean(text).to_string(), expect, "{text}");
        }
    }

    #[test]
    fn parts_of_a_path() {
        let path = ImagePath::clean("usr/lib/x");
        assert_eq!(path.name(), "x");
        assert_eq!(path.parent(), Some(ImagePath::clean("usr/lib")));
        assert_eq!(path.below(&ImagePath::clean("usr")), Some("lib/x"));
        assert_eq!(path.below(&ImagePath::clean("us")), None);
        assert_eq!(path.below(&path), Some(""));
        assert_eq!(ImagePath::clean("a").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
        assert_eq!(path.components().count(), 3);
    }
}
