//! A statement of provenance, compared with what is published.

use refit_oci::{Digest, ObjectId, Platform, Repository};
use serde_json::Value;

use super::verify::Finding;
use crate::pin::Pin;

/// What the statements of our builds have as `buildType`, and their predicate's type.
const BUILD_TYPE: &str = "https://refit.dev/build/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// What a statement about a published index has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The image.
    pub image: String,
    /// Where it is published.
    pub repository: Repository,
    /// What is published.
    pub index: Digest,
    /// The commit that was released.
    pub commit: Option<ObjectId>,
    /// Its platforms.
    pub targets: Vec<ClaimedTarget>,
}

/// One platform of a [`Claim`], as its manifest's annotations have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedTarget {
    /// The platform.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Digest,
    /// The source id.
    pub source: Option<String>,
    /// What it is built on.
    pub pins: Vec<Pin>,
}

/// What of a statement does not agree with the claim; none if it is no statement of a build of ours.
pub fn compare(claim: &Claim, statement: &[u8]) -> Option<Vec<Finding>> {
    let statement: Value = serde_json::from_slice(statement).ok()?;
    let definition = &statement["predicate"]["buildDefinition"];
    if statement["predicateType"] != PREDICATE || definition["buildType"] != BUILD_TYPE {
        return None;
    }
    let mut findings = Vec::new();
    let mut say = |platform: Option<&Platform>, message: String| {
        findings.push(Finding {
            image: claim.image.clone(),
            platform: platform.cloned(),
            name: "provenance-differs",
            message,
        });
    };
    let named = |list: &Value, digest: &Digest| {
        let mut all = list.as_array().into_iter().flatten();
        all.any(|one| one["digest"][digest.algorithm()] == digest.hex())
    };
    let (subject, dependencies) = (&statement["subject"], &definition["resolvedDependencies"]);
    if !named(subject, &claim.index) {
        say(None, "its provenance is about another image".to_owned());
    }
    let parameters = &definition["externalParameters"];
    if parameters["image"] != claim.image.as_str() {
        say(
            None,
            "its provenance is of an image of another name".to_owned(),
        );
    }
    let commit = claim.commit.as_ref().map(ToString::to_string);
    if parameters["commit"].as_str() != commit.as_deref() {
        let said = parameters["commit"].as_str().unwrap_or("no commit");
        let said: String = said.chars().take(12).collect();
        say(
            None,
            format!("its provenance says `{said}`, and what is published another commit"),
        );
    }
    for target in &claim.targets {
        let platform = &target.platform;
        let built = &definition["internalParameters"]["targets"][platform.to_string()];
        let place = if built.is_null() {
            dependencies
        } else {
            subject
        };
        if !named(place, &target.manifest) {
            let short = target.manifest.short();
            say(
                Some(platform),
                format!("its provenance does not name manifest {short}"),
            );
            continue;
        }
        if built.is_null() {
            continue; // It was kept: the statement on the index that it was built for has the rest.
        }
        if built["source"].as_str() != target.source.as_deref() {
            say(
                Some(platform),
                "its provenance has another source".to_owned(),
            );
        }
        for pin in &target.pins {
            let Some(manifest) = &pin.manifest else {
                continue;
            };
            if !named(dependencies, manifest) {
                let (name, short) = (pin.reference.familiar(), manifest.short());
                say(
                    Some(platform),
                    format!("its provenance does not have {name} {short}"),
                );
            }
        }
    }
    Some(findings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn claim() -> Claim {
        let pins = json!([{
            "kind": "base", "reference": "docker.io/library/debian:12", "platform": "linux/amd64",
            "manifest": digest("base"),
        }]);
        let target = |platform: &str, pins: &Value| ClaimedTarget {
            platform: platform.parse().unwrap(),
            manifest: digest(platform),
            source: Some("s1:1".to_owned()),
            pins: serde_json::from_value(pins.clone()).unwrap(),
        };
        Claim {
            image: "web".to_owned(),
            repository: "example.com/team/web"
                .parse::<refit_oci::Reference>()
                .unwrap()
                .repository()
                .clone(),
            index: digest("index"),
            commit: Some("1111111111111111111111111111111111111111".parse().unwrap()),
            targets: vec![
                target("linux/amd64", &pins),
                target("linux/arm64", &json!([])),
            ],
        }
    }

    fn statement() -> Value {
        let named = |text: &str| json!({ "digest": { "sha256": digest(text).hex() } });
        json!({
            "subject": [named("index"), named("linux/amd64")],
            "predicateType": PREDICATE,
            "predicate": { "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "image": "web", "commit": "1111111111111111111111111111111111111111" },
                "internalParameters": { "targets": { "linux/amd64": { "source": "s1:1" } } },
                "resolvedDependencies": [named("linux/arm64"), named("base")],
            } },
        })
    }

    fn messages(statement: &Value) -> Option<Vec<String>> {
        let found = compare(&claim(), statement.to_string().as_bytes())?;
        Some(found.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn what_agrees_has_nothing_to_be_found() {
        assert_eq!(messages(&statement()), Some(Vec::new()));
    }

    #[test]
    fn statements_of_others_are_not_compared() {
        for path in ["/predicateType", "/predicate/buildDefinition/buildType"] {
            let mut other = statement();
            *other.pointer_mut(path).unwrap() = json!("https://example.com");
            assert_eq!(messages(&other), None);
        }
        assert_eq!(compare(&claim(), b"no json"), None);
    }

    #[test]
    fn every_part_is_compared() {
        let of = "/predicate/buildDefinition";
        let base = digest("base");
        let base = format!("its provenance does not have debian:12 {}", base.short());
        let kept = digest("linux/arm64");
        let kept = format!("its provenance does not name manifest {}", kept.short());
        for (path, value, expect) in [
            (
                "/subject/0".to_owned(),
                json!({}),
                "its provenance is about another image",
            ),
            (
                format!("{of}/externalParameters/image"),
                json!("x"),
                "its provenance is of an image of another name",
            ),
            (
                format!("{of}/externalParameters/commit"),
                json!("2222222222222222222222222222222222222222"),
                "its provenance says `222222222222`, and what is published another commit",
            ),
            (
                format!("{of}/internalParameters/targets/linux~1amd64/source"),
                json!("s1:2"),
                "its provenance has another source",
            ),
            (format!("{of}/resolvedDependencies/1"), json!({}), &base),
            (format!("{of}/resolvedDependencies/0"), json!({}), &kept),
        ] {
            let mut other = statement();
            *other.pointer_mut(&path).unwrap() = value;
            assert_eq!(messages(&other), Some(vec![expect.to_owned()]), "{path}");
        }
    }
}
