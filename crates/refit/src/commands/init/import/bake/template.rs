//! Templates: text with `${…}` and `%{…}` in it.

use std::collections::BTreeMap;

use hcl_edit::template::{Directive, Element, Strip};
use serde_json::Value;

use super::{
    eval::{Globals, Locals},
    value::{pairs, text, truth},
};

/// Bytes of a text.
const LONGEST: usize = 1 << 20;

/// A template's value: of a lone interpolation whatever it gives, of everything else a text.
pub(super) fn value(
    globals: &Globals,
    elements: &[&Element],
    locals: &Locals<'_>,
) -> Result<Value, String> {
    if let [Element::Interpolation(only)] = elements {
        return globals.eval(&only.expr, locals);
    }
    let mut out = String::new();
    render(globals, elements, (false, false), locals, &mut out)?;
    Ok(Value::String(out))
}

/// `edges` says whether white space is stripped at the very start and end.
fn render(
    globals: &Globals,
    elements: &[&Element],
    edges: (bool, bool),
    locals: &Locals<'_>,
    out: &mut String,
) -> Result<(), String> {
    for (at, element) in elements.iter().enumerate() {
        match element {
            Element::Literal(literal) => {
                let before = match at.checked_sub(1) {
                    Some(before) => strips_after(elements[before]),
                    None => edges.0,
                };
                let after = elements
                    .get(at + 1)
                    .map_or(edges.1, |next| strips_before(next));
                out.push_str(stripped(literal, before, after));
            }
            Element::Interpolation(interpolation) => {
                out.push_str(&text(&globals.eval(&interpolation.expr, locals)?)?);
                if out.len() > LONGEST {
                    return Err("the text is too long".to_owned());
                }
            }
            Element::Directive(directive) => self::directive(globals, directive, locals, out)?,
        }
    }
    Ok(())
}

fn directive(
    globals: &Globals,
    directive: &Directive,
    locals: &Locals<'_>,
    out: &mut String,
) -> Result<(), String> {
    match directive {
        Directive::If(choice) => {
            let (yes, end) = (&choice.if_expr, &choice.endif_expr);
            let otherwise = choice.else_expr.as_ref();
            if truth(&globals.eval(&yes.cond_expr, locals)?)? {
                let next = otherwise.map_or(end.strip, |other| other.strip);
                let elements: Vec<&Element> = yes.template.iter().collect();
                let edges = (yes.strip.strip_end(), next.strip_start());
                render(globals, &elements, edges, locals, out)?;
            } else if let Some(other) = otherwise {
                let elements: Vec<&Element> = other.template.iter().collect();
                let edges = (other.strip.strip_end(), end.strip.strip_start());
                render(globals, &elements, edges, locals, out)?;
            }
        }
        Directive::For(each) => {
            let (start, end) = (&each.for_expr, &each.endfor_expr);
            let elements: Vec<&Element> = start.template.iter().collect();
            let edges = (start.strip.strip_end(), end.strip.strip_start());
            for (key, value) in pairs(&globals.eval(&start.collection_expr, locals)?)? {
                let mut names = BTreeMap::from([(start.value_var.to_string(), value)]);
                names.extend(start.key_var.as_ref().map(|name| (name.to_string(), key)));
                let inner = Locals {
                    names,
                    around: Some(locals),
                };
                render(globals, &elements, edges, &inner, out)?;
            }
        }
    }
    Ok(())
}

fn strips_before(element: &Element) -> bool {
    first_and_last(element).is_some_and(|(first, _)| first.strip_start())
}

fn strips_after(element: &Element) -> bool {
    first_and_last(element).is_some_and(|(_, last)| last.strip_end())
}

fn first_and_last(element: &Element) -> Option<(Strip, Strip)> {
    match element {
        Element::Literal(_) => None,
        Element::Interpolation(interpolation) => Some((interpolation.strip, interpolation.strip)),
        Element::Directive(directive) => Some(match directive.as_ref() {
            Directive::If(choice) => (choice.if_expr.strip, choice.endif_expr.strip),
            Directive::For(each) => (each.for_expr.strip, each.endfor_expr.strip),
        }),
    }
}

/// White space goes up to the end of its line.
fn stripped(mut literal: &str, before: bool, after: bool) -> &str {
    let is_space = |c: char| c.is_whitespace() && c != '\n';
    if before {
        literal = literal.trim_start_matches(is_space);
        literal = literal.strip_prefix('\n').unwrap_or(literal);
    }
    if after {
        literal = literal.trim_end_matches(is_space);
        literal = literal.strip_suffix('\n').unwrap_or(literal);
    }
    literal
}
