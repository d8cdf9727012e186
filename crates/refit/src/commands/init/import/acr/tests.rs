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
    \x20 - push: [\"$Registry/api\", \"$Registry/api:{{.Run.ID}}\"]\n";

const ENCODED: &str = "version: v1.1.0\nsteps:\n\
    \x20 - build: -t $Registry/tool:1 --target tool --platform linux/arm64 --build-arg V=2 .\n\
    \x20 - cmd: $Registry/tool:1 test\n\
        \x20 - push: [$Registry/tool:1]\n";

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
            "the steps",
            "no-base64",
            "other",
        ]
    );
}

/// One task as `az acr task list -o json` prints it, its steps as given.
fn listed(steps: &str, values: &str, set: &str) -> String {
    format!(
        r#"[
  {{
    "agentConfiguration": {{
      "cpu": 2
    }},
    "agentPoolName": null,
    "creationDate": "2026-02-20T10:15:30.123456+00:00",
    "credentials": null,
    "id": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/shop/providers/Microsoft.ContainerRegistry/registries/acmeShop/tasks/nightly",
    "identity": null,
    "isSystemTask": false,
    "location": "westeurope",
    "logTemplate": null,
    "name": "nightly",
    "platform": {{
      "architecture": "amd64",
      "os": "linux",
      "variant": null
    }},
    "provisioningState": "Succeeded",
    "resourceGroup": "shop",
    "status": "Enabled",
    "step": {{
      "baseImageDependencies": [
        {{
          "digest": "sha256:9f4b2a1c",
          "registry": "registry.hub.docker.com",
          "repository": "library/node",
          "tag": "20",
          "type": "RunTime"
        }}
      ],
      "contextAccessToken": null,
      "contextPath": "https://github.com/acme/shop.git#main",
      "encodedTaskContent": "{}",
      "encodedValuesContent": "{}",
      "type": "EncodedTask",
      "values": {set}
    }},
    "systemData": null,
    "tags": {{}},
    "timeout": 3600,
    "trigger": {{
      "baseImageTrigger": {{
        "baseImageTriggerType": "Runtime",
        "name": "defaultBaseimageTriggerName",
        "status": "Enabled",
        "updateTriggerEndpoint": null,
        "updateTriggerPayloadType": "Default"
      }},
      "sourceTriggers": null,
      "timerTriggers": null
    }},
    "type": "Microsoft.ContainerRegistry/registries/tasks"
  }}
]"#,
        BASE64_STANDARD.encode(steps),
        BASE64_STANDARD.encode(values),
    )
}

fn read(list: &str) -> Imported {
    let files = [
        "web/Dockerfile",
        "web/Dockerfile.arm",
        "tools/lint/Dockerfile",
    ];
    let paths: BTreeSet<String> = files.iter().map(ToString::to_string).collect();
    let read = |_: &str| Some(b"FROM a".to_vec());
    let source = Source {
        paths: &paths,
        read: &read,
        github: Some("acme/shop".to_owned()),
        branch: "main".to_owned(),
    };
    import(&source, "tasks.json", list)
}

/// Images and what is left out, a line each.
fn said(list: &str) -> String {
    let found = read(list);
    let mut lines = Vec::new();
    for image in &found.images {
        let tags: Vec<String> = image
            .tags
            .iter()
            .map(|tag| format!("{}:{}", tag.repository, tag.name))
            .collect();
        let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "{} {} {} {} {:?} {:?} {:?}",
            image.id,
            image.dockerfile,
            platforms.join(","),
            tags.join(" "),
            image.build_args,
            image.labels,
            image.network
        ));
    }
    lines.extend(found.left_out.iter().map(ToString::to_string));
    lines.join("\n")
}

