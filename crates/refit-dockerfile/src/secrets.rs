//! The build secrets that the reached stages ask for.

use std::ops::Range;

use crate::{
    model::{Dockerfile, Instruction},
    mount::Mount,
    resolve::Resolved,
};

/// One `RUN --mount=type=secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMount {
    /// The secret's id, as BuildKit asks for it: `id`, else `source`, else the last component of `target`.
    pub id: String,
    /// Whether RUN fails without it.
    pub required: bool,
    /// The whole flag; of a trigger of an external base, that base's word.
    pub span: Range<usize>,
}

/// Every secret mount whose id does not depend on a variable, by place.
pub fn secret_mounts(file: &Dockerfile, resolved: &Resolved) -> Vec<SecretMount> {
    let mut found = Vec::new();
    for (stage, view) in resolved.views() {
        let stage = &file.stages[stage];
        let mut of = |instruction: &Instruction, place: Option<&Range<usize>>| {
            found.extend(instruction.mounts.iter().filter_map(|mount| {
                let secret = secret(mount)?;
                let span = place.cloned().unwrap_or(secret.span);
                Some(SecretMount { span, ..secret })
            }));
        };
        for trigger in &view.triggers {
            of(trigger, Some(&stage.from.image.span));
        }
        if !view.replaced {
            for instruction in &stage.instructions {
                of(instruction, None);
            }
        }
    }
    found.sort_by_key(|mount| (mount.span.start, mount.span.end));
    found
}

fn secret(mount: &Mount) -> Option<SecretMount> {
    let value = |keys: &[&str]| {
        let fields = mount.fields.iter().rev();
        let mut fields = fields.filter(|field| keys.contains(&field.key.as_str()));
        fields.find_map(|field| field.value.as_ref().map(|value| value.value.as_str()))
    };
    if !value(&["type"])?.eq_ignore_ascii_case("secret") {
        return None;
    }
    let filled = |keys: &[&str]| value(keys).filter(|value| !value.is_empty());
    let id = filled(&["source", "src"])
        .or_else(|| filled(&["id"]))
        .or_else(|| {
            let target = filled(&["target", "dst", "destination"])?;
            target.trim_end_matches('/').rsplit('/').next()
        })?;
    let required = mount
        .fields
        .iter()
        .rev()
        .find(|field| field.key == "required");
    let required = required.is_some_and(|field| {
        let value = field.value.as_ref().map(|value| value.value.as_str());
        value.is_none_or(|value| matches!(value, "1" | "t" | "T" | "true" | "True" | "TRUE"))
    });
    (!id.contains('$')).then(|| SecretMount {
        id: id.to_owned(),
        required,
        span: mount.span.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use refit_oci::Platform;

    use super::*;
    use crate::{Settings, parse, resolve};

    #[track_caller]
    fn check(text: &str, expect: &[(&str, bool)]) {
        let platform = Platform::linux_amd64();
        let settings = Settings {
            target: None,
            platform: &platform,
            build_platform: &platform,
            build_args: &BTreeMap::new(),
            contexts: &BTreeMap::new(),
        };
        let file = parse(text).unwrap();
        let resolved = resolve(&file, &settings).unwrap();
        let found = secret_mounts(&file, &resolved);
        let found: Vec<_> = found.iter().map(|m| (m.id.as_str(), m.required)).collect();
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn secrets_of_reached_stages_are_found() {
        check("FROM a\nRUN --mount=type=cache,target=/x true", &[]);
        check(
            "FROM a AS b\nRUN --mount=type=secret,id=k,required x\nFROM a\nCOPY --from=b / /\n\
             RUN --mount=type=secret,target=/run/npmrc --mount=type=secret,src=s,required=false y",
            &[("k", true), ("npmrc", false), ("s", false)],
        );
        check(
            "FROM a AS unused\nRUN --mount=type=secret,id=k x\nFROM a",
            &[],
        );
        check(
            "FROM a\nARG K=k\nRUN --mount=type=secret,id=$K,required=true x",
            &[],
        );
        check(
            "FROM a AS b\nONBUILD RUN --mount=type=secret,id=k,required=1 x\nFROM b",
            &[("k", true)],
        );
    }
}
