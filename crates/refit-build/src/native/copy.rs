//! COPY's rules for one source: where it lands, and what becomes of modes, owners and what was there.
//!
//! They are those of BuildKit's copier (tonistiigi/fsutil, `copy/copy.go`), told over trees instead of mounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use refit_context::Ignore;

use super::{
    edit::{Edit, NewFolders},
    file_table::{FileTable, TreeError},
    image_path::ImagePath,
    mode_change::ModeChange,
    node::{FileData, Node, NodeKind},
    owner::Owner,
    wildcard,
};

/// How a COPY or ADD changes what it copies.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyRules {
    /// `--chown`; without it everything keeps its owner.
    pub(crate) owner: Option<Owner>,
    /// `--chmod`.
    pub(crate) mode: Option<ModeChange>,
    /// `--parents`: only what these rules match.
    pub(crate) include: Option<Ignore>,
    /// `--exclude`: nothing that these rules match.
    pub(crate) exclude: Option<Ignore>,
}

/// Where a COPY or ADD goes: absolute, its ending told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) path: ImagePath,
    /// It ends with `/` or `/.`: a folder, whatever the sources are.
    pub(crate) is_folder: bool,
}

/// Why something cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("`{path}` is not in {place}")]
    NotFound { path: String, place: String },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("the folder `{0}` cannot be replaced by a file")]
    FileOverFolder(String),
}

impl Destination {
    /// Reads a destination as written, relative to the folder of WORKDIR.
    pub(crate) fn parse(working_dir: &str, written: &str) -> Self {
        let path = match written.strip_prefix('/') {
            Some(_) => ImagePath::clean(written),
            None => ImagePath::clean(working_dir).join(written),
        };
        let is_folder =
            matches!(written, "" | ".") || written.ends_with('/') || written.ends_with("/.");
        Self { path, is_folder }
    }
}

impl CopyRules {
    /// How folders are made on the way to a destination.
    pub(crate) fn new_folders(&self) -> NewFolders {
        NewFolders {
            mode: ModeChange::of_new_folders(self.mode.as_ref()),
            owner: self.owner.unwrap_or_default(),
        }
    }

    fn takes(&self, relative: &str) -> bool {
        let included = self
            .include
            .as_ref()
            .is_none_or(|rules| rules.excludes(relative));
        included
            && !self
                .exclude
                .as_ref()
                .is_some_and(|rules| rules.excludes(relative))
    }

    /// A source's node as it is put down. Its time stays: the context's are all 0, an image's are as fixed as its digest.
    fn changed(&self, node: &Node) -> Node {
        let mut node = node.clone();
        if let Some(owner) = self.owner {
            (node.uid, node.gid) = (owner.uid, owner.gid);
        }
        if let Some(mode) = &self.mode
            && !matches!(node.kind, NodeKind::Symlink(_))
        {
            node.mode = mode.apply(node.mode, node.kind == NodeKind::Directory);
        }
        node
    }
}

/// The paths that a source stands for, links in its folders followed: one, or what its wildcards match.
pub(crate) fn matches(
    from: &FileTable,
    source: &str,
    place: &str,
) -> Result<Vec<ImagePath>, CopyError> {
    let path = ImagePath::clean(source);
    let components: Vec<&str> = path.components().collect();
    let Some(first) = components
        .iter()
        .position(|name| wildcard::is_pattern(name))
    else {
        return Ok(vec![path]);
    };
    let folder = from.resolve(&components[..first].join("/"))?;
    if !from.contains(&folder) {
        return Err(not_found(&folder, place));
    }
    let pattern = components[first..].join("/");
    let mut matched: Vec<ImagePath> = Vec::new();
    for (path, _) in from.below(&folder) {
        let relative = path.below(&folder).unwrap_or_default();
        // What lies in a folder that matched comes with it.
        let comes_along = matched
            .last()
            .is_some_and(|last| path.below(last).is_some());
        if !comes_along && wildcard::matches(&pattern, relative) {
            matched.push(path.clone());
        }
    }
    Ok(matched)
}

