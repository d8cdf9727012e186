//! A task file: its values and aliases put in, and the steps that build.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use super::{
    super::{
        model::{Imported, Place},
        paths::join,
        yaml::{self, Node, Value},
    },
    command::{Build, build},
};

/// A task file as it was written.
pub(super) struct Steps<'a> {
    /// What it is called.
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    /// The task's context.
    pub(super) context: &'a str,
    /// For `{{.Values.…}}`.
    pub(super) values: Values,
}

/// Values of a task by name; a secret one has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<String, Option<String>>);

impl Values {
    /// A values file, then what the task sets over it.
    pub(super) fn of(file: &Node, step: &Node) -> Self {
        let mut values = BTreeMap::new();
        nested(file, "", &mut values);
        for set in step.get("values").map(Node::items).unwrap_or_default() {
            if let Some(name) = set.text_at("name") {
                let is_secret = set
                    .get("isSecret")
                    .is_some_and(|secret| secret.value == Value::Bool(true));
                values.insert(name, set.text_at("value").filter(|_| !is_secret));
            }
        }
        Self(values)
    }

    /// The text with those put in that are known.
    fn put_in(&self, text: &str) -> String {
        let place = Regex::new(r"\{\{-?\s*\.Values\.([A-Za-z0-9_.-]+?)\s*-?\}\}")
            .expect("the pattern is a good one");
        let value = |captures: &Captures<'_>| {
            let known = self.0.get(&captures[1]).cloned().flatten();
            known.unwrap_or_else(|| captures[0].to_owned())
        };
        place.replace_all(text, value).into_owned()
    }
}

fn nested(node: &Node, above: &str, values: &mut BTreeMap<String, Option<String>>) {
    for (key, value) in node.entries() {
        let name = format!("{above}{key}");
        if value.entries().is_empty() {
            values.insert(name, value.text());
        } else {
            nested(value, &format!("{name}."), values);
        }
    }
}

impl Steps<'_> {
    /// What the steps build. Those that build nothing are listed.
    pub(super) fn builds(&self, imported: &mut Imported) -> Vec<Build> {
        let root = match yaml::parse(&self.values.put_in(self.text)) {
            Ok(root) => root,
            Err((line, why)) => {
                imported.leave_out(&Place::new(self.file, line), "the steps", why);
                return Vec::new();
            }
        };
        let steps = root.get("steps").map(Node::items).unwrap_or_default();
        if steps.is_empty() {
            imported.leave_out(&Place::new(self.file, 0), "the steps", "there are none");
        }
        let aliases = self.aliases(&root, imported);
        let pushed: Vec<String> = steps
            .iter()
            .filter_map(|step| step.get("push"))
            .flat_map(|push| match push.text() {
                Some(one) => vec![one],
                None => push.items().iter().filter_map(Node::text).collect(),
            })
            .map(|name| whole(&aliased(&name, &aliases)))
            .collect();
        let mut found = Vec::new();
        for step in steps {
            let place = Place::new(self.file, step.line);
            if let Some(line) = step.text_at("build") {
                let within = step
                    .text_at("workingDirectory")
                    .or_else(|| root.text_at("workingDirectory"));
                match self.build(&aliased(&line, &aliases), within.as_deref()) {
                    Ok(mut build) => {
                        for name in &build.images {
                            if !pushed.contains(&whole(name)) {
                                let what = format!("image name {name}");
                                imported.leave_out(&place, what, "no step pushes it");
                            }
                        }
                        build.images.retain(|name| pushed.contains(&whole(name)));
                        found.push(build);
                    }
                    Err(why) => imported.leave_out(&place, "build", why),
                }
            } else if step.get("cmd").is_some() {
                imported.leave_out(&place, "cmd", "only what is built is imported");
            } else if step.get("push").is_none() {
                let keys: Vec<&str> = step.entries().iter().map(|(key, _)| key.as_str()).collect();
                let what = match keys.first() {
                    Some(first) => (*first).to_owned(),
                    None => "a step".to_owned(),
                };
                imported.leave_out(&place, what, "it is no `build`, `push` or `cmd`");
            }
        }
        found
    }

    fn build(&self, line: &str, within: Option<&str>) -> Result<Build, String> {
        if let Some(at) = line.find("{{.Values.").or_else(|| line.find("{{ .Values.")) {
            let end = line[at..].find("}}").map_or(line.len(), |end| at + end + 2);
            return Err(format!("nothing says what `{}` is", &line[at..end]));
        }
        let mut build = build(line)?;
        if build.context.is_empty() {
            self.context.clone_into(&mut build.context);
            if let Some(within) = within {
                let below = |path: &str| {
                    join(within, path).ok_or_else(|| format!("`{path}` is not in the context"))
                };
                if within.starts_with('/') || within.contains('$') {
                    return Err(format!(
                        "its working directory `{within}` is not in the context"
                    ));
                }
                (build.folder, build.file) = (below(&build.folder)?, below(&build.file)?);
            }
        }
        Ok(build)
    }

    /// Names that the file gives to texts: `$name`.
    fn aliases(&self, root: &Node, imported: &mut Imported) -> BTreeMap<String, String> {
        let alias = root.get("alias");
        if let Some(src) = alias.and_then(|alias| alias.filled("src")) {
            let why = "aliases of other files are not read";
            imported.leave_out(&Place::new(self.file, src.line), "alias: src", why);
        }
        let values = alias.and_then(|alias| alias.get("values"));
        let entries = values.map(Node::entries).unwrap_or_default();
        entries
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.text()?)))
            .collect()
    }
}

/// A text with the file's own aliases put in; `$Registry` and the like are the run's.
fn aliased(text: &str, aliases: &BTreeMap<String, String>) -> String {
    let name = Regex::new(r"\$([A-Za-z0-9]+)").expect("the pattern is a good one");
    let value = |captures: &Captures<'_>| {
        let known = aliases.get(&captures[1]);
        known.map_or_else(|| captures[0].to_owned(), Clone::clone)
    };
    name.replace_all(text, value).into_owned()
}

/// A name as it is compared: without the registry, with its tag.
fn whole(name: &str) -> String {
    let name = name.replace("{{ .", "{{.").replace(" }}", "}}");
    let name = name
        .trim_start_matches("$Registry/")
        .trim_start_matches("{{.Run.Registry}}/")
        .replace("$ID", "{{.Run.ID}}");
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => name,
        _ => format!("{name}:latest"),
    }
}
