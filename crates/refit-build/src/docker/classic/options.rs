//! What goes with the context of `POST /build`: its query, and what of BuildKit's words is spelled out for a builder that
//! does not know them.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use refit_dockerfile::{Args, Instruction, Keyword};
use refit_oci::{Platform, Reference};
use serde_json::json;

use super::super::{Builder, EngineFacts};
use crate::{buildkit::EPOCH, engine::Recipe};

/// A build argument that is for BuildKit alone.
const SYNTAX: &str = "BUILDKIT_SYNTAX";

/// `/v1.41/build?…`
pub(super) fn path(
    recipe: &Recipe,
    facts: &EngineFacts,
    dockerfile: &str,
    output: &Reference,
) -> String {
    let mut arguments = recipe.build_args.clone();
    arguments.remove(SYNTAX);
    for (name, value) in platform_arguments(recipe, &facts.native) {
        arguments.entry(name).or_insert(value);
    }
    let mut query = vec![
        ("dockerfile", dockerfile.to_owned()),
        ("t", output.to_string()),
        ("platform", recipe.platform.to_string()),
        ("buildargs", json!(arguments).to_string()),
        ("labels", json!(recipe.labels).to_string()),
        ("rm", "1".to_owned()),
        ("forcerm", "1".to_owned()),
    ];
    let network = recipe.network.iter();
    let network = network.filter(|network| *network != "default");
    query.extend(network.map(|network| ("networkmode", network.clone())));
    if recipe.no_cache {
        query.push(("nocache", "1".to_owned()));
    }
    if facts.builder == Builder::Podman {
        // Its registries are spoken to by TLS, on this machine as well.
        query.push(("tlsVerify", "0".to_owned()));
        // A label with Podman's version would make the same image another one with the next version.
        query.push(("identitylabel", "0".to_owned()));
        if let Some(epoch) = recipe.build_args.get(EPOCH) {
            query.push(("timestamp", epoch.clone()));
        }
    } else {
        query.push(("version", "1".to_owned()));
    }
    with_query(facts, "build", &query)
}

/// `/v1.41/images/…/push?…`, with Podman.
pub(super) fn push_path(facts: &EngineFacts, output: &Reference) -> String {
    let tag = output.tag().unwrap_or_default().to_owned();
    let query = [("tag", tag), ("tlsVerify", "0".to_owned())];
    let path = format!("images/{}/push", output.repository());
    with_query(facts, &path, &query)
}

fn with_query(facts: &EngineFacts, path: &str, query: &[(&str, String)]) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let query = query
        .iter()
        .map(|(key, value)| format!("{key}={}", encoded(value)));
    let query: Vec<String> = query.collect();
    format!("/v{}/{path}?{}", facts.api_version, query.join("&"))
}

/// The values of the platform arguments that the Dockerfile declares and the builder does not give.
fn platform_arguments(recipe: &Recipe, native: &Platform) -> BTreeMap<String, String> {
    let stages = recipe.resolved.stages.iter();
    let instructions = stages.flat_map(|&stage| &recipe.file.stages[stage].instructions);
    let declared = instructions.flat_map(declared);
    let global = recipe.file.global_args.iter();
    let global = global.filter(|argument| argument.value.is_none());
    let declared = declared.chain(global.map(|argument| argument.name.as_str()));
    let value = |name: &str| {
        let target = name.strip_prefix("TARGET");
        let (platform, part) = match (target, name.strip_prefix("BUILD")) {
            (Some(part), _) => (&recipe.platform, part),
            (None, Some(part)) => (native, part),
            (None, None) => return None,
        };
        let optional = |part: &Option<String>| part.clone().unwrap_or_default();
        Some(match part {
            "PLATFORM" => platform.to_string(),
            "OS" => platform.os.clone(),
            "OSVERSION" => optional(&platform.os_version),
            "ARCH" => platform.architecture.clone(),
            "VARIANT" => optional(&platform.variant),
            _ => return None,
        })
    };
    let given = declared.filter_map(|name| Some((name.to_owned(), value(name)?)));
    given.collect()
}

