//! Files that are broken, cut off, or meant to hurt: what can be read is read, nothing panics, and nothing takes long.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{Source, oracle::files};

/// What files of these formats are made of.
const PIECES: [&str; 36] = [
    "${",
    "}",
    "${{ ",
    " }}",
    "%{ if ",
    "%{ endif }",
    "\"",
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "\n",
    "\n  ",
    ": ",
    " = ",
    "- ",
    "*",
    "&a ",
    "*a",
    "<<: *a",
    "!reset null",
    "!override ",
    "target.base.args",
    "target.base.tags[*]",
    "group.default.targets",
    "inputs.image",
    "matrix.service",
    "steps.meta.outputs.tags",
    "uses: ./.github/actions/image",
    "uses: ./.github/workflows/build.yml",
    "extends: web",
    "for x in ",
    "\u{feff}",
    "\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn whatever_is_put_together_is_read_or_left_out(
        case in any::<Index>(),
        file in any::<Index>(),
        changes in vec((any::<Index>(), any::<Index>(), 0..40_usize, any::<Index>()), 1..12),
    ) {
        let cases = fixtures();
        let mut files = case.get(&cases).clone();
        let path = file.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        let mut letters: Vec<char> = files[&path].chars().collect();
        for (at, from, length, piece) in changes {
            let put: Vec<char> = match length {
                // A piece, or another part of the same file.
                0..25 => piece.get(&PIECES).chars().collect(),
                _ if letters.is_empty() => Vec::new(),
                _ => {
                    let from = from.index(letters.len());
                    letters[from..(from + length).min(letters.len())].to_vec()
                }
            };
            let at = at.index(letters.len() + 1);
            let end = (at + length % 7).min(letters.len());
            letters.splice(at..end, put);
        }
        files.insert(path, letters.into_iter().collect());
        all(&files);
    }
}

fn fixtures() -> Vec<BTreeMap<String, String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut cases = Vec::new();
    for folder in ["import", "init"] {
        for case in fs::read_dir(root.join(folder)).unwrap() {
            cases.push(files(&fs::read_to_string(case.unwrap().path()).unwrap()));
        }
    }
    cases
}

/// Whatever is cut off or missing, files are read or left out; nothing panics, and nothing takes long.
#[test]
fn damaged_files_are_left_out() {
    for whole in fixtures() {
        for (path, text) in &whole {
            let cuts = (0..text.len())
                .step_by(43)
                .filter(|at| text.is_char_boundary(*at));
            for cut in cuts {
                let line_end = text[cut..].find('\n').map_or(text.len(), |end| cut + end);
                for damaged in [
                    text[..cut].to_owned(),
                    text[..cut].to_owned() + &text[line_end..],
                ] {
                    let mut files = whole.clone();
                    files.insert(path.clone(), damaged);
                    all(&files);
                }
            }
        }
    }
}

fn all(files: &BTreeMap<String, String>) -> Vec<String> {
    let paths: BTreeSet<String> = files.keys().cloned().collect();
    let read = |path: &str| files.get(path).map(|text| text.clone().into_bytes());
    let source = Source {
        paths: &paths,
        read: &read,
        github: Some("example/shop".to_owned()),
        branch: "main".to_owned(),
    };
    let merged = super::merge(super::usual(&source));
    merged.left_out.iter().map(ToString::to_string).collect()
}

