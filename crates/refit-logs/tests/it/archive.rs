use std::{fs, io::Write};

use refit_logs::{LogError, Outcome, RunKind, RunSettings, Secrets, TargetRecord};
use refit_oci::Digest;

use crate::{archive, clock, id, start};

fn done(target: &str, outcome: Outcome) -> TargetRecord {
    TargetRecord {
        target: target.to_owned(),
        action: "rebuild".to_owned(),
        outcome,
        log: None,
        manifest: Some(Digest::sha256(target.as_bytes())),
        message: None,
        part: None,
        node: None,
    }
}

#[test]
fn a_run_is_read_back_as_it_was_recorded() {
    let (_dir, archive) = archive();
    assert_eq!(archive.runs().unwrap().0, []);
    let settings = RunSettings {
        clock,
        secrets: Secrets::default(),
    };
    let run = archive.start(id(1), RunKind::Sweep, settings).unwrap();
    let mut web = run.recorder("web@linux/arm64", "rebuild").unwrap();
    let mut api = run.recorder("api", "rebase").unwrap();
    writeln!(web, "hello").unwrap();
    writeln!(api, "there").unwrap();

    let running = archive.run(id(1)).unwrap().unwrap();
    assert_eq!(
        (running.outcome, running.finished),
        (Outcome::Running, None)
    );
    assert_eq!(
        running
            .targets
            .iter()
            .map(|t| t.outcome)
            .collect::<Vec<_>>(),
        [Outcome::Running; 2]
    );
    let so_far: Vec<_> = archive
        .target_log(&running, "api")
        .unwrap()
        .unwrap()
        .lines()
        .map(Result::unwrap)
        .collect();
    assert_eq!(so_far[0].text, "there");

    let log = web.finish().unwrap();
    run.record(done("web@linux/arm64", Outcome::Succeeded))
        .unwrap();
    run.record(done("kept", Outcome::Succeeded)).unwrap();
    let record = run.finish(Outcome::Failed).unwrap();

    assert_eq!(archive.run(id(1)).unwrap().unwrap(), record);
    assert_eq!(archive.runs().unwrap().0, std::slice::from_ref(&record));
    assert!(record.finished.unwrap() > record.started);
    let [web, api, kept] = &record.targets[..] else {
        panic!("{record:?}")
    };
    assert_eq!((&web.log, web.outcome), (&Some(log), Outcome::Succeeded));
    assert!(web.manifest.is_some() && web.part.is_none());
    assert_eq!(
        (api.action.as_str(), api.outcome),
        ("rebase", Outcome::Interrupted)
    );
    assert_eq!((kept.target.as_str(), &kept.log), ("kept", &None));
    assert!(archive.target_log(&record, "kept").unwrap().is_none());
    assert!(archive.target_log(&record, "nobody").unwrap().is_none());
    assert!(archive.run(id(2)).unwrap().is_none());
}

/// Killed in the middle of a line, and long before its end.
#[test]
fn what_a_killed_run_has_written_down_is_read_up_to_the_last_whole_line() {
    let (dir, archive) = archive();
    let run = start(&archive, 1, &[]);
    run.record(done("web", Outcome::Running)).unwrap();
    run.record(done("web", Outcome::Succeeded)).unwrap();
    let journal = dir
        .path()
        .join(format!("refit/runs/{}/targets.jsonl", id(1)));
    let mut file = fs::OpenOptions::new().append(true).open(journal).unwrap();
    file.write_all(b"{\"target\":\"web\",\"act").unwrap();
    drop(run);
    let record = archive.run(id(1)).unwrap().unwrap();
    assert_eq!(record.outcome, Outcome::Interrupted);
    assert_eq!(record.targets, [done("web", Outcome::Succeeded)]);
}

