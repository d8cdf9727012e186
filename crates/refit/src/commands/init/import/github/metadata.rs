//! `docker/metadata-action`: from rules to tags.

use std::collections::BTreeMap;

use super::{super::yaml::Node, expression::Scope};

/// What a metadata step puts out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// `repository:tag` each.
    pub(super) tags: Vec<String>,
    /// The labels that the step is given; those that it makes of the run are left to the engine.
    pub(super) labels: Vec<String>,
    /// Rules that have no tag here, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// The rules that apply where the step has none.
const DEFAULT_RULES: &str =
    "type=schedule\ntype=ref,event=branch\ntype=ref,event=tag\ntype=ref,event=pr";

const OF_A_TAG: &str = "a git tag decides it, and images are released from branches";

/// Scopes in which a step is read.
pub(super) struct Scopes<'a> {
    /// With the placeholders that tags may have for the branch and the commit.
    pub(super) tags: &'a Scope,
    /// As on a push to the default branch.
    pub(super) push: &'a Scope,
}

impl Metadata {
    /// Reads the inputs of a step.
    pub(super) fn of(with: &Node, scopes: &Scopes<'_>) -> Self {
        let mut metadata = Self::default();
        let lines = |key: &str| with.text_at(key).unwrap_or_default();
        let mut images = Vec::new();
        for line in filled(&lines("images")) {
            match scopes.tags.text(line) {
                Ok(lines) => images.extend(filled(&lines).flat_map(image)),
                Err(expression) => {
                    metadata.leave_out(line, format!("`{expression}` depends on the run"));
                }
            }
        }
        let flavor = Flavor::of(&lines("flavor"), scopes);
        let rules = with
            .text_at("tags")
            .filter(|rules| !rules.trim().is_empty());
        let rules = rules.unwrap_or_else(|| DEFAULT_RULES.to_owned());
        let is_default = rules == DEFAULT_RULES;
        let mut tags: Vec<String> = Vec::new();
        let mut latest = flavor.latest == Some(true);
        let rules: Vec<String> = filled(&rules)
            .flat_map(|line| match scopes.tags.text(line) {
                // Rules that are put in as a whole.
                Ok(lines) if line.starts_with("${{") && lines.contains('\n') => {
                    filled(&lines).map(str::to_owned).collect()
                }
                _ => vec![line.to_owned()],
            })
            .collect();
        for line in rules.iter().map(String::as_str) {
            match flavor.tag(line, scopes) {
                Rule::Tag(tag) => tags.push(tag),
                Rule::OfRelease => {
                    // `latest` follows releases then, and patches of them.
                    latest |= flavor.latest.is_none();
                    if !is_default {
                        metadata.leave_out(line, OF_A_TAG.to_owned());
                    }
                }
                Rule::Not(why) if !is_default => metadata.leave_out(line, why),
                Rule::Off | Rule::Not(_) => {}
            }
        }
        if latest && !tags.iter().any(|tag| tag == "latest") {
            tags.insert(0, "latest".to_owned());
        }
        // What moves slowest is best known: the lead.
        tags.sort_by_key(|tag| tag != "latest");
        for image in &images {
            metadata
                .tags
                .extend(tags.iter().map(|tag| format!("{image}:{tag}")));
        }
        let labels = lines("labels");
        metadata.labels = filled(&labels).map(str::to_owned).collect();
        metadata
    }

    fn leave_out(&mut self, rule: &str, why: String) {
        self.left_out.push((rule.to_owned(), why));
    }
}

pub(super) fn filled(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `ghcr.io/team/web`, or `name=ghcr.io/team/web,enable=true`; also several on one line.
fn image(line: &str) -> Vec<String> {
    if !line.contains('=') {
        return line
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .collect();
    }
    let fields = fields(line);
    let enabled = fields.get("enable").is_none_or(|enable| enable != "false");
    fields
        .get("name")
        .filter(|_| enabled)
        .map(|name| name.to_lowercase())
        .into_iter()
        .collect()
}

/// The `key=value` fields of a line; a comma within braces parts none.
fn fields(line: &str) -> BTreeMap<String, String> {
    let mut fields = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in line.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                fields.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&line[start..]);
    let fields = fields
        .into_iter()
        .filter_map(|field| field.trim().split_once('='));
    let fields = fields.filter(|(key, _)| {
        key.trim()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-')
    });
    fields
        .map(|(key, value)| {
            (
                key.trim().to_lowercase(),
                value.trim().trim_matches('"').to_owned(),
            )
        })
        .collect()
}

/// What a rule comes to.
enum Rule {
    Tag(String),
    /// It makes tags of git tags.
    OfRelease,
    /// It does not apply.
    Off,
    Not(String),
}

#[derive(Default)]
struct Flavor {
    /// None: whatever the rules say.
    latest: Option<bool>,
    prefix: String,
    suffix: String,
}

impl Flavor {
    fn of(text: &str, scopes: &Scopes<'_>) -> Self {
        let mut flavor = Self::default();
        for line in filled(text) {
            let Ok(line) = scopes.push.text(line) else {
                continue;
            };
            let fields = fields(&line);
            if let Some(latest) = fields.get("latest") {
                flavor.latest = match latest.as_str() {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                };
            }
            flavor.prefix = fields.get("prefix").cloned().unwrap_or(flavor.prefix);
            flavor.suffix = fields.get("suffix").cloned().unwrap_or(flavor.suffix);
        }
        flavor
    }