#[test]
fn files_that_are_meant_to_hurt_are_left_out() {
    let doubling = |first: &str, next: &dyn Fn(usize) -> String| {
        let mut text = format!("v0 = {first}\n");
        for n in 1..64 {
            writeln!(text, "v{n} = {}", next(n - 1)).unwrap();
        }
        text + "target \"default\" {\n  args = { A = v63 }\n}\n"
    };
    let mut bushy = "target \"t0\" {}\n".to_owned();
    for n in 1..80 {
        write!(
            bushy,
            "target \"t{n}\" {{\n  inherits = [\"t{0}\", \"t{0}\"]\n}}\n",
            n - 1
        )
        .unwrap();
    }
    let mut chain = String::new();
    for n in 0..3000 {
        let next = n + 1;
        writeln!(
            chain,
            "target \"t{n}\" {{\n  args = {{ A = target.t{next}.args.A }}\n}}"
        )
        .unwrap();
    }
    let deep = |start: &str, open: &str, inner: &str, close: &str| {
        let (open, close) = (open.repeat(20_000), close.repeat(20_000));
        format!("{start}{open}{inner}{close}")
    };
    let mut indented = "services:\n".to_owned();
    for n in 1..2000 {
        writeln!(indented, "{}a:", " ".repeat(n)).unwrap();
    }
    let nested = format!(
        "services:\n  a:\n    build: \"{}x{}\"\n",
        "${A:-".repeat(20_000),
        "}".repeat(20_000)
    );
    for (file, text) in [
        ("docker-bake.hcl", doubling("\"xxxxxxxx\"", &|n| format!("\"${{v{n}}}${{v{n}}}\""))),
        ("docker-bake.hcl", doubling("[\"x\"]", &|n| format!("concat(v{n}, v{n})"))),
        ("docker-bake.hcl", doubling("[\"x\"]", &|n| format!("[v{n}, v{n}]"))),
        ("docker-bake.hcl", doubling("\"aaaaaaaa\"", &|n| format!("replace(v{n}, \"a\", v{n})"))),
        ("docker-bake.hcl", doubling("\"x\"", &|n| format!("v{n} == v{n} ? v{} : \"\"", n + 2))),
        ("docker-bake.hcl", "function \"f\" {\n  params = [x]\n  result = f(f(x))\n}\ntarget \"default\" {\n  args = { A = f(1) }\n}\n".to_owned()),
        ("docker-bake.hcl", chain),
        ("docker-bake.hcl", bushy),
        ("docker-bake.hcl", deep("a = ", "(", "1", ")")),
        ("docker-bake.hcl", deep("a = ", "[", "", "]")),
        ("docker-bake.hcl", deep("a = ", "!", "true", "")),
        ("docker-bake.hcl", deep("a = ", "{x = ", "1", "}")),
        ("docker-bake.hcl", deep("a = \"", "${\"", "x", "\"}") + "\""),
        ("docker-bake.hcl", deep("a = ", "f(", "", ")")),
        ("docker-bake.hcl", deep("a = ", "1 + ", "1", "")),
        ("docker-bake.hcl", deep("b = [1]\ntarget \"x\" {\n  args = { A = b", "[*]", "", "") + " }\n}\n"),
        ("compose.yaml", indented),
        ("docker-bake.hcl", deep("a = ", "true ? 1 : ", "1", "")),
        ("docker-bake.hcl", deep("", "x {\n", "", "}\n")),
        ("docker-bake.json", deep("{\"a\": ", "[", "", "]") + "}"),
        ("docker-bake.json", deep("{\"a\": \"${", "(", "1", ")") + "}\"}"),
        ("compose.yaml", deep("a: ", "[", "", "]")),
        ("compose.yaml", deep("services: ", "{a: ", "", "}")),
        ("compose.yaml", deep("services: ", "!override ", "x", "")),
        (".github/workflows/a.yml", deep("on: push\nenv:\n  A: \"${{ ", "(", "1", ")") + " }}\"\n"),
        (".github/workflows/a.yml", deep("on: push\nenv:\n  A: \"${{ ", "!", "1", "") + " }}\"\n"),
        (".github/workflows/a.yml", deep("on: push\nenv:\n  A: \"${{ a", "[0", "", "]") + " }}\"\n"),
        (".github/workflows/a.yml", deep("on: push\nenv:\n  A: \"${{ ", "1 && ", "1", "") + " }}\"\n"),
        ("compose.yaml", nested),
        ("compose.yaml", "services:\n  a:\n    build: .\n    extends: b\n  b:\n    extends: a\n".to_owned()),
        ("compose.yaml", "include: [compose.yaml]\nservices: {a: {build: .}}\n".to_owned()),
    ] {
        let files = BTreeMap::from([(file.to_owned(), text), ("Dockerfile".to_owned(), "FROM a\n".to_owned())]);
        all(&files);
    }
}
