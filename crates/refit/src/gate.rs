//! Running an image's `test` on what is about to be published.

use std::time::Duration;

use refit_build::apply::{Failed, Tested};
use refit_deps::{
    check::{self, CheckKey},
    image::EMBEDDED_HOST,
    plan::Step,
};
use refit_oci::Digest;

use crate::{
    observe::Observer,
    program::{self, NotRun, last_line},
};

/// How long a test may take where the image has no `timeout`.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Tests a manifest; what the command prints goes to `line`.
pub(crate) async fn test(
    observer: &Observer<'_>,
    step: &Step,
    manifest: &Digest,
    line: &(dyn Fn(&str) + Sync),
) -> Tested {
    let Some(image) = observer.tip.inventory.image(&step.target.image) else {
        return Tested::Passed;
    };
    if image.test.is_empty() {
        return Tested::Passed;
    }
    if !observer.may_run(&image.test) {
        return Tested::CouldNot(Failed {
            message: "`test` in `.config/refit.toml` is not run before it is accepted".to_owned(),
            excerpt: None,
            hint: Some("`refit trust` accepts the commands of this repository".to_owned()),
        });
    }
    if step.repository.registry() == EMBEDDED_HOST {
        return could_not("its `test` does not find it in the embedded store".to_owned());
    }
    let key = CheckKey {
        image: image.name.clone(),
        platform: step.target.platform.clone(),
        repository: step.repository.clone(),
        manifest: manifest.clone(),
    };
    let words = check::command(&image.test, &key);
    let Some((program, args)) = words.split_first() else {
        return Tested::Passed;
    };
    let timeout = image.timeout.unwrap_or(TIMEOUT);
    match tokio::time::timeout(timeout, run(observer, program, args, line)).await {
        Ok(tested) => tested,
        Err(_) => failed(format!(
            "its test `{program}` took longer than {}s",
            timeout.as_secs()
        )),
    }
}

async fn run(
    observer: &Observer<'_>,
    program: &str,
    args: &[String],
    line: &(dyn Fn(&str) + Sync),
) -> Tested {
    let ended = match program::run(&observer.project.repo, program, args).await {
        Ok(ended) => ended,
        Err(NotRun(action, error)) => {
            return could_not(format!("cannot {action} its test `{program}`: {error}"));
        }
    };
    for text in ended.stdout.lines().chain(ended.stderr.lines()) {
        line(text);
    }
    let last = last_line(&ended.stderr).or_else(|| last_line(&ended.stdout));
    let last = last.map_or_else(String::new, |line| format!(": {line}"));
    match ended.code {
        Some(0) => Tested::Passed,
        Some(code) => failed(format!(
            "its test `{program}` ended with exit code {code}{last}"
        )),
        None => failed(format!("its test `{program}` ended with a signal{last}")),
    }
}

fn failed(message: String) -> Tested {
    Tested::Failed(Failed {
        message,
        excerpt: None,
        hint: None,
    })
}

fn could_not(message: String) -> Tested {
    Tested::CouldNot(Failed {
        message,
        excerpt: None,
        hint: None,
    })
}
