//! What there is to say about the user's settings of registries.

use std::{collections::BTreeMap, fs::File};

use refit_registry::HostSettings;

use super::Check;
use crate::ui::sentence_list;

const NAME: &str = "registries";

/// The registries that the user's file says something of; nothing to say without any.
pub(super) fn check(hosts: &BTreeMap<String, HostSettings>) -> Option<Check> {
    if hosts.is_empty() {
        return None;
    }
    for (host, settings) in hosts {
        if let Some(ca) = &settings.ca
            && let Err(error) = File::open(ca)
        {
            let detail = format!("the `ca` of {host}, `{}`: {error}", ca.display());
            return Some(Check::wrong(NAME, detail, None));
        }
        if let Some(layout) = &settings.layout
            && !layout.join("oci-layout").is_file()
        {
            let detail = format!("the `layout` of {host}, `{}`, is none", layout.display());
            return Some(Check::wrong(NAME, detail, None));
        }
    }
    let said: Vec<String> = hosts.iter().map(|(host, s)| of_host(host, s)).collect();
    Some(Check::ok(NAME, said.join("; ")))
}

fn of_host(host: &str, settings: &HostSettings) -> String {
    let mut parts = Vec::new();
    if settings.plain_http == Some(true) {
        parts.push("without TLS".to_owned());
    }
    if settings.insecure {
        parts.push("with any certificate".to_owned());
    }
    if settings.ca.is_some() {
        parts.push("with an authority of its own".to_owned());
    }
    if settings.layout.is_some() {
        parts.push("is a folder".to_owned());
    }
    let mirrors: Vec<&str> = settings.mirrors.iter().map(|m| m.host.as_str()).collect();
    if !mirrors.is_empty() {
        parts.push(format!("by way of {}", sentence_list(&mirrors)));
    }
    match parts.as_slice() {
        [] => host.to_owned(),
        parts => format!("{host} {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_usual_is_said_and_what_is_not_there_is_wrong() {
        let hub = HostSettings {
            mirrors: vec!["http://127.0.0.1:5001/hub".parse().unwrap()],
            ..HostSettings::default()
        };
        let odd = HostSettings {
            insecure: true,
            plain_http: Some(true),
            ..HostSettings::default()
        };
        let mut hosts = BTreeMap::from([("docker.io".to_owned(), hub), ("r.io".to_owned(), odd)]);
        assert_eq!(
            check(&hosts).unwrap().detail,
            "docker.io by way of 127.0.0.1:5001; r.io without TLS, with any certificate"
        );
        let lost = HostSettings {
            ca: Some("/nonexistent/ca.pem".into()),
            ..HostSettings::default()
        };
        hosts.insert("a.example.com".to_owned(), lost);
        let check = check(&hosts).unwrap();
        assert!(
            check
                .detail
                .starts_with("the `ca` of a.example.com, `/nonexistent/ca.pem`: "),
            "{}",
            check.detail
        );
    }
}
