//! The states that a person should know of: what is alike in one line.

mod hints;
mod words;

use std::collections::{BTreeSet, HashMap};

use refit_deps::reason::{State, StateKind};
use refit_oci::Reference;

use super::{Ui, sentence_list};

pub(crate) use hints::hint;
use words::is_adoptable;
pub(crate) use words::{adopted, reason, state_words, unaffected};

/// More names than this in one command are not read.
const MANY: usize = 5;
/// How many names stand for many more.
const FEW: usize = 3;

/// States of which the same is said.
struct Alike<'s> {
    kind: &'s StateKind,
    /// Whether they are about registries' answers for more than one reference.
    of_many: bool,
    names: Vec<String>,
    images: BTreeSet<&'s str>,
}

/// The states that a person should know of, equal ones in one line, each with a way out.
pub(crate) fn states(ui: &Ui, states: &[State]) {
    for alike in alike(states) {
        let kind = alike.kind;
        let said = match kind {
            StateKind::Unreachable { message, .. } if alike.of_many => message.clone(),
            kind => state_words(kind),
        };
        let text = format!("{}: {}: {said}", some_of(&alike.names), kind.word());
        // Nobody has to do anything about an image that is meant to be so.
        match kind {
            StateKind::Unpublished | StateKind::NoMovingTag | StateKind::Adoptable { .. } => {
                ui.note(&text);
            }
            _ => ui.warning(&text),
        }
        if let Some(hint) = hint(kind) {
            ui.hint(&for_images(&hint, &alike.images));
        }
    }
}

fn alike(states: &[State]) -> Vec<Alike<'_>> {
    let widespread = widespread(states.iter().map(|state| &state.kind));
    let mut groups: Vec<Alike<'_>> = Vec::new();
    let mut by_text: HashMap<String, usize> = HashMap::new();
    for state in states {
        let of = match &state.platform {
            Some(platform) if !is_adoptable(&state.kind) => format!("{}@{platform}", state.image),
            _ => state.image.clone(),
        };
        let of_many = matches!(&state.kind, StateKind::Unreachable { message, .. } if widespread.contains(message.as_str()));
        let text = match &state.kind {
            StateKind::Unreachable { message, .. } if of_many => message.clone(),
            // Each holds something else, and that is not said.
            kind if is_adoptable(kind) => state_words(kind),
            kind => format!("{kind:?}"),
        };
        let at = *by_text.entry(text).or_insert_with(|| {
            groups.push(Alike {
                kind: &state.kind,
                of_many,
                names: Vec::new(),
                images: BTreeSet::new(),
            });
            groups.len() - 1
        });
        if is_adoptable(&state.kind) && groups[at].images.contains(state.image.as_str()) {
            continue;
        }
        groups[at].names.push(of);
        groups[at].images.insert(&state.image);
    }
    groups
}

/// What went wrong with so many references that each of them is not worth a line: a registry is down.
pub(crate) fn widespread<'s>(states: impl Iterator<Item = &'s StateKind>) -> BTreeSet<&'s str> {
    let mut of_message: HashMap<&str, BTreeSet<&Reference>> = HashMap::new();
    for state in states {
        if let StateKind::Unreachable { reference, message } = state {
            of_message.entry(message).or_default().insert(reference);
        }
    }
    let many = of_message.into_iter().filter(|(_, of)| of.len() > MANY);
    many.map(|(message, _)| message).collect()
}

/// A list of names, of many the first few.
fn some_of(names: &[String]) -> String {
    match names.get(..FEW) {
        Some(few) if names.len() > 2 * MANY => {
            format!("{} and {} more", few.join(", "), names.len() - FEW)
        }
        _ => sentence_list(names),
    }
}

/// A hint with the images' names in it, unless they are too many to be read.
pub(crate) fn for_images(hint: &str, images: &BTreeSet<&str>) -> String {
    if images.len() > MANY {
        return hint.replace("IMAGE", "IMAGE…");
    }
    let names: Vec<&str> = images.iter().copied().collect();
    hint.replace("IMAGE", &names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_images_it_is_for() {
        let hint = "`refit build IMAGE --push` releases it";
        let filled = |images: &[&str]| for_images(hint, &images.iter().copied().collect());
        assert_eq!(filled(&["web"]), "`refit build web --push` releases it");
        assert_eq!(
            filled(&["web", "api"]),
            "`refit build api web --push` releases it"
        );
        assert_eq!(
            filled(&["a", "b", "c", "d", "e", "f"]),
            "`refit build IMAGE… --push` releases it"
        );
    }

    #[test]
    fn a_registry_that_is_down_is_one_line_however_many_images_it_has() {
        let down = |n: usize| State {
            image: format!("s{n}"),
            platform: None,
            kind: StateKind::Unreachable {
                reference: format!("example.com/s{n}").parse().unwrap(),
                message: "example.com is down".to_owned(),
            },
        };
        let states: Vec<State> = (0..10_000).map(down).collect();
        let groups = alike(&states);
        assert_eq!((groups.len(), groups[0].of_many), (1, true));
        assert_eq!(some_of(&groups[0].names), "s0, s1, s2 and 9997 more");
        let few = alike(&states[..3]);
        assert_eq!((few.len(), few[0].of_many), (3, false));
    }
}
