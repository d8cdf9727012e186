//! Evaluates HCL expressions: variables on demand, functions of the file, and the usual library.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use hcl_edit::expr::{
    BinaryOperator, Expression, ForExpr, FuncCall, ObjectKey, Traversal, TraversalOperator,
    UnaryOperator,
};
use serde_json::{Map, Value};

use super::{
    functions, template,
    value::{equal, float, list, literal, number, text, truth},
};

/// Nested evaluations; more than any file needs, and less than the stack holds.
const DEEPEST: usize = 256;
/// Evaluations and bytes of values in all; a file that needs more is meant to hurt.
const MOST: usize = 500_000;

/// A function that the files define.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) params: Vec<String>,
    /// Takes what is left of the arguments.
    pub(super) rest: Option<String>,
    pub(super) result: Expression,
}

/// Everything that an expression can name.
#[derive(Default)]
pub(super) struct Globals {
    variables: BTreeMap<String, Expression>,
    functions: BTreeMap<String, Function>,
    known: RefCell<BTreeMap<String, Option<Value>>>,
    depth: Cell<usize>,
    steps: Cell<usize>,
}

/// Names of a `for`, a function or a matrix, over those around them.
pub(super) struct Locals<'a> {
    pub(super) names: BTreeMap<String, Value>,
    pub(super) around: Option<&'a Locals<'a>>,
}

impl Locals<'_> {
    pub(super) const NONE: Locals<'static> = Locals {
        names: BTreeMap::new(),
        around: None,
    };

    fn get(&self, name: &str) -> Option<&Value> {
        let around = || self.around.and_then(|around| around.get(name));
        self.names.get(name).or_else(around)
    }
}

type Evaluated = Result<Value, String>;

impl Globals {
    /// Variables and functions of the files.
    pub(super) fn new(
        variables: BTreeMap<String, Expression>,
        functions: BTreeMap<String, Function>,
    ) -> Self {
        Self {
            variables,
            functions,
            ..Self::default()
        }
    }

    /// The value of an expression, or why it has none.
    pub(super) fn eval(&self, expression: &Expression, locals: &Locals<'_>) -> Evaluated {
        self.steps.set(self.steps.get() + 1);
        if self.depth.get() >= DEEPEST || self.steps.get() >= MOST {
            return Err("the expression takes too long to evaluate".to_owned());
        }
        self.depth.set(self.depth.get() + 1);
        let value = self.value(expression, locals);
        self.depth.set(self.depth.get() - 1);
        // Values are copied from place to place: what is large is paid for each time.
        self.steps
            .set(self.steps.get() + value.as_ref().map_or(0, weight));
        value
    }

    fn value(&self, expression: &Expression, locals: &Locals<'_>) -> Evaluated {
        Ok(match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(value) => Value::Bool(*value.value()),
            Expression::Number(value) => literal(value.value()),
            Expression::String(text) => Value::String(text.value().clone()),
            Expression::Array(array) => {
                let items = array.iter().map(|item| self.eval(item, locals));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Expression::Object(object) => {
                let mut map = Map::new();
                for (key, value) in object {
                    let key = match key {
                        ObjectKey::Ident(name) => name.to_string(),
                        ObjectKey::Expression(key) => text(&self.eval(key, locals)?)?,
                    };
                    map.insert(key, self.eval(value.expr(), locals)?);
                }
                Value::Object(map)
            }
            Expression::StringTemplate(template) => {
                return template::value(self, &template.iter().collect::<Vec<_>>(), locals);
            }
            Expression::HeredocTemplate(heredoc) => {
                return template::value(self, &heredoc.template.iter().collect::<Vec<_>>(), locals);
            }
            Expression::Parenthesis(inner) => return self.eval(inner.inner(), locals),
            Expression::Variable(name) => return self.variable(name, locals),
            Expression::Conditional(conditional) => {
                let chosen = if truth(&self.eval(&conditional.cond_expr, locals)?)? {
                    &conditional.true_expr
                } else {
                    &conditional.false_expr
                };
                return self.eval(chosen, locals);
            }
            Expression::FuncCall(call) => return self.call(call, locals),
            Expression::Traversal(traversal) => return self.traverse(traversal, locals),
            Expression::UnaryOp(operation) => {
                let value = self.eval(&operation.expr, locals)?;
                match operation.operator.value() {
                    UnaryOperator::Neg => number(-float(&value)?),
                    UnaryOperator::Not => Value::Bool(!truth(&value)?),
                }
            }
            Expression::BinaryOp(operation) => {
                let left = self.eval(&operation.lhs_expr, locals)?;
                let right = self.eval(&operation.rhs_expr, locals)?;
                return binary(*operation.operator.value(), &left, &right);
            }
            Expression::ForExpr(each) => return self.for_each(each, locals),
        })
    }

