//! From a target, or a compose service, to an image.

use std::collections::BTreeMap;

use refit_oci::{Platform, Reference};

use super::{
    super::{
        Source,
        model::{BuildContext, Imported, ImportedImage, Place, Tag},
        paths::{Where, locate},
        tags::tag,
    },
    target::Target,
};

/// Targets by name, each with all that it inherits.
pub(crate) struct Selected(pub(crate) BTreeMap<String, Target>);

/// Makes images of targets.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source<'a>,
    /// Folders of the files; relative paths are from the root, or from one of these where that fits better.
    pub(crate) folders: &'a [String],
}

impl Reader<'_> {
    /// Every target that makes an image; the others are listed.
    pub(crate) fn images(&self, targets: Selected, imported: &mut Imported) {
        for (name, target) in targets.0 {
            self.image(&name, target, imported);
        }
    }

    fn image(&self, name: &str, target: Target, imported: &mut Imported) {
        let place = target.place.clone();
        for (name_of_other, at) in &target.others {
            let why = match name_of_other.as_str() {
                "cache-from" | "cache-to" => "layer caches are the engine's own matter",
                "ssh" => "builds get no SSH agent",
                "attest" => "records and annotations say how an image was made",
                _ => "there is no key for it",
            };
            imported.leave_out(at, format!("{name}: {name_of_other}"), why);
        }
        let mut fatal = false;
        for (at, what, why) in &target.broken {
            imported.leave_out(at, format!("{name}: {what}"), why);
            fatal |= matches!(
                what.as_str(),
                "context" | "dockerfile" | "target" | "args" | "contexts"
            );
        }
        if target.is_inline {
            let why = "its Dockerfile is inline: write it into a file to have it kept patched";
            imported.leave_out(&place, name, why);
            return;
        }
        let context = target.context.as_deref().unwrap_or(".");
        let file = target.dockerfile.as_deref().unwrap_or("Dockerfile");
        let located = locate(self.source, self.folders, (context, file));
        let (context, dockerfile) = match located {
            Where::Found {
                context,
                dockerfile,
            } => (context, dockerfile),
            Where::Not(why) => {
                imported.leave_out(&place, name, why);
                return;
            }
        };
        imported.dockerfiles.push(dockerfile.clone());
        if let Some(output) = target
            .outputs
            .iter()
            .flatten()
            .find(|output| is_files(output))
        {
            let why = format!("`{output}` makes files, not an image");
            imported.leave_out(&place, name, why);
            imported.ignore.push(dockerfile);
            return;
        }
        if fatal {
            return;
        }
        let mut image = ImportedImage {
            from: place.clone(),
            id: name.to_owned(),
            name: name.to_owned(),
            context,
            dockerfile,
            target: target.stage,
            build_args: target.args,
            labels: target.labels,
            network: target.network,
            ..ImportedImage::default()
        };
        for (context, value) in target.contexts {
            match build_context(&value) {
                Ok(value) => {
                    image.build_contexts.insert(context, value);
                }
                Err(why) => {
                    imported.leave_out(&place, format!("{name}: build context {context}"), why);
                    return;
                }
            }
        }
        let mut details = Details {
            name,
            place: &place,
            imported,
        };
        image.platforms = details.platforms(&target.platforms.unwrap_or_default());
        image.tags = details.tags(&target.tags.unwrap_or_default());
        image.secrets = details.secrets(&target.secrets.unwrap_or_default());
        image.annotations = details.annotations(&target.annotations.unwrap_or_default());
        imported.images.push(image);
    }
}

/// A named build context that an image of a registry or of the repository can stand for.
pub(crate) fn build_context(value: &str) -> Result<BuildContext, String> {
    if let Some(sibling) = value.strip_prefix("target:") {
        return Ok(BuildContext::Sibling(sibling.to_owned()));
    }
    match value.strip_prefix("docker-image://") {
        Some("scratch") => Ok(BuildContext::Scratch),
        Some(reference) => {
            let parsed: Result<Reference, _> = reference.parse();
            parsed
                .map(BuildContext::Image)
                .map_err(|error| error.to_string())
        }
        None => Err(format!(
            "`{value}` is no image; files come from the main context"
        )),
    }
}

/// Whether an output leaves no image behind.
fn is_files(output: &str) -> bool {
    let kind = output
        .split(',')
        .find_map(|field| field.trim().strip_prefix("type="));
    match kind {
        Some(kind) => matches!(kind, "local" | "tar" | "cacheonly"),
        // `-o folder`.
        None => !output.contains('='),
    }
}

/// Reads the smaller parts of an image; what has no place is listed.
pub(crate) struct Details<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: &'a Place,
    pub(crate) imported: &'a mut Imported,
}

impl Details<'_> {
    fn leave_out(&mut self, what: &str, why: impl Into<String>) {
        let what = format!("{}: {what}", self.name);
        self.imported.leave_out(self.place, what, why);
    }

    pub(crate) fn platforms(&mut self, platforms: &[String]) -> Vec<Platform> {
        let mut good = Vec::new();
        for text in platforms
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
        {
            match text.parse::<Platform>() {
                Ok(platform) if !good.contains(&platform) => good.push(platform),
                Ok(_) => {}
                Err(_) if text == "local" => {
                    self.leave_out("platform local", "it is another one on every machine");
                }
                Err(error) => self.leave_out("platforms", error.to_string()),
            }
        }
        good
    }

    pub(crate) fn tags(&mut self, tags: &[String]) -> Vec<Tag> {
        let mut good: Vec<Tag> = Vec::new();
        for text in tags {
            match tag(text) {
                Ok(tag) if !good.contains(&tag) => good.push(tag),
                Ok(_) => {}
                Err(why) => self.leave_out(&format!("tag {text}"), why),
            }
        }
        good
    }

    /// `id=npmrc,env=NPM_TOKEN`, `id=key,src=~/.ssh/key`.
    pub(crate) fn secrets(&mut self, records: &[String]) -> BTreeMap<String, String> {
        let mut secrets = BTreeMap::new();
        for record in records {
            let fields: BTreeMap<&str, &str> = record
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .collect();
            let field = |keys: &[&str]| keys.iter().find_map(|key| fields.get(key).copied());
            let Some(id) = field(&["id"]) else {
                self.leave_out(&format!("secret {record}"), "it has no `id`");
                continue;
            };
            let source = match (field(&["env"]), field(&["src", "source"])) {
                (Some(env), _) => format!("env:{env}"),
                (None, Some(variable)) if fields.get("type") == Some(&"env") => {
                    format!("env:{variable}")
                }
                (None, Some(path)) => format!("file:{path}"),
                // Without a source the id names a variable.
                (None, None) => format!("env:{id}"),
            };
            secrets.insert(id.to_owned(), source);
        }
        secrets
    }

    /// `org.example.key=value`, for the manifest.
    pub(crate) fn annotations(&mut self, annotations: &[String]) -> BTreeMap<String, String> {
        let mut good = BTreeMap::new();
        for text in annotations {
            let Some((key, value)) = text.split_once('=') else {
                self.leave_out(&format!("annotation {text}"), "it has no value");
                continue;
            };
            match key.split_once(':') {
                None => {
                    good.insert(key.to_owned(), value.to_owned());
                }
                Some((levels, key)) if levels.split(',').any(|level| level == "manifest") => {
                    good.insert(key.to_owned(), value.to_owned());
                }
                Some((level, _)) => {
                    let why = format!("annotations of a manifest only, not of `{level}`");
                    self.leave_out(&format!("annotation {text}"), why);
                }
            }
        }
        good
    }
}
