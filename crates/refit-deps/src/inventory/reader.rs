//! From the configuration's entries, or a scan's finds, to images.

use std::{collections::BTreeMap, sync::Arc};

use refit_dockerfile::Dockerfile;
use refit_oci::{Platform, Reference, ReferenceError, Repository};

use super::{
    Files, Parsed,
    checked::{Checked, ENGINES, PINNED, REBASE},
    clean, text_of,
};
use crate::{
    config::{CONFIG_PATH, ConfigFile, GlobEntry, ImageKeys},
    glob::Glob,
    image::{EMBEDDED_HOST, Image},
    names,
    problem::Problem,
};

pub(super) struct Reader<'a> {
    pub(super) files: &'a Files<'a>,
    pub(super) texts: &'a Parsed,
    /// By path.
    pub(super) parsed: BTreeMap<String, Option<Arc<Dockerfile>>>,
    pub(super) problems: Vec<Problem>,
}

/// One image before its keys are checked.
struct Draft {
    name: String,
    dockerfile: String,
    context: String,
    keys: ImageKeys,
    push_to: Vec<Repository>,
}

impl Reader<'_> {
    pub(super) fn scanned(&mut self, found: &[String]) -> Vec<Image> {
        let names = names::assign(found, self.files.name);
        let drafts = found.iter().zip(names).map(|(path, name)| Draft {
            name,
            dockerfile: path.clone(),
            context: names::folder(path).to_owned(),
            keys: ImageKeys::default(),
            push_to: Vec::new(),
        });
        drafts.filter_map(|draft| self.image(draft)).collect()
    }

    pub(super) fn configured(&mut self, config: &ConfigFile, found: &[String]) -> Vec<Image> {
        let push_to = self.push_to(config);
        let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
        for entry in &config.images {
            for (name, path) in self.expand(entry, found) {
                let mut keys = entry.keys.clone().over(&config.defaults);
                keys.repository = keys.repository.map(|r| placeholders(&r, &path));
                let context = keys.context.take().map(|c| placeholders(&c, &path));
                let context = context.unwrap_or_else(|| names::folder(&path).to_owned());
                let draft = Draft {
                    name: name.clone(),
                    dockerfile: path,
                    context: clean(&context),
                    keys,
                    push_to: push_to.clone(),
                };
                if let Some(other) = drafts.insert(name, draft) {
                    let message = format!(
                        "two images are named `{}`: `{}` is one of them",
                        other.name, other.dockerfile
                    );
                    self.config_problem(message, "give `name` more of the path, such as `{path}`");
                }
            }
        }
        for entry in &config.image {
            let from_glob = drafts.remove(&entry.name);
            let base = from_glob
                .as_ref()
                .map_or(&config.defaults, |draft| &draft.keys);
            let keys = entry.keys.clone().over(base);
            let moved = entry.keys.context.is_some() || entry.keys.dockerfile.is_some();
            let draft = match from_glob {
                Some(draft) if !moved => Draft { keys, ..draft },
                _ => Self::draft(&entry.name, keys, push_to.clone()),
            };
            drafts.insert(entry.name.clone(), draft);
        }
        drafts
            .into_values()
            .filter_map(|draft| self.image(draft))
            .collect()
    }

    fn draft(name: &str, keys: ImageKeys, push_to: Vec<Repository>) -> Draft {
        let context = clean(keys.context.as_deref().unwrap_or_default());
        let file = keys.dockerfile.as_deref().unwrap_or("Dockerfile");
        let dockerfile = clean(&format!("{context}/{file}"));
        Draft {
            name: name.to_owned(),
            dockerfile,
            context,
            keys,
            push_to,
        }
    }

    fn expand(&mut self, entry: &GlobEntry, found: &[String]) -> Vec<(String, String)> {
        let glob = Glob::new(&entry.files);
        // A glob that names its files plainly may list Dockerfiles of any name.
        let others = self.files.paths.iter().filter(|p| {
            glob.matches(p)
                && found
                    .binary_search_by(|known| known.as_str().cmp(p))
                    .is_err()
        });
        let matched: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|p| glob.matches(p))
            .chain(others)
            .collect();
        if matched.is_empty() {
            self.config_problem(
                format!("`files = \"{}\"` matches no file", entry.files),
                "mend the glob",
            );
        }
        matched
            .into_iter()
            .map(|path| (placeholders(&entry.name, path), path.to_owned()))
            .collect()
    }

    fn push_to(&mut self, config: &ConfigFile) -> Vec<Repository> {
        let mut good = Vec::new();
        for prefix in &config.push_to {
            // A bare host is a prefix too: parse it with a component behind.
            match format!("{prefix}/x").parse::<Repository>() {
                Ok(_) => good.extend(prefix_repository(prefix)),
                Err(error) => {
                    self.config_problem(format!("`push-to`: {error}"), "give `HOST/NAMESPACE`");
                }
            }
        }
        good
    }

    fn image(&mut self, draft: Draft) -> Option<Image> {
        let Draft {
            name,
            dockerfile,
            context,
            keys,
            push_to,
        } = draft;
        if names::slug(&name) != name || name.is_empty() {
            let hint = format!("call it `{}`", names::slug(&name));
            self.config_problem(
                format!("`{name}` is no image name (lower-case letters, digits, `.`, `_`, `-`)"),
                &hint,
            );
            return None;
        }
        if name.len() > names::MAX_NAME {
            let (length, limit) = (name.len(), names::MAX_NAME);
            let message = format!("`{name}` is too long for an image's name: {length} characters");
            self.config_problem(message, &format!("{limit} are the limit"));
            return None;
        }
        let file = self.dockerfile(&dockerfile);
        let mut checked = Checked {
            reader: self,
            image: &name,
        };
        let platforms = match keys.platforms {
            Some(platforms) => platforms
                .iter()
                .filter_map(|p| checked.parse::<Platform>("platforms", p))
                .collect(),
            None => vec![Platform::linux_amd64()],
        };
        let repository = keys
            .repository
            .and_then(|r| checked.parse::<Repository>("repository", &r));
        let tags = checked.tags(
            "tags",
            keys.tags.unwrap_or_else(|| vec!["latest".to_owned()]),
        );
        let unique_tags = keys.unique_tags.unwrap_or_default();
        let build_contexts = checked.contexts(keys.build_contexts.unwrap_or_default());
        let secrets = checked.secrets(keys.secrets.unwrap_or_default());
        let engine = checked.choice("engine", keys.engine, &ENGINES);
        let cache_from = checked.caches("cache-from", keys.cache_from.unwrap_or_default());
        let mut cache_to = keys.cache_to.unwrap_or_default();
        let n_all = cache_to.len();
        cache_to.retain(|place| place != "inline");
        let cache_inline = cache_to.len() < n_all;
        let cache_to = checked.caches("cache-to", cache_to);
        let ssh = checked.ssh(keys.ssh.unwrap_or_default());
        let attest = checked.attest(keys.attest.unwrap_or_default(), engine);
        let pinned = checked.choice("pinned", keys.pinned, &PINNED);
        let timeout = checked.timeout(keys.timeout.as_deref());
        let prepare = checked.program("prepare", keys.prepare);
        let test = checked.test(keys.test);
        let rebase = checked.choice("rebase", keys.rebase, &REBASE);
        let stale_when = checked.command("stale-when", keys.stale_when);
        let destinations = match destinations(&name, repository.as_ref(), &push_to) {
            Ok(destinations) => destinations,
            Err(error) => {
                let message = format!("`{name}` cannot be pushed below `push-to`: {error}");
                self.config_problem(message, "a repository has 255 characters at most");
                return None;
            }
        };
        Some(Image {
            dockerfile,
            context,
            target: keys.target,
            build_args: keys.build_args.unwrap_or_default(),
            build_contexts,
            labels: keys.labels.unwrap_or_default(),
            annotations: keys.annotations.unwrap_or_default(),
            network: keys.network,
            secrets,
            ssh,
            cache_from,
            cache_to,
            cache_inline,
            platforms,
            tags,
            unique_tags,
            repository,
            destinations,
            engine,
            pinned,
            rebase,
            hold: keys.hold,
            timeout,
            prepare,
            test,
            stale_when,
            provenance: keys.provenance.unwrap_or(true),
            attest,
            file,
            name,
        })
    }

    /// Parses each Dockerfile once, however many images share it.
    fn dockerfile(&mut self, path: &str) -> Option<Arc<Dockerfile>> {
        if let Some(known) = self.parsed.get(path) {
            return known.clone();
        }
        let parsed = match text_of(self.files, path) {
            None => {
                self.problems
                    .push(Problem::of_file(path, "there is no such Dockerfile"));
                None
            }
            Some(text) => match self.texts.parse(&text) {
                Ok(file) => Some(file),
                Err(error) => {
                    self.problems
                        .push(crate::scan::problem(path, &text, &error));
                    None
                }
            },
        };
        self.parsed.insert(path.to_owned(), parsed.clone());
        parsed
    }

    /// Two images that claim one tag are an error naming both, before anything is built.
    pub(super) fn claimed_twice(&mut self, images: &[Image]) {
        let mut claims: BTreeMap<Reference, &str> = BTreeMap::new();
        for image in images {
            for tag in image.moving_tags() {
                if let Some(other) = claims.insert(tag.clone(), &image.name)
                    && other != image.name
                {
                    let message = format!(
                        "`{other}` and `{}` both claim the tag `{}`",
                        image.name,
                        tag.familiar()
                    );
                    self.config_problem(message, "give one of them another `tags` or `repository`");
                }
            }
        }
    }

    pub(super) fn config_problem(&mut self, message: String, hint: &str) {
        self.problems
            .push(Problem::of_file(CONFIG_PATH, message).with_hint(hint));
    }
}

