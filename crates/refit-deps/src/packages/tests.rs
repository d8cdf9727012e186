//! Databases of real form, in layers that lie over each other.

use super::{Contents, LayerPackages, Manager, changes, contents};

const STATUS: &str = "\
Package: libc6
Status: install ok installed
Priority: optional
Section: libs
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u4
Description: GNU C Library: Shared libraries
 Contains the standard libraries that are used by nearly all programs on
 .
 Version: of a continuation is none.
Homepage: https://www.gnu.org/software/libc/libc.html

Package: openssl
Status: install ok installed
Architecture: amd64
Version: 3.0.11-1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: broken\u{1b}[31m
Status: install ok installed
Version: 1.0
";

const INSTALLED: &str = "\
C:Q1p78yvTLG094tHE1+dToJGbmYzQE=
P:musl
V:1.2.5-r0
A:x86_64
S:383459
T:the musl c library (libc) implementation
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:libcrypto3
V:3.1.4-r5
A:x86_64
F:usr
";

fn layer(files: &[(&str, &str)]) -> LayerPackages {
    let mut layer = LayerPackages::default();
    for (path, text) in files {
        layer.see(path);
        if LayerPackages::wants(path) {
            layer.add(path, text.as_bytes());
        }
    }
    layer
}

/// `name version` of everything that can be seen, the lowest layer first.
fn seen(layers: &[LayerPackages]) -> Vec<String> {
    let contents = contents(layers.iter().rev());
    let all = contents.packages.values().flatten();
    all.map(|p| format!("{} {}", p.name, p.version)).collect()
}

fn of(path: &str, text: &str) -> Contents {
    contents([&layer(&[(path, text)])])
}

#[test]
fn a_status_file_lists_what_is_installed_and_nothing_else() {
    let layer = layer(&[("var/lib/dpkg/status", STATUS)]);
    assert_eq!(seen(&[layer]), ["libc6 2.36-9+deb12u4", "openssl 3.0.11-1"]);
}

#[test]
fn distroless_has_a_file_a_package() {
    let one = layer(&[
        (
            "var/lib/dpkg/status.d/base",
            "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
        ),
        (
            "var/lib/dpkg/status.d/base.md5sums",
            "d41d8cd98f00b204e9800998ecf8427e  etc/x\n",
        ),
        ("var/lib/dpkg/status", ""),
    ]);
    let two = layer(&[(
        "var/lib/dpkg/status.d/tzdata",
        "Package: tzdata\nVersion: 2024a\n",
    )]);
    assert!(!contents([&two, &one]).is_complete);
    assert_eq!(seen(&[one.clone(), two]), ["base-files 12", "tzdata 2024a"]);
    let without = layer(&[("var/lib/dpkg/status.d/.wh.base", "")]);
    assert!(seen(&[one, without]).is_empty());
}

#[test]
fn alpine_s_database_is_one_wherever_it_lies() {
    for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        assert_eq!(
            seen(&[layer(&[(path, INSTALLED)])]),
            ["libcrypto3 3.1.4-r5", "musl 1.2.5-r0"]
        );
    }
    let moved = [
        layer(&[("lib/apk/db/installed", INSTALLED)]),
        layer(&[("usr/lib/apk/db/installed", "P:musl\nV:1.2.6-r0\n")]),
    ];
    assert_eq!(seen(&moved), ["musl 1.2.6-r0"]);
}

