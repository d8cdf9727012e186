//! Arithmetic, comparison, logic.

use serde_json::Value;

use super::{
    super::value::{equal, float, number, text, truth, whole},
    arg,
};

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    type Fold = fn(f64, f64) -> f64;
    let fold: Option<Fold> = match name {
        "max" => Some(f64::max),
        "min" => Some(f64::min),
        _ => None,
    };
    if let Some(fold) = fold {
        return Some(
            args.iter()
                .map(float)
                .collect::<Result<Vec<_>, _>>()
                .and_then(|all| {
                    let found = all.into_iter().reduce(fold);
                    found
                        .map(number)
                        .ok_or_else(|| "there is no argument 1".to_owned())
                }),
        );
    }
    let known = [
        "add",
        "subtract",
        "multiply",
        "divide",
        "modulo",
        "pow",
        "log",
        "negate",
        "absolute",
        "ceil",
        "floor",
        "int",
        "signum",
        "parseint",
        "equal",
        "notequal",
        "and",
        "or",
        "not",
        "lessthan",
        "lessthanorequalto",
        "greaterthan",
        "greaterthanorequalto",
    ];
    known.contains(&name).then(|| compute(name, args))
}

fn compute(name: &str, args: &[Value]) -> Result<Value, String> {
    let a = || arg(args, 0);
    let b = || arg(args, 1);
    let floats = || Ok::<_, String>((float(a()?)?, float(b()?)?));
    Ok(match name {
        "equal" => Value::Bool(equal(a()?, b()?)),
        "notequal" => Value::Bool(!equal(a()?, b()?)),
        "and" => Value::Bool(truth(a()?)? && truth(b()?)?),
        "or" => Value::Bool(truth(a()?)? || truth(b()?)?),
        "not" => Value::Bool(!truth(a()?)?),
        "negate" => number(-float(a()?)?),
        "absolute" => number(float(a()?)?.abs()),
        "ceil" => number(float(a()?)?.ceil()),
        "floor" => number(float(a()?)?.floor()),
        "int" => number(float(a()?)?.trunc()),
        "signum" => {
            let value = float(a()?)?;
            number(if value == 0.0 { 0.0 } else { value.signum() })
        }
        "parseint" => {
            let (digits, base) = (text(a()?)?, whole(b()?)?);
            let base = u32::try_from(base)
                .ok()
                .filter(|base| (2..=36).contains(base));
            let base = base.ok_or_else(|| "the base must be 2 to 36".to_owned())?;
            let parsed = i64::from_str_radix(&digits, base);
            Value::from(parsed.map_err(|_| format!("`{digits}` is no number"))?)
        }
        _ => {
            let (a, b) = floats()?;
            match name {
                "add" => number(a + b),
                "subtract" => number(a - b),
                "multiply" => number(a * b),
                "pow" => number(a.powf(b)),
                "log" => number(a.ln() / b.ln()),
                "lessthan" => Value::Bool(a < b),
                "lessthanorequalto" => Value::Bool(a <= b),
                "greaterthan" => Value::Bool(a > b),
                "greaterthanorequalto" => Value::Bool(a >= b),
                _ if b == 0.0 => return Err("division by zero".to_owned()),
                "divide" => number(a / b),
                _ => number(a % b),
            }
        }
    })
}
