//! `az acr task list -o json`: Azure's build tasks become images.

mod command;

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    Source,
    bake::Details,
    model::{Imported, ImportedImage, Place},
    paths::{Where, join, locate, relative},
    yaml::{self, Node, Value},
};
use command::{Build, builds};

/// Reads the list. `file` is what the user calls it.
pub(super) fn import(source: &Source<'_>, file: &str, text: &str) -> Imported {
    let mut imported = Imported::default();
    let root = match yaml::parse_json(text) {
        Ok(root) => root,
        Err((line, why)) => {
            imported.leave_out(&Place::new(file, line), "the file", why);
            return imported;
        }
    };
    let tasks: Vec<&Node> = match &root.value {
        Value::List(items) => items.iter().collect(),
        Value::Map(_) => vec![&root],
        _ => {
            imported.leave_out(&Place::new(file, 0), "the file", "it is no list of tasks");
            return imported;
        }
    };
    for task in tasks {
        Task::of(file, task).read(source, &mut imported);
    }
    imported
}

struct Task<'a> {
    node: &'a Node,
    place: Place,
    name: String,
    /// `myregistry.azurecr.io`.
    registry: String,
}

impl<'a> Task<'a> {
    fn of(file: &str, node: &'a Node) -> Self {
        let name = node.text_at("name").unwrap_or_default();
        let line = node.get("name").map_or(node.line, |name| name.line);
        let id = node.text_at("id").unwrap_or_default();
        let mut parts = id
            .split('/')
            .skip_while(|part| !part.eq_ignore_ascii_case("registries"));
        let registry = parts
            .nth(1)
            .map(|registry| format!("{}.azurecr.io", registry.to_lowercase()));
        Self {
            node,
            place: Place::new(file, line),
            name,
            registry: registry.unwrap_or_default(),
        }
    }

    fn leave_out(&self, imported: &mut Imported, what: &str, why: impl Into<String>) {
        let what = match what {
            "" => self.name.clone(),
            what => format!("{}: {what}", self.name),
        };
        imported.leave_out(&self.place, what, why);
    }

    fn read(&self, source: &Source<'_>, imported: &mut Imported) {
        let Some(step) = self.node.filled("step") else {
            self.leave_out(imported, "", "it has no step");
            return;
        };
        if self
            .node
            .text_at("status")
            .is_some_and(|status| status.eq_ignore_ascii_case("disabled"))
        {
            self.leave_out(imported, "", "it is disabled");
            return;
        }
        self.triggers(imported);
        let kind = step.text_at("type").unwrap_or_default().to_lowercase();
        let found = match kind.as_str() {
            "docker" => vec![docker(step)],
            "filetask" => self.file_task(source, step, imported),
            "encodedtask" => self.encoded_task(step, imported),
            kind => {
                self.leave_out(
                    imported,
                    "",
                    format!("steps of type `{kind}` build no Dockerfile"),
                );
                return;
            }
        };
        let several = found.len() > 1;
        for (at, build) in found.into_iter().enumerate() {
            let id = if several {
                format!("{} step {}", self.name, at + 1)
            } else {
                self.name.clone()
            };
            self.image(source, (id, build), imported);
        }
    }

    fn triggers(&self, imported: &mut Imported) {
        let Some(trigger) = self.node.filled("trigger") else {
            return;
        };
        let enabled = |node: &&Node| {
            node.text_at("status")
                .is_none_or(|status| !status.eq_ignore_ascii_case("disabled"))
        };
        for timer in trigger
            .get("timerTriggers")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter(enabled)
        {
            let schedule = timer.text_at("schedule").unwrap_or_default();
            let why = "when sweeps run is said where they are run: the schedule of the CI job that runs `refit sweep`";
            self.leave_out(imported, &format!("timer `{schedule}`"), why);
        }
        for source in trigger
            .get("sourceTriggers")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter(enabled)
        {
            let events: Vec<String> = source
                .get("sourceTriggerEvents")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(Node::text)
                .collect();
            let why = "a commit is released by the CI job that runs `refit build --push`";
            self.leave_out(
                imported,
                &format!("source trigger ({})", events.join(", ")),
                why,
            );
        }
    }

    fn file_task(&self, source: &Source<'_>, step: &Node, imported: &mut Imported) -> Vec<Build> {
        let context = step.text_at("contextPath").unwrap_or_default();
        let folder = match folder(source, &context) {
            Ok(folder) => folder,
            Err(why) => {
                self.leave_out(imported, "", why);
                return Vec::new();
            }
        };
        let file = step.text_at("taskFilePath").unwrap_or_default();
        let Some((path, text)) =
            join(&folder, &file).and_then(|path| Some((path.clone(), source.text(&path)?)))
        else {
            self.leave_out(
                imported,
                "",
                format!("there is no `{file}` in this repository"),
            );
            return Vec::new();
        };
        match yaml::parse(&text) {
            Ok(root) => builds(&path, &root, imported, &context),
            Err((line, why)) => {
                imported.leave_out(&Place::new(&path, line), "the file", why);
                Vec::new()
            }
        }
    }

