//! Values of HCL, with the conversions that its functions and templates make.

use hcl_edit::{Number, expr::BinaryOperator};
use serde_json::{Map, Value};

/// A number as HCL prints it: whole ones without a point.
pub(super) fn number(value: f64) -> Value {
    // Above, a double no longer holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        return Value::from(value as i64);
    }
    Value::from(value)
}

pub(super) fn literal(number_literal: &Number) -> Value {
    number(number_literal.as_f64().unwrap_or(f64::NAN))
}

/// What a template puts in for a value.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        // Never with an exponent.
        Value::Number(number) => Ok(match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => value.to_string(),
            None => number.to_string(),
        }),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null => Err("null is no text".to_owned()),
        Value::Array(_) | Value::Object(_) => Err("a collection is no text".to_owned()),
    }
}

pub(super) fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text == "true" || text == "1" => Ok(true),
        Value::String(text) if text == "false" || text == "0" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

pub(super) fn float(value: &Value) -> Result<f64, String> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    found.ok_or_else(|| format!("`{value}` is no number"))
}

/// A whole number, for positions and lengths.
pub(super) fn whole(value: &Value) -> Result<i64, String> {
    let value = float(value)?;
    if value.fract() != 0.0 || value.abs() > 1e9 {
        return Err(format!("`{value}` is no whole number"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and within a billion"
    )]
    Ok(value as i64)
}

pub(super) fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value
        .as_array()
        .ok_or_else(|| format!("`{value}` is no list"))
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("`{value}` is no object"))
}

/// Equal as HCL sees it: numbers by value, and a text is never a number.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        _ => a == b,
    }
}

/// Roughly the bytes of a value.
pub(super) fn weight(value: &Value) -> usize {
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
pub(super) fn index(value: &Value, key: &Value) -> Result<Value, String> {
    let found = match value {
        Value::Array(items) => {
            let at = whole(key)?;
            usize::try_from(at).ok().and_then(|at| items.get(at))
        }
        Value::Object(map) => map.get(&text(key)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    found
        .cloned()
        .ok_or_else(|| format!("there is no element `{key}`"))
}

/// What an operator makes of two values.
pub(super) fn binary(
    operator: BinaryOperator,
    left: &Value,
    right: &Value,
) -> Result<Value, String> {
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
