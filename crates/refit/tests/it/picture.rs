//! `deps graph --format svg|html|mermaid|dot`, and results in files.

use std::fs;

use crate::{
    assert_snapshot,
    fixtures::{HOSTILE, SERVICES, hostile, notebooks},
    sandbox::Sandbox,
};

const PICTURES: [&str; 4] = ["svg", "html", "mermaid", "dot"];

fn drawn(sandbox: &Sandbox, format: &str) -> String {
    sandbox.refit(&["deps", "graph", "--format", format]).ok()
}

#[test]
fn pictures_show_external_bases_images_and_how_they_are_connected() {
    let sandbox = Sandbox::with(SERVICES);
    assert_snapshot!("picture-services-svg", drawn(&sandbox, "svg"));
    assert_snapshot!("picture-services-mermaid", drawn(&sandbox, "mermaid"));
    assert_snapshot!("picture-services-dot", drawn(&sandbox, "dot"));
    let sandbox = Sandbox::with(&notebooks());
    assert_snapshot!("picture-notebooks-svg", drawn(&sandbox, "svg"));
    assert_snapshot!("picture-notebooks-mermaid", drawn(&sandbox, "mermaid"));
    assert_snapshot!("picture-notebooks-dot", drawn(&sandbox, "dot"));
}

#[test]
fn a_page_is_complete_in_itself_and_the_same_every_time() {
    let sandbox = Sandbox::with(&notebooks());
    let page = drawn(&sandbox, "html");
    assert_eq!(page, drawn(&sandbox, "html"));
    for outside in [
        "http:", "https:", "//cdn", "@import", "url(", " src=", "<link",
    ] {
        let found = page.matches(outside).count();
        // The one address is the name of SVG's elements, which nobody asks for.
        let expected = usize::from(outside == "http:");
        assert_eq!(found, expected, "{outside}");
    }
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    assert!(page.contains(&format!("commit {}", &head[..12])) && page.contains(head.trim()));
    for name in [
        "base-notebook",
        "micromamba:2.1",
        "docs/recipes/pip.dockerfile",
        "14 images",
        "on 3 external bases",
    ] {
        assert!(page.contains(name), "{name}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_picture_of_one_image_shows_its_lineage() {
    let sandbox = Sandbox::with(&notebooks());
    let args = ["deps", "graph", "r-notebook", "--format", "mermaid"];
    assert_snapshot!("picture-one-mermaid", sandbox.refit(&args).ok());
    let svg = sandbox
        .refit(&["deps", "graph", "r-notebook", "--format", "svg"])
        .ok();
    assert!(svg.contains("what r-notebook is built on, and what is built on it"));
    assert_eq!(svg.matches("class=\"node image").count(), 4 + 1, "{svg}"); // and one in the legend
}

#[test]
fn nothing_that_a_repository_says_becomes_markup() {
    let sandbox = hostile();
    for format in PICTURES {
        let ran = sandbox.refit(&["deps", "graph", "--format", format]);
        assert!(!ran.stdout.is_empty(), "{}", ran.stderr);
        let text = &ran.stdout;
        // Graphviz's language has no markup between quotes, which nothing ends.
        if format != "dot" {
            assert!(!text.contains("<img"), "{format}: {text}");
            let scripts = text.matches("<script").count();
            assert_eq!(scripts, if format == "html" { 2 } else { 0 }, "{format}");
        }
        assert!(!text.contains(HOSTILE), "{format}");
    }
    let svg = drawn_whatever(&sandbox, "svg");
    assert!(
        svg.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;`]]&gt;"),
        "{svg}"
    );
}

fn drawn_whatever(sandbox: &Sandbox, format: &str) -> String {
    sandbox.refit(&["deps", "graph", "--format", format]).stdout
}

#[test]
fn a_repository_without_images_and_one_with_a_cycle_have_pictures_too() {
    let empty = Sandbox::with("//- README.md\nnothing\n");
    let cycle = Sandbox::with(
        "//- .config/refit.toml\n[[image]]\nname = 'a'\ncontext = 'a'\n[[image]]\nname = 'b'\ncontext = 'b'\n\
         //- a/Dockerfile\nFROM refit.local/b\n//- b/Dockerfile\nFROM refit.local/a\n",
    );
    for format in PICTURES {
        assert!(!drawn_whatever(&empty, format).is_empty());
        let text = drawn_whatever(&cycle, format);
        assert!(text.contains("cycle"), "{format}: {text}");
    }
}

#[test]
fn a_result_goes_to_a_file_as_a_whole() {
    let sandbox = Sandbox::with(SERVICES);
    let to = |file: &str| sandbox.refit(&["deps", "graph", "--format", "svg", "-o", file]);
    assert_eq!(to("lineage.svg").ok(), "");
    let svg = sandbox.read("lineage.svg");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    fs::remove_file(sandbox.root().join("lineage.svg")).unwrap();
    assert_eq!(
        svg,
        drawn(&sandbox, "svg"),
        "the file itself makes no difference"
    );

    let failed = to("nowhere/lineage.svg");
    assert_eq!(failed.code, 2);
    assert!(
        failed.stderr.starts_with("error: cannot write `"),
        "{}",
        failed.stderr
    );
    assert_eq!(to("services").code, 2);
    assert!(sandbox.root().join("services/web/Dockerfile").is_file());
    let names = fs::read_dir(sandbox.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with(".refit-"))
    );

    sandbox.refit(&["deps", "graph", "-o", "tree.txt"]).ok();
    assert!(sandbox.read("tree.txt").starts_with("debian:12-slim\n"));
    assert!(
        sandbox
            .refit(&["deps", "graph", "--format", "dot", "-o", "/dev/stdout"])
            .ok()
            .starts_with("digraph")
    );
}

#[test]
fn a_flowchart_that_few_would_draw_is_warned_of() {
    use std::fmt::Write as _;
    let mut files = String::from("//- README.md\nmany\n");
    for number in 0..501 {
        write!(
            files,
            "//- s{number}/Dockerfile\nFROM registry.example.com/base:{number}\n"
        )
        .unwrap();
    }
    let sandbox = Sandbox::with(&files);
    let ran = sandbox.refit(&["deps", "graph", "--format", "mermaid"]);
    assert!(
        ran.stderr.contains("the flowchart has 501 lines"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, 0);
    assert_eq!(
        drawn(&sandbox, "svg").matches("class=\"node image").count(),
        501 + 1
    );
}
