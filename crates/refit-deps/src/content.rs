//! What a build takes over from a base: its layers' content, and the part of its config that is inherited.

use refit_dockerfile::Kind;
use refit_oci::{Config, ImageConfig};

/// How the content of two images compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A target comes to the same on both.
    Same,
    /// It does not.
    Differ,
    /// It can't be told: one is gone, or its config says nothing of its layers, as that of an artifact.
    Unknown,
}

/// Compares what a target takes over from either. Compression, media types, history and times are not content.
pub fn compare(a: &ImageConfig, b: &ImageConfig, kind: Kind) -> Contents {
    if a.rootfs.diff_ids.is_empty() || b.rootfs.diff_ids.is_empty() {
        return Contents::Unknown;
    }
    // Of an image that files are copied from, or that is mounted, only the files count.
    let only_files = matches!(kind, Kind::Copy | Kind::Mount);
    if a.rootfs.diff_ids == b.rootfs.diff_ids && (only_files || is_alike(a, b)) {
        Contents::Same
    } else {
        Contents::Differ
    }
}

/// Whether a user, or a build upon it, sees the same of two configs, whatever their layers are.
pub fn is_alike(a: &ImageConfig, b: &ImageConfig) -> bool {
    let versions =
        a.os_version.as_deref().unwrap_or_default() == b.os_version.as_deref().unwrap_or_default();
    versions && a.platform() == b.platform() && inherits_the_same(&a.config, &b.config)
}

fn inherits_the_same(a: &Config, b: &Config) -> bool {
    a.env == b.env
        && a.exposed_ports == b.exposed_ports
        && a.volumes == b.volumes
        && a.labels == b.labels
        && a.on_build == b.on_build
        && a.healthcheck == b.healthcheck
        && a.args_escaped == b.args_escaped
        && text(a.user.as_ref()) == text(b.user.as_ref())
        && text(a.working_dir.as_ref()) == text(b.working_dir.as_ref())
        && text(a.stop_signal.as_ref()) == text(b.stop_signal.as_ref())
        && words(a.entrypoint.as_ref()) == words(b.entrypoint.as_ref())
        && words(a.cmd.as_ref()) == words(b.cmd.as_ref())
        && words(a.shell.as_ref()) == words(b.shell.as_ref())
}

/// Docker writes "" for what is not set, other tools nothing.
fn text(value: Option<&String>) -> &str {
    value.map_or("", String::as_str)
}

fn words(value: Option<&Vec<String>>) -> &[String] {
    value.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(layers: &[&str], config: &Value) -> ImageConfig {
        let digest = |text: &&str| refit_oci::Digest::sha256(text.as_bytes());
        let mut image: ImageConfig = serde_json::from_value(json!({
            "os": "linux", "architecture": "amd64", "created": "2026-01-01T00:00:00Z",
            "rootfs": { "type": "layers", "diff_ids": [] }, "config": config,
        }))
        .unwrap();
        image.rootfs.diff_ids = layers.iter().map(digest).collect();
        image
    }

    #[test]
    fn every_key_that_a_build_inherits_counts() {
        let keys = [
            ("User", json!("app")),
            ("ExposedPorts", json!({ "80/tcp": {} })),
            ("Env", json!(["A=b"])),
            ("Entrypoint", json!(["/x"])),
            ("Cmd", json!(["y"])),
            ("Volumes", json!({ "/data": {} })),
            ("WorkingDir", json!("/srv")),
            ("Labels", json!({ "a": "b" })),
            ("StopSignal", json!("SIGINT")),
            ("OnBuild", json!(["RUN true"])),
            ("Shell", json!(["/bin/ash", "-c"])),
            ("Healthcheck", json!({ "Test": ["NONE"] })),
            ("ArgsEscaped", json!(true)),
        ];
        let plain = config(&["l"], &json!({}));
        for (key, value) in keys {
            let other = config(&["l"], &json!({ key: value }));
            assert_eq!(
                compare(&plain, &other, Kind::Base),
                Contents::Differ,
                "{key}"
            );
            assert_eq!(compare(&other, &other, Kind::Base), Contents::Same, "{key}");
            assert_eq!(compare(&plain, &other, Kind::Copy), Contents::Same, "{key}");
        }
    }

    #[test]
    fn times_history_and_how_nothing_is_spelt_do_not_count() {
        let plain = config(&["l"], &json!({}));
        let mut other = config(
            &["l"],
            &json!({ "User": "", "Cmd": null, "Hostname": "f00", "Image": "sha256:1" }),
        );
        other.created = Some("2026-02-02T00:00:00Z".to_owned());
        other.history.push(refit_oci::History::default());
        assert_eq!(compare(&plain, &other, Kind::Base), Contents::Same);
    }

    #[test]
    fn layers_count_in_their_order_and_none_at_all_are_no_proof() {
        let of = |layers: &[&str]| config(layers, &json!({}));
        let same = |a: &[&str], b: &[&str]| compare(&of(a), &of(b), Kind::Copy);
        assert_eq!(same(&["a", "b"], &["a", "b"]), Contents::Same);
        assert_eq!(same(&["a", "b"], &["b", "a"]), Contents::Differ);
        assert_eq!(same(&[], &[]), Contents::Unknown);
    }

    #[test]
    fn another_release_of_windows_is_another_base() {
        let mut old = config(&["l"], &json!({}));
        old.os = "windows".to_owned();
        let mut new = old.clone();
        old.os_version = Some("10.0.20348.1".to_owned());
        new.os_version = Some("10.0.20348.2".to_owned());
        assert_eq!(compare(&old, &new, Kind::Base), Contents::Differ);
    }
}
