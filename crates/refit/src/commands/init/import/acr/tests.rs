//! Lists of tasks as Azure's command line prints them.

use std::collections::BTreeSet;

use super::{super::model::ImportedImage, *};

const TASKS: &str = r#"[
      {
        "id": "/subscriptions/0/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/Acme/tasks/web",
        "name": "web", "status": "Enabled",
        "platform": {"os": "Linux", "architecture": "arm64", "variant": "v8"},
        "step": {
          "type": "Docker", "contextPath": "https://github.com/acme/shop.git#main:services/web",
          "dockerFilePath": "Dockerfile", "target": "runtime", "isPushEnabled": true,
          "imageNames": ["web:{{.Run.ID}}", "web:latest"],
          "arguments": [
            {"name": "NODE", "value": "20", "isSecret": false},
            {"name": "TOKEN", "value": null, "isSecret": true}
          ]
        },
        "trigger": {
          "baseImageTrigger": {"baseImageTriggerType": "Runtime", "status": "Enabled"},
          "timerTriggers": [{"name": "t1", "schedule": "0 4 * * *", "status": "Enabled"}],
          "sourceTriggers": [{"name": "s", "status": "Enabled", "sourceTriggerEvents": ["commit"]}]
        }
      },
      {
        "id": "/subscriptions/0/registries/acme/tasks/steps", "name": "steps", "status": "Enabled",
        "platform": {"os": "linux", "architecture": "amd64", "variant": null},
        "step": {"type": "FileTask", "contextPath": "https://github.com/acme/shop.git", "taskFilePath": "acr/task.yaml"}
      },
      {
        "id": "/subscriptions/0/registries/acme/tasks/encoded", "name": "encoded",
        "step": {
          "type": "EncodedTask", "contextPath": "https://github.com/acme/shop.git#:services/web",
          "encodedTaskContent": "ENCODED"
        }
      },
      {"id": "", "name": "empty", "step": {"type": "EncodedTask", "encodedTaskContent": ""}},
      {"id": "", "name": "no-base64", "step": {"type": "EncodedTask", "encodedTaskContent": "?"}},
      {"id": "", "name": "other", "step": {"type": "Docker", "contextPath": "https://github.com/acme/other"}}
    ]"#;

const TASK_FILE: &str = "version: v1.1.0\nsteps:\n\
    \x20 - build: -t $Registry/api:{{.Run.ID}} -t $Registry/api -f services/api/Dockerfile --build-arg A='b c' .\n\
    \x20 - cmd: $Registry/api:{{.Run.ID}} test\n\
    \x20 - push: [\"$Registry/api\"]\n";

const ENCODED: &str = "version: v1.1.0\nsteps:\n\
    \x20 - build: -t $Registry/tool:1 --target tool --platform linux/arm64 --build-arg V=2 .\n\
    \x20 - cmd: $Registry/tool:1 test\n";

#[test]
fn tasks_that_build_become_images_and_the_rest_is_listed() {
    let files = [
        "services/web/Dockerfile",
        "services/api/Dockerfile",
        "acr/task.yaml",
    ];
    let paths: BTreeSet<String> = files.iter().map(ToString::to_string).collect();
    let read = |path: &str| {
        Some(if path.ends_with("yaml") {
            TASK_FILE.into()
        } else {
            b"FROM a".to_vec()
        })
    };
    let source = Source {
        paths: &paths,
        read: &read,
        github: Some("acme/shop".to_owned()),
        branch: "main".to_owned(),
    };
    let tasks = TASKS.replace("ENCODED", &BASE64_STANDARD.encode(ENCODED));
    let found = import(&source, "tasks.json", &tasks);
    let [web, api, encoded] = found.images.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (web.context.as_str(), web.target.as_deref()),
        ("services/web", Some("runtime"))
    );
    assert_eq!(
        web.build_args,
        BTreeMap::from([("NODE".to_owned(), "20".to_owned())])
    );
    assert_eq!(web.platforms[0].to_string(), "linux/arm64");
    let tags = |image: &ImportedImage| -> Vec<String> {
        image
            .tags
            .iter()
            .map(|t| format!("{}:{} {}", t.repository, t.name, t.is_unique))
            .collect()
    };
    assert_eq!(
        tags(web),
        [
            "acme.azurecr.io/web:{{.Run.Commit}} true",
            "acme.azurecr.io/web:latest false"
        ]
    );
    assert_eq!(
        (api.context.as_str(), api.dockerfile.as_str()),
        ("", "services/api/Dockerfile")
    );
    assert_eq!(api.build_args["A"], "b c");
    assert_eq!(
        tags(api),
        [
            "acme.azurecr.io/api:{{.Run.Commit}} true",
            "acme.azurecr.io/api:latest false"
        ]
    );
    assert_eq!(
        (encoded.context.as_str(), encoded.target.as_deref()),
        ("services/web", Some("tool"))
    );
    assert_eq!(encoded.build_args["V"], "2");
    assert_eq!(encoded.platforms[0].to_string(), "linux/arm64");
    assert_eq!(tags(encoded), ["acme.azurecr.io/tool:1 false"]);
    let what: Vec<&str> = found
        .left_out
        .iter()
        .map(|left| left.what.as_str())
        .collect();
    assert_eq!(
        what,
        [
            "web: timer `0 4 * * *`",
            "web: source trigger (commit)",
            "web: secret argument TOKEN",
            "web: image name web:{{.Run.ID}}",
            "cmd",
            "steps: image name $Registry/api:{{.Run.ID}}",
            "cmd",
            "no-base64",
            "other",
        ]
    );
}