    /// A task whose steps are in the list itself, in base64.
    fn encoded_task(&self, step: &Node, imported: &mut Imported) -> Vec<Build> {
        let encoded = step.text_at("encodedTaskContent").unwrap_or_default();
        let bytes = BASE64_STANDARD.decode(encoded.trim());
        let Some(text) = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            self.leave_out(imported, "", "its encoded steps are no text in base64");
            return Vec::new();
        };
        // Lines are those of the text that is encoded.
        let file = format!("{}: {}", self.place.file, self.name);
        match yaml::parse(&text) {
            Ok(root) => {
                let context = step.text_at("contextPath").unwrap_or_default();
                builds(&file, &root, imported, &context)
            }
            Err((line, why)) => {
                imported.leave_out(&Place::new(&file, line), "the encoded steps", why);
                Vec::new()
            }
        }
    }

    fn image(&self, source: &Source<'_>, (id, build): (String, Build), imported: &mut Imported) {
        let base = match folder(source, &build.context) {
            Ok(base) => base,
            Err(why) => return self.leave_out(imported, "", why),
        };
        let context = join(&base, &build.folder).unwrap_or(base.clone());
        // The Dockerfile's path is from the context, of a step from where the step runs.
        let file = join(&base, &build.file).map(|file| relative(&context, &file));
        let located = locate(
            source,
            &[],
            (&context, file.as_deref().unwrap_or(&build.file)),
        );
        let (context, dockerfile) = match located {
            Where::Found {
                context,
                dockerfile,
            } => (context, dockerfile),
            Where::Not(why) => return self.leave_out(imported, "", why),
        };
        imported.dockerfiles.push(dockerfile.clone());
        let mut build_args = BTreeMap::new();
        for (name, value) in build.args {
            if let Some(value) = value {
                build_args.insert(name, value);
            } else {
                let why = "a build argument ends in the image's history: make it one of its `secrets`, \
                           and mount it where RUN needs it";
                self.leave_out(imported, &format!("secret argument {name}"), why);
            }
        }
        let os = |key: &str| {
            self.node
                .get("platform")
                .and_then(|platform| platform.text_at(key))
        };
        let architecture = match os("architecture")
            .unwrap_or_default()
            .to_lowercase()
            .as_str()
        {
            "" | "x86" | "amd64" => "amd64".to_owned(),
            other => other.to_owned(),
        };
        let mut platform = format!(
            "{}/{architecture}",
            os("os")
                .unwrap_or_else(|| "linux".to_owned())
                .to_lowercase()
        );
        if let Some(variant) = os("variant") {
            platform = format!("{platform}/{}", variant.to_lowercase());
        }
        let platform = build.platform.unwrap_or(platform);
        let tags: Vec<String> = build
            .images
            .iter()
            .map(|name| self.reference(name))
            .collect();
        for name in build.images.iter().filter(|name| name.contains(".Run.ID")) {
            let why = "a release's unique tag is its commit: imported as `{{.Run.Commit}}`";
            self.leave_out(imported, &format!("image name {name}"), why);
        }
        let mut details = Details {
            name: &self.name,
            place: &self.place,
            imported,
        };
        let image = ImportedImage {
            from: self.place.clone(),
            name: id.clone(),
            id,
            context,
            dockerfile,
            target: build.target,
            build_args,
            platforms: details.platforms(&[platform]),
            tags: details.tags(&tags),
            ..ImportedImage::default()
        };
        imported.images.push(image);
    }

    /// An image's name with its registry, and with placeholders that refit knows.
    fn reference(&self, name: &str) -> String {
        let name = name.replace("{{ .", "{{.").replace(" }}", "}}");
        let name = name
            .trim_start_matches("$Registry/")
            .trim_start_matches("{{.Run.Registry}}/")
            .replace("{{.Run.ID}}", "{{.Run.Commit}}")
            .replace("$ID", "{{.Run.Commit}}")
            .replace("{{.Run.Branch}}", "{{.Line}}");
        let first = name.split('/').next().unwrap_or_default();
        if self.registry.is_empty() || (first != name && first.contains(['.', ':'])) {
            name
        } else {
            format!("{}/{name}", self.registry)
        }
    }
}

/// The folder of a context in this repository.
fn folder(source: &Source<'_>, context: &str) -> Result<String, String> {
    let (url, fragment) = context.split_once('#').unwrap_or((context, ""));
    if url.is_empty() || url == "/dev/null" || url.starts_with("oci://") {
        return Err(format!("its context `{context}` is no repository"));
    }
    let of_url = url
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .to_lowercase();
    let ours = source.github.as_ref().map(|name| name.to_lowercase());
    if let Some(ours) = ours.filter(|_| of_url.contains("github.com"))
        && !of_url.ends_with(&format!("/{ours}"))
    {
        return Err(format!("its context `{url}` is another repository"));
    }
    // `#branch:folder`.
    let folder = fragment.split_once(':').map_or("", |(_, folder)| folder);
    join("", folder).ok_or_else(|| format!("`{folder}` lies outside of this repository"))
}

/// A step of type `Docker`.
fn docker(step: &Node) -> Build {
    let mut args = BTreeMap::new();
    for argument in step.get("arguments").map(Node::items).unwrap_or_default() {
        if let Some(name) = argument.text_at("name") {
            let is_secret = argument
                .get("isSecret")
                .is_some_and(|secret| secret.value == Value::Bool(true));
            let value = argument.text_at("value").filter(|_| !is_secret);
            args.insert(name, value);
        }
    }
    let is_pushed = step
        .get("isPushEnabled")
        .is_none_or(|pushed| pushed.value != Value::Bool(false));
    let names = step.get("imageNames").map(Node::items).unwrap_or_default();
    Build {
        context: step.text_at("contextPath").unwrap_or_default(),
        folder: ".".to_owned(),
        file: step
            .text_at("dockerFilePath")
            .unwrap_or_else(|| "Dockerfile".to_owned()),
        target: step.text_at("target").filter(|target| !target.is_empty()),
        platform: None,
        args,
        images: names
            .iter()
            .filter_map(Node::text)
            .filter(|_| is_pushed)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
}
