//! `--explain`: what is cheapest of what is possible, and what is in the way of the cheaper.

use std::fs;

use serde_json::{Value, json};

use crate::{
    bench::Bench,
    fixtures::{LINEAGE, SINGLE},
};

#[test]
fn every_step_says_why_nothing_cheaper() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push", "web"]).exits(0);
    bench.push_base("1", "two", "one");
    let explained = shop.refit(&["sweep", "--dry-run", "--explain"]).exits(0);
    explained
        .mentions("base@linux/amd64: rebase, nothing but its base moved\n  no keep: it is stale\n  no publish: nothing lies under its staging tag\n")
        .mentions("  no publish: its staging tag is known once base@linux/amd64 is done\n");

    // What executes: nothing is published of it, and the place is shown.
    let host = bench.hub.host();
    shop.write(&format!(
        "//- shop/Dockerfile\nFROM {host}/base/os:1\nCOPY prices .\nRUN echo  bought\n"
    ));
    shop.commit("Buy");
    let explain = ["build", "--push", "shop", "--dry-run", "--explain"];
    let said = shop.refit(&explain).exits(0);
    said.mentions(
        "shop@linux/amd64: rebuild by docker, for RUN\n  \
         no keep: nothing is published\n  \
         no publish: nothing lies under its staging tag\n  \
         no rebase: nothing is published\n  \
         no native: shop/Dockerfile:3:1: RUN takes more than files and images\n    \
         3 | RUN echo  bought\n      | ^^^^^^^^^^^^^^^^\n",
    );
    let mut as_json = explain.to_vec();
    as_json.extend(["--format", "json"]);
    let plan = shop.refit_with(&[("REFIT_ENGINE", "buildkit")], &as_json);
    let plan = plan.exits(0).json();
    let step = &plan["steps"][0];
    assert_eq!(step["engine"], "buildkit", "{step}");
    let explanation = &step["explanation"];
    assert_eq!(
        (&explanation["engine"], &explanation["because"]),
        (&json!("buildkit"), &json!("asked"))
    );
    let last = explanation["not_taken"].as_array().and_then(|a| a.last());
    let last = last.unwrap();
    let place = ["what", "file", "line", "column"].map(|key| &last[key]);
    let expect: [Value; 4] = [
        json!("native"),
        json!("shop/Dockerfile"),
        json!(3),
        json!(1),
    ];
    assert_eq!(place, expect.each_ref());

    // Where nodes share what is executed, those that may get it are named.
    let node = |name: &str, more: &str| {
        format!(
            "[[node]]\nname = \"{name}\"\nendpoint = \"tcp://127.0.0.1:9\"\nengine = \"buildkit\"\n{more}\n"
        )
    };
    let nodes = [
        node("all", ""),
        node("amd", "platforms = [\"linux/amd64\"]"),
        node("arm", "platforms = [\"linux/arm64\"]"),
    ];
    fs::write(bench.user_config(), nodes.concat()).unwrap();
    let buildkit = [("REFIT_ENGINE", "buildkit")];
    let said = shop.refit_with(&buildkit, &explain).exits(0);
    said.mentions(
        "shop@linux/amd64: rebuild by buildkit, for RUN\n  \
         on the least busy of the nodes `all` and `amd`\n",
    );
    let plan = shop.refit_with(&buildkit, &as_json).exits(0).json();
    let named = &plan["steps"][0]["explanation"]["nodes"];
    assert_eq!(*named, json!(["all", "amd"]));
}

#[test]
fn an_engine_that_is_named_is_the_reason() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let named = "context = \"web\"\nengine = \"docker\"";
    let shop = bench.repository(&SINGLE.replace("context = \"web\"", named));
    let explain = ["build", "--dry-run", "--explain"];
    shop.refit(&explain)
        .exits(0)
        .mentions("rebuild by docker, as `engine` says")
        .mentions("no native: `engine = \"docker\"` is configured");
    // Without a plan there is nothing to explain.
    shop.refit(&["build", "--explain"])
        .exits(2)
        .mentions("--dry-run");
}
