//! From blocks to targets that inherit from nothing: matrices expanded, files laid over one another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    super::model::{NotImported, Place},
    eval::{Globals, Locals},
    file::{Block, Blocks},
    refer::{Row, Rows},
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
        let groups = blocks.groups.into_iter().enumerate();
        let mut rows: Vec<Row> = groups
            .map(|(at, block)| Row::of("group", at, block))
            .collect();
        for (at, block) in blocks.targets.into_iter().enumerate() {
            match matrix(&block, &globals) {
                Ok(None) => rows.push(Row::of("target", at, block)),
                Ok(Some(of_matrix)) => rows.extend(bake.named((at, &block), &globals, of_matrix)),
                Err(why) => bake.leave_out(&block.place, block.name, why),
            }
        }
        // From here on expressions can refer to blocks.
        let rows = globals.rows.get_or_init(|| Rows::new(rows));
        for (at, row) in rows.iter() {
            if row.kind == "target" {
                let target = Target::of((at, row), rows, &globals);
                bake.add(&row.name, target);
                continue;
            }
            let targets = globals.attribute(rows, at, "targets");
            rows.finish(at);
            match targets.and_then(|targets| names(&targets)) {
                Ok(targets) => bake
                    .groups
                    .entry(row.name.clone())
                    .or_default()
                    .extend(targets),
                Err(why) => bake.leave_out(&row.place, format!("group {}", row.name), why),
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

    /// A target's rows with their names. The block's own is a group of them.
    fn named(
        &mut self,
        (at, block): (usize, &Block),
        globals: &Globals,
        matrix: Vec<BTreeMap<String, Value>>,
    ) -> Vec<Row> {
        let Some((_, name)) = block.attributes.get("name") else {
            let why = "a matrix needs a `name`".to_owned();
            self.leave_out(&block.place, block.name.clone(), why);
            return Vec::new();
        };
        let mut rows: Vec<Row> = Vec::new();
        for names in matrix {
            let locals = Locals {
                names,
                around: None,
            };
            match globals.eval(name, &locals).and_then(|name| text(&name)) {
                Ok(name) => rows.push(Row {
                    name,
                    locals: locals.names,
                    ..Row::of("target", at, block.clone())
                }),
                Err(why) => self.leave_out(&block.place, block.name.clone(), why),
            }
        }
        let group = self.groups.entry(block.name.clone()).or_default();
        group.extend(rows.iter().map(|row| row.name.clone()));
        rows
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

fn names(targets: &Value) -> Result<Vec<String>, String> {
    match targets {
        Value::Null => Ok(Vec::new()),
        targets => super::value::list(targets)?.iter().map(text).collect(),
    }
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
