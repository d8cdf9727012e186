//! The config of a result whose base was a named context to a BuildKit before 0.24, which takes the base's time of
//! creation for the result's (moby/buildkit commit 986ff4e87): it is given the times that the same build has on a base from
//! a registry.

use std::collections::BTreeMap;

use refit_oci::History;
use serde_json::value::RawValue;

use super::output::BaseLayers;
use crate::engine::{Built, EngineError};

/// Puts the times right, and leaves every other byte alone.
pub(super) fn mend(built: &mut Built, base: &BaseLayers) -> Result<(), EngineError> {
    if let Some(config) = mended(&built.config, base.history())? {
        built.image = serde_json::from_slice(&config).map_err(|e| bad(&e))?;
        built.config = config;
    }
    Ok(())
}

/// The base's history keeps its times whatever `SOURCE_DATE_EPOCH` says, and the image was made with its last step.
fn mended(config: &[u8], base: &[History]) -> Result<Option<Vec<u8>>, EngineError> {
    let mut parts: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(config).map_err(|e| bad(&e))?;
    let steps: Vec<Box<RawValue>> = match parts.get("history") {
        Some(history) => serde_json::from_str(history.get()).map_err(|e| bad(&e))?,
        None => Vec::new(),
    };
    let mut times = Vec::new();
    let mut is_changed = false;
    let mut mended = Vec::new();
    for (index, raw) in steps.into_iter().enumerate() {
        let step: History = serde_json::from_str(raw.get()).map_err(|e| bad(&e))?;
        let of_base = base.get(index).filter(|of_base| {
            let timeless = |step: &History| History {
                created: None,
                ..step.clone()
            };
            timeless(of_base) == timeless(&step)
        });
        match of_base {
            Some(of_base) if !is_same(of_base.created.as_deref(), step.created.as_deref()) => {
                is_changed = true;
                times.push(of_base.created.clone());
                mended.push(serde_json::value::to_raw_value(of_base).map_err(|e| bad(&e))?);
            }
            _ => {
                times.push(step.created);
                mended.push(raw);
            }
        }
    }
    if is_changed {
        let history = serde_json::value::to_raw_value(&mended).map_err(|e| bad(&e))?;
        parts.insert("history".to_owned(), history);
    }
    if let Some(last) = times.into_iter().flatten().last() {
        let created = serde_json::value::to_raw_value(&last).map_err(|e| bad(&e))?;
        let before = parts.insert("created".to_owned(), created);
        let same = before.is_some_and(|before| before.get() == parts["created"].get());
        is_changed |= !same;
    }
    if !is_changed {
        return Ok(None);
    }
    serde_json::to_vec(&parts).map(Some).map_err(|e| bad(&e))
}

/// Whether a step has its base's time, however that is written. One that has none there may get one.
fn is_same(of_base: Option<&str>, now: Option<&str>) -> bool {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    match (of_base, now) {
        (None, _) => true,
        (Some(of_base), Some(now)) => of_base == now || time(of_base) == time(now),
        (Some(_), None) => false,
    }
}

fn bad(error: &serde_json::Error) -> EngineError {
    EngineError::BadResult {
        reason: format!("a config does not parse: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(by: &str, created: Option<&str>) -> History {
        History {
            created: created.map(str::to_owned),
            created_by: Some(by.to_owned()),
            ..History::default()
        }
    }

    /// The config with its base's history told.
    fn told(config: &str, base: &[History]) -> Option<String> {
        let mended = mended(config.as_bytes(), base).unwrap();
        mended.map(|config| String::from_utf8(config).unwrap())
    }

    #[test]
    fn an_image_was_made_with_its_last_step_and_not_with_its_base() {
        let base = [step("base", Some("2001-01-01T00:00:00Z"))];
        let config = r#"{"created":"2001-01-01T00:00:00Z","config":{"b":"\u003c","a":1},"history":[{"created":"2001-01-01T00:00:00Z","created_by":"base"},{"created":"2026-01-01T00:00:00Z","created_by":"RUN"}]}"#;
        let expect = r#"{"config":{"b":"\u003c","a":1},"created":"2026-01-01T00:00:00Z","history":[{"created":"2001-01-01T00:00:00Z","created_by":"base"},{"created":"2026-01-01T00:00:00Z","created_by":"RUN"}]}"#;
        assert_eq!(told(config, &base).as_deref(), Some(expect));
        assert_eq!(told(expect, &base), None, "nothing is left to mend");
    }

    #[test]
    fn a_bases_history_keeps_its_times() {
        let base = [
            step("base", Some("2001-01-01T00:00:00Z")),
            step("more", None),
        ];
        let config = r#"{"created":"1970-01-01T00:00:00Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"base"},{"created":"1970-01-01T00:00:00Z","created_by":"more"},{"created":"1970-01-01T00:00:00Z","created_by":"RUN"}]}"#;
        let expect = r#"{"created":"1970-01-01T00:00:00Z","history":[{"created":"2001-01-01T00:00:00Z","created_by":"base"},{"created":"1970-01-01T00:00:00Z","created_by":"more"},{"created":"1970-01-01T00:00:00Z","created_by":"RUN"}]}"#;
        assert_eq!(told(config, &base).as_deref(), Some(expect));
    }

    #[test]
    fn what_has_no_times_gets_none() {
        for config in [
            r#"{"created":"2001-01-01T00:00:00Z"}"#,
            r#"{"history":[{"created_by":"a"}]}"#,
        ] {
            assert_eq!(told(config, &[]), None, "{config}");
        }
    }
}
