use proptest::prelude::*;
use refit_context::Ignore;

fn excludes(file: &str, path: &str) -> bool {
    let (ignore, problems) = Ignore::parse(file);
    assert_eq!(problems, [], "{file:?}");
    ignore.excludes(path)
}

/// The cases of moby's own `patternmatcher_test.go`.
#[test]
fn single_rules_match_as_in_moby() {
    for (rule, path, expect) in [
        ("**", "file", true),
        ("**", "file/", true),
        ("**/", "file", true),
        ("**/", "file/", true),
        ("**", "dir/file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**/file", "dir/file", true),
        ("**file", "dir/dir/file", true),
        ("**/file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abc.def", true),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\\\", "a\\", true),
        ("a\\*b", "a*b", true),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def", true),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        (
            "dist/p-2.4.0rc3.dev36+g08acad9-any.whl",
            "dist/p-2.4.0rc3.dev36+g08acad9-any.whl",
            true,
        ),
        ("dist/*.whl", "dist/p-2.4.0rc3.dev36+g08acad9-any.whl", true),
        ("abc", "abc", true),
        ("*", "abc", true),
        ("a*", "ab/c", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("a?b", "a☺b", true),
        ("a[^a][^a][^a]b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[\\-x]", "-", true),
    ] {
        assert_eq!(excludes(rule, path), expect, "{rule} on {path}");
    }
}

#[test]
fn rules_are_not_gits() {
    for (story, file, path, expect) in [
        ("anchored at the root", "*.md", "docs/a.md", false),
        (
            "anchored at the root",
            "node_modules",
            "web/node_modules/x",
            false,
        ),
        (
            "at any depth with `**/`",
            "**/node_modules",
            "web/node_modules/x",
            true,
        ),
        (
            "a folder takes its content along",
            "target",
            "target/debug/app",
            true,
        ),
        ("a slash at the end means nothing", "notes/", "notes", true),
        (
            "a slash at the start means nothing",
            "/notes",
            "notes",
            true,
        ),
        ("paths are cleaned", "./a/../b//c", "b/c", true),
        ("a dot excludes nothing", ".", "a", false),
        ("a lone slash excludes nothing", "/", "a", false),
        ("above the root is nothing", "../a", "a", false),
        ("white space around a rule", "  a  \t", "a", true),
        ("white space within a rule", "a b", "a b", true),
        (
            "a quirk: white space before a last slash",
            "a/ /",
            "a",
            true,
        ),
        ("comments", "# a\n#a\na", "# a", false),
        ("a comment starts its line", " #a", "#a", true),
        ("an escaped hash", "\\#a", "#a", true),
        ("an escaped bang", "\\!a", "!a", true),
        ("Windows' line ends", "a\r\nb\r\n", "b", true),
        ("a byte order mark", "\u{feff}a", "a", true),
        (
            "a byte order mark before a comment",
            "\u{feff}#a",
            "#a",
            false,
        ),
        (
            "a quirk: a `**` without slashes may end a name",
            "**foo",
            "xfoo",
            true,
        ),
        ("a quirk: but not before a wildcard", "**fo?", "xfoo", false),
        (
            "a quirk: a `**` at the end may begin a name",
            "foo**",
            "foobar/x",
            true,
        ),
        ("an escape is that character", "\\d", "d", true),
        ("an escape is no class", "\\d", "1", false),
        ("a star in a class is a star", "[*]", "*", true),
        ("a star in a class is no wildcard", "x[*]", "xa", false),
        ("case counts", "A", "a", false),
        ("a regex's characters are plain", "a+b^c", "a+b^c", true),
        ("a file that begins like a folder", "a", "ab", false),
    ] {
        assert_eq!(excludes(file, path), expect, "{story}: {file:?} on {path}");
    }
}

#[test]
fn the_last_rule_that_matches_wins() {
    for (story, file, path, expect) in [
        ("kept before it is excluded", "!a.go\n*.go", "a.go", true),
        ("excluded, then kept", "*.go\n!a.go", "a.go", false),
        (
            "a file of an excluded folder",
            "docs\n!docs/README.md",
            "docs/README.md",
            false,
        ),
        ("its neighbour", "docs\n!docs/README.md", "docs/x", true),
        (
            "with a slash",
            "docs/\n!docs/README.md",
            "docs/README.md",
            false,
        ),
        (
            "with a wildcard",
            "docs/*\n!docs/README.md",
            "docs/README.md",
            false,
        ),
        (
            "a folder of everything",
            "**\n!util/docker/web",
            "util/docker/web/foo",
            false,
        ),
        (
            "and a file of that",
            "**\n!util/docker/web\nutil/docker/web/foo",
            "util/docker/web/foo",
            true,
        ),
        ("everything but", "*\n!src\n!Cargo.*", "src/a/b.rs", false),
        ("everything but", "*\n!src\n!Cargo.*", "Cargo.lock", false),
        (
            "everything but",
            "*\n!src\n!Cargo.*",
            "web/Cargo.lock",
            true,
        ),
        (
            "back and forth",
            "*\n!src\nsrc/*.tmp\n!src/b.tmp",
            "src/a.tmp",
            true,
        ),
        (
            "back and forth",
            "*\n!src\nsrc/*.tmp\n!src/b.tmp",
            "src/b.tmp",
            false,
        ),
        ("a quirk: a bang behind a dot", "*\n./!src", "src", false),
        ("space behind the bang", "*\n! /src", "src", false),
        ("a bang of its own", "*\n!!src", "src", true),
        ("the folder again", "ab\n!ab/c\nab", "ab/c", false),
        (
            "a folder that was not out",
            "**/*.log\n!web",
            "web/a.log",
            true,
        ),
        (
            "a folder that was out",
            "web\n**/*.log\n!web",
            "web/a.log",
            false,
        ),
        ("nothing", "", "a", false),
        ("kept without cause", "!a", "a", false),
    ] {
        assert_eq!(excludes(file, path), expect, "{story}: {file:?} on {path}");
    }
}