/// Copies one source, without wildcards, of the tree `from`; `place` says in messages what that tree is.
pub(crate) fn copy(
    edit: &mut Edit,
    from: &FileTable,
    (source, place): (&ImagePath, &str),
    destination: &Destination,
    rules: &CopyRules,
) -> Result<(), CopyError> {
    let new = rules.new_folders();
    let followed = from.resolve(source.as_str())?;
    if !from.contains(&followed) {
        return Err(not_found(source, place));
    }
    let folder = if destination.is_folder {
        Some(destination.path.clone())
    } else {
        destination.path.parent()
    };
    if let Some(folder) = folder {
        let folder = edit.tree().resolve(folder.as_str())?;
        edit.make_folders(&folder, new)?;
    }
    let target = edit.tree().resolve(destination.path.as_str())?;
    let Some(node) = from
        .get(&followed)
        .filter(|node| node.kind != NodeKind::Directory)
    else {
        edit.make_folders(&target, new)?;
        return copy_below(edit, from, (&followed, &target), rules);
    };
    let target = if edit.tree().is_directory(&target) {
        target.join(source.name())
    } else {
        target
    };
    edit.make_folders(&target.parent().unwrap_or_default(), new)?;
    put_file(edit, &target, rules.changed(node))
}

/// Copies everything in a folder into a folder.
fn copy_below(
    edit: &mut Edit,
    from: &FileTable,
    (source, target): (&ImagePath, &ImagePath),
    rules: &CopyRules,
) -> Result<(), CopyError> {
    let mut links: BTreeMap<*const FileData, Arc<FileData>> = BTreeMap::new();
    let mut folders = Folders {
        from,
        source,
        target,
        rules,
        done: BTreeSet::new(),
    };
    for (path, node) in from.below(source) {
        let relative = path.below(source).unwrap_or_default();
        if !rules.takes(relative) {
            continue;
        }
        folders.above(edit, path)?;
        let target = target.join(relative);
        let mut node = rules.changed(node);
        match &node.kind {
            NodeKind::Directory => {
                refuse_file(edit, &target)?;
                // Other than that of the topmost folder, the metadata of what was there is overwritten.
                edit.put(&target, node);
                folders.done.insert(path.clone());
            }
            // Names of one file stay names of one file, and become another file than the source.
            NodeKind::File(data) => {
                let copy = links.entry(Arc::as_ptr(data));
                let copy = copy.or_insert_with(|| Arc::new(FileData::clone(data)));
                node.kind = NodeKind::File(Arc::clone(copy));
                put_file(edit, &target, node)?;
            }
            _ => put_file(edit, &target, node)?,
        }
    }
    Ok(())
}

/// The folders that `--parents` and `--exclude` leave out, and that come for the sake of what is in them.
struct Folders<'a> {
    from: &'a FileTable,
    source: &'a ImagePath,
    target: &'a ImagePath,
    rules: &'a CopyRules,
    /// Folders of the source that are in the target.
    done: BTreeSet<ImagePath>,
}

impl Folders<'_> {
    /// Makes all of them that are above a path of the source.
    fn above(&mut self, edit: &mut Edit, path: &ImagePath) -> Result<(), CopyError> {
        let mut missing = Vec::new();
        let mut folder = path.parent();
        while let Some(above) =
            folder.filter(|above| above != self.source && !self.done.contains(above))
        {
            folder = above.parent();
            missing.push(above);
        }
        for above in missing.into_iter().rev() {
            let node = self
                .from
                .get(&above)
                .expect("a path's parents are in its tree");
            let target = self
                .target
                .join(above.below(self.source).unwrap_or_default());
            refuse_file(edit, &target)?;
            let node = match edit.tree().get(&target) {
                // fsutil changes the mode of such a folder and nothing else.
                Some(there) => Node {
                    mode: node.mode,
                    ..there.clone()
                },
                None => self.rules.changed(node),
            };
            edit.put(&target, node);
            self.done.insert(above);
        }
        Ok(())
    }
}

fn refuse_file(edit: &Edit, folder: &ImagePath) -> Result<(), CopyError> {
    if edit.tree().contains(folder) && !edit.tree().is_directory(folder) {
        return Err(TreeError::NotADirectory(folder.to_string()).into());
    }
    Ok(())
}

fn put_file(edit: &mut Edit, target: &ImagePath, node: Node) -> Result<(), CopyError> {
    if edit.tree().is_directory(target) {
        return Err(CopyError::FileOverFolder(target.to_string()));
    }
    edit.put(target, node);
    Ok(())
}

