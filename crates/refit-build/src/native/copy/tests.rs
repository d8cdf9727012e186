//! Copies of a small tree into bases, told as the paths of their layers.

use std::sync::Arc;

use refit_context::Ignore;

use super::*;
use crate::native::{
    mode_change::ModeChange,
    node::{Content, FileData},
    owner::Owner,
};

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

/// What `COPY conf /x` makes.
const ALL: [&str; 6] = [
    "x",
    "x/a.conf",
    "x/b.conf",
    "x/deep",
    "x/deep/c.txt",
    "x/link",
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
        Ok(edit) => edit.paths(),
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
    check(&[], "conf /x", &ALL);
    check(&[], "conf/ /x/", &ALL);
    check(&[], "conf/. /x", &ALL);
    check(&["x/"], "conf /x", &ALL[1..]);
    check(&[], "alias /x", &ALL);
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
    check(&[], "con* /x/", &ALL);
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
    let paths = |rules| run(&[], "/ /x/", rules).unwrap().paths();
    assert_eq!(
        paths(&only),
        ["x", "x/conf", "x/conf/deep", "x/conf/deep/c.txt"]
    );
    let without = CopyRules {
        exclude: ignore("conf\n!conf/a.conf\nalias"),
        ..CopyRules::default()
    };
    assert_eq!(
        paths(&without),
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
