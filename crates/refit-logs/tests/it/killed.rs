use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use refit_logs::{Archive, Outcome};

use crate::{archive, id, start};

const CHILD: &str = "REFIT_TEST_KILLED_RUN";
const SECRET: &str = "correct-horse";

/// The child's part: records, says so, and waits to be killed.
fn record_until_killed(dir: &Path) -> ! {
    let run = start(&Archive::open(dir), 1, &[SECRET]);
    let mut finished = run.recorder("base", "rebuild").unwrap();
    writeln!(finished, "all of it").unwrap();
    finished.finish().unwrap();
    let mut recorder = run.recorder("web@linux/amd64", "rebuild").unwrap();
    // Several frames, and an open one.
    for line in 0..20_000 {
        writeln!(recorder, "line {line}").unwrap();
    }
    write!(recorder, "pulling with {SECRET} and corr").unwrap();
    io::stdout().write_all(b"recorded\n").unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_run_leaves_what_it_printed_and_is_listed_as_interrupted() {
    if let Some(dir) = env::var_os(CHILD) {
        record_until_killed(Path::new(&dir));
    }
    let (dir, archive) = archive();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("killed::a_killed_run_leaves_what_it_printed_and_is_listed_as_interrupted")
        .env(CHILD, dir.path().join("refit"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("recorded")));
    assert_eq!(
        archive.run(id(1)).unwrap().unwrap().outcome,
        Outcome::Running
    );
    child.kill().unwrap();
    child.wait().unwrap();

    let (runs, problems) = archive.runs().unwrap();
    assert_eq!((runs.len(), problems.len()), (1, 0));
    let record = &runs[0];
    assert_eq!(
        (record.outcome, record.finished),
        (Outcome::Interrupted, None)
    );
    assert_eq!(record.targets[1].outcome, Outcome::Interrupted);
    let whole = archive
        .target_log(record, "base")
        .unwrap()
        .unwrap()
        .tail(10)
        .unwrap();
    assert_eq!(whole[0].text, "all of it");
    let log = archive
        .target_log(record, "web@linux/amd64")
        .unwrap()
        .unwrap();
    let lines: Vec<_> = log.lines().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 20_001);
    assert_eq!(lines[19_999].text, "line 19999");
    assert_eq!(lines[20_000].text, "pulling with *** and ");
    let tail = archive
        .target_log(record, "web@linux/amd64")
        .unwrap()
        .unwrap()
        .tail(2)
        .unwrap();
    assert_eq!(tail, lines[19_999..]);
}
