//! ONBUILD: what a base makes its children execute first.

use refit_dockerfile::{Instruction, StageView, parse};

use super::failure::StepError;

/// The triggers in a base's config: as resolved if the resolver knew the config, else read here.
pub(crate) fn triggers(texts: &[String], view: &StageView) -> Result<Vec<Instruction>, StepError> {
    if view.replaced || view.triggers.len() == texts.len() {
        return Ok(view.triggers.clone());
    }
    texts.iter().map(|text| read(text)).collect()
}

fn read(text: &str) -> Result<Instruction, StepError> {
    let refused = |why: &str| StepError::Refused {
        message: format!("the base's ONBUILD trigger `{text}` cannot be read: {why}"),
        hint: "use another base".to_owned(),
    };
    // Behind a FROM nothing can be taken for a directive.
    let parsed = parse(&format!("FROM scratch\n{text}\n"));
    let mut stages = parsed.map_err(|error| refused(&error.message))?.stages;
    let instructions = match stages.len() {
        1 => stages.pop().map(|stage| stage.instructions),
        _ => None,
    };
    match instructions.unwrap_or_default().as_slice() {
        [instruction] => Ok(instruction.clone()),
        _ => Err(refused("it is not one instruction")),
    }
}

#[cfg(test)]
mod tests {
    use refit_dockerfile::Source;
    use refit_oci::Platform;

    use super::*;

    #[test]
    fn triggers_are_single_instructions() {
        let view = StageView {
            from: Source::Found(0),
            platform: Platform::linux_amd64(),
            replaced: false,
            triggers: Vec::new(),
        };
        let codes = |text: &str| {
            let triggers = triggers(&[text.to_owned()], &view).ok()?;
            Some(triggers[0].code.clone())
        };
        assert_eq!(codes("COPY . /app").as_deref(), Some("COPY . /app"));
        assert_eq!(codes("COPY <<A /a\nx\nA").as_deref(), Some("COPY <<A /a"));
        for bad in [
            "",
            "# comment",
            "FROM x",
            "COPY a",
            "ENV A=1\nENV B=2",
            "ENV A=1\nFROM x\nENV B=2",
        ] {
            assert_eq!(codes(bad), None, "{bad}");
        }
        let replaced = StageView {
            replaced: true,
            ..view
        };
        assert!(
            triggers(&["RUN x".to_owned()], &replaced)
                .unwrap()
                .is_empty()
        );
    }
}
