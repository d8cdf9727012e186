//! The text of the configuration file.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::{
    super::{entry::Entry, groups::Group, import::relative},
    defaults::Defaults,
    keys::{keys, list, pairs},
};

/// What the file says beside its images.
pub(super) struct Text {
    pub(super) push_to: Vec<String>,
    /// Dockerfiles that are no images.
    pub(super) ignore: Vec<String>,
    /// Namespaces that images refer to each other by.
    pub(super) namespaces: BTreeSet<String>,
    pub(super) defaults: Defaults,
    /// Build args that only a person knows, by image.
    pub(super) unset: BTreeMap<String, Vec<String>>,
}

impl Text {
    /// The file with these globs, and every other image by itself.
    pub(super) fn write(
        &self,
        entries: &[Entry],
        groups: &[Group],
        singles: &BTreeSet<String>,
    ) -> String {
        let mut document = DocumentMut::new();
        document["version"] = value(1);
        if let Some(mut key) = document.key_mut("version") {
            key.leaf_decor_mut()
                .set_prefix("# The images of this repository, as refit builds them.\n");
        }
        if !self.push_to.is_empty() {
            document["push-to"] = Item::Value(list(&self.push_to));
        }
        if !self.ignore.is_empty() {
            document["ignore"] = Item::Value(list(&self.ignore));
        }
        let defaults = self.defaults();
        if !defaults.is_empty() {
            document["defaults"] = Item::Table(defaults);
        }
        let by_name: BTreeMap<&str, &Entry> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect();
        let mut globs = ArrayOfTables::new();
        let mut images = ArrayOfTables::new();
        for group in groups {
            let members: Vec<&Entry> = group
                .members
                .iter()
                .filter_map(|name| by_name.get(name.as_str()).copied())
                .collect();
            let (glob, overrides) = glob(group, &members, self.push_to.is_empty());
            globs.push(glob);
            for table in overrides {
                images.push(table);
            }
        }
        for entry in entries.iter().filter(|entry| singles.contains(&entry.name)) {
            images.push(self.single(entry));
        }
        for (key, mut tables) in [("images", globs), ("image", images)] {
            if !tables.is_empty() {
                if let Some(first) = tables
                    .get_mut(0)
                    .filter(|_| !document.contains_key("images"))
                {
                    first.decor_mut().set_prefix(self.to_decide());
                }
                document.insert(key, Item::ArrayOfTables(tables));
            }
        }
        document.set_trailing(self.needs(singles));
        document.to_string()
    }

    fn defaults(&self) -> Table {
        let mut table = Table::new();
        for (key, values) in [
            ("platforms", &self.defaults.platforms),
            ("tags", &self.defaults.tags),
        ] {
            if let Some(values) = values {
                table[key] = Item::Value(list(values));
            }
        }
        if let Some(labels) = &self.defaults.labels {
            table["labels"] = Item::Value(pairs(labels));
        }
        table
    }

    /// What is not known, as comments.
    fn to_decide(&self) -> String {
        let mut text = "\n".to_owned();
        if self.push_to.is_empty() {
            let push_to = match self.namespaces.first() {
                Some(namespace) if self.namespaces.len() == 1 => namespace,
                _ => "registry.example.com/team",
            };
            text += "# Where images are pushed; without it they stay in this clone's own store.\n# push-to = [\"";
            text += push_to;
            text += "\"]\n\n";
        }
        if self.defaults.platforms.is_none() && self.defaults.tags.is_none() {
            text += "# What all images have in common; without it they are built for linux/amd64.\n\
                     # [defaults]\n\
                     # platforms = [\"linux/amd64\", \"linux/arm64\"]\n\n";
        }
        text += "# Where bases are copied to and built from; without it they are built from where they are.\n\
                 # [bases]\n\
                 # mirror = \"registry.example.com/mirror\"\n\n";
        text
    }

    fn single(&self, entry: &Entry) -> Table {
        let mut table = Table::new();
        table["name"] = value(&entry.name);
        if !entry.context.is_empty() {
            table["context"] = value(&entry.context);
        }
        let file = relative(&entry.context, &entry.dockerfile);
        if file != "Dockerfile" {
            table["dockerfile"] = value(file);
        }
        for (key, value) in keys(&entry.keys) {
            table[key] = Item::Value(value);
        }
        if let Some(args) = self.unset.get(&entry.name)
            && let Some((_, Item::Value(last))) = table.iter_mut().last()
        {
            // A comment, as only a person knows the values.
            last.decor_mut()
                .set_suffix(format!("\n# {}", build_args(args)));
        }
        table
    }

    /// Entries for images that a glob lists, as comments.
    fn needs(&self, singles: &BTreeSet<String>) -> String {
        let listed = self
            .unset
            .iter()
            .filter(|(image, _)| !singles.contains(*image));
        let entries = listed.map(|(image, args)| {
            format!(
                "\n# [[image]]\n# name = \"{image}\"\n# {}\n",
                build_args(args)
            )
        });
        entries.collect()
    }
}

/// A glob with what its images share, and an entry for each that has more.
fn glob(group: &Group, members: &[&Entry], of_scan: bool) -> (Table, Vec<Table>) {
    let mut table = Table::new();
    table["files"] = value(&group.files);
    table["name"] = value(&group.name);
    // A scan knows the names of some; the others are called alike.
    let known = of_scan
        || members
            .iter()
            .all(|member| member.keys.repository.is_some());
    let namespace = common_namespace(members).filter(|_| known);
    if let Some(namespace) = &namespace {
        table["repository"] = value(format!("{namespace}/{}", group.name));
    }
    let all: Vec<Vec<(&str, Value)>> = members
        .iter()
        .map(|member| {
            let keys = keys(&member.keys).into_iter();
            keys.filter(|(key, _)| *key != "repository" || namespace.is_none())
                .collect()
        })
        .collect();
    let same = |(key, value): &(&str, Value), others: &[(&str, Value)]| {
        others
            .iter()
            .any(|(k, v)| k == key && v.to_string() == value.to_string())
    };
    let shared: Vec<(&str, Value)> = all.first().map_or_else(Vec::new, |first| {
        let common = first
            .iter()
            .filter(|pair| all.iter().all(|other| same(pair, other)));
        common.cloned().collect()
    });
    for (key, value) in &shared {
        table[*key] = Item::Value(value.clone());
    }
    let mut overrides = Vec::new();
    for (member, keys) in members.iter().zip(&all) {
        let own: Vec<&(&str, Value)> = keys.iter().filter(|pair| !same(pair, &shared)).collect();
        if !own.is_empty() {
            let mut table = Table::new();
            table["name"] = value(&member.name);
            for (key, value) in own {
                table[*key] = Item::Value(value.clone());
            }
            overrides.push(table);
        }
    }
    (table, overrides)
}

/// The namespace that the repositories of all images share, if they are named like their images.
fn common_namespace(members: &[&Entry]) -> Option<String> {
    let mut namespaces: BTreeSet<&str> = BTreeSet::new();
    for member in members {
        if let Some(repository) = &member.keys.repository {
            let (namespace, name) = repository.rsplit_once('/')?;
            if name != member.name {
                return None;
            }
            namespaces.insert(namespace);
        }
    }
    if namespaces.len() == 1 {
        namespaces.pop_first().map(str::to_owned)
    } else {
        None
    }
}

/// `build-args = { NODE = "" }`, to be filled in.
fn build_args(args: &[String]) -> String {
    let args: Vec<String> = args.iter().map(|arg| format!("{arg} = \"\"")).collect();
    format!("build-args = {{ {} }}", args.join(", "))
}
