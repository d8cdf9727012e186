//! Trees of layers in few words.

use std::sync::Arc;

use proptest::prelude::*;
use refit_context::{TarEntry, TarKind};
use refit_oci::Digest;

use super::*;

fn entry(text: &str) -> TarEntry {
    let (path, kind) = match text.split_once(" -> ") {
        Some((path, target)) => (
            path,
            TarKind::Symlink {
                target: target.to_owned(),
            },
        ),
        None => match text.split_once(" = ") {
            Some((path, target)) => (
                path,
                TarKind::HardLink {
                    target: target.to_owned(),
                },
            ),
            None => match text.strip_suffix('/') {
                Some(path) => (path, TarKind::Directory),
                None => (text, TarKind::File { size: 0 }),
            },
        },
    };
    TarEntry::new(path, kind, 0o644)
}

/// Layers as `a/ b/c l -> a h = b/c`, one text each; the result as a sorted list of paths.
fn table(layers: &[&[&str]]) -> FileTable {
    let mut table = FileTable::default();
    for (n, layer) in layers.iter().enumerate() {
        let entries: Vec<TarEntry> = layer.iter().map(|text| entry(text)).collect();
        table
            .apply_layer(&Digest::sha256(&[u8::try_from(n).unwrap()]), &entries)
            .unwrap();
    }
    table
}

#[track_caller]
fn check(layers: &[&[&str]], expect: &[&str]) {
    let table = table(layers);
    let paths: Vec<&str> = table
        .below(&ImagePath::root())
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(paths, expect, "{layers:?}");
}

#[test]
fn missing_folders_are_implied() {
    check(&[&["a/b/c"]], &["a", "a/b", "a/b/c"]);
}

#[test]
fn a_whiteout_removes_a_file_or_a_whole_folder_below() {
    check(
        &[&["a/", "a/x", "b/", "b/y"], &["a/.wh.x", ".wh.b"]],
        &["a"],
    );
}

#[test]
fn whiteouts_leave_their_own_layer_alone() {
    check(
        &[&["a/", "a/x"], &["a/", "a/new", "a/.wh..wh..opq"]],
        &["a", "a/new"],
    );
    check(&[&["x"], &["x", ".wh.x"]], &["x"]);
}

#[test]
fn an_opaque_folder_in_place_of_a_link_empties_only_itself() {
    check(
        &[&["a/", "a/x", "l -> a"], &["l/", "l/.wh..wh..opq", "l/new"]],
        &["a", "a/x", "l", "l/new"],
    );
    check(&[&["a/", "a/x", "l -> a"], &["l/.wh.x"]], &["a", "l"]);
    check(
        &[&["a/", "a/b/", "a/b/x"], &["a/b/new", ".wh.a"]],
        &["a", "a/b", "a/b/new"],
    );
}

#[test]
fn an_opaque_folder_keeps_itself() {
    check(&[&["a/", "a/x", "a-b"], &["a/.wh..wh..opq"]], &["a", "a-b"]);
}

#[test]
fn a_file_in_place_of_a_folder_hides_what_was_in_it() {
    check(&[&["a/", "a/x"], &["a"]], &["a"]);
    check(&[&["a"], &["a/", "a/x"]], &["a", "a/x"]);
    check(&[&["a/", "a/x"], &["a/"]], &["a", "a/x"]);
}

#[test]
fn members_go_through_links_of_lower_layers() {
    let layers: &[&[&str]] = &[&["usr/bin/", "bin -> usr/bin"], &["bin/tool"]];
    check(layers, &["bin", "usr", "usr/bin", "usr/bin/tool"]);
}

#[test]
fn names_of_one_file_share_it() {
    let table = table(&[&["a"], &["b = a", "c"]]);
    let data = |path: &str| match &table.get(&ImagePath::clean(path)).unwrap().kind {
        NodeKind::File(data) => Arc::clone(data),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&data("a"), &data("b")));
    assert!(!Arc::ptr_eq(&data("a"), &data("c")));
    let missing = FileTable::default().apply_layer(&Digest::sha256(b""), &[entry("b = a")]);
    assert!(matches!(missing, Err(TreeError::HardLink { .. })));
}

#[test]
fn below_is_only_what_is_below() {
    let table = table(&[&["a/", "a/b/", "a/b/c", "a-x", "a.y"]]);
    let below = |path: &str| {
        let nodes = table
            .below(&ImagePath::clean(path))
            .map(|(path, _)| path.to_string());
        nodes.collect::<Vec<_>>()
    };
    assert_eq!(below("a"), ["/a/b", "/a/b/c"]);
    assert_eq!(below("a-x"), [""; 0]);
}

proptest! {
    #[test]
    fn any_layers_make_a_tree_or_fail(
        layers in prop::collection::vec(prop::collection::vec("[abl/.]{1,6}( -> [abl/.]{0,6})?/?|(a/|b/)?.wh.[ab.]{1,3}", 0..12), 1..4),
        path in "[abl/.]{0,8}",
    ) {
        let mut table = FileTable::default();
        for layer in &layers {
            let entries: Vec<TarEntry> = layer.iter().map(|text| entry(text)).collect();
            if table.apply_layer(&Digest::sha256(b""), &entries).is_err() {
                break;
            }
        }
        let paths: Vec<&ImagePath> = table.below(&ImagePath::root()).map(|(path, _)| path).collect();
        for path in paths {
            prop_assert!(table.is_directory(&path.parent().unwrap()), "{path} hangs in the air");
        }
        if let Ok(resolved) = table.resolve(&path) {
            let again = table.resolve(resolved.as_str());
            prop_assert_eq!(again, Ok(resolved));
        }
    }
}

#[test]
fn links_are_followed_inside_the_root() {
    let table = table(&[&[
        "usr/bin/",
        "bin -> usr/bin",
        "abs -> /usr",
        "out -> ../../../etc",
        "up/",
        "up/back -> ../usr/./bin",
        "chain -> abs/bin",
        "dangling -> nowhere/x",
        "loop -> loop2",
        "loop2 -> /loop",
        "self -> .",
        "file",
    ]]);
    for (path, expect) in [
        ("/bin/tool", Some("/usr/bin/tool")),
        ("bin", Some("/usr/bin")),
        ("/abs/bin/x", Some("/usr/bin/x")),
        ("/out/passwd", Some("/etc/passwd")),
        ("/up/back/x", Some("/usr/bin/x")),
        ("/chain", Some("/usr/bin")),
        ("/dangling/y", Some("/nowhere/x/y")),
        ("/self/self/bin", Some("/usr/bin")),
        ("/new/deep", Some("/new/deep")),
        ("/loop/x", None),
        ("/file/x", None),
        ("/", Some("/")),
    ] {
        let resolved = table.resolve(path).ok().map(|path| path.to_string());
        assert_eq!(resolved.as_deref(), expect, "{path}");
    }
    assert_eq!(
        table.resolve_parent("/bin/bin").unwrap().to_string(),
        "/usr/bin/bin"
    );
    assert_eq!(table.resolve_parent("/bin").unwrap().to_string(), "/bin");
}

#[test]
fn another_root_bounds_links_too() {
    let table = table(&[&[
        "opt/",
        "opt/lib -> /usr/lib",
        "opt/up -> ../../x",
        "usr/lib/",
    ]]);
    let opt = ImagePath::clean("opt");
    assert_eq!(
        table.resolve_in(&opt, "lib/a").unwrap().to_string(),
        "/opt/usr/lib/a"
    );
    assert_eq!(table.resolve_in(&opt, "up").unwrap().to_string(), "/opt/x");
}
