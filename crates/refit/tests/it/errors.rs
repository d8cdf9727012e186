//! Bad input: file, line and span, the command that helps, and the other images go on.

use crate::{assert_snapshot, fixtures::notebooks, sandbox::Sandbox};

#[test]
fn a_broken_dockerfile_does_not_hide_the_others() {
    let sandbox = Sandbox::with(
        "//- web/Dockerfile\nFROM debian:12\nCOPPY . /\n//- api/Dockerfile\nARG V\nFROM node:$V\n\
         //- good/Dockerfile\nFROM debian:12\n",
    );
    assert_snapshot!(
        "error-broken-dockerfile",
        sandbox.refit(&["deps", "graph"]).all()
    );
    assert_eq!(sandbox.refit(&["status"]).code, 1);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\nversion = 1\n[defaults]\nplatfroms = [\"linux/arm64\"]\n\
         [[image]]\nname = \"web\"\nfrobnicate = 1\n//- Dockerfile\nFROM debian:12\n",
    );
    assert_snapshot!(
        "error-unknown-key",
        sandbox.refit(&["config", "check"]).all()
    );
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"a\n//- Dockerfile\nFROM debian:12\n",
    );
    assert_snapshot!("error-no-toml", sandbox.refit(&["images"]).all());
}

#[test]
fn a_cycle_is_drawn_and_named() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\npush-to = [\"r.example.com/t\"]\n[[images]]\nfiles = \"*/Dockerfile\"\nname = \"{dir}\"\n\
         //- a/Dockerfile\nFROM r.example.com/t/b\n//- b/Dockerfile\nFROM r.example.com/t/c\n\
         //- c/Dockerfile\nFROM r.example.com/t/a\n//- d/Dockerfile\nFROM r.example.com/t/a\n\
         //- e/Dockerfile\nFROM debian:12\n",
    );
    assert_snapshot!("error-cycle", sandbox.refit(&["deps", "graph"]).all());
}

#[test]
fn a_tag_claimed_twice_names_both() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\npush-to = [\"r.example.com/t\"]\n[[image]]\nname = \"a\"\ncontext = \"a\"\n\
         [[image]]\nname = \"b\"\ncontext = \"b\"\nrepository = \"r.example.com/t/a\"\n\
         //- a/Dockerfile\nFROM debian:12\n//- b/Dockerfile\nFROM debian:12\n",
    );
    assert_snapshot!("error-tag-claimed-twice", sandbox.refit(&["images"]).all());
}

#[test]
fn a_dockerfile_of_no_image_is_reported_until_it_is_ignored() {
    let sandbox = Sandbox::with(
        "//- .config/refit.toml\n[[image]]\nname = \"a\"\ncontext = \"a\"\n\
         //- a/Dockerfile\nFROM debian:12\n//- old/Dockerfile\nFROM debian:8\n",
    );
    assert_snapshot!("warning-unlisted", sandbox.refit(&["images"]).all());
    sandbox.write(
        ".config/refit.toml",
        "ignore = [\"old/**\"]\n[[image]]\nname = \"a\"\ncontext = \"a\"\n",
    );
    assert_eq!(sandbox.refit(&["images"]).stderr, "");
}

#[test]
fn a_folder_that_is_none_is_said_before_anything_else() {
    let said = Sandbox::new().refit(&["-C", "nowhere", "status"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (2, "error: `SANDBOX/repo/nowhere` is no folder\n")
    );
}

#[test]
fn unknown_names_show_the_nearest() {
    let sandbox = Sandbox::with(&notebooks());
    assert_snapshot!(
        "error-unknown-image",
        sandbox.refit(&["deps", "graph", "scipy-notbook"]).all()
    );
    assert_snapshot!(
        "error-unknown-revision",
        sandbox.refit(&["deps", "graph", "--at", "v9"]).all()
    );
}

#[test]
fn folders_outside_of_repositories_are_said() {
    assert_snapshot!(
        "error-no-repository",
        Sandbox::bare().refit(&["status"]).all()
    );
    let ran = Sandbox::bare().refit(&["-C", "nowhere", "images"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn without_commits_there_is_nothing_to_record() {
    let sandbox = Sandbox::new();
    assert_snapshot!(
        "error-no-commits-record",
        sandbox.refit(&["deps", "record"]).all()
    );
    assert_snapshot!(
        "error-no-commits-at",
        sandbox.refit(&["deps", "graph", "--at", "HEAD"]).all()
    );
    sandbox.write("web/Dockerfile", "FROM debian:12\n");
    assert_snapshot!("no-commits-graph", sandbox.refit(&["deps", "graph"]).all());
}

#[test]
fn bare_and_shallow_repositories_are_read() {
    let sandbox = Sandbox::with(&notebooks());
    sandbox.write("README", "more\n");
    sandbox.commit("Say more");
    let expect = sandbox.refit(&["deps", "graph"]).ok();
    let source = format!("file://{}", sandbox.root().display());
    for (kind, flags) in [("bare", &["--bare"][..]), ("shallow", &["--depth=1"])] {
        let clone = sandbox.path(kind);
        sandbox.git(&[&["clone", "-q"], flags, &[&source, clone.to_str().unwrap()]].concat());
        let at = ["-C", clone.to_str().unwrap()];
        assert_eq!(
            sandbox.refit(&[&at[..], &["deps", "graph"]].concat()).ok(),
            expect,
            "{kind}"
        );
        sandbox.refit(&[&at[..], &["status"]].concat()).ok();
        let told = sandbox.refit(&[&at[..], &["deps", "record", "--budget", "1"]].concat());
        assert_eq!(told.code, 0, "{kind}: {}", told.stderr);
    }
    let bare = sandbox.path("bare");
    assert_snapshot!(
        "error-bare-init",
        sandbox.refit(&["-C", bare.to_str().unwrap(), "init"]).all()
    );
}

#[test]
fn a_repository_whose_refs_are_a_reftable_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::bare();
    if sandbox
        .try_git(&["init", "-q", "--ref-format=reftable"])
        .code
        != 0
    {
        // A git of before 2.45 can't make one; the extension alone is what refit looks at.
        sandbox.git(&["init", "-q"]);
        sandbox.git(&["config", "core.repositoryFormatVersion", "1"]);
        sandbox.git(&["config", "extensions.refStorage", "reftable"]);
    }
    assert_snapshot!("error-reftable", sandbox.refit(&["status"]).all());
}

/// Neither environment nor registry can make up for it, so it is said before anything is built.
#[test]
fn a_required_secret_that_nobody_names_is_a_problem_of_the_file() {
    let files = |secrets: &str| {
        format!(
            "//- .config/refit.toml\nversion = 1\n[[image]]\nname = \"web\"\n{secrets}//- Dockerfile\nFROM debian:12 AS unused\n\
             RUN --mount=type=secret,id=other,required=true true\nFROM debian:12\n\
             RUN --mount=type=secret,id=token,required=true --mount=type=secret,id=spare true\n"
        )
    };
    let sandbox = Sandbox::with(&files(""));
    assert_snapshot!(
        "error-secret-without-a-source",
        sandbox.refit(&["config", "check"]).all()
    );
    assert_eq!(sandbox.refit(&["status"]).code, 1);
    let named = Sandbox::with(&files("secrets = { token = \"env:NOBODY_SETS_THIS\" }\n"));
    assert_eq!(named.refit(&["config", "check"]).code, 0);
}
