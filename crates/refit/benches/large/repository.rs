//! The repository's side: all files in one commit, checked out, and the records of their release as notes.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use refit_git::{Repo, notes::Batch};

use super::{
    large::{Large, Size, files},
    published::Registry,
};

/// Writes the repository into an empty folder, and publishes what is in it.
pub(crate) fn write(folder: &Path, size: Size, published: &mut Registry<'_>) {
    let host = published.host();
    let large = Large::new(files(&host, size));
    commit(folder, &large.files);
    let repo = Repo::discover(folder).unwrap();
    published.commit = repo.resolve("HEAD").unwrap();
    let entries = repo.tree(&published.commit).unwrap().into_iter();
    published.blobs = entries.map(|entry| (entry.path, entry.id)).collect();
    large
        .inventory
        .images
        .iter()
        .for_each(|i| published.push(i));
    let mut batch = Batch {
        message: "release".to_owned(),
        ..Batch::default()
    };
    for (dockerfile, record) in large.records(published) {
        let on = published.blobs[dockerfile].clone();
        batch
            .records
            .entry(on)
            .or_default()
            .insert(record.to_line());
    }
    repo.notes_append(&batch).unwrap();
}

fn commit(folder: &Path, files: &BTreeMap<String, String>) {
    let mut stream = Vec::new();
    let who = "bench <bench@example.com> 1767225600 +0000";
    writeln!(
        stream,
        "commit refs/heads/main\ncommitter {who}\ndata 3\nall"
    )
    .unwrap();
    for (path, text) in files {
        writeln!(
            stream,
            "M 100644 inline {path}\ndata {}\n{text}",
            text.len()
        )
        .unwrap();
    }
    git(folder, &["init", "--quiet", "--initial-branch=main"], &[]);
    git(folder, &["fast-import", "--quiet"], &stream);
    git(folder, &["reset", "--quiet", "--hard"], &[]);
}

fn git(folder: &Path, arguments: &[&str], input: &[u8]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    assert!(child.wait().unwrap().success(), "git {arguments:?}");
}
