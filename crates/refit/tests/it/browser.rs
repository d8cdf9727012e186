//! The page in a real browser, which a second page uses as a person would.

use std::{fs, path::Path, process::Command};

use crate::{
    assert_snapshot,
    fixtures::{hostile, notebooks},
    sandbox::Sandbox,
};

#[test]
fn needs_chromium_a_page_is_searched_folded_and_walked_by_keyboard() {
    let sandbox = Sandbox::with(&notebooks());
    let draw = |sandbox: &Sandbox, format: &str, file: &Path| {
        let file = file.to_str().unwrap();
        // A file that can't be read is told by the exit code; its picture is drawn.
        sandbox.refit(&["deps", "graph", "--format", format, "-o", file]);
    };
    let hostile = hostile();
    draw(&sandbox, "html", &sandbox.path("page.html"));
    draw(&sandbox, "svg", &sandbox.path("still.svg"));
    draw(&hostile, "html", &sandbox.path("hostile.html"));
    draw(&hostile, "svg", &sandbox.path("hostile.svg"));
    let driver = sandbox.path("drive.html");
    fs::write(&driver, include_str!("browser/drive.html")).unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            // The pages are files, and the one looks into the other.
            "--allow-file-access-from-files",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            sandbox.path("chromium").display()
        ))
        .arg(format!("file://{}", driver.display()))
        .env("HOME", sandbox.path("home"))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let (_, said) = dom.split_once("<pre id=\"said\">").unwrap_or_else(|| {
        panic!("{dom}{}", String::from_utf8_lossy(&output.stderr));
    });
    let (said, _) = said.split_once("</pre>").unwrap();
    assert_snapshot!("page-used", said);
}
