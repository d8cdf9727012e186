//! Repositories of other shapes: no configuration, named contexts, several images of one Dockerfile, platforms with
//! variants.

use refit_testkit::registry::Image;
use serde_json::json;

use crate::{
    bench::{Bench, os, texts},
    fixtures::{IMAGES, LINEAGE},
};

const AMD64: &str = "linux/amd64";

#[test]
fn without_a_configuration_images_live_in_the_clones_own_store() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(
        "//- base/Dockerfile\nFROM HUB/base/os:1\nCOPY file /\n//- base/file\n1\n\
         //- web/Dockerfile\nFROM registry.example.com/shop/base\nCOPY page /\n//- web/page\n1\n\
         //- api/Dockerfile\nFROM registry.example.com/shop/web\n",
    );
    let built = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(texts(&built["images"], "name"), ["base", "web", "api"]);
    assert_eq!(
        built["images"][0]["tags"][0]["tag"],
        "refit.local/base:latest"
    );
    bench.push_base("1", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&swept["images"], "name"), ["base", "web", "api"]);
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 3 targets are");
    assert_eq!(bench.writes(), 0);
}

#[test]
fn an_image_of_the_repository_as_a_named_context_is_a_parent() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    bench.push_base("2", "one", "one");
    let shop = bench.repository(
        r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]
[[image]]
name = "assets"
context = "assets"
[[image]]
name = "web"
context = "web"
build-contexts = { assets = "image:assets", tools = "docker-image://HUB/base/os:2" }
//- assets/Dockerfile
FROM HUB/base/os:1
//- web/Dockerfile
FROM scratch
COPY --from=assets /etc/patch /assets
COPY --from=tools /etc/patch /tools
"#,
    );
    shop.refit(&["build", "--push"]).exits(0);
    bench.push_base("1", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&swept["images"], "name"), ["assets", "web"]);
    bench.push_base("2", "two", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(texts(&swept["images"], "name"), ["web"]);
    for path in ["assets", "tools"] {
        assert_eq!(bench.file("web", AMD64, path).unwrap(), "two");
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
}

#[test]
fn images_of_one_dockerfile_are_patched_one_by_one() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    bench.push_base("2", "one", "one");
    let shop = bench.repository(
        r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]
[[image]]
name = "tool"
context = "app"
target = "tool"
[[image]]
name = "server"
context = "app"
//- app/Dockerfile
FROM HUB/base/os:1 AS tool
COPY tool /
FROM HUB/base/os:2 AS server
COPY server /
//- app/tool
tool
//- app/server
server
"#,
    );
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.all_published(&["tool", "server"]);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("tool", AMD64, "etc/patch").unwrap(), "two");
    assert_eq!(
        bench.published("server"),
        before["server"],
        "it does not reach the other stage"
    );
    // Nor does a file that only the other one can see.
    shop.write("//- app/server\nnew\n");
    shop.commit("Change the server");
    let built = shop
        .refit(&["build", "--push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(texts(&built["images"], "name"), ["server"]);
    assert_eq!(built["images"][0]["targets"][0]["action"], "rebuild");
}

#[test]
fn platforms_with_variants_are_their_own() {
    let bench = Bench::new();
    let push = |v6: &str, v7: &str| {
        let images = [
            os("linux/arm/v6", v6),
            os("linux/arm/v7", v7),
            os("linux/arm64", "one"),
        ];
        bench.hub.put_index("base/os", "1", &images);
    };
    push("one", "one");
    let files = LINEAGE.replace(
        r#""linux/amd64", "linux/arm64""#,
        r#""Linux/ARM/v7", "linux/arm/v6", "linux/arm64/v8""#,
    );
    let shop = bench.repository(&files);
    shop.refit(&["build", "--push"]).exits(0);
    let before = bench.manifests("shop");
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        ["linux/arm/v6", "linux/arm/v7", "linux/arm64"]
    );
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 9 targets are");
    push("one", "two");
    let plan = shop
        .refit(&["sweep", "--dry-run", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        texts(&plan["steps"], "target"),
        IMAGES.map(|image| format!("{image}@linux/arm/v7"))
    );
    shop.refit(&["sweep"]).exits(0);
    let now = bench.manifests("shop");
    for platform in ["linux/arm/v6", "linux/arm64"] {
        assert_eq!(now[platform], before[platform]);
    }
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 9 targets are");
}

#[test]
fn a_release_is_all_platforms_or_none() {
    let bench = Bench::new();
    bench.hub.put_index("base/os", "1", &[os(AMD64, "one")]);
    let shop = bench.repository(LINEAGE);
    bench.hub.forget_requests();
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("base@linux/arm64: missing-platform:");
    assert_eq!(bench.writes(), 0);
    assert_eq!(bench.hub.tag("team/base", "latest"), None);
}

#[test]
fn a_platform_that_is_dropped_goes_with_the_next_release() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    let config = config.replace(", \"linux/arm64\"", "");
    shop.write(&format!("//- .config/refit.toml\n{config}"));
    shop.commit("No more arm64");
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"]).exits(0);
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "two");
    assert_eq!(
        bench.file("shop", "linux/arm64", "etc/patch").unwrap(),
        "one",
        "a patch drops nothing"
    );
    shop.write("//- base/ca.pem\nnew\n//- web/site\nnew\n//- shop/prices\nnew\n");
    shop.commit("Change all");
    shop.refit(&["build", "--push", "--with-dependents"])
        .exits(0);
    for image in IMAGES {
        assert_eq!(
            bench.manifests(image).keys().collect::<Vec<_>>(),
            [AMD64],
            "{image}"
        );
    }
}

