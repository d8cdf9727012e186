//! `format` and its verbs.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::value::{float, text, truth, whole};

/// The text of a format with its arguments put in.
pub(super) fn format(pattern: &str, args: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    let mut next = 0;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        loop {
            match rest.next() {
                None => return Err("the format ends in the midst of a verb".to_owned()),
                Some('-') => spec.left = true,
                Some('+') => spec.plus = true,
                Some('0') if spec.width.is_none() && spec.precision.is_none() => spec.zeros = true,
                Some(' ' | '#') => {}
                Some('[') => {
                    let digits: String =
                        std::iter::from_fn(|| rest.next_if(char::is_ascii_digit)).collect();
                    next = digits.parse::<usize>().unwrap_or(0).saturating_sub(1);
                    rest.next_if_eq(&']');
                }
                Some('.') => spec.precision = Some(0),
                Some(digit) if digit.is_ascii_digit() => spec.digit(digit)?,
                Some('%') => {
                    out.push('%');
                    break;
                }
                Some(verb) => {
                    let value = args
                        .get(next)
                        .ok_or_else(|| format!("there is no argument for `%{verb}`"))?;
                    next += 1;
                    out.push_str(&spec.put(verb, value)?);
                    break;
                }
            }
        }
    }
    Ok(out)
}

/// One text for each element of the lists among the arguments.
pub(super) fn format_list(pattern: &str, args: &[Value]) -> Result<Value, String> {
    let lengths = args.iter().filter_map(Value::as_array).map(Vec::len);
    let Some(n) = lengths.clone().max() else {
        return Ok(Value::Array(vec![Value::String(format(pattern, args)?)]));
    };
    if lengths.clone().any(|length| length != n) {
        return Err("the lists differ in length".to_owned());
    }
    let row = |at: usize| {
        let args: Vec<Value> = args
            .iter()
            .map(|arg| {
                arg.as_array()
                    .map_or_else(|| arg.clone(), |items| items[at].clone())
            })
            .collect();
        format(pattern, &args).map(Value::String)
    };
    Ok(Value::Array((0..n).map(row).collect::<Result<_, _>>()?))
}

#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    zeros: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Spec {
    fn digit(&mut self, digit: char) -> Result<(), String> {
        let value = digit.to_digit(10).map_or(0, |digit| digit as usize);
        let number = match &mut self.precision {
            Some(precision) => precision,
            None => self.width.get_or_insert(0),
        };
        *number = *number * 10 + value;
        if *number > 1000 {
            return Err("the width is too large".to_owned());
        }
        Ok(())
    }

    fn put(&self, verb: char, value: &Value) -> Result<String, String> {
        let mut body = match verb {
            'v' if !matches!(value, Value::String(_) | Value::Number(_)) => value.to_string(),
            's' | 'v' => {
                let text = text(value)?;
                match self.precision {
                    Some(n) => text.chars().take(n).collect(),
                    None => text,
                }
            }
            'q' => Value::String(text(value)?).to_string(),
            't' => truth(value)?.to_string(),
            'd' => whole(value)?.to_string(),
            'x' => format!("{:x}", whole(value)?),
            'X' => format!("{:X}", whole(value)?),
            'o' => format!("{:o}", whole(value)?),
            'b' => format!("{:b}", whole(value)?),
            'f' | 'F' => format!("{:.*}", self.precision.unwrap_or(6), float(value)?),
            'g' => float(value)?.to_string(),
            verb => return Err(format!("the verb `%{verb}` is not known")),
        };
        if self.plus && "dfFg".contains(verb) && !body.starts_with('-') {
            body.insert(0, '+');
        }
        let missing = self.width.unwrap_or(0).saturating_sub(body.chars().count());
        let mut out = String::new();
        if self.left {
            let _ = write!(out, "{body}{}", " ".repeat(missing));
        } else if self.zeros && "dfFgxXob".contains(verb) {
            let signed = body.len() - body.trim_start_matches(['-', '+']).len();
            let (sign, digits) = body.split_at(signed);
            let _ = write!(out, "{sign}{}{digits}", "0".repeat(missing));
        } else {
            let _ = write!(out, "{}{body}", " ".repeat(missing));
        }
        Ok(out)
    }
}
