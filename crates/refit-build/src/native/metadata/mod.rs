//! The instructions that change only the config.

mod commands;
#[cfg(test)]
mod tests;

use refit_dockerfile::{Args, Instruction, Keyword, PortError, expand::ExpandError, exposed_ports};
use refit_oci::Config;
use serde_json::json;

use super::{draft::Draft, go_format, scope::Arguments, signal};

/// Why an instruction cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("`{0}` is no signal")]
    Signal(String),
    #[error("VOLUME needs paths that are not empty")]
    EmptyVolume,
}

/// Applies an instruction, and says whether it is one of these.
pub(crate) fn apply(
    draft: &mut Draft,
    instruction: &Instruction,
    arguments: Arguments<'_>,
) -> Result<bool, MetadataError> {
    let created_by = match instruction.keyword {
        Keyword::Arg => arg(draft, instruction, arguments)?,
        Keyword::Env => env(draft, instruction)?,
        Keyword::Label => label(draft, instruction)?,
        Keyword::Cmd => commands::cmd(draft, instruction),
        Keyword::Entrypoint => commands::entrypoint(draft, instruction),
        Keyword::Expose => expose(draft, instruction)?,
        Keyword::Healthcheck => commands::healthcheck(draft, instruction),
        Keyword::Maintainer => maintainer(draft, instruction),
        Keyword::Shell => commands::shell(draft, instruction),
        Keyword::Stopsignal => stop_signal(draft, instruction)?,
        Keyword::User => user(draft, instruction)?,
        Keyword::Volume => volume(draft, instruction)?,
        Keyword::Onbuild => {
            // The one instruction that leaves no trace in the history.
            let trigger = instruction
                .trigger()
                .map(|trigger| trigger.expression.clone());
            draft.config.config.on_build.extend(trigger);
            return Ok(true);
        }
        Keyword::Add | Keyword::Copy | Keyword::From | Keyword::Run | Keyword::Workdir => {
            return Ok(false);
        }
    };
    draft.add_empty(created_by);
    Ok(true)
}

fn arg(
    draft: &mut Draft,
    instruction: &Instruction,
    arguments: Arguments<'_>,
) -> Result<String, MetadataError> {
    let mut created_by = "ARG".to_owned();
    for pair in pairs(instruction) {
        created_by.push(' ');
        created_by.push_str(&pair.name);
        if let Some(value) = draft.scope.argument(pair, arguments)? {
            created_by.push('=');
            created_by.push_str(&value);
        }
    }
    Ok(created_by)
}

fn env(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let pairs = draft.scope.pairs(pairs(instruction))?;
    for (name, value) in &pairs {
        draft.scope.set(name, value);
        set_env(&mut draft.config.config, name, value);
    }
    Ok(listed("ENV", &pairs))
}

fn set_env(config: &mut Config, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    let is_same =
        |old: &&mut String| old.split_once('=').map_or(old.as_str(), |(name, _)| name) == name;
    match config.env.iter_mut().find(is_same) {
        Some(old) => *old = pair,
        None => config.env.push(pair),
    }
}

fn label(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let pairs = draft.scope.pairs(pairs(instruction))?;
    draft.config.config.labels.extend(pairs.iter().cloned());
    Ok(listed("LABEL", &pairs))
}

fn expose(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let mut written = words(instruction);
    written.sort_unstable();
    let mut exposed = Vec::new();
    for word in written {
        for word in draft.scope.words(word)? {
            exposed.extend(exposed_ports(&word)?);
        }
    }
    let keys = exposed.iter().map(|port| (port.clone(), json!({})));
    draft.config.config.exposed_ports.extend(keys);
    Ok(format!("EXPOSE {}", go_format::plain(&exposed)))
}

fn maintainer(draft: &mut Draft, instruction: &Instruction) -> String {
    let name = word(instruction);
    draft.config.other.insert("author".to_owned(), json!(name));
    format!("MAINTAINER {name}")
}

fn stop_signal(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let signal = draft.scope.word(word(instruction))?;
    if !signal::is_signal(&signal) {
        return Err(MetadataError::Signal(signal));
    }
    let created_by = format!("STOPSIGNAL {signal}");
    draft.config.config.stop_signal = Some(signal);
    Ok(created_by)
}

fn user(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let user = draft.scope.word(word(instruction))?;
    let created_by = format!("USER {user}");
    draft.config.config.user = Some(user).filter(|user| !user.is_empty());
    Ok(created_by)
}

fn volume(draft: &mut Draft, instruction: &Instruction) -> Result<String, MetadataError> {
    let volumes = words(instruction)
        .into_iter()
        .map(|word| draft.scope.word(word.trim()));
    let volumes: Vec<String> = volumes.collect::<Result<_, _>>()?;
    if volumes.iter().any(String::is_empty) {
        return Err(MetadataError::EmptyVolume);
    }
    let keys = volumes.iter().map(|volume| (volume.clone(), json!({})));
    draft.config.config.volumes.extend(keys);
    Ok(format!("VOLUME {}", go_format::plain(&volumes)))
}

fn pairs(instruction: &Instruction) -> &[refit_dockerfile::Pair] {
    match &instruction.args {
        Args::Pairs(pairs) => pairs,
        _ => &[],
    }
}

fn words(instruction: &Instruction) -> Vec<&str> {
    match &instruction.args {
        Args::Words(words) => words.iter().map(|word| word.value.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// The only word of USER, STOPSIGNAL, WORKDIR and MAINTAINER.
pub(crate) fn word(instruction: &Instruction) -> &str {
    words(instruction).first().copied().unwrap_or_default()
}

fn listed(keyword: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!(" {name}={value}"));
    keyword.to_owned() + &pairs.collect::<String>()
}
