//! From blocks to targets that inherit from nothing: matrices expanded, files laid over one another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    super::model::{NotImported, Place},
    eval::{Globals, Locals},
    file::{Block, Blocks},
    target::Target,
    value::text,
};

/// Targets that inherit from one another, at most.
const DEEPEST: usize = 64;

/// The targets of a matrix, at most.
const MOST: usize = 2000;

/// The targets and groups of bake files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bake {
    /// As the files write them.
    targets: BTreeMap<String, Target>,
    groups: BTreeMap<String, Vec<String>>,
    pub(crate) left_out: Vec<NotImported>,
}

impl Bake {
    /// The blocks over what is there already (services of compose files).
    pub(super) fn of(below: BTreeMap<String, Target>, blocks: Blocks) -> Self {
        let globals = Globals::new(blocks.variables, blocks.functions);
        let mut bake = Self {
            targets: below,
            ..Self::default()
        };
        for block in &blocks.groups {
            match group(block, &globals) {
                Ok(targets) => bake
                    .groups
                    .entry(block.name.clone())
                    .or_default()
                    .extend(targets),
                Err(why) => bake.leave_out(&block.place, format!("group {}", block.name), why),
            }
        }
        for block in &blocks.targets {
            match matrix(block, &globals) {
                Ok(None) => bake.add(&block.name, Target::of(block, &globals, &Locals::NONE)),
                Ok(Some(rows)) => bake.add_matrix(block, &globals, rows),
                Err(why) => bake.leave_out(&block.place, block.name.clone(), why),
            }
        }
        bake
    }

    fn leave_out(&mut self, place: &Place, what: String, why: String) {
        let place = place.clone();
        self.left_out.push(NotImported { place, what, why });
    }

    fn add(&mut self, name: &str, target: Target) {
        match self.targets.get_mut(name) {
            Some(below) => below.overlay(target),
            None => {
                self.targets.insert(name.to_owned(), target);
            }
        }
    }

    fn add_matrix(&mut self, block: &Block, globals: &Globals, rows: Vec<BTreeMap<String, Value>>) {
        let mut names = Vec::new();
        for row in rows {
            let locals = Locals {
                names: row,
                around: None,
            };
            let Some((_, name)) = block.attributes.get("name") else {
                let why = "a matrix needs a `name`".to_owned();
                return self.leave_out(&block.place, block.name.clone(), why);
            };
            match globals.eval(name, &locals).and_then(|name| text(&name)) {
                Ok(name) => {
                    self.add(&name, Target::of(block, globals, &locals));
                    names.push(name);
                }
                Err(why) => self.leave_out(&block.place, block.name.clone(), why),
            }
        }
        self.groups
            .entry(block.name.clone())
            .or_default()
            .extend(names);
    }

    /// The targets that groups and other targets lead to, each with all that it inherits. A target that is only
    /// inherited from is none.
    pub(crate) fn selected(&self) -> BTreeMap<String, Target> {
        let inherited: BTreeSet<&String> =
            self.targets.values().flat_map(|t| &t.inherits).collect();
        let grouped: BTreeSet<&String> = self.groups.values().flatten().collect();
        let is_abstract = |(name, target): (&String, &Target)| {
            let only_inherited = inherited.contains(name) && !grouped.contains(name);
            name.starts_with('_') || (only_inherited && target.tags.is_none() && name != "default")
        };
        let (mut selected, mut known) = (BTreeMap::new(), BTreeMap::new());
        let mut next: Vec<String> = self
            .targets
            .iter()
            .filter(|target| !is_abstract(*target))
            .map(|(name, _)| name.clone())
            .collect();
        while let Some(name) = next.pop() {
            if selected.contains_key(&name) {
                continue;
            }
            if let Some(target) = self.resolve(&name, &mut known) {
                let siblings = target
                    .contexts
                    .values()
                    .filter_map(|c| c.strip_prefix("target:"));
                next.extend(siblings.map(str::to_owned));
                selected.insert(name, target);
            }
        }
        selected
    }

    /// A target with all that it inherits. `known` are those that are resolved already, none of one that is being so.
    fn resolve(&self, name: &str, known: &mut BTreeMap<String, Option<Target>>) -> Option<Target> {
        if let Some(known) = known.get(name) {
            return known.clone();
        }
        let own = self.targets.get(name)?.clone();
        // A long chain is no one's intention, and would not fit the stack.
        let n_open = known.values().filter(|target| target.is_none()).count();
        known.insert(name.to_owned(), None);
        let mut whole = Target::default();
        for parent in own.inherits.iter().filter(|_| n_open < DEEPEST) {
            if let Some(mut parent) = self.resolve(parent, known) {
                parent.inherits.clear();
                whole.overlay(parent);
            }
        }
        whole.overlay(own);
        known.insert(name.to_owned(), Some(whole.clone()));
        Some(whole)
    }
}

fn group(block: &Block, globals: &Globals) -> Result<Vec<String>, String> {
    let Some((_, targets)) = block.attributes.get("targets") else {
        return Ok(Vec::new());
    };
    let targets = globals.eval(targets, &Locals::NONE)?;
    super::value::list(&targets)?.iter().map(text).collect()
}

/// Every combination of a matrix's values; none without a matrix.
fn matrix(
    block: &Block,
    globals: &Globals,
) -> Result<Option<Vec<BTreeMap<String, Value>>>, String> {
    let Some((_, matrix)) = block.attributes.get("matrix") else {
        return Ok(None);
    };
    let matrix = globals.eval(matrix, &Locals::NONE)?;
    let mut rows: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
    for (axis, values) in super::value::object(&matrix)? {
        let values = super::value::list(values)?;
        if rows.len().saturating_mul(values.len()) > MOST {
            return Err(format!("its matrix has more than {MOST} targets"));
        }
        let longer = rows.iter().flat_map(|row| {
            values.iter().map(move |value| {
                let mut row = row.clone();
                row.insert(axis.clone(), value.clone());
                row
            })
        });
        rows = longer.collect();
    }
    Ok(Some(rows))
}