    fn tag(&self, line: &str, scopes: &Scopes<'_>) -> Rule {
        let mut rule = fields(line);
        if rule.is_empty() {
            rule = BTreeMap::from([
                ("type".to_owned(), "raw".to_owned()),
                ("value".to_owned(), line.to_owned()),
            ]);
        }
        let depends = |expression: String| Rule::Not(format!("`{expression}` depends on the run"));
        // Whether a rule applies is asked for a push to the default branch, what it gives for any.
        if let Some(enable) = rule.remove("enable") {
            match scopes
                .push
                .text(&enable.replace("{{is_default_branch}}", "true"))
            {
                Ok(enable) if enable == "false" => return Rule::Off,
                Ok(_) => {}
                Err(expression) => return depends(expression),
            }
        }
        for value in rule.values_mut() {
            match scopes.tags.text(value) {
                Ok(text) => *value = text,
                Err(expression) => return depends(expression),
            }
        }
        let field = |key: &str| rule.get(key).cloned().unwrap_or_default();
        let value = match field("type").as_str() {
            "raw" => field("value"),
            "edge" => "edge".to_owned(),
            "ref" if field("event") == "branch" => "{{branch}}".to_owned(),
            "ref" if field("event") == "tag" => return Rule::OfRelease,
            "ref" => return Rule::Not("pull requests publish nothing".to_owned()),
            "sha" if field("format") == "long" => "{{.Run.Commit}}".to_owned(),
            "sha" => "{{sha}}".to_owned(),
            "semver" | "pep440" | "match" => return Rule::OfRelease,
            "schedule" => {
                return Rule::Not(
                    "a sweep moves the tags that it patches, and makes no others".to_owned(),
                );
            }
            kind => return Rule::Not(format!("the rule `{kind}` is not known")),
        };
        let prefix = rule
            .get("prefix")
            .cloned()
            .unwrap_or_else(|| match field("type").as_str() {
                "sha" => "sha-".to_owned(),
                _ => self.prefix.clone(),
            });
        let suffix = rule.get("suffix").unwrap_or(&self.suffix);
        let (prefix, suffix) = if value == "latest" {
            (String::new(), String::new())
        } else {
            (prefix, suffix.clone())
        };
        let tag = format!("{prefix}{value}{suffix}").replace("{{branch}}", "{{.Line}}");
        let plain = tag.replace("{{.Line}}", "").replace("{{.Run.Commit}}", "");
        if plain.contains("{{sha}}") {
            return Rule::Not(SHORT.to_owned());
        }
        if plain.contains("{{") {
            return Rule::Not("its value is another one at every run".to_owned());
        }
        Rule::Tag(tag)
    }
}

/// The action's `{{sha}}`, and `type=sha` without `format=long`, are another tag than the whole id.
const SHORT: &str = "it has a short commit id, and unique tags have the whole one: `type=sha,format=long` is imported";

#[cfg(test)]
mod tests {
    use super::{super::super::yaml, *};

    #[track_caller]
    fn check(with: &str, tags: &[&str], left_out: usize) {
        let mut tag_scope = Scope::default();
        tag_scope.github.insert("ref_name", "{{.Line}}".to_owned());
        tag_scope.github.insert("sha", "{{.Run.Commit}}".to_owned());
        let mut push = Scope::default();
        push.github.insert("ref", "refs/heads/main".to_owned());
        let scopes = Scopes {
            tags: &tag_scope,
            push: &push,
        };
        let found = Metadata::of(&yaml::parse(with).unwrap(), &scopes);
        assert_eq!(found.tags, tags, "{with}");
        assert_eq!(found.left_out.len(), left_out, "{:?}", found.left_out);
    }

    #[test]
    fn rules_become_moving_and_unique_tags() {
        check(
            "images: r.io/T/App",
            &["r.io/t/app:latest", "r.io/t/app:{{.Line}}"],
            0,
        );
        check(
            "images: |\n  a/x\n  b/x\ntags: |\n  type=raw,value=latest,enable={{is_default_branch}}\n  type=sha,format=long\n  type=ref,event=pr\n",
            &[
                "a/x:latest",
                "a/x:sha-{{.Run.Commit}}",
                "b/x:latest",
                "b/x:sha-{{.Run.Commit}}",
            ],
            1,
        );
        check(
            "images: a/x\ntags: |\n  type=edge\n  type=sha\n  type=sha,format=short,prefix=\n  type=raw,value=v-{{sha}}\n",
            &["a/x:edge"],
            3,
        );
        check(
            "images: a/x\ntags: type=semver,pattern={{version}}\n",
            &["a/x:latest"],
            1,
        );
        check(
            "images: a/x\nflavor: latest=false\ntags: |\n  type=semver,pattern={{version}}\n  type=edge\n",
            &["a/x:edge"],
            1,
        );
        check(
            "images: a/x\nflavor: suffix=-alpine\ntags: |\n  nightly\n  type=raw,value=b,enable=${{ github.ref == 'refs/heads/main' }},priority=9\n  type=raw,value=c,enable=${{ github.ref == 'refs/heads/dev' }}\n",
            &["a/x:nightly-alpine", "a/x:b-alpine"],
            0,
        );
        check(
            "images: a/x\ntags: |\n  type=raw,value={{date 'YYYYMMDD'}}\n  type=raw,value=${{ inputs.version }}\n  type=raw,value=v-${{ github.sha }}\n",
            &["a/x:v-{{.Run.Commit}}"],
            2,
        );
    }
}
