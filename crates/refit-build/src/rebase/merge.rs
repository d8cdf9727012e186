//! Three configs become one: what an image says itself stays, what it had of its base becomes what the new base says.

use std::collections::BTreeMap;

use refit_oci::{Config, Digest, History, ImageConfig};

use super::refused::Refused;
use crate::native::draft::aligned;

/// The published config on the new base. `own` are the diff ids behind the old base's.
pub(super) fn merge(
    old: &ImageConfig,
    published: &ImageConfig,
    new: &ImageConfig,
    own: &[Digest],
) -> Result<ImageConfig, Refused> {
    let mut image = published.clone();
    image.config = config(&old.config, &published.config, &new.config)?;
    image.rootfs.diff_ids = new.rootfs.diff_ids.iter().chain(own).cloned().collect();
    image.history = history(old, published, new, own.len())?;
    // An image runs where its base does.
    image.os_version.clone_from(&new.os_version);
    Ok(image)
}

fn config(old: &Config, published: &Config, new: &Config) -> Result<Config, Refused> {
    Ok(Config {
        user: text(
            "User",
            old.user.as_ref(),
            published.user.as_ref(),
            new.user.as_ref(),
        )?,
        working_dir: text(
            "WorkingDir",
            old.working_dir.as_ref(),
            published.working_dir.as_ref(),
            new.working_dir.as_ref(),
        )?,
        stop_signal: text(
            "StopSignal",
            old.stop_signal.as_ref(),
            published.stop_signal.as_ref(),
            new.stop_signal.as_ref(),
        )?,
        entrypoint: value(
            "Entrypoint",
            &old.entrypoint,
            &published.entrypoint,
            &new.entrypoint,
        )?,
        cmd: value("Cmd", &old.cmd, &published.cmd, &new.cmd)?,
        shell: value("Shell", &old.shell, &published.shell, &new.shell)?,
        healthcheck: value(
            "Healthcheck",
            &old.healthcheck,
            &published.healthcheck,
            &new.healthcheck,
        )?,
        env: env(&old.env, &published.env, &new.env)?,
        labels: keys("Labels", &old.labels, &published.labels, &new.labels)?,
        exposed_ports: keys(
            "ExposedPorts",
            &old.exposed_ports,
            &published.exposed_ports,
            &new.exposed_ports,
        )?,
        volumes: keys("Volumes", &old.volumes, &published.volumes, &new.volumes)?,
        ..published.clone()
    })
}

/// Of three versions the one that somebody changed. Two that both did and differ can't be merged.
fn pick<'v, T: PartialEq>(old: &T, published: &'v T, new: &'v T) -> Option<&'v T> {
    match (old == published, old == new) {
        (true, _) => Some(new),
        (_, true) => Some(published),
        _ if published == new => Some(published),
        _ => None,
    }
}

fn conflict(key: &str) -> Refused {
    Refused::of(format!(
        "both the image and the new base change `{key}`, each to something else"
    ))
}

fn value<T: PartialEq + Clone>(key: &str, old: &T, published: &T, new: &T) -> Result<T, Refused> {
    let picked = pick(old, published, new);
    picked.cloned().ok_or_else(|| conflict(key))
}

/// Docker writes "" for what is not set, others nothing.
fn text(
    key: &str,
    old: Option<&String>,
    published: Option<&String>,
    new: Option<&String>,
) -> Result<Option<String>, Refused> {
    let set = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    value(key, &set(old), &set(published), &set(new))
}

fn keys<T: PartialEq + Clone>(
    of: &str,
    old: &BTreeMap<String, T>,
    published: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
) -> Result<BTreeMap<String, T>, Refused> {
    let mut merged = BTreeMap::new();
    for key in published.keys().chain(new.keys()) {
        let (was, ours, theirs) = (old.get(key), published.get(key), new.get(key));
        let picked = pick(&was, &ours, &theirs);
        let picked = picked.ok_or_else(|| conflict(&format!("{of} {key}")))?;
        if let Some(value) = *picked {
            merged.insert(key.clone(), value.clone());
        }
    }
    Ok(merged)
}

/// Variables in the new base's order, the image's own behind them.
fn env(old: &[String], published: &[String], new: &[String]) -> Result<Vec<String>, Refused> {
    let map = |all: &[String]| -> BTreeMap<String, String> {
        let pairs = all
            .iter()
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let mut merged = keys("Env", &map(old), &map(published), &map(new))?;
    let mut all = Vec::new();
    for pair in new.iter().chain(published) {
        let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
        if let Some(value) = merged.remove(name) {
            all.push(format!("{name}={value}"));
        }
    }
    Ok(all)
}

/// The new base's lines, and those of the image itself: all behind the last one that the old base's layers have.
fn history(
    old: &ImageConfig,
    published: &ImageConfig,
    new: &ImageConfig,
    n_own: usize,
) -> Result<Vec<History>, Refused> {
    let lines = &published.history;
    let n_layers = |lines: &[History]| lines.iter().filter(|line| !line.empty_layer).count();
    let of_base = |base: &ImageConfig| aligned(&base.history, base.rootfs.diff_ids.len());
    let own = lines.get(of_base(old).len()..);
    let own = own.filter(|own| n_layers(own) == n_own);
    let Some(own) = own else {
        return Err(Refused::of(
            "the published image's history does not tell its own layers from its base's",
        ));
    };
    Ok(of_base(new).iter().chain(own).cloned().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(old: Value, published: Value, new: Value, expect: Result<Value, &str>) {
        let read = |value: Value| serde_json::from_value::<Config>(value).unwrap();
        let merged = config(&read(old), &read(published), &read(new));
        let merged = merged.map(|config| serde_json::to_value(config).unwrap());
        assert_eq!(merged.map_err(|e| e.message), expect.map_err(str::to_owned));
    }

    #[test]
    fn what_the_image_says_stays_and_what_it_inherited_follows() {
        check(
            json!({ "User": "a", "Env": ["A=1", "B=1"], "Labels": { "x": "1", "gone": "1" } }),
            json!({ "User": "a", "Env": ["A=1", "B=2", "C=3"], "Labels": { "x": "1", "gone": "1", "own": "1" }, "Cmd": ["run"] }),
            json!({ "User": "b", "Env": ["D=1", "A=2", "B=1"], "Labels": { "x": "2" } }),
            Ok(json!({
                "User": "b", "Env": ["D=1", "A=2", "B=2", "C=3"], "Labels": { "x": "2", "own": "1" }, "Cmd": ["run"],
            })),
        );
        // Not set, in two ways.
        check(
            json!({ "User": "" }),
            json!({}),
            json!({ "User": "x" }),
            Ok(json!({ "User": "x" })),
        );
    }

    #[test]
    fn a_key_that_both_changed_is_named() {
        let text = |key: &str| {
            format!("both the image and the new base change `{key}`, each to something else")
        };
        check(
            json!({ "User": "a" }),
            json!({ "User": "b" }),
            json!({ "User": "c" }),
            Err(&text("User")),
        );
        check(
            json!({ "Env": ["PATH=/bin"] }),
            json!({ "Env": ["PATH=/app:/bin"] }),
            json!({ "Env": ["PATH=/bin:/sbin"] }),
            Err(&text("Env PATH")),
        );
        check(
            json!({}),
            json!({ "Cmd": ["x"] }),
            json!({ "Cmd": ["x"] }),
            Ok(json!({ "Cmd": ["x"] })),
        );
    }
}