#[test]
fn a_clone_without_a_branch_is_no_line() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    shop.git(&["checkout", "--quiet", "--detach"]);
    bench.push_base("1", "two", "two");
    shop.refit(&["sweep"])
        .exits(2)
        .mentions("error: no branch is checked out")
        .mentions("hint: check out a branch, or list the lines under `[sweep] branches`");
    assert_eq!(bench.file("shop", AMD64, "etc/patch").unwrap(), "one");
    let config = std::fs::read_to_string(shop.dir().join(".config/refit.toml")).unwrap();
    shop.write(&format!(
        "//- .config/refit.toml\n{config}\n[sweep]\nbranches = [\"main\"]\n"
    ));
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();
    assert_eq!(swept["images"][0]["line"], json!("main"));
}

#[test]
fn linux_and_windows_stand_side_by_side_and_are_patched_one_by_one() {
    const WINDOWS: &str = "windows/amd64";
    let bench = Bench::new();
    let push = |linux: &str, update: &str, build: &str| {
        let patch: &[(&str, &str)] = &[("Files/Windows/patch", update)];
        let platform = format!("windows(10.0.{build})/amd64");
        let images = [os(AMD64, linux), Image::new(&platform, &[patch])];
        bench.hub.put_index("base/os", "1", &images);
    };
    push("one", "one", "20348.1");
    let shop = bench.repository(
        r#"
//- .config/refit.toml
version = 1
push-to = ["HUB/team"]
[defaults]
platforms = ["linux/amd64", "windows/amd64"]
[[image]]
name = "tool"
context = "tool"
//- tool/Dockerfile
# escape=`
FROM HUB/base/os:1
WORKDIR /tool
COPY bin\tool /tool/
//- tool/bin/tool
tool
"#,
    );
    // Linux has another idea of that backslash.
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions(r"`/bin\tool` is not in the build context");
    shop.write("//- tool/Dockerfile\nFROM HUB/base/os:1\nWORKDIR /tool\nCOPY bin /tool/\n");
    shop.commit("Copy the folder alone");
    shop.refit(&["build", "--push"]).exits(0);
    let tool = "Files/tool/tool";
    assert_eq!(bench.file("tool", WINDOWS, tool).unwrap(), "tool\n");
    assert_eq!(bench.file("tool", AMD64, "tool/tool").unwrap(), "tool\n");

    let before = bench.manifests("tool");
    push("one", "two", "20348.2");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("tool@windows/amd64");
    let after = bench.manifests("tool");
    assert_eq!(before[AMD64], after[AMD64]);
    assert_ne!(before[WINDOWS], after[WINDOWS]);
    let patch = "Files/Windows/patch";
    assert_eq!(bench.file("tool", WINDOWS, patch).unwrap(), "two");
    shop.refit(&["sweep"])
        .exits(0)
        .mentions("nothing to do: 2 targets are");
}
