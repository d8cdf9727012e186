//! What happens while a run is under way: tags moved by others, another run, an interrupt.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use refit_testkit::engines::Version;

use crate::{bench::Bench, hub::text, lineage, said::Said};

/// A sweep under way, and what it printed so far.
struct Sweep {
    command: Command,
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Sweep {
    fn start(bench: &Bench) -> Self {
        Self::start_in(bench, &bench.repository())
    }

    fn start_in(bench: &Bench, folder: &Path) -> Self {
        let mut command = bench.refit_command(folder, &["sweep"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Self {
            command,
            child,
            errors,
        }
    }

    /// Reads on until a line of standard error begins so.
    fn wait_for(&mut self, begins: &str) {
        let mut line = String::new();
        while !line.starts_with(begins) {
            line.clear();
            assert_ne!(
                self.errors.read_line(&mut line).unwrap(),
                0,
                "the sweep ended without `{begins}`"
            );
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Said::by(Command::new("kill").args([name, &pid])).exits(0);
    }

    fn end(mut self) -> Said {
        let mut errors = Vec::new();
        self.errors.read_to_end(&mut errors).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = errors;
        Said::of(&self.command, output)
    }
}

#[test]
fn needs_engine_docker20_a_tag_that_moves_during_a_sweep_is_not_written_over() {
    let (hub, bench) = lineage::released(Version::V20);
    let latest = |image: &str| hub.digest(&format!("team/{image}:latest"));
    let (web, shop) = (latest("web"), latest("shop"));
    let somebodys = hub.push_base("1", "2").to_string();
    let mut sweep = Sweep::start(&bench);
    sweep.wait_for("shop@linux/arm64 | ");
    hub.copy(&format!("base/os@{somebodys}"), "team/base:latest");
    let said = sweep.end().exits(1);
    said.mentions("base: moved elsewhere")
        .mentions("its parent base did not move")
        .mentions("its parent web did not move");
    assert_eq!(latest("base").to_string(), somebodys);
    assert_eq!((latest("web"), latest("shop")), (web.clone(), shop));

    // It stays theirs, and is what its children are built on from then on.
    let plan = bench
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    let states: Vec<_> = plan["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (text(&s["image"]), text(&s["state"])))
        .collect();
    assert_eq!(states, [("base".to_owned(), "foreign".to_owned())]);
    bench.refit(&["sweep"]).exits(0);
    assert_eq!(latest("base").to_string(), somebodys);
    assert_ne!(latest("web"), web);
    let manifest = hub.manifests("team/web:latest")["arm64"].clone();
    assert_eq!(
        hub.file("team/web", &manifest, "etc/os-patch").as_deref(),
        Some("2")
    );
    assert_eq!(hub.file("team/web", &manifest, "etc/built-on"), None);
    bench.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn needs_engine_docker26_two_sweeps_at_once_end_in_one_state() {
    let (hub, bench) = lineage::released(Version::V26);
    hub.push_base("2", "1");
    let sweeps = [Sweep::start(&bench), Sweep::start(&bench)];
    let ended = sweeps.map(Sweep::end);
    for said in &ended {
        assert!(matches!(said.code, Some(0 | 1)), "{said}");
    }
    assert!(
        ended.iter().any(|said| said.code == Some(0)),
        "{}\n{}",
        ended[0],
        ended[1]
    );
    bench
        .refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 6 targets are built on what the bases are now");
    for image in ["base", "web", "shop"] {
        let manifest = hub.manifests(&format!("team/{image}:latest"))["amd64"].clone();
        assert_eq!(
            hub.file(&format!("team/{image}"), &manifest, "etc/os-patch")
                .as_deref(),
            Some("2")
        );
    }
    bench.git(&["fsck", "--strict"]).exits(0);
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
}

#[test]
fn needs_engine_docker20_an_interrupt_ends_a_sweep_and_what_it_staged_is_taken_up() {
    let (hub, bench) = lineage::released(Version::V20);
    let before = hub.digest("team/base:latest");
    hub.push_base("1", "2");
    let mut sweep = Sweep::start(&bench);
    sweep.wait_for("web@linux/arm64 | ");
    sweep.signal("-INT");
    sweep.end().exits(130).mentions("interrupted");
    assert_eq!(hub.digest("team/base:latest"), before);
    assert_eq!(bench.left_in_engine(), (Vec::new(), 0));
    let ran = bench.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(ran["images"][0]["name"], "base");
    let actions = ran["images"][0]["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| text(&t["action"]));
    assert_eq!(actions.collect::<Vec<_>>(), ["keep", "publish"]);
}

#[test]
fn needs_engine_docker20_two_machines_that_sweep_at_once_agree_in_the_end() {
    let (hub, bench) = lineage::released(Version::V20);
    let origin = bench.beside("origin.git");
    bench
        .git(&[
            "clone",
            "--quiet",
            "--mirror",
            ".",
            origin.to_str().unwrap(),
        ])
        .exits(0);
    let machines = ["one", "two"].map(|name| {
        let folder = bench.beside(name);
        bench
            .git_in(
                &origin,
                &["clone", "--quiet", ".", folder.to_str().unwrap()],
            )
            .exits(0);
        folder
    });
    hub.push_base("1", "2");
    let sweeps = [0, 1].map(|n| Sweep::start_in(&bench, &machines[n]));
    let ended = sweeps.map(Sweep::end);
    assert!(
        ended.iter().any(|said| said.code == Some(0)),
        "{}\n{}",
        ended[0],
        ended[1]
    );
    for said in &ended {
        // One sweeps; the other has found nothing to do yet, nothing any more, or the lease taken.
        let held = said.code == Some(2) && said.stderr.contains("another sweep is under way");
        assert!(held || matches!(said.code, Some(0 | 1)), "{said}");
    }
    let before = hub.digest("team/shop:latest");
    for folder in &machines {
        bench
            .refit_in(folder, &["sweep"])
            .exits(0)
            .mentions("nothing to do: 6 targets are built on what the bases are now");
    }
    assert_eq!(hub.digest("team/shop:latest"), before);
    let notes = |folder: &Path| {
        let notes = [
            "for-each-ref",
            "--format=%(refname) %(objectname)",
            "refs/notes",
        ];
        bench.git_in(folder, &notes).exits(0).line()
    };
    assert_eq!(notes(&machines[0]), notes(&origin));
    assert_eq!(notes(&machines[1]), notes(&origin));
    bench.git_in(&origin, &["fsck", "--strict"]).exits(0);
}
