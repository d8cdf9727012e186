//! Evaluates HCL expressions: variables on demand, functions of the file, and the usual library.

mod collections;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
};

use hcl_edit::expr::{Expression, FuncCall, ObjectKey, UnaryOperator};
use serde_json::{Map, Value};

use super::{
    functions,
    refer::Rows,
    template,
    value::{binary, float, list, literal, number, text, truth, weight},
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
    /// Blocks, once they have their names.
    pub(super) rows: OnceCell<Rows>,
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

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let around = || self.around.and_then(|around| around.get(name));
        self.names.get(name).or_else(around)
    }
}

pub(super) type Evaluated = Result<Value, String>;

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
        if matches!(name, "target" | "group") {
            return self.refer(name, &[]);
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
}
