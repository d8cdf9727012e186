//! A `docker/build-push-action` step as an image.

mod inputs;

use std::collections::BTreeMap;

use super::{
    super::{
        bake::{Details, build_context},
        model::{BuildContext, Imported, ImportedImage, Place, Tag},
        paths::{Where, is_remote, join, locate, relative},
        tags::is_local,
        yaml::{Node, Value},
    },
    expression::Scope,
    job::Job,
    metadata::filled,
    views::with_env,
};

/// Inputs that say nothing about the image.
const OTHERS: [(&str, &str); 5] = [
    ("cache-from", "layer caches are the engine's own matter"),
    ("cache-to", "layer caches are the engine's own matter"),
    ("ssh", "builds get no SSH agent"),
    ("add-hosts", "there is no key for it"),
    ("build-contexts-from", "there is no key for it"),
];

/// Reads the image that a step builds; what has no place is listed.
pub(super) fn read(job: &Job<'_>, step: &Node, imported: &mut Imported) -> Option<ImportedImage> {
    let place = Place::new(&job.file, step.line);
    let nothing = Node::new(Value::Null, step.line);
    let mut reader = Reader {
        job,
        with: step.get("with").unwrap_or(&nothing),
        plain: with_env(&job.views.plain, step),
        tags: with_env(&job.views.tags, step),
        place,
        imported,
    };
    reader.image()
}

/// It is listed already, with a word on why.
struct LeftOut;

struct Reader<'a> {
    job: &'a Job<'a>,
    with: &'a Node,
    plain: Scope,
    tags: Scope,
    place: Place,
    imported: &'a mut Imported,
}

impl Reader<'_> {
    fn leave_out(&mut self, input: &str, what: &str, why: &str) {
        let line = self
            .with
            .get(input)
            .map_or(self.place.line, |node| node.line);
        let place = Place::new(&self.place.file, line);
        let what = if what.is_empty() {
            self.job.name.clone()
        } else {
            format!("{}: {what}", self.job.name)
        };
        self.imported.leave_out(&place, what, why);
    }

    fn image(&mut self) -> Option<ImportedImage> {
        let (context, dockerfile) = self.located()?;
        self.imported.dockerfiles.push(dockerfile.clone());
        let target = self.needed("target").ok()?;
        let outputs = self.lines("outputs");
        if let Some(files) = outputs.iter().find(|output| {
            ["type=local", "type=tar", "type=cacheonly"]
                .iter()
                .any(|kind| output.contains(kind))
        }) {
            self.leave_out(
                "outputs",
                "",
                &format!("`{files}` makes files, not an image"),
            );
            return None;
        }
        let mut build_contexts = BTreeMap::new();
        for (name, value) in self.pairs("build-contexts") {
            match build_context(&value) {
                Ok(BuildContext::Sibling(_)) | Err(_) => {
                    let why = format!("`{value}` is no image; files come from the main context");
                    self.leave_out("build-contexts", &format!("build context {name}"), &why);
                    return None;
                }
                Ok(context) => {
                    build_contexts.insert(name, context);
                }
            }
        }
        for (input, why) in OTHERS {
            if self
                .with
                .text_at(input)
                .is_some_and(|text| !text.trim().is_empty())
            {
                self.leave_out(input, input, why);
            }
        }
        let tags = self.image_tags(&outputs);
        let labels = self.labels("labels");
        let annotations: Vec<String> = self
            .labels("annotations")
            .into_iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let build_args = self.pairs("build-args");
        let secrets = self.secrets();
        let network = self.needed("network").ok()?;
        let platforms = self.lines("platforms");
        let name = self.name(&tags, &context);
        let mut details = Details {
            name: &self.job.name,
            place: &self.place,
            imported: self.imported,
        };
        Some(ImportedImage {
            from: self.place.clone(),
            id: self.job.name.clone(),
            name,
            context,
            dockerfile,
            target,
            build_args,
            build_contexts,
            platforms: details.platforms(&platforms),
            tags: details.tags(&tags),
            labels,
            annotations: details.annotations(&annotations),
            secrets,
            network,
        })
    }

    /// Context and Dockerfile. Without a context it is the repository itself.
    fn located(&mut self) -> Option<(String, String)> {
        let context = self.needed("context").ok()?;
        let file = self.needed("file").ok()?;
        let of_git = context.as_deref().unwrap_or("{{defaultContext}}");
        let (context, file) = match of_git.strip_prefix("{{defaultContext}}") {
            // The Dockerfile is looked for in the folder of the git context.
            Some(folder) => (folder.trim_start_matches(':').to_owned(), file),
            None if is_remote(of_git) => {
                let why = format!("its context `{of_git}` is not in this repository");
                self.leave_out("context", "", &why);
                return None;
            }
            None => {
                let context = join("", of_git).unwrap_or_else(|| of_git.to_owned());
                let file = file
                    .and_then(|file| join("", &file))
                    .map(|file| relative(&context, &file));
                (context, file)
            }
        };
        let file = file.unwrap_or_else(|| "Dockerfile".to_owned());
        match locate(self.job.source, &[], (&context, &file)) {
            Where::Found {
                context,
                dockerfile,
            } => Some((context, dockerfile)),
            Where::Not(why) => {
                self.leave_out("context", "", &why);
                None
            }
        }
    }

    /// Its tags, if it is pushed at all.
    fn image_tags(&mut self, outputs: &[String]) -> Vec<String> {
        let push = self.with.text_at("push").unwrap_or_default();
        // What the run decides is a push at times.
        let push = self.plain.text(&push).unwrap_or(push);
        let is_pushed = !matches!(push.trim(), "" | "false")
            || outputs
                .iter()
                .any(|output| output.contains("push=true") || output.contains("type=registry"));
        if !is_pushed {
            return Vec::new();
        }
        let text = self.with.text_at("tags").unwrap_or_default();
        let mut tags = Vec::new();
        for line in filled(&text) {
            if let Some(metadata) = self.job.output(line, "tags") {
                tags.extend(metadata.tags.iter().cloned());
                continue;
            }
            match self.tags.text(line) {
                Ok(line) => tags.extend(
                    line.split([',', '\n'])
                        .map(|tag| tag.trim().to_owned())
                        .filter(|tag| !tag.is_empty()),
                ),
                Err(expression) => {
                    self.leave_out(
                        "tags",
                        &format!("tag {line}"),
                        &format!("`{expression}` depends on the run"),
                    );
                }
            }
        }
        if tags.is_empty() {
            // Pushed by digest; another job puts the tags together.
            let name = |output: &String| {
                let mut fields = output.split(',');
                fields.find_map(|field| field.trim().strip_prefix("name=").map(str::to_owned))
            };
            tags.extend(outputs.iter().filter_map(name));
        }
        tags
    }

    /// The repository's last component, else the context's folder, else the job.
    fn name(&self, tags: &[String], context: &str) -> String {
        let parsed = tags
            .iter()
            .find_map(|tag| super::super::tags::tag(tag).ok());
        let of_tag = |tag: Tag| tag.repository.rsplit('/').next().map(str::to_owned);
        let lead = parsed
            .filter(|tag| !is_local(&tag.repository))
            .and_then(of_tag);
        lead.or_else(|| {
            context
                .rsplit('/')
                .next()
                .filter(|folder| !folder.is_empty())
                .map(str::to_owned)
        })
        .unwrap_or_else(|| self.job.name.clone())
    }
}
