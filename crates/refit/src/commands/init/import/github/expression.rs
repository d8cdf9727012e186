//! `${{ … }}` expressions, as far as the repository alone decides their value.

mod functions;
mod parse;

use std::collections::BTreeMap;

use serde_json::Value;

use self::parse::{Expression, Operator};

/// What expressions can refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// One row of the job's matrix.
    pub(super) matrix: serde_json::Map<String, Value>,
    /// What `env:` says; none where that depends on the run.
    pub(super) env: BTreeMap<String, Option<String>>,
    /// Values of `github.…` that are known.
    pub(super) github: BTreeMap<&'static str, String>,
    /// Inputs by name in lower case, each none where the run decides; none at all where nothing is known of them.
    pub(super) inputs: Option<BTreeMap<String, Option<Value>>>,
}

impl Scope {
    /// A text with its expressions put in. The error is the first expression whose value is not known.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${{") {
            out.push_str(&rest[..start]);
            let inner = &rest[start + 3..];
            let end = closing(inner).ok_or_else(|| rest[start..].to_owned())?;
            let value = self.value(&inner[..end]);
            let written = &rest[start..start + 3 + end + 2];
            out.push_str(&functions::text(&value.map_err(|()| written.to_owned())?));
            rest = &inner[end + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value of a text: of a lone expression whatever it gives.
    pub(super) fn any(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix("${{")
            .and_then(|inner| inner.strip_suffix("}}"));
        match inner.filter(|inner| closing(&format!("{inner}}}}}")) == Some(inner.len())) {
            Some(inner) => self.value(inner).map_err(|()| trimmed.to_owned()),
            None => self.text(text).map(Value::String),
        }
    }

    /// Whether a condition holds; an error where that depends on the run.
    pub(super) fn condition(&self, text: &str) -> Result<bool, String> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix("${{")
            .and_then(|inner| inner.strip_suffix("}}"));
        let value = self.value(inner.unwrap_or(trimmed));
        value
            .map(|value| truth(&value))
            .map_err(|()| trimmed.to_owned())
    }

    fn value(&self, expression: &str) -> Result<Value, ()> {
        let parsed = parse::parse(expression).ok_or(())?;
        self.eval(&parsed)
    }

    fn eval(&self, expression: &Expression) -> Result<Value, ()> {
        match expression {
            Expression::Value(value) => Ok(value.clone()),
            Expression::Path(path) => self.path(path),
            Expression::Not(inner) => Ok(Value::Bool(!truth(&self.eval(inner)?))),
            Expression::Binary(left, operator, right) => {
                let left = self.eval(left)?;
                match operator {
                    Operator::And if !truth(&left) => Ok(left),
                    Operator::Or if truth(&left) => Ok(left),
                    Operator::And | Operator::Or => self.eval(right),
                    operator => {
                        let right = self.eval(right)?;
                        Ok(Value::Bool(compare(&left, *operator, &right)))
                    }
                }
            }
            Expression::Call(name, args) => {
                let args = args
                    .iter()
                    .map(|arg| self.eval(arg))
                    .collect::<Result<Vec<_>, ()>>()?;
                functions::call(name, &args).ok_or(())
            }
        }
    }

    fn path(&self, path: &[Expression]) -> Result<Value, ()> {
        let keys = path
            .iter()
            .map(|key| self.eval(key).map(|key| functions::text(&key)));
        let keys = keys.collect::<Result<Vec<_>, ()>>()?;
        let (first, rest) = keys.split_first().ok_or(())?;
        match first.to_lowercase().as_str() {
            "matrix" => {
                let mut value = Value::Object(self.matrix.clone());
                for key in rest {
                    value = member(&value, key);
                }
                Ok(value)
            }
            "env" => {
                // Without a word on it, a step may have set it.
                let known = rest.first().and_then(|name| self.env.get(name.as_str()));
                known.cloned().flatten().map(Value::String).ok_or(())
            }
            "inputs" => {
                let inputs = self.inputs.as_ref().ok_or(())?;
                let name = rest.first().map(|name| name.to_lowercase());
                match name.and_then(|name| inputs.get(&name)) {
                    Some(value) => value.clone().ok_or(()),
                    None => Ok(Value::Null),
                }
            }
            "github" => {
                let known = self.github.get(rest.join(".").as_str());
                known.cloned().map(Value::String).ok_or(())
            }
            _ => Err(()),
        }
    }
}

