//! `refit init --ci`: the files, and what their shell steps do.

mod get;
mod lint;
mod shards;
mod steps;

use refit_testkit::registry::{Access, Image, Login, Options, TestRegistry, TokenService};

use self::steps::{Event, Job, Part, System};
use crate::{assert_masked, assert_snapshot, sandbox::Sandbox};

const SYSTEMS: [(System, &str); 3] = [
    (System::Github, "github"),
    (System::Gitlab, "gitlab"),
    (System::Azure, "azure"),
];

const SETTINGS: &str = "\
//- .config/refit.toml
version = 1
push-to = [\"ghcr.io/team\", \"registry.example.com/team\"]
[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]
[[image]]
name = \"web\"
context = \"web\"
secrets = { npmrc = \"env:NPM_TOKEN\" }
stale-when = [\"scan\", \"{{.Image}}\"]
[sweep]
branches = [\"main\", \"release/*\"]
schedule = [\"0 4 * * *\", \"30 12 * * 1-5\"]
//- web/Dockerfile
FROM debian:12-slim
RUN make
";

const FILES: [(&str, &str); 5] = [
    ("ci-github", ".github/workflows/refit.yml"),
    ("ci-github-sweep", ".github/workflows/refit-sweep.yml"),
    ("ci-gitlab", ".gitlab/refit.yml"),
    ("ci-gitlab-entry", ".gitlab-ci.yml"),
    ("ci-azure", ".azure/refit.yml"),
];

const ALL: [&str; 7] = ["init", "--ci", "github", "--ci", "gitlab", "--ci", "azure"];

#[test]
fn the_files_follow_the_configuration_and_twice_changes_nothing() {
    let sandbox = Sandbox::with(SETTINGS);
    let shown = sandbox.refit(&[&ALL[..], &["--dry-run"]].concat()).ok();
    for (_, path) in FILES {
        assert!(
            shown.contains(&format!("new file {path}, mode 100644")),
            "{path}"
        );
        assert!(!sandbox.root().join(path).exists());
    }
    assert_snapshot!("ci-init", sandbox.refit(&ALL).all());
    for (name, path) in FILES {
        assert_snapshot!(name, sandbox.read(path));
    }
    assert_eq!(
        sandbox.refit(&ALL).stderr,
        "everything is in place already\n"
    );
}

#[test]
fn a_file_that_somebody_changed_stays_as_it_is() {
    let sandbox = Sandbox::with(SETTINGS);
    sandbox.refit(&["init", "--ci", "github"]).ok();
    let path = FILES[0].1;
    let theirs = sandbox
        .read(path)
        .replace("cancel-in-progress: true", "cancel-in-progress: false");
    sandbox.write(path, &theirs);
    // One that nobody changed follows the configuration.
    let again = sandbox.refit(&["init", "--ci", "github", "--schedule", "5 5 * * *"]);
    assert_eq!(sandbox.read(path), theirs);
    assert!(
        sandbox
            .read(FILES[1].1)
            .contains("    - cron: '5 5 * * *'\n")
    );
    assert_snapshot!("ci-init-changed", again.all());
}

#[test]
fn what_cannot_work_is_refused() {
    let nowhere = Sandbox::with("//- web/Dockerfile\nFROM debian:12\n");
    assert_snapshot!(
        "ci-init-nowhere",
        nowhere.refit(&["init", "--ci", "github"]).all()
    );
    assert!(!nowhere.root().join(".github").exists());
    let odd = Sandbox::with(SETTINGS);
    let ran = odd.refit(&["init", "--ci", "github", "--schedule", "daily"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("`daily` is no schedule"),
        "{}",
        ran.stderr
    );
}

#[test]
fn runners_have_the_labels_of_the_configuration() {
    let sandbox = Sandbox::with(SETTINGS);
    let runners = "[ci.runners]\n\"linux/arm64\" = \"ubuntu-24.04-arm\"\n\
        \"linux/amd64\" = [\"self-hosted\", \"big\"]\n";
    let settings = sandbox.read(".config/refit.toml") + runners;
    sandbox.write(".config/refit.toml", &settings);
    let ran = sandbox.refit(&ALL);
    assert!(
        ran.stderr.contains(
            "warning: a release builds all platforms on one runner: those for linux/arm64 in `[ci.runners]` are used by sweeps only"
        ),
        "{}",
        ran.stderr
    );
    for (path, said) in [
        (FILES[0].1, "    runs-on: ['self-hosted', 'big']\n"),
        (FILES[1].1, "    runs-on: ['self-hosted', 'big']\n"),
        (FILES[2].1, "  tags: ['self-hosted', 'big']\n"),
        (
            FILES[4].1,
            "pool:\n  name: 'self-hosted'\n  demands:\n    - 'big'\n",
        ),
    ] {
        let text = sandbox.read(path);
        assert!(text.contains(said), "{path}: {text}");
        assert!(!text.contains("qemu"), "{path}");
    }
}

#[test]
fn waves_are_jobs_of_as_many_shards_as_the_configuration_says() {
    let sandbox = shards::repository();
    sandbox.refit(&ALL).ok();
    for (name, path) in [FILES[1], FILES[2], FILES[4]] {
        let text = shards::in_short(&sandbox.read(path));
        assert_snapshot!(format!("{name}-sharded"), text);
    }
    let again = sandbox.refit(&ALL).stderr;
    assert_eq!(again.lines().next(), Some("everything is in place already"));
}

/// A repository with its files for CI at a remote, and a registry that lets one user in.
struct Team {
    sandbox: Sandbox,
    registry: TestRegistry,
}

impl Team {
    fn new() -> Self {
        Self::with("")
    }

    /// The same with more files, and more of a configuration: `HOST` is the registry's.
    fn with(more: &str) -> Self {
        let login = Login::new("robot", "hunter2");
        let registry = TestRegistry::start(Options {
            access: Access::Token(TokenService {
                public: true,
                ..TokenService::private(login)
            }),
            ..Options::default()
        });
        let host = registry.host();
        registry.put_image("base/debian", "12", &base("one"));
        let sandbox = Sandbox::with(&format!(
            "//- .config/refit.toml\nversion = 1\npush-to = [\"{host}/team\"]\n\
             [[images]]\nfiles = \"*/Dockerfile\"\nname = \"{{dir}}\"\n\
             //- web/Dockerfile\nFROM {host}/base/debian:12\nCOPY page /\n//- web/page\none\n\
             //- api/Dockerfile\nFROM {host}/base/debian:12\nCMD [\"api\"]\n\
             //- ../tools/docker\n{DOCKER}"
        ));
        sandbox.write_all(&more.replace("HOST", &host));
        let docker = sandbox.path("tools/docker");
        std::fs::set_permissions(docker, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        sandbox.git(&["init", "-q", "--bare", "-b", "main", "../origin.git"]);
        sandbox.git(&["remote", "add", "origin", "../origin.git"]);
        sandbox.refit(&ALL).ok();
        sandbox.commit("Run refit in CI");
        sandbox.git(&["push", "-q", "-u", "origin", "main"]);
        Self { sandbox, registry }
    }

    fn job(&self, system: System, event: Event, before: &str) -> crate::sandbox::Ran {
        let job = Job {
            before: before.to_owned(),
            ..self.part(system, event, Part::Last)
        };
        job.run()
    }

    fn part(&self, system: System, event: Event, part: Part) -> Job<'_> {
        Job {
            system,
            event,
            sandbox: &self.sandbox,
            host: self.registry.host(),
            before: String::new(),
            part,
        }
    }

    fn tag(&self, image: &str) -> Option<String> {
        let tag = self.registry.tag(&format!("team/{image}"), "latest");
        tag.map(|digest| digest.to_string())
    }

    /// The remote's refs.
    fn refs(&self) -> String {
        self.sandbox.git(&["ls-remote", "origin"])
    }

    fn change_page(&self, text: &str) -> String {
        let before = self.sandbox.git(&["rev-parse", "HEAD"]);
        self.sandbox.write("web/page", text);
        self.sandbox.commit("Change the page");
        before.trim().to_owned()
    }

    fn n_writes(&self) -> usize {
        let requests = self.registry.requests();
        let writes = requests
            .iter()
            .filter(|r| !["GET", "HEAD"].contains(&r.method.as_str()));
        writes.count()
    }
}

fn base(text: &str) -> Image {
    Image::new("linux/amd64", &[&[("etc/version", text)]])
}

/// `docker login`, and no engine: the password comes by standard input, and is in no argument.
const DOCKER: &str = r#"#!/bin/sh
[ "$1 $2 $3 $4" = "login --username robot --password-stdin" ] || exit 1
mkdir -p "$HOME/.docker"
printf '{"auths":{"%s":{"username":"%s","password":"%s"}}}' "$5" "$3" "$(cat)" >"$HOME/.docker/config.json"
"#;

#[test]
fn a_push_releases_what_changed_and_its_records() {
    for (system, name) in SYSTEMS {
        let team = Team::new();
        let first = team.job(
            system,
            Event::Push,
            "0000000000000000000000000000000000000000",
        );
        assert_eq!(first.code, 0, "{name}: {}{}", first.stdout, first.stderr);
        let (web, api) = (team.tag("web"), team.tag("api"));
        assert!(web.is_some() && api.is_some(), "{name}: everything is new");
        assert!(team.refs().contains("refs/notes/refit-records"), "{name}");
        let before = team.change_page("two");
        team.sandbox.git(&["push", "-q"]);
        let second = team.job(system, Event::Push, &before);
        assert_eq!(second.code, 0, "{name}: {}{}", second.stdout, second.stderr);
        assert_ne!(team.tag("web"), web, "{name}");
        assert_eq!(team.tag("api"), api, "{name}");
    }
}

#[test]
fn a_pull_request_is_built_and_nothing_is_pushed_even_with_credentials_around() {
    for (system, name) in SYSTEMS {
        let team = Team::new();
        let config = Login::new("robot", "hunter2").docker_config(&team.registry.host());
        team.sandbox.write("../home/.docker/config.json", &config);
        team.sandbox.git(&["checkout", "-q", "-b", "change"]);
        team.change_page("three");
        team.sandbox.git(&["push", "-q", "origin", "change"]);
        let refs = team.refs();
        let ran = team.job(system, Event::PullRequest, "");
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            said.contains("web") && !said.contains("api"),
            "{name}: {said}"
        );
        assert_eq!(team.n_writes(), 0, "{name}");
        assert_eq!(team.refs(), refs, "{name}");
    }
}

#[test]
fn a_pull_request_that_breaks_the_configuration_fails() {
    for (system, name) in SYSTEMS {
        let team = Team::new();
        team.sandbox.git(&["checkout", "-q", "-b", "change"]);
        let settings =
            team.sandbox.read(".config/refit.toml") + "[policy]\nregistries = [\"quay.io\"]\n";
        team.sandbox.write(".config/refit.toml", &settings);
        team.sandbox.commit("Allow one registry only");
        team.sandbox.git(&["push", "-q", "origin", "change"]);
        let ran = team.job(system, Event::PullRequest, "");
        assert_eq!(ran.code, 1, "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stderr.contains("web/Dockerfile:1"),
            "{name}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_sweep_patches_a_base_that_moved_and_the_next_one_does_nothing() {
    for (system, name) in SYSTEMS {
        let team = Team::new();
        let ran = team.job(
            system,
            Event::Push,
            "0000000000000000000000000000000000000000",
        );
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let (web, api) = (team.tag("web"), team.tag("api"));
        team.registry.put_image("base/debian", "12", &base("two"));
        let refs = team.refs();
        let swept = team.job(system, Event::Schedule, "");
        assert_eq!(swept.code, 0, "{name}: {}{}", swept.stdout, swept.stderr);
        assert!(team.tag("web") != web && team.tag("api") != api, "{name}");
        assert_ne!(team.refs(), refs, "{name}: records are pushed");
        if system == System::Github {
            let summary = team.sandbox.read("../summary.md");
            assert!(
                summary.starts_with("### Sweep of `main`\n\n**Patched**\n"),
                "{summary}"
            );
            assert!(summary.contains("/base/debian:12 "), "{summary}");
            let output = team.sandbox.read("../github-output");
            assert!(
                output.starts_with(
                    "body<<END_OF_STATUS\n<!-- refit:status -->\n0 of 2 targets stale, "
                ),
                "{output}"
            );
            assert!(output.ends_with("\nEND_OF_STATUS\n"), "{output}");
        }
        if system == System::Azure {
            assert!(
                swept
                    .stdout
                    .contains("##vso[task.uploadsummary]SANDBOX/tools/refit-sweep.md\n"),
                "{}",
                swept.stdout
            );
        }
        let (refs, n_writes) = (team.refs(), team.n_writes());
        let again = team.job(system, Event::Schedule, "");
        assert!(
            again.stderr.contains("nothing to do: 2 targets"),
            "{name}: {}",
            again.stderr
        );
        assert_eq!((team.refs(), team.n_writes()), (refs, n_writes), "{name}");
    }
}

/// `gh`, whose issues are files.
const GH: &str = r#"#!/bin/sh
case "$1 $2" in
"api --paginate") ls issues ;;
"issue edit") [ "$4" = --body-file ] && cp "$5" "issues/$3" ;;
"issue create") [ "$5" = --body-file ] && cp "$6" "issues/$(($(ls issues | wc -l) + 1))" ;;
*) exit 1 ;;
esac
"#;

#[test]
fn one_issue_is_kept_current_and_there_is_never_a_second() {
    let sandbox = Sandbox::with(SETTINGS);
    sandbox.refit(&["init", "--ci", "github"]).ok();
    let file: serde_json::Value = serde_saphyr::from_str(&sandbox.read(FILES[1].1)).unwrap();
    let script = file["jobs"]["issue"]["steps"][0]["run"].as_str().unwrap();
    sandbox.write("../tools/gh", GH);
    let gh = sandbox.path("tools/gh");
    std::fs::set_permissions(gh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(sandbox.root().join("issues")).unwrap();
    for body in ["<!-- refit:status -->\none", "<!-- refit:status -->\ntwo"] {
        let mut command = std::process::Command::new("bash");
        let path = std::env::var("PATH").unwrap();
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .env(
                "PATH",
                format!("{}:{path}", sandbox.path("tools").display()),
            )
            .env("GH_REPO", "team/shop")
            .env("RUNNER_TEMP", sandbox.path("."))
            .env("BODY", body)
            .env("RUN", "https://github.com/team/shop/actions/runs/1");
        sandbox.run(command, "").ok();
        let expected =
            format!("{body}\n\nLast sweep: https://github.com/team/shop/actions/runs/1\n");
        assert_eq!(sandbox.read("issues/1"), expected);
        assert!(!sandbox.root().join("issues/2").exists());
    }
}

#[test]
fn what_is_wrong_is_shown_beside_the_code() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM debian:12\nRUN --mount=oops x\n");
    for (variable, said) in [
        ("GITHUB_ACTIONS", "::error file=web/Dockerfile,line=2,col="),
        (
            "TF_BUILD",
            "##vso[task.logissue type=error;sourcepath=web/Dockerfile;linenumber=2;columnnumber=",
        ),
    ] {
        let ran = sandbox.refit_with(&["config", "check"], "", &[(variable, "true")]);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let quality = [("REFIT_CODE_QUALITY", "quality.json")];
    sandbox.refit_with(&["config", "check"], "", &quality);
    sandbox.refit_with(&["images"], "", &quality);
    assert_snapshot!("ci-code-quality", sandbox.read("quality.json"));
    let elsewhere = sandbox.refit(&["config", "check"]).stderr;
    assert!(
        !elsewhere.contains("::error") && !elsewhere.contains("##vso"),
        "{elsewhere}"
    );
}

#[test]
fn a_summary_says_what_is_stale_and_what_was_patched() {
    let sandbox = crate::shop::stale();
    sandbox
        .refit(&["hold", "app", "--reason", "a | b, @team"])
        .ok();
    let ran = sandbox.refit_with(
        &["status", "--summary", "../status.md"],
        "",
        &[("GITHUB_ACTIONS", "true")],
    );
    assert!(
        ran.stderr.contains(
            "::warning file=base/Dockerfile,line=1,col=1::base@linux/arm64 is stale: debian:12-slim "
        ),
        "{}",
        ran.stderr
    );
    assert_masked!("ci-summary-status", sandbox.read("../status.md"));
    sandbox.refit(&["sweep", "--summary", "../sweep.md"]).ok();
    assert_masked!("ci-summary-sweep", sandbox.read("../sweep.md"));
    // A second one is told below the first.
    sandbox.refit(&["sweep", "--summary", "../sweep.md"]).ok();
    let both = sandbox.read("../sweep.md");
    assert_eq!(both.matches("### Sweep of `main`").count(), 2, "{both}");
    assert!(both.contains("Nothing to do; "), "{both}");
}

#[test]
fn the_doctor_compares_the_schedule_with_what_ci_does() {
    let sandbox = Sandbox::with(SETTINGS);
    let said = |sandbox: &Sandbox| {
        let ran = sandbox.refit(&["doctor", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let checks = json["checks"].as_array().unwrap();
        let check = checks
            .iter()
            .find(|check| check["check"] == "schedule")
            .unwrap();
        format!(
            "{}: {}",
            check["state"].as_str().unwrap(),
            check["detail"].as_str().unwrap()
        )
    };
    assert_eq!(
        said(&sandbox),
        "missing: `[sweep] schedule` says `0 4 * * *` and `30 12 * * 1-5`, and nothing here sweeps then"
    );
    sandbox
        .refit(&["init", "--ci", "github", "--ci", "azure"])
        .ok();
    assert_eq!(
        said(&sandbox),
        "ok: .github/workflows/refit-sweep.yml and .azure/refit.yml: `0 4 * * *` and `30 12 * * 1-5`"
    );
    let path = FILES[1].1;
    sandbox.write(
        path,
        &sandbox.read(path).replace("'0 4 * * *'", "'0  5 * * *'"),
    );
    assert_eq!(
        said(&sandbox),
        "wrong: `.github/workflows/refit-sweep.yml` sweeps `0 5 * * *` and `30 12 * * 1-5`, and `[sweep] schedule` says `0 4 * * *` and `30 12 * * 1-5`"
    );
}

#[test]
fn git_runs_refit_as_one_of_its_own_commands() {
    let sandbox = Sandbox::with(SETTINGS);
    std::fs::create_dir_all(sandbox.path("tools")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_refit"), sandbox.path("tools/git-refit"))
        .unwrap();
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        let path = std::env::var("PATH").unwrap();
        command.arg("refit").args(args);
        command.env(
            "PATH",
            format!("{}:{path}", sandbox.path("tools").display()),
        );
        sandbox.run(command, "")
    };
    assert!(git(&["images", "--name-only"]).ok().contains("web"));
    let help = git(&["-h"]).ok();
    assert!(
        help.contains("Usage: git refit [OPTIONS] <COMMAND>"),
        "{help}"
    );
    let help = git(&["status", "-h"]).ok();
    assert!(help.contains("Usage: git refit status [OPTIONS]"), "{help}");
    assert_eq!(git(&["no-such-verb"]).code, 2);
    assert!(
        sandbox
            .refit(&["-h"])
            .ok()
            .contains("Usage: refit [OPTIONS] <COMMAND>")
    );
}