/// What an `ARG` declares without a default.
fn declared(instruction: &Instruction) -> impl Iterator<Item = &str> {
    let pairs = match (&instruction.args, instruction.keyword) {
        (Args::Pairs(pairs), Keyword::Arg) => pairs.as_slice(),
        _ => &[],
    };
    let pairs = pairs.iter().filter(|pair| pair.value.is_none());
    pairs.map(|pair| pair.name.as_str())
}

/// The reduced Dockerfile with plain platforms: `FROM --platform=$BUILDPLATFORM` is BuildKit's. Its lines stay where they
/// are.
pub(super) fn with_platforms(recipe: &Recipe, reduced: &str) -> String {
    let Ok(file) = refit_dockerfile::parse(reduced) else {
        return reduced.to_owned();
    };
    let mut text = reduced.to_owned();
    for stage in file.stages.iter().rev() {
        let Some(written) = &stage.from.platform else {
            continue;
        };
        let mut original = recipe.file.stages.iter();
        let original = original.find(|original| original.from.line == stage.from.line);
        let view = original.and_then(|original| recipe.resolved.view(original.index));
        if let Some(view) = view {
            text.replace_range(written.span.clone(), &view.platform.to_string());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::recipe;

    fn facts(builder: Builder) -> EngineFacts {
        EngineFacts {
            builder,
            version: String::new(),
            release: (4, 3),
            api_version: "1.41".to_owned(),
            native: Platform::linux_amd64(),
            emulated: None,
        }
    }

    fn decoded(path: &str) -> String {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
        decoded.unwrap().into_owned()
    }

    #[test]
    fn the_query_follows_the_recipe() {
        let text = "ARG TARGETOS\nFROM a\nARG TARGETARCH V=1 BUILDPLATFORM OTHER\n";
        let mut recipe = recipe(text, &Platform::linux_arm64());
        recipe.build_args = BTreeMap::from([("V".to_owned(), "1&2".to_owned())]);
        recipe
            .build_args
            .insert(SYNTAX.to_owned(), "x/y".to_owned());
        recipe.build_args.insert(EPOCH.to_owned(), "7".to_owned());
        recipe.network = Some("none".to_owned());
        let output = "127.0.0.1:1/x/output:built".parse().unwrap();
        let of = |recipe: &Recipe, builder| path(recipe, &facts(builder), "D", &output);
        let plain = "/v1.41/build?dockerfile=D&t=127.0.0.1:1/x/output:built&platform=linux/arm64\
            &buildargs={\"BUILDPLATFORM\":\"linux/amd64\",\"SOURCE_DATE_EPOCH\":\"7\",\
            \"TARGETARCH\":\"arm64\",\"TARGETOS\":\"linux\",\"V\":\"1&2\"}&labels={}\
            &rm=1&forcerm=1&networkmode=none";
        let classic = of(&recipe, Builder::Classic);
        assert_eq!(decoded(&classic), format!("{plain}&version=1"));
        assert!(classic.contains("1%262"), "{classic}");
        let podman = format!("{plain}&tlsVerify=0&identitylabel=0&timestamp=7");
        assert_eq!(decoded(&of(&recipe, Builder::Podman)), podman);
        recipe.network = Some("default".to_owned());
        recipe.no_cache = true;
        let classic = of(&recipe, Builder::Classic);
        assert!(classic.contains("&nocache=1"), "{classic}");
        assert!(!classic.contains("networkmode"), "{classic}");
        assert_eq!(
            push_path(&facts(Builder::Podman), &output),
            "/v1.41/images/127.0.0.1:1/x/output/push?tag=built&tlsVerify=0"
        );
    }

    #[test]
    fn platforms_of_from_are_spelled_out() {
        let text = "FROM --platform=$BUILDPLATFORM a AS b\nRUN x\nFROM --platform=linux/${TARGETARCH} c\nCOPY --from=b /x /\n";
        let recipe = recipe(text, &Platform::linux_arm64());
        assert_eq!(
            with_platforms(&recipe, text),
            "FROM --platform=linux/amd64 a AS b\nRUN x\nFROM --platform=linux/arm64 c\nCOPY --from=b /x /\n"
        );
    }
}
