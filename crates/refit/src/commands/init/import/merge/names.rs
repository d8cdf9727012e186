//! A unique name for every image.

use std::collections::{BTreeMap, BTreeSet};

use refit_deps::names::{file_name, folder, slug};

use super::unit::Unit;

/// Names units after their sources; where several have one name, by target or lead tag, else by number.
pub(super) fn assign(units: &mut [Unit]) {
    for unit in units.iter_mut() {
        unit.name = first_filled([
            slug(&unit.image.name),
            slug(&unit.image.id),
            slug(file_name(folder(&unit.image.dockerfile))),
        ]);
    }
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for unit in units.iter() {
        *count.entry(unit.name.clone()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for unit in units {
        if count.get(&unit.name).is_some_and(|n| *n > 1) {
            let lead = unit
                .image
                .tags
                .iter()
                .find(|tag| !tag.is_unique && tag.name != "latest");
            let more = [
                unit.image.target.as_deref().map(slug).unwrap_or_default(),
                lead.map(|tag| slug(&tag.name)).unwrap_or_default(),
            ];
            let longer = |more: &String| {
                let name = format!("{}-{more}", unit.name);
                (!more.is_empty() && !taken.contains(&name)).then_some(name)
            };
            if let Some(name) = more.iter().find_map(longer) {
                unit.name = name;
            }
        }
        if taken.contains(&unit.name) {
            let numbered = (2..).map(|n: u32| format!("{}-{n}", unit.name));
            let free = numbered.into_iter().find(|name| !taken.contains(name));
            unit.name = free.expect("there are more numbers than images");
        }
        taken.insert(unit.name.clone());
    }
}

fn first_filled(names: [String; 3]) -> String {
    let filled = names.into_iter().find(|name| !name.is_empty());
    filled.unwrap_or_else(|| "image".to_owned())
}