#[test]
fn what_lies_above_hides_what_lies_below() {
    let below = || layer(&[("var/lib/dpkg/status", STATUS)]);
    let one = "Package: one\nVersion: 1\n";
    for (above, expect) in [
        (vec![("var/lib/dpkg/status", one)], vec!["one 1"]),
        (vec![("var/lib/dpkg/.wh.status", "")], vec![]),
        (vec![("var/lib/.wh.dpkg", "")], vec![]),
        (vec![(".wh.var", "")], vec![]),
        (vec![("var/lib/dpkg/.wh..wh..opq", "")], vec![]),
        (
            // A layer's own whiteouts concern only what is below it.
            vec![("var/lib/.wh.dpkg", ""), ("var/lib/dpkg/status", one)],
            vec!["one 1"],
        ),
        (
            vec![("var/lib/apt/.wh..wh..opq", ""), ("etc/.wh.passwd", "")],
            vec!["libc6 2.36-9+deb12u4", "openssl 3.0.11-1"],
        ),
    ] {
        let above = layer(&above);
        let is_touched = contents([&above]).is_touched;
        assert_eq!(is_touched, expect.len() != 2, "{above:?}");
        assert_eq!(seen(&[below(), above]), expect);
    }
}

#[test]
fn rpm_s_databases_are_noticed() {
    for path in [
        "var/lib/rpm/rpmdb.sqlite",
        "usr/lib/sysimage/rpm/Packages.db",
        "var/lib/rpm/Packages",
    ] {
        assert!(contents([&layer(&[(path, "")])]).rpm, "{path}");
    }
    assert!(!contents([&layer(&[("srv/rpm/Packages", "")])]).rpm);
}

#[test]
fn a_kept_answer_reads_as_it_was_written() {
    let layer = layer(&[
        ("var/lib/dpkg/status", STATUS),
        ("var/.wh.x", ""),
        (".wh.lib", ""),
    ]);
    let text = serde_json::to_string(&layer).unwrap();
    assert_eq!(serde_json::from_str::<LayerPackages>(&text).unwrap(), layer);
}

#[test]
fn changes_say_which_way_a_package_went() {
    let old = "Package: openssl\nVersion: 3.0.11-1\n\nPackage: gone\nVersion: 1\n\nPackage: same\nVersion: 1\nArchitecture: all\n\n\
               Package: back\nVersion: 2.0-1\n";
    let new = "Package: openssl\nVersion: 3.0.15-1\n\nPackage: same\nVersion: 1\nArchitecture: amd64\n\n\
               Package: back\nVersion: 2.0-1~deb12u1\n\nPackage: fresh\nVersion: 1:1\n";
    let path = "var/lib/dpkg/status";
    let found = changes(&of(path, old), &of(path, new));
    let said: Vec<String> = found
        .iter()
        .map(|c| {
            format!(
                "{:?} {} {:?} {:?}",
                c.change,
                c.name,
                c.from.as_deref(),
                c.to.as_deref()
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            r#"Downgraded back Some("2.0-1") Some("2.0-1~deb12u1")"#,
            r#"Added fresh None Some("1:1")"#,
            r#"Removed gone Some("1") None"#,
            r#"Upgraded openssl Some("3.0.11-1") Some("3.0.15-1")"#,
        ]
    );
}

#[test]
fn two_architectures_of_one_package_are_told_apart() {
    let of_two = |version: &str| {
        let text = format!(
            "Package: libc6\nVersion: 1\nArchitecture: amd64\n\nPackage: libc6\nVersion: {version}\nArchitecture: i386\n"
        );
        of("var/lib/dpkg/status", &text)
    };
    let found = changes(&of_two("1"), &of_two("2"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "libc6:i386");
}

#[test]
fn another_distribution_is_a_removal_and_an_addition() {
    let debian = of("var/lib/dpkg/status", "Package: openssl\nVersion: 3\n");
    let alpine = of("lib/apk/db/installed", "P:openssl\nV:3\n");
    assert_eq!(alpine.packages.keys().collect::<Vec<_>>(), [&Manager::Apk]);
    assert_eq!(changes(&debian, &alpine).len(), 2);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), path in "[a-z./]{0,20}|\\PC{0,10}") {
        for path in ["var/lib/dpkg/status", "lib/apk/db/installed", &path] {
            let mut layer = LayerPackages::default();
            layer.see(path);
            layer.add(path, &bytes);
            let _ = contents([&layer]);
        }
    }
}