    /// A variable's value, evaluated when it is first asked for.
    pub(super) fn variable(&self, name: &str, locals: &Locals<'_>) -> Evaluated {
        if let Some(value) = locals.get(name) {
            return Ok(value.clone());
        }
        match self.known.borrow().get(name) {
            Some(Some(value)) => return Ok(value.clone()),
            Some(None) => return Err(format!("the variable `{name}` refers to itself")),
            None => {}
        }
        let Some(expression) = self.variables.get(name) else {
            return Err(match name {
                "BAKE_CMD_CONTEXT" | "BAKE_LOCAL_PLATFORM" => {
                    format!("`{name}` is known to a running bake only")
                }
                _ => format!("there is no variable `{name}`"),
            });
        };
        self.known.borrow_mut().insert(name.to_owned(), None);
        let value = self.eval(expression, &Locals::NONE);
        let mut known = self.known.borrow_mut();
        match &value {
            Ok(value) => known.insert(name.to_owned(), Some(value.clone())),
            Err(_) => known.remove(name),
        };
        value
    }

    fn call(&self, call: &FuncCall, locals: &Locals<'_>) -> Evaluated {
        let name = call.name.name.to_string();
        // These two take expressions, not values.
        if name == "try" || name == "can" {
            let mut tried = call.args.iter().map(|arg| self.eval(arg, locals));
            if name == "can" {
                return Ok(Value::Bool(tried.next().is_some_and(|value| value.is_ok())));
            }
            let good = tried.find_map(Result::ok);
            return good.ok_or_else(|| "no argument of `try` has a value".to_owned());
        }
        let mut args = Vec::new();
        for arg in &call.args {
            args.push(self.eval(arg, locals)?);
        }
        if call.args.expand_final()
            && let Some(last) = args.pop()
        {
            args.extend(list(&last)?.iter().cloned());
        }
        match self.functions.get(&name) {
            Some(function) => self.user(&name, function, args),
            None => functions::call(&name, &args).map_err(|error| format!("`{name}`: {error}")),
        }
    }

    fn user(&self, name: &str, function: &Function, mut args: Vec<Value>) -> Evaluated {
        let n = function.params.len();
        if args.len() < n || (args.len() > n && function.rest.is_none()) {
            return Err(format!("`{name}` takes {n} arguments"));
        }
        let rest = args.split_off(n);
        let mut names: BTreeMap<String, Value> =
            function.params.iter().cloned().zip(args).collect();
        if let Some(name) = &function.rest {
            names.insert(name.clone(), Value::Array(rest));
        }
        let locals = Locals {
            names,
            around: None,
        };
        self.eval(&function.result, &locals)
    }

    fn traverse(&self, traversal: &Traversal, locals: &Locals<'_>) -> Evaluated {
        let value = self.eval(&traversal.expr, locals)?;
        let operators: Vec<&TraversalOperator> = traversal
            .operators
            .iter()
            .map(hcl_edit::Decorated::value)
            .collect();
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

    fn for_each(&self, each: &ForExpr, locals: &Locals<'_>) -> Evaluated {
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

/// Roughly the bytes of a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => text.len(),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => {
            1 + map
                .iter()
                .map(|(key, value)| key.len() + weight(value))
                .sum::<usize>()
        }
    }
}

/// Keys and values of a collection, in its order.
pub(super) fn pairs(collection: &Value) -> Result<Vec<(Value, Value)>, String> {
    match collection {
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            Ok(numbered
                .map(|(at, item)| (Value::from(at), item.clone()))
                .collect())
        }
        Value::Object(map) => {
            let entries = map.iter();
            Ok(entries
                .map(|(key, value)| (Value::from(key.as_str()), value.clone()))
                .collect())
        }
        other => Err(format!("`{other}` is no collection")),
    }
}

/// An element by position or key.
pub(super) fn index(value: &Value, key: &Value) -> Evaluated {
    let found = match value {
        Value::Array(items) => {
            let at = super::value::whole(key)?;
            usize::try_from(at).ok().and_then(|at| items.get(at))
        }
        Value::Object(map) => map.get(&text(key)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    found
        .cloned()
        .ok_or_else(|| format!("there is no element `{key}`"))
}

fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Evaluated {
    use BinaryOperator as Op;
    Ok(match operator {
        Op::Eq => Value::Bool(equal(left, right)),
        Op::NotEq => Value::Bool(!equal(left, right)),
        Op::And => Value::Bool(truth(left)? && truth(right)?),
        Op::Or => Value::Bool(truth(left)? || truth(right)?),
        Op::LessEq => Value::Bool(float(left)? <= float(right)?),
        Op::GreaterEq => Value::Bool(float(left)? >= float(right)?),
        Op::Less => Value::Bool(float(left)? < float(right)?),
        Op::Greater => Value::Bool(float(left)? > float(right)?),
        Op::Plus => number(float(left)? + float(right)?),
        Op::Minus => number(float(left)? - float(right)?),
        Op::Mul => number(float(left)? * float(right)?),
        Op::Div | Op::Mod if float(right)? == 0.0 => return Err("division by zero".to_owned()),
        Op::Div => number(float(left)? / float(right)?),
        Op::Mod => number(float(left)? % float(right)?),
    })
}
