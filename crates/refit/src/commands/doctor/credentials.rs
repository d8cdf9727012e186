//! What there is to say about credentials: which registries have one, never what it is.

use std::{collections::BTreeSet, io::ErrorKind, path::Path};

use refit_deps::image::{EMBEDDED_HOST, Image};
use serde_json::Value;

use super::Check;
use crate::{project::Project, ui::sentence_list};

const NAME: &str = "credentials";
/// Docker's own name for its Hub in `config.json`.
const HUB: &str = "https://index.docker.io/v1/";

/// The registries that images are pushed to, but for those that are a folder or on this machine.
pub(super) fn pushed_to(project: &Project, images: &[Image]) -> BTreeSet<String> {
    let settings = project.user.hosts();
    let is_folder = |host: &str| settings.get(host).is_some_and(|s| s.layout.is_some());
    let hosts = images.iter().map(Image::destination);
    let hosts = hosts.map(|repository| repository.registry().to_owned());
    hosts
        .filter(|host| host != EMBEDDED_HOST && !is_folder(host) && !is_loopback(host))
        .collect()
}

fn is_loopback(host: &str) -> bool {
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|start| host.starts_with(start))
}

/// Which of the registries that are pushed to lack a credential in Docker's configuration folder.
pub(super) fn check(dir: Option<&Path>, pushed_to: &BTreeSet<String>) -> Check {
    let Some(path) = dir.map(|dir| dir.join("config.json")) else {
        return of_hosts("no home folder to look in", pushed_to, &Value::Null);
    };
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return of_hosts(&format!("no `{shown}`"), pushed_to, &Value::Null);
        }
        Err(error) => return Check::wrong(NAME, format!("`{shown}`: {error}"), None),
    };
    match serde_json::from_str(&text) {
        Ok(config) => of_hosts(&format!("`{shown}`"), pushed_to, &config),
        Err(error) => Check::wrong(NAME, format!("`{shown}` is no JSON: {error}"), None),
    }
}

fn of_hosts(place: &str, pushed_to: &BTreeSet<String>, config: &Value) -> Check {
    let known = known(config);
    let helper = config.get("credsStore").and_then(Value::as_str);
    let lacking: Vec<&str> = pushed_to
        .iter()
        .map(String::as_str)
        .filter(|host| helper.is_none() && !known.contains(*host))
        .collect();
    if !lacking.is_empty() {
        let logins = lacking.iter().map(|host| format!("`docker login {host}`"));
        let logins: Vec<String> = logins.collect();
        return Check::missing(
            NAME,
            format!("{place}: none for {}", sentence_list(&lacking)),
            format!("run {}", sentence_list(&logins)),
        );
    }
    let mut parts: Vec<String> = known.into_iter().collect();
    parts.extend(helper.map(|helper| format!("helper `{helper}`")));
    if parts.is_empty() {
        parts.push("nothing is pushed to a registry, and pulls are anonymous".to_owned());
    }
    Check::ok(NAME, format!("{place}: {}", parts.join(", ")))
}

/// The hosts that have a credential or a helper of their own.
fn known(config: &Value) -> BTreeSet<String> {
    let sections = ["auths", "credHelpers"].map(|key| config.get(key).and_then(Value::as_object));
    let hosts = sections.into_iter().flatten().flatten();
    let name = |host: &String| match host.as_str() {
        HUB => "docker.io".to_owned(),
        host => host.to_owned(),
    };
    hosts.map(|(host, _)| name(host)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn said(pushed_to: &[&str], config: &Value, expect: &str) {
        let hosts = pushed_to.iter().map(ToString::to_string).collect();
        let check = of_hosts("`config.json`", &hosts, config);
        let mend = check
            .mend
            .map_or_else(String::new, |mend| format!(" → {mend}"));
        assert_eq!(format!("{}{mend}", check.detail), expect);
    }

    #[test]
    fn a_registry_that_is_pushed_to_wants_a_credential() {
        let one = json!({ "auths": { "ghcr.io": { "auth": "c2VjcmV0" } } });
        said(&["ghcr.io"], &one, "`config.json`: ghcr.io");
        said(
            &["ghcr.io", "quay.io", "registry.example.com"],
            &one,
            "`config.json`: none for quay.io and registry.example.com \
             → run `docker login quay.io` and `docker login registry.example.com`",
        );
        let nothing = "`config.json`: nothing is pushed to a registry, and pulls are anonymous";
        said(&[], &json!({}), nothing);
    }

    #[test]
    fn the_hub_and_helpers_are_understood() {
        said(
            &["docker.io"],
            &json!({ "auths": { "https://index.docker.io/v1/": {} } }),
            "`config.json`: docker.io",
        );
        let of_all = json!({ "credsStore": "pass" });
        said(&["quay.io"], &of_all, "`config.json`: helper `pass`");
        let of_one = json!({ "credHelpers": { "gcr.io": "gcloud" } });
        said(&["gcr.io"], &of_one, "`config.json`: gcr.io");
    }
}
