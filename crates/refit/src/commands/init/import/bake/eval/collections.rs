//! What goes through collections: traversals, splats, `for`.

use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, ForExpr, Traversal, TraversalOperator};
use serde_json::{Map, Value};

use super::{
    super::value::{index, pairs, text, truth},
    Evaluated, Globals, Locals,
};

/// Operators of one traversal: each splat is an evaluation within another.
const LONGEST: usize = 64;

impl Globals {
    pub(super) fn traverse(&self, traversal: &Traversal, locals: &Locals<'_>) -> Evaluated {
        let operators: Vec<&TraversalOperator> = traversal
            .operators
            .iter()
            .map(hcl_edit::Decorated::value)
            .collect();
        if operators.len() > LONGEST {
            return Err(format!(
                "more than {LONGEST} attributes and elements of one value"
            ));
        }
        if let Expression::Variable(name) = &traversal.expr
            && let kind @ ("target" | "group") = name.as_str()
            && locals.get(kind).is_none()
        {
            let value = self.refer(kind, &operators)?;
            return self.follow(value, &operators[2..], locals);
        }
        let value = self.eval(&traversal.expr, locals)?;
        self.follow(value, &operators, locals)
    }

    fn follow(
        &self,
        value: Value,
        operators: &[&TraversalOperator],
        locals: &Locals<'_>,
    ) -> Evaluated {
        let Some((first, rest)) = operators.split_first() else {
            return Ok(value);
        };
        let next = match first {
            TraversalOperator::GetAttr(name) => index(&value, &Value::String(name.to_string()))?,
            TraversalOperator::Index(key) => index(&value, &self.eval(key, locals)?)?,
            TraversalOperator::LegacyIndex(at) => index(&value, &Value::from(*at.value()))?,
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                let items = match value {
                    Value::Array(items) => items,
                    Value::Null => Vec::new(),
                    Value::Object(map) if !map.is_empty() => vec![Value::Object(map)],
                    other => vec![other],
                };
                let followed = items
                    .into_iter()
                    .map(|item| self.follow(item, rest, locals));
                return Ok(Value::Array(followed.collect::<Result<_, _>>()?));
            }
        };
        self.follow(next, rest, locals)
    }

    pub(super) fn for_each(&self, each: &ForExpr, locals: &Locals<'_>) -> Evaluated {
        let intro = &each.intro;
        let collection = self.eval(&intro.collection_expr, locals)?;
        let key_name = intro.key_var.as_ref().map(ToString::to_string);
        let value_name = intro.value_var.to_string();
        let mut list = Vec::new();
        let mut map: Map<String, Value> = Map::new();
        for (key, value) in pairs(&collection)? {
            let mut names = BTreeMap::from([(value_name.clone(), value)]);
            names.extend(key_name.clone().map(|name| (name, key)));
            let inner = Locals {
                names,
                around: Some(locals),
            };
            if let Some(condition) = &each.cond
                && !truth(&self.eval(&condition.expr, &inner)?)?
            {
                continue;
            }
            let value = self.eval(&each.value_expr, &inner)?;
            match &each.key_expr {
                None => list.push(value),
                Some(key) => {
                    let key = text(&self.eval(key, &inner)?)?;
                    if each.grouping {
                        let group = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                        group
                            .as_array_mut()
                            .into_iter()
                            .for_each(|g| g.push(value.clone()));
                    } else {
                        map.insert(key, value);
                    }
                }
            }
        }
        Ok(if each.key_expr.is_some() {
            Value::Object(map)
        } else {
            Value::Array(list)
        })
    }
}