#[test]
fn a_run_of_many_targets_writes_down_no_more_of_each() {
    let written = |n_targets| {
        let (dir, archive) = archive();
        let run = start(&archive, 1, &[]);
        for n in 0..n_targets {
            run.record(done(&format!("s{n:05}"), Outcome::Succeeded))
                .unwrap();
        }
        let files = fs::read_dir(dir.path().join(format!("refit/runs/{}", id(1))));
        let sizes = files
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len());
        let size: u64 = sizes.sum();
        let record = run.finish(Outcome::Succeeded).unwrap();
        assert_eq!(archive.run(id(1)).unwrap().unwrap(), record);
        assert_eq!(record.targets.len(), n_targets);
        size
    };
    let (few, many) = (written(100), written(1_000));
    assert!(
        many <= 10 * few,
        "{many} bytes for ten times what takes {few}"
    );
}

#[test]
fn runs_are_listed_newest_first_and_broken_records_beside_them() {
    let (dir, archive) = archive();
    for number in [2, 1, 3] {
        start(&archive, number, &[])
            .finish(Outcome::Succeeded)
            .unwrap();
    }
    let runs = dir.path().join("refit/runs");
    fs::write(runs.join(id(2).to_string()).join("run.json"), "{\"v\":1").unwrap();
    fs::create_dir(runs.join("not-a-run")).unwrap();
    // Killed between its folder and its record.
    fs::create_dir(runs.join(id(9).to_string())).unwrap();
    let (found, problems) = archive.runs().unwrap();
    assert_eq!(
        found.iter().map(|run| run.id).collect::<Vec<_>>(),
        [id(3), id(1)]
    );
    assert!(
        matches!(&problems[..], [LogError::Record { path, .. }] if path.ends_with(format!("{}/run.json", id(2))))
    );
}

#[test]
fn a_run_that_nobody_finished_is_interrupted() {
    let (_dir, archive) = archive();
    let run = start(&archive, 1, &[]);
    let mut recorder = run.recorder("web", "rebuild").unwrap();
    writeln!(recorder, "half a").unwrap();
    assert_eq!(
        archive.run(id(1)).unwrap().unwrap().outcome,
        Outcome::Running
    );
    drop((run, recorder));
    let record = archive.run(id(1)).unwrap().unwrap();
    assert_eq!(
        (record.outcome, record.targets[0].outcome),
        (Outcome::Interrupted, Outcome::Interrupted)
    );
}

#[test]
fn an_id_is_used_once() {
    let (_dir, archive) = archive();
    start(&archive, 1, &[]).finish(Outcome::Succeeded).unwrap();
    let settings = RunSettings {
        clock,
        secrets: Secrets::default(),
    };
    let error = archive.start(id(1), RunKind::Build, settings).unwrap_err();
    assert_eq!(error.to_string(), format!("run `{}` exists already", id(1)));
}

#[test]
fn targets_on_several_threads_share_a_run() {
    let (_dir, archive) = archive();
    let run = start(&archive, 1, &[]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let run = &run;
            scope.spawn(move || {
                let target = format!("image-{number}");
                let mut recorder = run.recorder(&target, "rebuild").unwrap();
                for line in 0..50 {
                    writeln!(recorder, "{target} {line}").unwrap();
                }
                recorder.finish().unwrap();
                run.record(done(&target, Outcome::Succeeded)).unwrap();
            });
        }
    });
    let record = run.finish(Outcome::Succeeded).unwrap();
    assert_eq!(record.targets.len(), 8);
    for target in &record.targets {
        let lines: Vec<_> = archive
            .target_log(&record, &target.target)
            .unwrap()
            .unwrap()
            .lines()
            .collect();
        assert_eq!(lines.len(), 50);
        assert_eq!(
            lines[49].as_ref().unwrap().text,
            format!("{} 49", target.target)
        );
    }
}

#[test]
fn a_record_cannot_name_a_file_elsewhere() {
    let (dir, archive) = archive();
    let run = start(&archive, 1, &[]);
    fs::write(dir.path().join("refit/runs/secret"), "x").unwrap();
    let mut record = run.finish(Outcome::Succeeded).unwrap();
    for part in ["../secret", "/etc/passwd", "..", "a/b", ""] {
        record.targets = vec![TargetRecord {
            part: Some(part.to_owned()),
            node: None,
            ..done("web", Outcome::Failed)
        }];
        assert!(
            archive.target_log(&record, "web").unwrap().is_none(),
            "{part}"
        );
    }
}
