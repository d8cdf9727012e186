//! The blocks of bake files: HCL, or the same in JSON.

use std::collections::BTreeMap;

use hcl_edit::{
    Span as _,
    expr::{Array, Expression, Object, ObjectKey, ObjectValue},
    structure::{Body, Structure},
    template::{Element, StringTemplate, Template},
};

use super::{
    super::{
        model::Place,
        yaml::{self, Node, Value},
    },
    eval::Function,
};

/// One `target` or `group`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) attributes: BTreeMap<String, (Place, Expression)>,
}

/// What files say together, in their order.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) variables: BTreeMap<String, Expression>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) groups: Vec<Block>,
    pub(super) targets: Vec<Block>,
}

impl Blocks {
    /// Reads one more file. An error names the line.
    pub(super) fn read(&mut self, file: &str, text: &str) -> Result<(), (usize, String)> {
        if std::path::Path::new(file)
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("json"))
        {
            return self.read_json(file, text);
        }
        let body: Body = text.parse().map_err(|error: hcl_edit::parser::Error| {
            let message = error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            (error.location().line(), message)
        })?;
        let lines = Lines { file, text };
        for structure in &body {
            match structure {
                Structure::Attribute(attribute) => {
                    let name = attribute.key.to_string();
                    self.variables.insert(name, attribute.value.clone());
                }
                Structure::Block(block) => {
                    let label = block.labels.first().map(|label| label.as_str().to_owned());
                    let block = Block {
                        name: label.unwrap_or_default(),
                        place: lines.place(block.span()),
                        attributes: lines.attributes(&block.body),
                    }
                    .of_kind(block.ident.as_str());
                    self.add(block);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, (kind, mut block): (String, Block)) {
        match kind.as_str() {
            "target" => self.targets.push(block),
            "group" => self.groups.push(block),
            "variable" => {
                let default = block.attributes.remove("default");
                // Without a default the environment's, and without that nothing.
                let value = default.map_or_else(|| Expression::from(""), |(_, value)| value);
                self.variables.insert(block.name, value);
            }
            "function" => {
                let names = |value: Option<(Place, Expression)>| -> Vec<String> {
                    let value = value.map(|(_, value)| value);
                    let items = value.as_ref().and_then(Expression::as_array);
                    items.into_iter().flatten().filter_map(name_of).collect()
                };
                let params = names(block.attributes.remove("params"));
                let rest = block.attributes.remove("variadic_params");
                if let Some((_, result)) = block.attributes.remove("result") {
                    let rest = rest.as_ref().and_then(|(_, name)| name_of(name));
                    let function = Function {
                        params,
                        rest,
                        result,
                    };
                    self.functions.insert(block.name, function);
                }
            }
            _ => {}
        }
    }

    fn read_json(&mut self, file: &str, text: &str) -> Result<(), (usize, String)> {
        let root = yaml::parse_json(text)?;
        for (kind, blocks) in root.entries() {
            if !matches!(kind.as_str(), "target" | "group" | "variable" | "function") {
                self.variables.insert(kind.clone(), expression(blocks)?);
                continue;
            }
            for (name, bodies) in blocks.entries() {
                // A list stands for blocks of one name.
                let bodies: Vec<&Node> = match &bodies.value {
                    Value::List(items) => items.iter().collect(),
                    _ => vec![bodies],
                };
                for body in bodies {
                    let mut attributes = BTreeMap::new();
                    for (key, value) in body.entries() {
                        let place = Place::new(file, value.line);
                        attributes.insert(key.clone(), (place, expression(value)?));
                    }
                    let block = Block {
                        name: name.clone(),
                        place: Place::new(file, body.line),
                        attributes,
                    };
                    self.add((kind.clone(), block));
                }
            }
        }
        Ok(())
    }
}

impl Block {
    fn of_kind(self, kind: &str) -> (String, Self) {
        (kind.to_owned(), self)
    }
}

/// A parameter's name: a bare word, or a text.
fn name_of(expression: &Expression) -> Option<String> {
    let word = expression.as_variable().map(ToString::to_string);
    word.or_else(|| expression.as_str().map(str::to_owned))
}

struct Lines<'a> {
    file: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, span: Option<std::ops::Range<usize>>) -> Place {
        let start = span.map_or(0, |span| span.start.min(self.text.len()));
        let line = self
            .text
            .get(..start)
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1;
        Place::new(self.file, line)
    }

    fn attributes(&self, body: &Body) -> BTreeMap<String, (Place, Expression)> {
        let mut attributes = BTreeMap::new();
        for structure in body {
            let (name, span, value) = match structure {
                Structure::Attribute(attribute) => {
                    let value = attribute.value.clone();
                    (attribute.key.to_string(), attribute.key.span(), value)
                }
                // `args { … }` is `args = { … }`.
                Structure::Block(block) => {
                    let mut object = Object::new();
                    for attribute in block.body.attributes() {
                        let key = ObjectKey::from(attribute.key.clone());
                        object.insert(key, ObjectValue::new(attribute.value.clone()));
                    }
                    (
                        block.ident.to_string(),
                        block.span(),
                        Expression::from(object),
                    )
                }
            };
            attributes.insert(name, (self.place(span), value));
        }
        attributes
    }
}

/// JSON as HCL sees it: every text is a template.
fn expression(node: &Node) -> Result<Expression, (usize, String)> {
    Ok(match &node.value {
        Value::Null => Expression::null(),
        Value::Bool(value) => Expression::from(*value),
        Value::Number(text) => number(text),
        Value::Text(text) => template(text, node.line)?,
        Value::List(items) => {
            let items = items
                .iter()
                .map(expression)
                .collect::<Result<Vec<_>, _>>()?;
            Expression::from(items.into_iter().collect::<Array>())
        }
        Value::Map(entries) => {
            let mut object = Object::new();
            for (key, value) in entries {
                let key = ObjectKey::Expression(template(key, value.line)?);
                object.insert(key, ObjectValue::new(expression(value)?));
            }
            Expression::from(object)
        }
    })
}

fn number(text: &str) -> Expression {
    if let Ok(whole) = text.parse::<i64>() {
        return Expression::from(whole);
    }
    let parsed = text.parse().ok().and_then(hcl_edit::Number::from_f64);
    parsed.map_or_else(
        || Expression::from(text),
        |number| Expression::Number(number.into()),
    )
}

fn template(text: &str, line: usize) -> Result<Expression, (usize, String)> {
    if !text.contains("${") && !text.contains("%{") {
        return Ok(Expression::from(text));
    }
    let template: Template = text.parse().map_err(|error: hcl_edit::parser::Error| {
        let message = error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        (line, message)
    })?;
    let elements: Vec<Element> = template.into_iter().collect();
    Ok(Expression::StringTemplate(StringTemplate::from(elements)))
}
