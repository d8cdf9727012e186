//! How many HEADs a second the client sends to a registry on loopback, and curl to the same one: for `cargo xtask bench`.
//!
//! Prints `{"heads":N,"connections":N,"refit":SECONDS,"curl":SECONDS}`.

use std::{
    error::Error,
    process::{Command, Stdio},
    time::Instant,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use refit_oci::Reference;
use refit_registry::{CONCURRENCY, Registries, Settings};
use refit_testkit::registry::{Image, Options, TestRegistry};

/// Requests of each.
const HEADS: usize = 10_000;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are the result")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = TestRegistry::start(Options::default());
    let image = Image::new("linux/amd64", &[&[("etc/base", "base\n")]]);
    server.put_image("web", "1", &image);
    let host = server.host();

    let registries = Registries::new(Settings::default());
    let client = registries.registry(&host);
    let tag: Reference = format!("{host}/web:1").parse()?;
    // Twice as many as are let through, as a sweep has it.
    let at_once = 2 * CONCURRENCY.get();
    let start = Instant::now();
    stream::iter(0..HEADS)
        .map(|_| client.head(&tag))
        .buffer_unordered(at_once)
        .try_for_each(|head| async move {
            assert!(head.digest().is_some(), "the tag is there");
            Ok(())
        })
        .await?;
    let refit = start.elapsed().as_secs_f64();
    let connections = server.connections();
    assert_eq!(server.count("HEAD", "/v2/web/manifests/1"), HEADS);

    let start = Instant::now();
    let status = Command::new("curl")
        .args(["--silent", "--fail", "--head", "--parallel"])
        .args(["--parallel-max", &CONCURRENCY.to_string()])
        .args([
            "--header",
            "Accept: application/vnd.oci.image.manifest.v1+json",
        ])
        .arg(format!("http://{host}/v2/web/manifests/1?[1-{HEADS}]"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let curl = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("curl: {status}").into());
    }
    assert_eq!(server.count("HEAD", "/v2/web/manifests/1"), 2 * HEADS);
    let figures = serde_json::json!({
        "heads": HEADS, "connections": connections, "refit": refit, "curl": curl,
    });
    println!("{figures}");
    Ok(())
}