#[test]
fn random_rules_do_what_buildkit_said_they_do() {
    let recorded = include_str!("../data/buildkit-ignore.tsv");
    let mut lines = recorded.lines().filter(|line| !line.starts_with("# "));
    let files: Vec<&str> = lines.next().unwrap().split('\t').skip(1).collect();
    let mut n_cases = 0;
    for line in lines {
        let (expect, rules) = line.split_once('\t').unwrap();
        let rules = rules.replace('\t', "\n");
        let (ignore, problems) = Ignore::parse(&rules);
        let kept = |file: &&str| if ignore.excludes(file) { '.' } else { '1' };
        let found: String = match problems[..] {
            [] => files.iter().map(kept).collect(),
            _ => "refused".to_owned(),
        };
        assert_eq!(found, expect, "{rules:?} {problems:?}");
        n_cases += 1;
    }
    assert!(n_cases > 100);
}

#[test]
fn what_is_no_rule_is_reported_with_its_line_and_the_rest_counts() {
    for bad in [
        "!",
        "! ",
        "!/",
        "[",
        "[^",
        "[^bc",
        "a[",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "[a-b-c]",
        "\\",
        "a\\",
        "[Local-Only]/",
    ] {
        let (ignore, problems) = Ignore::parse(&format!("# head\n{bad}\nb\n"));
        assert_eq!(problems.len(), 1, "{bad}");
        assert_eq!(
            (problems[0].line, problems[0].pattern.as_str()),
            (2, bad.trim())
        );
        assert!(ignore.excludes("b") && !ignore.excludes("a"), "{bad}");
    }
    let (_, problems) = Ignore::parse("\n[Local-Only]/\n");
    assert_eq!(
        problems[0].to_string(),
        "line 2: `[Local-Only]/` is no ignore rule: the range `l-O` is backwards"
    );
}

#[test]
fn a_folder_is_skipped_only_if_nothing_in_it_comes_back() {
    for (file, folder, expect) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "a/b", true),
        ("a\n!a/b", "a", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!a/b/c", "a/b", false),
        ("a\n!ab", "a", true),
        ("a\n!**/keep", "a", false),
        ("a\n!*", "a", false),
        ("a\n!b*/x", "a", true),
        ("a\n!a*/x", "a", false),
        ("*\n!src/**", "src", false),
        ("*\n!src/**", "doc", true),
    ] {
        let (ignore, _) = Ignore::parse(file);
        assert_eq!(ignore.may_skip_dir(folder), expect, "{file:?} on {folder}");
    }
}

proptest! {
    #[test]
    fn any_file_is_read_without_panic(text in "\\PC{0,80}", path in "[a-c/.]{0,12}") {
        let (ignore, _) = Ignore::parse(&text);
        ignore.excludes(&path);
        ignore.may_skip_dir(&path);
    }

    #[test]
    fn what_is_skipped_holds_nothing_that_is_kept(
        text in "(!?[ab*?/]{1,6}\n){1,6}",
        folder in "[ab]{1,2}(/[ab]{1,2}){0,2}",
        below in "[ab]{1,2}(/[ab]{1,2}){0,2}",
    ) {
        let (ignore, _) = Ignore::parse(&text);
        if ignore.may_skip_dir(&folder) {
            let path = format!("{folder}/{below}");
            prop_assert!(ignore.excludes(&path), "{path}");
        }
    }

    #[test]
    fn a_rule_without_wildcards_excludes_its_path_and_all_below(path in "[a-c.+]{1,3}x(/[a-c]{1,3}){0,2}") {
        let (ignore, _) = Ignore::parse(&path);
        prop_assert!(ignore.excludes(&path));
        let below = format!("{path}/x");
        prop_assert!(ignore.excludes(&below));
        let longer = format!("{path}x");
        prop_assert!(!ignore.excludes(&longer));
    }
}
