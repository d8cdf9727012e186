//! From a build to an image.

use std::collections::BTreeMap;

use super::{
    super::{
        Source,
        bake::Details,
        model::{Imported, ImportedImage},
        paths::{Where, join, locate, relative},
    },
    Task,
    command::Build,
};

impl Task<'_> {
    pub(super) fn image(
        &self,
        source: &Source<'_>,
        (id, build): (String, Build),
        imported: &mut Imported,
    ) {
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
            labels: build.labels,
            network: build.network,
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
pub(super) fn folder(source: &Source<'_>, context: &str) -> Result<String, String> {
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
