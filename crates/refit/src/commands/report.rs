//! What is wrong with a repository's files, said the same way by every verb.

use refit_deps::config::CONFIG_PATH;

use super::App;
use crate::{error::Exit, project::Snapshot};

/// Says every problem of a snapshot; the exit code is that of a result which lacks something.
pub(crate) fn snapshot(app: &App, snapshot: &Snapshot) -> Exit {
    for problem in &snapshot.problems {
        app.ui.problem(problem);
    }
    // A configuration that could not be read lists nothing; that is no news about each Dockerfile.
    let config_is_read = !snapshot
        .problems
        .iter()
        .any(|problem| problem.file == CONFIG_PATH);
    let unlisted = snapshot
        .inventory
        .unlisted
        .iter()
        .filter(|_| config_is_read);
    for path in unlisted.clone() {
        app.ui.warning(&format!("`{path}` belongs to no image"));
    }
    if unlisted.count() > 0 {
        app.ui
            .hint("list them in `.config/refit.toml`, or add them to its `ignore`");
    }
    if snapshot.inventory.images.is_empty() && snapshot.problems.is_empty() {
        app.ui.note(if snapshot.inventory.configured {
            "`.config/refit.toml` lists no image"
        } else {
            "there is no Dockerfile in this repository"
        });
    }
    Exit::with(&snapshot.problems)
}
