//! Running an image's `test` on what is about to be published.

use std::{process::Stdio, time::Duration};

use refit_build::apply::{Failed, Tested};
use refit_deps::{
    check::{self, CheckKey},
    image::EMBEDDED_HOST,
    plan::Step,
};
use refit_oci::Digest;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use crate::observe::Observer;

/// How long a test may take where the image has no `timeout`.
const TIMEOUT: Duration = Duration::from_mins(30);
/// How much of what it prints is kept.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

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
    let repo = &observer.project.repo;
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(repo.work_dir().unwrap_or(repo.git_dir()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return could_not(format!("cannot run its test `{program}`: {error}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complained, status) =
        tokio::join!(beginning(stdout), beginning(stderr), child.wait());
    for text in said.lines().chain(complained.lines()) {
        line(text);
    }
    let text = |text: &str| {
        text.lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .map(str::to_owned)
    };
    let last = text(&complained).or_else(|| text(&said));
    let last = last.map_or_else(String::new, |line| format!(": {line}"));
    match status.map(|status| status.code()) {
        Ok(Some(0)) => Tested::Passed,
        Ok(Some(code)) => failed(format!(
            "its test `{program}` ended with exit code {code}{last}"
        )),
        Ok(None) => failed(format!("its test `{program}` ended with a signal{last}")),
        Err(error) => could_not(format!("cannot wait for its test `{program}`: {error}")),
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

/// The beginning of an output; the rest is read too, so that the program can end.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut output) = output {
        let _ = (&mut output)
            .take(OUTPUT_LIMIT)
            .read_to_end(&mut kept)
            .await;
        let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}