/// `HOST/NAMESPACE` as a repository-like value; a bare host has an empty path, which only `join` ever sees.
fn prefix_repository(prefix: &str) -> Option<Repository> {
    // `x` stands for the image's name; it is replaced when the destination is put together.
    format!("{}/x", prefix.trim_end_matches('/')).parse().ok()
}

/// Where an image is pushed: under each prefix, at its explicit repository where that lies below the prefix.
fn destinations(
    name: &str,
    repository: Option<&Repository>,
    push_to: &[Repository],
) -> Result<Vec<Repository>, ReferenceError> {
    if push_to.is_empty() {
        return Ok(vec![format!("{EMBEDDED_HOST}/{name}").parse()?]);
    }
    let under = |prefix: &Repository| {
        let namespace = prefix.namespace();
        match repository {
            Some(repository) if repository.to_string().starts_with(&format!("{namespace}/")) => {
                Ok(repository.clone())
            }
            _ => format!("{namespace}/{name}").parse(),
        }
    };
    push_to.iter().map(under).collect()
}

/// `{dir}` is the folder's own name as a slug, `{path}` the whole folder, `{suffix}` what the file's own name says beside
/// "Dockerfile".
fn placeholders(pattern: &str, dockerfile: &str) -> String {
    let folder = names::folder(dockerfile);
    let suffix = names::suffix(names::file_name(dockerfile));
    pattern
        .replace("{dir}", &names::slug(names::file_name(folder)))
        .replace("{path}", &names::slug(folder))
        .replace("{suffix}", &names::slug(suffix))
}
