//! `strategy.matrix` as rows.

use serde_json::{Map, Value};

use super::{
    super::yaml::{Node, Value as Yaml},
    expression::Scope,
};

/// GitHub's own limit.
const MOST: usize = 256;

type Row = Map<String, Value>;

/// The rows of a job's matrix; one without values where there is no matrix. The error is what the run decides.
pub(super) fn rows(job: &Node, scope: &Scope) -> Result<Vec<Row>, String> {
    let Some(matrix) = job
        .get("strategy")
        .and_then(|strategy| strategy.filled("matrix"))
    else {
        return Ok(vec![Map::new()]);
    };
    let Value::Object(mut axes) = value(matrix, scope)? else {
        return Err("its matrix is no mapping".to_owned());
    };
    let list = |value: Option<Value>| -> Vec<Row> {
        let items = match value {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        items
            .into_iter()
            .filter_map(|item| item.as_object().cloned())
            .collect()
    };
    let (include, exclude) = (list(axes.remove("include")), list(axes.remove("exclude")));
    let mut rows: Vec<Row> = if axes.is_empty() {
        Vec::new()
    } else {
        vec![Map::new()]
    };
    // In the order of the file, as GitHub counts them.
    let order = matrix.entries().iter().map(|(name, _)| name.clone());
    let order: Vec<String> = if matrix.entries().is_empty() {
        axes.keys().cloned().collect()
    } else {
        order.collect()
    };
    for axis in order {
        let Some(Value::Array(values)) = axes.get(&axis) else {
            continue;
        };
        if rows.len() * values.len() > MOST {
            return Err(format!("its matrix has more than {MOST} rows"));
        }
        let longer = rows.iter().flat_map(|row| {
            values.iter().map(|value| {
                let mut row = row.clone();
                row.insert(axis.clone(), value.clone());
                row
            })
        });
        rows = longer.collect();
    }
    let agrees =
        |row: &Row, with: &Row| with.iter().all(|(key, value)| row.get(key) == Some(value));
    rows.retain(|row| !exclude.iter().any(|without| agrees(row, without)));
    let originals = rows.clone();
    for more in include {
        let of_axes: Row = more
            .iter()
            .filter(|(key, _)| axes.contains_key(*key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut extended = false;
        for (at, original) in originals.iter().enumerate() {
            if agrees(original, &of_axes) {
                rows[at].extend(more.clone());
                extended = true;
            }
        }
        if !extended {
            rows.push(more);
        }
    }
    if rows.is_empty() {
        return Err("its matrix is empty".to_owned());
    }
    rows.truncate(MOST);
    Ok(rows)
}

/// YAML as an expression sees it, the expressions in it evaluated.
fn value(node: &Node, scope: &Scope) -> Result<Value, String> {
    Ok(match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Number(text) => match text.parse::<i64>() {
            Ok(whole) => Value::from(whole),
            Err(_) => text
                .parse::<f64>()
                .map_or_else(|_| Value::from(text.as_str()), Value::from),
        },
        Yaml::Text(text) => scope.any(text)?,
        Yaml::List(items) => {
            let items = items.iter().map(|item| value(item, scope));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Yaml::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| Ok((key.clone(), value(node, scope)?)));
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(matrix: &str, expect: &[&str]) {
        let job =
            super::super::super::yaml::parse(&format!("strategy:\n  matrix:\n{matrix}")).unwrap();
        let rows = rows(&job, &Scope::default());
        let said: Vec<String> = match rows {
            Ok(rows) => rows
                .into_iter()
                .map(|row| Value::Object(row).to_string())
                .collect(),
            Err(why) => vec![why],
        };
        assert_eq!(said, expect, "{matrix}");
    }

    #[test]
    fn rows_are_the_product_less_excluded_plus_included() {
        check(
            "    a: [1, 2]\n    b: [x]\n",
            &[r#"{"a":1,"b":"x"}"#, r#"{"a":2,"b":"x"}"#],
        );
        check(
            "    a: [1, 2]\n    exclude:\n      - a: 1\n",
            &[r#"{"a":2}"#],
        );
        check(
            "    a: [1, 2]\n    include:\n      - c: all\n      - {a: 2, c: two}\n      - {a: 3}\n",
            &[r#"{"a":1,"c":"all"}"#, r#"{"a":2,"c":"two"}"#, r#"{"a":3}"#],
        );
        check(
            "    include:\n      - {n: web}\n      - {n: api}\n",
            &[r#"{"n":"web"}"#, r#"{"n":"api"}"#],
        );
        check("    a: ${{ fromJSON('[\"x\"]') }}\n", &[r#"{"a":"x"}"#]);
        check(
            "    a: ${{ fromJSON(needs.plan.outputs.list) }}\n",
            &["${{ fromJSON(needs.plan.outputs.list) }}"],
        );
    }
}