/// A property or element; null where there is none.
fn member(value: &Value, key: &str) -> Value {
    let found = match value {
        Value::Object(map) => map.get(key).or_else(|| {
            let mut entries = map.iter();
            entries
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value)
        }),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|at| items.get(at)),
        _ => None,
    };
    found.cloned().unwrap_or(Value::Null)
}

/// The position of the `}}` that ends an expression; texts may hold braces.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A value as text.
pub(super) fn shown(value: &Value) -> String {
    functions::text(value)
}

pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    if let (Value::String(left), Value::String(right)) = (left, right) {
        let (left, right) = (left.to_lowercase(), right.to_lowercase());
        return match operator {
            Operator::Equal => left == right,
            Operator::NotEqual => left != right,
            Operator::Less => left < right,
            Operator::LessEqual => left <= right,
            Operator::Greater => left > right,
            Operator::GreaterEqual => left >= right,
            Operator::And | Operator::Or => false,
        };
    }
    if left == right && !left.is_number() {
        return matches!(
            operator,
            Operator::Equal | Operator::LessEqual | Operator::GreaterEqual
        );
    }
    let (left, right) = (number(left), number(right));
    match operator {
        #[expect(clippy::float_cmp, reason = "equal is equal to the bit here")]
        Operator::Equal => left == right,
        #[expect(clippy::float_cmp, reason = "equal is equal to the bit here")]
        Operator::NotEqual => left != right,
        Operator::Less => left < right,
        Operator::LessEqual => left <= right,
        Operator::Greater => left > right,
        Operator::GreaterEqual => left >= right,
        Operator::And | Operator::Or => false,
    }
}

/// Values of different types are compared as numbers.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.is_empty() => 0.0,
        Value::String(text) => text.parse().unwrap_or(f64::NAN),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let matrix =
            json!({"os": "linux", "item": {"v": "1.2"}, "n": 20, "on": true, "list": ["a", "b"]});
        Scope {
            matrix: matrix.as_object().unwrap().clone(),
            env: BTreeMap::from([
                ("REG".to_owned(), Some("ghcr.io".to_owned())),
                ("X".to_owned(), None),
            ]),
            github: BTreeMap::from([("repository", "Team/App".to_owned())]),
            inputs: Some(BTreeMap::from([
                ("tag".to_owned(), Some(json!("1.2"))),
                ("push".to_owned(), Some(json!(true))),
                ("late".to_owned(), None),
            ])),
        }
    }

    #[test]
    fn what_the_repository_decides_is_put_in() {
        for (text, expect) in [
            ("${{ env.REG }}/${{github.repository}}", "ghcr.io/Team/App"),
            ("v${{ matrix.item.v }}-${{ matrix['n'] }}", "v1.2-20"),
            ("${{ matrix.missing }}", ""),
            ("${{ matrix.on && 'yes' || 'no' }}", "yes"),
            ("${{ matrix.os == 'LINUX' && matrix.n > 18 }}", "true"),
            ("${{ !matrix.on }}", "false"),
            (
                "${{ (matrix.os != 'linux' || matrix.n == 20) && 'a' }}",
                "a",
            ),
            (
                "${{ format('{0}:{1} {{}}', matrix.os, matrix.n) }}",
                "linux:20 {}",
            ),
            ("${{ contains(matrix.list, 'b') }}", "true"),
            ("${{ contains('hello', 'ELL') }}", "true"),
            ("${{ startsWith(matrix.os, 'lin') }}", "true"),
            ("${{ join(matrix.list, '-') }}", "a-b"),
            ("${{ fromJSON('[1,2]')[1] }}", "2"),
            ("${{ 'it''s }}' }}", "it's }}"),
            ("${{ false && github.event.x }}", "false"),
            ("${{ inputs.TAG }}-${{ inputs['tag'] }}", "1.2-1.2"),
            ("${{ inputs.push && 'yes' }}", "yes"),
            ("${{ inputs.undeclared }}", ""),
        ] {
            assert_eq!(scope().text(text).as_deref(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn what_the_run_decides_is_named() {
        for text in [
            "${{ github.event.number }}",
            "${{ env.NEVER_SET }}",
            "${{ env.X }}",
            "${{ secrets.TOKEN }}",
            "${{ inputs.late }}",
            "${{ hashFiles('x') }}",
            "${{ steps.meta.outputs.version }}",
            "${{ matrix.on && github.sha }}",
            "${{ 1 + 2 }}",
            "${{ ((((( }}",
        ] {
            assert_eq!(scope().text(&format!("a-{text}")), Err(text.to_owned()));
        }
        assert_eq!(scope().text("${{ open").unwrap_err(), "${{ open");
    }
}