#[test]
fn the_steps_of_an_encoded_task_are_read_with_their_values_and_aliases() {
    let steps = "version: v1.1.0\nstepTimeout: 600\nalias:\n  values:\n    repo: team/web\n  src: [./more.yaml]\nsteps:\n\
        \x20 - id: web\n\
        \x20   build: >\n\
        \x20     -t $Registry/$repo:{{.Run.ID}} -t {{.Run.Registry}}/$repo:{{ .Values.channel }} --tag=$Registry/$repo:unpushed\n\
        \x20     --build-arg NODE={{.Values.node.version}} --build-arg=MODE='a b' --label team=shop --network host --no-cache\n\
        \x20     --platform linux/amd64,linux/arm64 -m 2g web\n\
        \x20   when: ['-']\n\
        \x20 - build: -t $Registry/lint -f Dockerfile .\n    workingDirectory: tools/lint\n\
        \x20 - build: -t $Registry/web-arm:1 -f Dockerfile.arm https://github.com/acme/shop.git#main:web\n\
        \x20 - build: -t $Registry/secret --build-arg T={{.Values.token}} web\n\
        \x20 - build: -t $Registry/else https://github.com/acme/other.git\n\
        \x20 - build: -t $Registry/odd --frob web\n\
        \x20 - build: -t '$Registry/open web\n\
        \x20 - cmd: $Registry/$repo:{{.Run.ID}} test\n\
        \x20 - push: [\"$Registry/$repo:{{.Run.ID}}\", \"$Registry/$repo:stable\", $Registry/web-arm:1, $Registry/else]\n\
        \x20 - scan: $Registry/$repo\n";
    let values = "channel: edge\nnode:\n  version: 20\ntoken: file\n";
    let set = r#"[
        {"isSecret": false, "name": "channel", "value": "stable"},
        {"isSecret": true, "name": "token", "value": null}
      ]"#;
    assert_eq!(
        said(&listed(steps, values, set)),
        "nightly step 1 web/Dockerfile linux/amd64,linux/arm64 acmeshop.azurecr.io/team/web:{{.Run.Commit}} \
         acmeshop.azurecr.io/team/web:stable {\"MODE\": \"a b\", \"NODE\": \"20\"} {\"team\": \"shop\"} Some(\"host\")\n\
         nightly step 2 tools/lint/Dockerfile linux/amd64  {} {} None\n\
         nightly step 3 web/Dockerfile.arm linux/amd64 acmeshop.azurecr.io/web-arm:1 {} {} None\n\
         tasks.json: nightly:6: alias: src: aliases of other files are not read\n\
         tasks.json: nightly:8: image name $Registry/team/web:unpushed: no step pushes it\n\
         tasks.json: nightly:14: image name $Registry/lint: no step pushes it\n\
         tasks.json: nightly:17: build: nothing says what `{{.Values.token}}` is\n\
         tasks.json: nightly:19: build: the flag `--frob` is not known\n\
         tasks.json: nightly:20: build: `-t '$Registry/open web` has an open quote\n\
         tasks.json: nightly:21: cmd: only what is built is imported\n\
         tasks.json: nightly:23: scan: it is no `build`, `push` or `cmd`\n\
         tasks.json:14: nightly: image name $Registry/team/web:{{.Run.ID}}: a release's unique tag is its commit: \
         imported as `{{.Run.Commit}}`\n\
         tasks.json:14: nightly: its context `https://github.com/acme/other.git` is another repository"
    );
}

#[test]
fn what_is_no_task_is_left_out() {
    for (list, says) in [
        (
            listed("steps: [", "", "[]"),
            "tasks.json: nightly:1: the steps: ",
        ),
        (
            listed("version: v1.1.0\n", "", "[]"),
            "tasks.json: nightly: the steps: there are none",
        ),
        (
            listed("- a\n- b\n", "", "null"),
            "tasks.json: nightly: the steps: there are none",
        ),
        (
            listed("steps: [{}]", "", "null"),
            "tasks.json: nightly:1: a step: it is no `build`, `push` or `cmd`",
        ),
        (
            listed("steps:\n  - 7\n", "", "{}"),
            "tasks.json: nightly:2: a step: it is no `build`, `push` or `cmd`",
        ),
        (
            listed("steps:\n  - build: -t $Registry/a web\n", "a: [", "[]"),
            "tasks.json:14: nightly: its values: line 1: ",
        ),
        (
            listed("steps: []", "", "[]")
                .replace("\"encodedTaskContent\": \"", "\"encodedTaskContent\": \"%%"),
            "tasks.json:14: nightly: its encoded steps are no text in base64",
        ),
        (
            listed("steps: []", "x", "[]").replace(
                "\"encodedValuesContent\": \"",
                "\"encodedValuesContent\": \"//",
            ),
            "tasks.json:14: nightly: its values: they are no text in base64",
        ),
        (
            listed("", "", "[]").replace("\"EncodedTask\"", "\"BuildPack\""),
            "tasks.json:14: nightly: steps of type `buildpack` build no Dockerfile",
        ),
        (
            listed("", "", "[]").replace(
                "\"status\": \"Enabled\",\n    \"step\"",
                "\"status\": \"Disabled\",\n    \"step\"",
            ),
            "tasks.json:14: nightly: it is disabled",
        ),
        ("[".to_owned(), "tasks.json:1: the file: "),
        (
            "7".to_owned(),
            "tasks.json: the file: it is no list of tasks",
        ),
        ("[7, null, {}]".to_owned(), "tasks.json:1: : it has no step"),
    ] {
        let said = said(&list);
        assert!(said.contains(says), "{says}\n{said}");
    }
}

/// Whatever becomes of a list or of the steps in it, nothing panics.
#[test]
fn damaged_lists_and_steps_are_left_out() {
    let steps = "alias: {values: {r: $Registry}}\nsteps:\n  - build: -t $r/a:{{.Values.x}} --build-arg A='b c' -f Dockerfile web\n  - push: [a]\n";
    let list = listed(steps, "x: '1'\n", r#"[{"name": "x", "value": "2"}]"#);
    for text in [list.as_str(), TASKS] {
        for cut in (0..text.len())
            .filter(|at| text.is_char_boundary(*at))
            .step_by(7)
        {
            read(&text[..cut]);
            read(&format!(
                "{}{}",
                &text[..cut],
                &text[(cut + 5).min(text.len())..]
            ));
        }
    }
    for cut in 0..steps.len() {
        read(&listed(&steps[..cut], &steps[cut..], "[]"));
    }
}
