//! 10,000 images × 2 platforms, 6 levels deep, on 50 bases: the plan alone, and refit on a repository of them.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Figure, Peer,
    site::{Site, built},
};
use crate::shell::{Failure, Outcome, cargo, has_program, io_failure, output};

const N_IMAGES: usize = 10_000;
const N_BASES: usize = 50;
const N_LEVELS: usize = 6;
/// How often each is measured: the best counts, as others use the machine as well.
const TIMES: usize = 3;

/// The repository and registry that all rows share: they take a while to make.
static LARGE: Mutex<Option<Large>> = Mutex::new(None);

/// Graph, staleness and plan, on ground state that is in memory; no peer does the like.
pub(super) fn plan(_: &Site) -> Outcome<Figure> {
    let bench = [
        "bench",
        "--quiet",
        "--package=refit-deps",
        "--bench=plan",
        "--",
    ];
    let run = |of: &[&str]| -> Outcome<Vec<Value>> {
        let told = output(cargo(&bench).args(of))?;
        let lines = told.lines();
        Ok(lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    };
    let lines = run(&[])?;
    // In a process that measures nothing else: what is made several times is in memory twice.
    let alone = run(&["sweep, every base moved"])?;
    let ms = |what: &str| {
        let line = lines.iter().find(|line| line["what"] == what);
        line.and_then(|line| line["ms"].as_f64())
            .ok_or_else(|| Failure(format!("the benchmark of plans did not tell `{what}`")))
    };
    let mut all = Duration::ZERO;
    for what in ["scans", "graph", "sweep, every base moved"] {
        all += Duration::from_secs_f64(ms(what)? / 1e3);
    }
    let detail: Vec<String> = lines
        .iter()
        .map(|line| {
            let cpu_ms = line["cpu_ms"].as_f64().unwrap_or_default();
            format!("{} {cpu_ms:.0} ms", text(&line["what"]))
        })
        .collect();
    let peak = alone.last().map_or(&Value::Null, |line| &line["peak_mb"]);
    Ok(Figure {
        wall: all,
        peer: None,
        detail: format!("on the processor: {}; peak {peak} MB", detail.join(", ")),
    })
}

/// `deps graph --format json`, beside git finding the same lines in the same files.
pub(super) fn graph(site: &Site) -> Outcome<Figure> {
    with_large(site, |large| {
        let graph = large.best(&["deps", "graph", "--format", "json"])?;
        let start = Instant::now();
        let files = "images/*/Dockerfile";
        output(
            large
                .site
                .git()
                .args(["grep", "-h", "^FROM", "HEAD", "--", files]),
        )?;
        let peer = Peer {
            name: "git grep ^FROM HEAD",
            wall: start.elapsed(),
        };
        Ok(Figure {
            wall: graph.wall,
            peer: Some(peer),
            detail: format!("{N_IMAGES} images, peak {} MB", graph.peak_mb),
        })
    })
}

/// A sweep with nothing to do, beside curl sending the same HEADs.
pub(super) fn no_op(site: &Site) -> Outcome<Figure> {
    with_large(site, |large| {
        let swept = large.sweep(&[], N_BASES + N_IMAGES)?;
        let peer = large.heads_by_curl(&swept)?;
        Ok(figure(&swept, peer))
    })
}

/// The same where records say what is published.
pub(super) fn trusting(site: &Site) -> Outcome<Figure> {
    with_large(site, |large| {
        let swept = large.sweep(&["--trust-records"], N_BASES)?;
        Ok(figure(&swept, None))
    })
}

fn figure(swept: &Measured, peer: Option<Peer>) -> Figure {
    let n = swept.requests["HEAD"].as_f64().unwrap_or_default();
    let detail = format!(
        "{N_IMAGES} images, {N_BASES} bases, requests {}, {:.0} a second of the whole, peak {} MB",
        swept.requests,
        n / swept.wall.as_secs_f64(),
        swept.peak_mb
    );
    Figure {
        wall: swept.wall,
        peer,
        detail,
    }
}

/// A repository of many images, and the process that serves their registry until its standard input ends.
struct Large {
    site: Site,
    host: String,
    _child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

/// What running refit took.
struct Measured {
    wall: Duration,
    peak_mb: u64,
    /// What the registry was asked, by method.
    requests: Value,
    printed: String,
}

fn with_large<T>(site: &Site, measure: impl FnOnce(&mut Large) -> Outcome<T>) -> Outcome<T> {
    let mut shared = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let large = match shared.take() {
        Some(large) => large,
        None => Large::start(site)?,
    };
    measure(shared.insert(large))
}

impl Large {
    fn start(site: &Site) -> Outcome<Self> {
        let site = site.sub("large")?;
        let mut command = Command::new(built("refit", "--bench", "large")?);
        command.arg(site.path("")?);
        command.args([N_IMAGES, N_BASES, N_LEVELS].map(|n| n.to_string()));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped
            .spawn()
            .map_err(io_failure("the benchmark's registry".as_ref()))?;
        let (Some(ask), Some(told)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure("a child without its pipes".to_owned()));
        };
        let mut large = Self {
            site,
            host: String::new(),
            _child: child,
            ask,
            told: BufReader::new(told),
        };
        large.host = large.line()?;
        // What refit learns once is not what is measured.
        output(large.site.refit().args(["sweep", "--dry-run"]))?;
        Ok(large)
    }

    /// A sweep with nothing to do that sends `n_heads` HEADs and nothing else.
    fn sweep(&mut self, more: &[&str], n_heads: usize) -> Outcome<Measured> {
        let swept = self.best(&[&["sweep", "--format", "json"], more].concat())?;
        let printed: Value = serde_json::from_str(&swept.printed)
            .map_err(|error| Failure(format!("`refit sweep` printed no JSON: {error}")))?;
        let kept = printed["kept"].as_array().map_or(0, Vec::len);
        let expected = serde_json::json!({ "HEAD": n_heads });
        if kept != 2 * N_IMAGES || swept.requests != expected {
            return Err(Failure(format!(
                "a sweep with nothing to do kept {kept} targets and sent {} instead of {expected}",
                swept.requests
            )));
        }
        Ok(swept)
    }

    /// The fastest of some runs of refit.
    fn best(&mut self, arguments: &[&str]) -> Outcome<Measured> {
        let mut best = self.measure(arguments)?;
        for _ in 1..TIMES {
            let next = self.measure(arguments)?;
            if next.wall < best.wall {
                best = next;
            }
        }
        Ok(best)
    }

    fn measure(&mut self, arguments: &[&str]) -> Outcome<Measured> {
        self.requests()?;
        let mut command = self.site.refit();
        command.args(arguments).stdout(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().map_err(io_failure("refit".as_ref()))?;
        let status = format!("/proc/{}/status", child.id());
        let peak = std::thread::spawn(move || last_peak_mb(Path::new(&status)));
        let done = child
            .wait_with_output()
            .map_err(io_failure("refit".as_ref()))?;
        let wall = start.elapsed();
        if !done.status.success() {
            return Err(Failure(format!(
                "`refit {}` failed ({})",
                arguments.join(" "),
                done.status
            )));
        }
        Ok(Measured {
            wall,
            peak_mb: peak.join().unwrap_or_default(),
            requests: self.requests()?,
            printed: String::from_utf8_lossy(&done.stdout).into_owned(),
        })
    }

    /// What the registry was asked since this was called last.
    fn requests(&mut self) -> Outcome<Value> {
        writeln!(self.ask, "requests").map_err(io_failure("the registry's input".as_ref()))?;
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| Failure(format!("`{line}`: {error}")))
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let n = self.told.read_line(&mut line);
        match n.map_err(io_failure("the registry's output".as_ref()))? {
            0 => Err(Failure("the benchmark's registry ended".to_owned())),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// The same requests sent by curl, as many at a time; none where there is no curl.
    fn heads_by_curl(&mut self, swept: &Measured) -> Outcome<Option<Peer>> {
        if !has_program("curl") {
            return Ok(None);
        }
        let bases = (0..N_BASES).map(|n| format!("base/b{n:02}/manifests/12"));
        let images = (0..N_IMAGES).map(|n| format!("team/s{n:05}/manifests/latest"));
        let urls = bases.chain(images);
        let mut config = String::new();
        for url in urls {
            let host = &self.host;
            let _ = writeln!(
                config,
                "url = \"http://{host}/v2/{url}\"\noutput = \"/dev/null\""
            );
        }
        let file = self.site.path("../curl.config")?;
        fs::write(&file, config).map_err(io_failure(&file))?;
        let start = Instant::now();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--head", "--parallel", "--parallel-max", "16"]);
        output(curl.arg("--config").arg(&file))?;
        let wall = start.elapsed();
        let requests = self.requests()?;
        if requests != swept.requests {
            return Err(Failure(format!("curl sent {requests}")));
        }
        Ok(Some(Peer {
            name: "curl --parallel --head",
            wall,
        }))
    }
}

/// The most memory that a process ever had, as it was shortly before its end.
fn last_peak_mb(status: &Path) -> u64 {
    let mut peak = 0;
    while let Ok(text) = fs::read_to_string(status) {
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(kilobytes) = line.and_then(|l| l.trim().strip_suffix(" kB")) else {
            break; // it has ended
        };
        peak = kilobytes.trim().parse().unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    peak / 1024
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