fn not_found(path: &ImagePath, place: &str) -> CopyError {
    CopyError::NotFound {
        path: path.to_string(),
        place: place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::node::Content;

    /// A tree as `a/` folder, `a` file, `a -> b` link; `a:1` belongs to user and group 1.
    fn tree(paths: &[&str]) -> FileTable {
        let mut tree = FileTable::default();
        for text in paths {
            let (text, owner) = text.split_once(':').unwrap_or((text, "0"));
            let content = Content::Bytes(text.as_bytes().into());
            let data = FileData {
                size: text.len() as u64,
                content,
            };
            let (path, kind) = match text.split_once(" -> ") {
                Some((path, target)) => (path, NodeKind::Symlink(target.to_owned())),
                None if text.ends_with('/') => (text, NodeKind::Directory),
                None => (text, NodeKind::File(Arc::new(data))),
            };
            let mode = if kind == NodeKind::Directory {
                0o755
            } else {
                0o644
            };
            let mut node = Node::new(kind, mode);
            (node.uid, node.gid) = (owner.parse().unwrap(), owner.parse().unwrap());
            let path = ImagePath::clean(path);
            for folder in tree.missing_folders(&path).unwrap() {
                tree.insert(folder, Node::directory(0o755));
            }
            tree.insert(path, node);
        }
        tree
    }

    const CONTEXT: [&str; 7] = [
        "app",
        "conf/a.conf",
        "conf/b.conf",
        "conf/deep/c.txt",
        "conf/link -> a.conf",
        "alias -> conf",
        "to-app -> app",
    ];

    fn run(base: &[&str], text: &str, rules: &CopyRules) -> Result<Edit, CopyError> {
        let (source, destination) = text.rsplit_once(' ').unwrap();
        let (from, mut edit) = (tree(&CONTEXT), Edit::new(tree(base)));
        let destination = Destination::parse("/home", destination);
        for path in matches(&from, source, "the context")? {
            copy(
                &mut edit,
                &from,
                (&path, "the context"),
                &destination,
                rules,
            )?;
        }
        Ok(edit)
    }

    /// What `COPY text` adds to `base`, as the paths of its layer; or the error.
    #[track_caller]
    fn check(base: &[&str], text: &str, expect: &[&str]) {
        let paths = match run(base, text, &CopyRules::default()) {
            Ok(edit) => {
                let (_, members) = edit.finish().unwrap();
                members
                    .into_iter()
                    .map(|member| member.entry.path)
                    .collect()
            }
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(paths, expect, "COPY {text}");
    }

    #[test]
    fn a_file_goes_to_a_path_or_into_a_folder() {
        check(&[], "app /bin/tool", &["bin", "bin/tool"]);
        check(&[], "app /bin/", &["bin", "bin/app"]);
        check(&["bin/"], "app /bin", &["bin/app"]);
        check(&[], "/app /", &["app"]);
        check(&[], "../../app /x", &["x"]);
        check(&[], "app .", &["home", "home/app"]);
        check(&[], "app sub/", &["home", "home/sub", "home/sub/app"]);
        check(&["home/"], "app name", &["home/name"]);
        check(&[], "app ..", &["app"]);
    }

    #[test]
    fn of_a_folder_its_contents_are_copied() {
        let all = [
            "x",
            "x/a.conf",
            "x/b.conf",
            "x/deep",
            "x/deep/c.txt",
            "x/link",
        ];
        check(&[], "conf /x", &all);
        check(&[], "conf/ /x/", &all);
        check(&[], "conf/. /x", &all);
        check(&["x/"], "conf /x", &all[1..]);
        check(&[], "alias /x", &all);
    }

    #[test]
    fn a_link_that_is_named_is_followed_under_its_own_name() {
        check(&[], "to-app /bin/", &["bin", "bin/to-app"]);
        check(&[], "alias/a.conf /x", &["x"]);
        check(&[], "conf/link /x/", &["x", "x/link"]);
    }

    #[test]
    fn wildcards_take_names_and_whole_folders() {
        check(&[], "conf/*.conf /x/", &["x", "x/a.conf", "x/b.conf"]);
        check(
            &[],
            "con* /x/",
            &[
                "x",
                "x/a.conf",
                "x/b.conf",
                "x/deep",
                "x/deep/c.txt",
                "x/link",
            ],
        );
        check(&[], "alias/?.conf /x/", &["x", "x/a.conf", "x/b.conf"]);
        check(&[], "*/deep /x/", &["x", "x/c.txt"]);
        check(&[], "nothing* /x/", &[]);
        check(&[], "no/* /x/", &["`/no` is not in the context"]);
    }

    #[test]
    fn the_links_of_the_base_decide_where_things_land() {
        let merged = [
            "usr/bin/",
            "bin -> usr/bin",
            "opt -> /usr/local/opt",
            "loop -> loop",
        ];
        check(&merged, "app /bin/tool", &["usr/bin/tool"]);
        check(&merged, "app /bin/", &["usr/bin/app"]);
        check(&merged, "app /bin", &["usr/bin/app"]);
        check(
            &merged,
            "app /opt/x/y",
            &[
                "usr/local",
                "usr/local/opt",
                "usr/local/opt/x",
                "usr/local/opt/x/y",
            ],
        );
        check(
            &merged,
            "conf/deep /opt",
            &["usr/local", "usr/local/opt", "usr/local/opt/c.txt"],
        );
        check(
            &merged,
            "app /loop/x",
            &["`/loop` leads through too many symbolic links"],
        );
        check(&["l -> ../../etc/x"], "app /l", &["etc", "etc/x"]);
        // Inside a folder nothing is followed.
        check(
            &["x/link -> /y"],
            "conf /x",
            &["x/a.conf", "x/b.conf", "x/deep", "x/deep/c.txt", "x/link"],
        );
        check(&["x/app -> /y"], "app /x", &["x/app"]);
    }

    #[test]
    fn files_and_folders_do_not_replace_one_another() {
        check(
            &["x/app/"],
            "app /x",
            &["the folder `/x/app` cannot be replaced by a file"],
        );
        check(&["x"], "conf /x", &["`/x` is not a folder"]);
        check(&["x"], "app /x/", &["`/x` is not a folder"]);
        check(&["x"], "app /x/y", &["`/x` is not a folder"]);
        check(&["x/deep"], "conf /x", &["`/x/deep` is not a folder"]);
        check(
            &["x/deep -> /y", "y/"],
            "conf /x",
            &["`/x/deep` is not a folder"],
        );
        check(&[], "missing /x", &["`/missing` is not in the context"]);
    }

    #[test]
    fn owner_and_mode_reach_files_and_new_folders() {
        let rules = CopyRules {
            owner: Some(Owner { uid: 5, gid: 6 }),
            mode: Some(ModeChange::parse("700").unwrap()),
            ..CopyRules::default()
        };
        let edit = run(&["x/:1"], "conf /x/y", &rules).unwrap();
        let (tree, _) = edit.finish().unwrap();
        let meta = |path: &str| {
            let node = tree.get(&ImagePath::clean(path)).unwrap();
            (node.mode, node.uid, node.gid)
        };
        assert_eq!(meta("x"), (0o755, 1, 1));
        for path in ["x/y", "x/y/deep", "x/y/a.conf"] {
            assert_eq!(meta(path), (0o700, 5, 6), "{path}");
        }
        assert_eq!(meta("x/y/link"), (0o644, 5, 6));
    }

    #[test]
    fn parents_and_exclude_take_parts_of_a_folder() {
        let ignore = |text: &str| Some(Ignore::parse(text).0);
        let only = CopyRules {
            include: ignore("conf/deep/c.txt"),
            ..CopyRules::default()
        };
        let paths = |base: &[&str], rules: &CopyRules| {
            let (_, members) = run(base, "/ /x/", rules).unwrap().finish().unwrap();
            members
                .into_iter()
                .map(|member| member.entry.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            paths(&[], &only),
            ["x", "x/conf", "x/conf/deep", "x/conf/deep/c.txt"]
        );
        let without = CopyRules {
            exclude: ignore("conf\n!conf/a.conf\nalias"),
            ..CopyRules::default()
        };
        assert_eq!(
            paths(&[], &without),
            ["x", "x/app", "x/conf", "x/conf/a.conf", "x/to-app"]
        );
    }

    #[test]
    fn two_names_of_one_file_stay_two_names() {
        let mut from = tree(&["d/a"]);
        let node = from.get(&ImagePath::clean("d/a")).unwrap().clone();
        from.insert(ImagePath::clean("d/b"), node);
        let mut edit = Edit::new(FileTable::default());
        for (n, destination) in ["/x", "/y"].into_iter().enumerate() {
            let destination = Destination::parse("/", destination);
            copy(
                &mut edit,
                &from,
                (&ImagePath::clean("d"), ""),
                &destination,
                &CopyRules::default(),
            )
            .unwrap();
            assert_eq!(edit.tree().below(&ImagePath::root()).count(), 3 * (n + 1));
        }
        let (_, members) = edit.finish().unwrap();
        let files = members.iter().filter(|member| member.data.is_some());
        assert_eq!(files.count(), 2, "one a copy: {members:?}");
    }
}
