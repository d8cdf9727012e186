//! Which files are Dockerfiles, and which only become some.

use std::borrow::Borrow;

use crate::{Dockerfile, SyntaxError, parse};

/// Endings of files that a template engine reads.
const TEMPLATES: [&str; 13] = [
    "j2", "jinja", "jinja2", "template", "tmpl", "tpl", "gotmpl", "erb", "mustache", "hbs", "ejs",
    "liquid", "in",
];

/// Endings of what only mentions Dockerfiles.
const OTHERS: [&str; 16] = [
    "dockerignore",
    "md",
    "json",
    "yaml",
    "yml",
    "html",
    "png",
    "svg",
    "snap",
    "lock",
    "orig",
    "rej",
    "bak",
    "swp",
    "sample",
    "patch",
];

/// Endings of source files, such as `dockerfile.go`; a Dockerfile for Go is written `Dockerfile.go`.
const SOURCES: [&str; 16] = [
    "go", "rs", "py", "js", "ts", "tsx", "rb", "java", "kt", "c", "h", "cpp", "cs", "php", "sh",
    "vim",
];

/// What a name begins or ends with, in any case.
const STEMS: [&str; 2] = ["dockerfile", "containerfile"];

/// Whether a name begins or ends with a word, in any case of its letters.
fn is_around(name: &str, word: &str) -> bool {
    let (name, word) = (name.as_bytes(), word.as_bytes());
    let begins = || name[..word.len()].eq_ignore_ascii_case(word);
    let ends = || name[name.len() - word.len()..].eq_ignore_ascii_case(word);
    name.len() >= word.len() && (begins() || ends())
}

/// Whether a file's name says that it is a Dockerfile: `Dockerfile`, `Containerfile`, `*.Dockerfile`, `Dockerfile.*`,
/// `Dockerfile-*` and the like. No ignore files, no templates.
pub fn looks_like_dockerfile(file_name: &str) -> bool {
    // Trees have many names, and this is asked of each.
    if !STEMS.iter().any(|stem| is_around(file_name, stem)) {
        return false;
    }
    let lower = file_name.to_ascii_lowercase();
    let is_capital = file_name.starts_with(['D', 'C']);
    let extension = lower
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    if matches!(extension, "dockerfile" | "containerfile") {
        return lower != format!(".{extension}");
    }
    let Some(rest) = STEMS.iter().find_map(|stem| lower.strip_prefix(stem)) else {
        return false;
    };
    let starts_well = rest.is_empty() || rest.starts_with(['.', '-', '_']);
    let is_other = TEMPLATES.contains(&extension)
        || OTHERS.contains(&extension)
        || (SOURCES.contains(&extension) && !is_capital);
    starts_well && !is_other && !rest.ends_with('~') && rest != "."
}

/// Whether a file makes a Dockerfile only once a template engine has been over it: by its name, or since it has the
/// marks of one where a Dockerfile has none.
pub fn is_template(path: &str, text: &str) -> bool {
    is_parsed_template(path, text, &parse(text))
}

/// The same of a text that was parsed already.
pub fn is_parsed_template(
    path: &str,
    text: &str,
    parsed: &Result<impl Borrow<Dockerfile>, SyntaxError>,
) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    if ending.is_some_and(|ending| TEMPLATES.contains(&ending)) {
        return true;
    }
    match parsed {
        Ok(file) => {
            let file: &Dockerfile = file.borrow();
            let mut froms = file
                .stages
                .iter()
                .map(|stage| &file.text[stage.from.span.clone()]);
            froms.any(has_mark)
        }
        // What cannot be read is a template if it says so where an instruction would start, or in a FROM.
        Err(_) => text.lines().map(str::trim_start).any(|line| {
            let is_from = line
                .get(..5)
                .is_some_and(|w| w.eq_ignore_ascii_case("from "));
            line.starts_with("{{") || line.starts_with("{%") || (is_from && has_mark(line))
        }),
    }
}

fn has_mark(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dockerfiles() {
        for name in [
            "Dockerfile",
            "dockerfile",
            "Containerfile",
            "web.Dockerfile",
            "web.dockerfile",
            "Dockerfile.dev",
            "Dockerfile.go",
            "Dockerfile-linux",
            "dockerfile-kasm-chrome",
            "Containerfile.ubi9",
            "Dockerfile.3.20",
        ] {
            assert!(looks_like_dockerfile(name), "{name}");
        }
        for name in [
            "Dockerfile.dockerignore",
            ".dockerignore",
            "Dockerfile.j2",
            "Dockerfile-linux.template",
            "Dockerfile.md",
            "Dockerfile~",
            "Dockerfiles",
            "dockerfile.go",
            "dockerfile_test.rs",
            "MyDockerfile",
            ".dockerfile",
            "Makefile",
            "",
        ] {
            assert!(!looks_like_dockerfile(name), "{name}");
        }
    }

    #[test]
    fn templates_are_known_by_name_or_by_marks() {
        for (path, text, expect) in [
            ("a/Dockerfile.j2", "FROM a\n", true),
            ("Dockerfile.template", "FROM a\n", true),
            ("Dockerfile", "FROM alpine:{{ .version }}\nRUN x\n", true),
            ("Dockerfile", "{% extends parent %}\nFROM x\n", true),
            (
                "Dockerfile",
                "{{ if eq .a \"b\" -}}\nFROM x\n{{ end }}\n",
                true,
            ),
            ("Dockerfile", "FROM debian:%%SUITE%%-slim\n", true),
            (
                "Dockerfile",
                "FROM a\nRUN docker inspect --format '{{.Id}}' x\n",
                false,
            ),
            (
                "Dockerfile",
                "FROM a\nCOPY <<EOF /x\n{{ .y }}\nEOF\n",
                false,
            ),
            ("Dockerfile", "FROM a\nRUM x\n", false),
            ("Dockerfile", "", false),
        ] {
            assert_eq!(is_template(path, text), expect, "{path} {text:?}");
        }
    }
}
