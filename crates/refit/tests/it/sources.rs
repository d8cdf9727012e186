//! Source ids, and which images a range of commits or the index changes.

use crate::{assert_snapshot, sandbox::Sandbox};

const SHOP: &str = r#"
//- .config/refit.toml
version = 1
push-to = ["registry.example.com/team"]

[defaults]
platforms = ["linux/amd64", "linux/arm64"]

[[images]]
files = "*/Dockerfile"
name = "{dir}"
context = "{dir}"

[[image]]
name = "web"
build-args = { NODE = "20" }
//- base/Dockerfile
FROM debian:12
COPY ca.pem /etc/ssl/
//- base/ca.pem
certificate
//- web/Dockerfile
FROM registry.example.com/team/base
ARG NODE
COPY site ./site
COPY run.sh /
//- web/.dockerignore
**/*.tmp
//- web/site/index.html
hello
//- web/site/draft.tmp
draft
//- web/run.sh
#!/bin/sh
//- web/README.md
about
//- api/Dockerfile
FROM debian:12
COPY . /srv
//- api/main.c
int main;
"#;

fn ids(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.refit(&[&["context", "id"], args].concat()).ok()
}

fn changed(sandbox: &Sandbox, range: &str) -> String {
    sandbox.refit(&["images", "--changed", range]).ok()
}

#[test]
fn an_explanation_names_what_counts_and_who_reads_it() {
    let sandbox = Sandbox::with(SHOP);
    assert_snapshot!("context_id_explain", ids(&sandbox, &["web", "--explain"]));
    assert_snapshot!("context_id", ids(&sandbox, &[]));
    let json = ids(&sandbox, &["api", "--explain", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let explanation = &json["targets"][0]["explanation"];
    assert_eq!(explanation["files"][1]["path"], "main.c");
    assert_eq!(explanation["files"][1]["line"], 2);
    assert_eq!(json["revision"], sandbox.git(&["rev-parse", "HEAD"]).trim());
}

#[test]
fn the_id_is_the_same_in_every_kind_of_clone() {
    let sandbox = Sandbox::with(SHOP);
    let expect = ids(&sandbox, &[]);
    sandbox.write("other", "more history");
    sandbox.commit("More");
    let root = sandbox.root();
    let url = format!("file://{}", root.display());
    let clones: [(&str, &[&str]); 4] = [
        ("full", &[]),
        ("shallow", &["--depth=1"]),
        ("bare", &["--bare"]),
        ("partial", &["--filter=blob:none"]),
    ];
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    for (name, flags) in clones {
        let to = sandbox.path(name);
        let to = to.to_str().unwrap();
        sandbox.git(&[&["clone", "-q"], flags, &[&url, to]].concat());
        assert_eq!(ids(&sandbox, &["-C", to]), expect, "{name}");
    }
    let worktree = sandbox.path("worktree");
    let worktree = worktree.to_str().unwrap();
    sandbox.git(&["worktree", "add", "-q", worktree]);
    assert_eq!(ids(&sandbox, &["-C", worktree]), expect, "worktree");
}

#[test]
fn rewritten_history_keeps_the_id() {
    let sandbox = Sandbox::with(SHOP);
    let expect = ids(&sandbox, &["--at", "HEAD"]);
    sandbox.git(&["commit", "-q", "--amend", "-m", "Another message"]);
    assert_eq!(ids(&sandbox, &["--at", "HEAD"]), expect, "amended");
    sandbox.git(&["checkout", "-q", "--orphan", "other"]);
    sandbox.git(&["commit", "-q", "-m", "Without its history"]);
    assert_eq!(ids(&sandbox, &["--at", "other"]), expect, "squashed");
}

#[test]
fn what_a_build_cannot_see_changes_nothing() {
    let sandbox = Sandbox::with(SHOP);
    let expect = ids(&sandbox, &["web", "base"]);
    sandbox.write("web/README.md", "other words");
    sandbox.write("web/site/draft.tmp", "another draft");
    sandbox.write("api/main.c", "int main();");
    assert_eq!(
        ids(&sandbox, &["web", "base"]),
        expect,
        "in the working tree"
    );
    sandbox.commit("Words");
    assert_eq!(ids(&sandbox, &["web", "base"]), expect, "committed");
    assert_eq!(
        changed(&sandbox, "HEAD~1..HEAD"),
        "IMAGE  CHANGED\napi    its context\n"
    );
}

#[test]
fn bytes_modes_links_and_names_count() {
    let sandbox = Sandbox::with(SHOP);
    let mut known = vec![ids(&sandbox, &["web", "--at", "HEAD"])];
    let mut differs = |what: &str| {
        let dirty = ids(&sandbox, &["web"]);
        sandbox.git(&["add", "-A"]);
        assert_eq!(ids(&sandbox, &["web", "--staged"]), dirty, "{what}: staged");
        sandbox.commit(what);
        let id = ids(&sandbox, &["web", "--at", "HEAD"]);
        assert_eq!(id, dirty, "{what}: committed");
        assert!(!known.contains(&id), "{what}");
        known.push(id);
    };
    sandbox.write("web/site/index.html", "bye");
    differs("other bytes");
    let run = sandbox.root().join("web/run.sh");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    differs("the executable bit");
    std::os::unix::fs::symlink("index.html", sandbox.root().join("web/site/start.html")).unwrap();
    differs("a link that is new");
    std::fs::remove_file(sandbox.root().join("web/site/start.html")).unwrap();
    std::os::unix::fs::symlink("other.html", sandbox.root().join("web/site/start.html")).unwrap();
    differs("a link that leads elsewhere");
    sandbox.write("web/site/untracked.html", "new");
    differs("a file that was not tracked");
    std::fs::remove_file(sandbox.root().join("web/site/index.html")).unwrap();
    differs("a file that is gone");
}

#[test]
fn line_ends_are_those_that_git_stores() {
    let sandbox = Sandbox::with(SHOP);
    sandbox.write(".gitattributes", "*.html text eol=crlf\n");
    sandbox.commit("CRLF in checkouts");
    let expect = ids(&sandbox, &["web", "--at", "HEAD"]);
    std::fs::remove_file(sandbox.root().join("web/site/index.html")).unwrap();
    sandbox.git(&["checkout", "--", "web"]);
    assert_eq!(sandbox.read("web/site/index.html"), "hello\r\n");
    assert_eq!(ids(&sandbox, &["web"]), expect);
}

#[test]
fn a_submodule_counts_by_its_commit() {
    let sandbox = Sandbox::with(SHOP);
    let module = Sandbox::with("//- lib.c\nint lib;\n");
    let url = module.root();
    let url = url.to_str().unwrap();
    sandbox.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        url,
        "api/lib",
    ]);
    sandbox.commit("Add the library");
    let one = ids(&sandbox, &["api", "--at", "HEAD"]);
    assert_eq!(
        changed(&sandbox, "HEAD~1..HEAD"),
        "IMAGE  CHANGED\napi    its context\n"
    );
    module.write("lib.c", "int lib();");
    module.commit("Change it");
    let to = module.git(&["rev-parse", "HEAD"]);
    let entry = format!("160000,{},api/lib", to.trim());
    sandbox.git(&["update-index", "--cacheinfo", &entry]);
    assert_ne!(ids(&sandbox, &["api", "--staged"]), one);
    let staged = sandbox.refit(&["images", "--staged", "--name-only"]).ok();
    assert_eq!(staged, "api\n");
}

#[test]
fn only_what_is_staged_counts_for_the_next_commit() {
    let sandbox = Sandbox::with(SHOP);
    sandbox.write("base/ca.pem", "another");
    sandbox.git(&["add", "base/ca.pem"]);
    sandbox.write("web/run.sh", "exit 1");
    sandbox.write("base/ca.pem", "certificate\n");
    let staged = sandbox.refit(&["images", "--staged"]).ok();
    assert_eq!(staged, "IMAGE  CHANGED\nbase   its context\n");
    // The working tree has `base` as it was.
    assert_eq!(
        changed(&sandbox, "HEAD"),
        "IMAGE  CHANGED\nweb    its context\n"
    );
    let told = sandbox
        .refit(&["images", "--staged", "--with-dependents"])
        .ok();
    assert_eq!(
        told,
        "IMAGE  CHANGED\nbase   its context\nweb    an image that it is built on\n"
    );
}

#[test]
fn each_cause_is_named() {
    let sandbox = Sandbox::with(SHOP);
    let config = sandbox.read(".config/refit.toml");
    sandbox.write(".config/refit.toml", &config.replace("\"20\"", "\"22\""));
    sandbox.commit("Another argument");
    assert_eq!(
        changed(&sandbox, "HEAD~1..HEAD"),
        "IMAGE  CHANGED\nweb    its settings\n"
    );
    let fewer = config.replace(", \"linux/arm64\"", "");
    sandbox.write(".config/refit.toml", &fewer);
    sandbox.commit("One platform");
    let more = changed(&sandbox, "HEAD..HEAD~1");
    assert_eq!(
        more,
        "IMAGE  CHANGED\napi    its platforms\nbase   its platforms\nweb    its settings and its platforms\n"
    );
    sandbox.write("web/Dockerfile", "FROM debian:12\nCOPY site /site\n");
    sandbox.write("new/Dockerfile", "FROM debian:12\n");
    sandbox.git(&["rm", "-rq", "api"]);
    sandbox.commit("Much");
    let ran = sandbox.refit(&["images", "--changed", "HEAD~1..HEAD"]);
    assert_eq!(
        ran.stdout,
        "IMAGE  CHANGED\nnew    new\nweb    its Dockerfile and its context\n"
    );
    assert!(
        ran.stderr.contains("1 image no longer here: api"),
        "{}",
        ran.stderr
    );
    let json = sandbox.refit(&["images", "--changed", "HEAD~1..HEAD", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["removed"], serde_json::json!(["api"]));
    assert_eq!(
        json["images"][1]["changed"],
        serde_json::json!(["dockerfile", "context"])
    );
    sandbox.write("web/Dockerfile", "FROM debian:12\nCOPPY site /site\n");
    let ran = sandbox.refit(&["images", "--changed", "HEAD"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (1, "IMAGE  CHANGED\nweb    it cannot be read\n")
    );
}

#[test]
fn a_pull_request_is_compared_with_where_it_began() {
    let sandbox = Sandbox::with(SHOP);
    sandbox.git(&["checkout", "-q", "-b", "topic"]);
    sandbox.write("api/main.c", "int topic;");
    sandbox.commit("Topic");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("base/ca.pem", "another");
    sandbox.commit("Main went on");
    let names = |range: &str| {
        let args = ["images", "--changed", range, "--name-only"];
        sandbox.refit(&args).ok()
    };
    assert_eq!(names("main...topic"), "api\n");
    assert_eq!(names("main..topic"), "api\nbase\n");
    // What a service calls the commit before a branch's first.
    let zeros = format!("{}..main", "0".repeat(40));
    assert_eq!(names(&zeros), "api\nbase\nweb\n");
    assert_eq!(names("main..main"), "");
}

#[test]
fn a_commit_that_the_clone_lacks_is_named_with_the_way_to_get_it() {
    let sandbox = Sandbox::with(SHOP);
    let lost = "1234567890123456789012345678901234567890";
    let ran = sandbox.refit(&["images", "--changed", &format!("{lost}..HEAD")]);
    assert_eq!(ran.code, 2);
    let hint = format!("hint: run `git fetch --depth=1 origin {lost}`");
    assert!(ran.stderr.contains(&hint), "{}", ran.stderr);
    let other = Sandbox::with(SHOP);
    other.git(&["checkout", "-q", "--orphan", "apart"]);
    other.git(&["commit", "-q", "-m", "Apart"]);
    let ran = other.refit(&["images", "--changed", "main...apart"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("have no ancestor in common here"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_ignore_file_that_is_a_link_counts_by_what_it_leads_to() {
    let sandbox = Sandbox::with(SHOP);
    std::fs::remove_file(sandbox.root().join("web/.dockerignore")).unwrap();
    sandbox.write("rules/ignore", "**/*.tmp\n");
    std::os::unix::fs::symlink("../rules/ignore", sandbox.root().join("web/.dockerignore"))
        .unwrap();
    sandbox.commit("Rules in one place");
    assert_eq!(changed(&sandbox, "HEAD~1..HEAD"), "");
    sandbox.write("rules/ignore", "site/index.html\n**/*.tmp\n");
    assert_eq!(
        changed(&sandbox, "HEAD"),
        "IMAGE  CHANGED\nweb    its context\n"
    );
    sandbox.commit("Another rule");
    assert_eq!(
        changed(&sandbox, "HEAD~1..HEAD"),
        "IMAGE  CHANGED\nweb    its context\n"
    );
}
