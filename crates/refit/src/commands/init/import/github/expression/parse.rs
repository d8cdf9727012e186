//! Expressions as trees.

use serde_json::Value;

/// Nested parentheses and calls, at most.
const DEEPEST: usize = 50;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Value(Value),
    /// `matrix.item['v']`: the first element is a name.
    Path(Vec<Expression>),
    Not(Box<Expression>),
    Binary(Box<Expression>, Operator, Box<Expression>),
    Call(String, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// By what binds loosest; of those that begin alike the longer first.
const OPERATORS: [&[(&str, Operator)]; 4] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        ("<=", Operator::LessEqual),
        (">=", Operator::GreaterEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
];

/// The whole text as one expression.
pub(super) fn parse(text: &str) -> Option<Expression> {
    let mut parser = Parser {
        rest: text,
        depth: 0,
    };
    let expression = parser.binary(0)?;
    parser.space();
    parser.rest.is_empty().then_some(expression)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn binary(&mut self, level: usize) -> Option<Expression> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        let mut n = 0;
        while let Some((_, operator)) = operators.iter().find(|(token, _)| self.eat(token)) {
            n += 1;
            if n > DEEPEST {
                return None;
            }
            let right = self.binary(level + 1)?;
            left = Expression::Binary(Box::new(left), *operator, Box::new(right));
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        self.space();
        let expression = if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
            self.eat("!");
            Expression::Not(Box::new(self.unary()?))
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Some(expression)
    }

    fn primary(&mut self) -> Option<Expression> {
        if self.eat("(") {
            let inner = self.binary(0)?;
            return self
                .eat(")")
                .then_some(inner)
                .and_then(|inner| self.members(inner));
        }
        if self.rest.starts_with('\'') {
            return self.quoted();
        }
        let is_number = self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c));
        let length = self
            .rest
            .find(|c: char| {
                !(c.is_ascii_alphanumeric() || "_-".contains(c) || (is_number && "+.".contains(c)))
            })
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        if word.is_empty() {
            return None;
        }
        self.rest = rest;
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ if is_number => {
                let number = word.parse::<f64>().ok()?;
                #[expect(clippy::cast_possible_truncation, reason = "whole, and small")]
                if number.fract() == 0.0 && number.abs() < 1e15 {
                    Value::from(number as i64)
                } else {
                    Value::from(number)
                }
            }
            _ if self.eat("(") => {
                let args = self.args()?;
                return self.members(Expression::Call(word.to_owned(), args));
            }
            _ => {
                let name = Expression::Value(Value::from(word));
                return self.members(Expression::Path(vec![name]));
            }
        };
        Some(Expression::Value(value))
    }

    fn args(&mut self) -> Option<Vec<Expression>> {
        let mut args = Vec::new();
        if self.eat(")") {
            return Some(args);
        }
        loop {
            args.push(self.binary(0)?);
            if self.eat(")") {
                return Some(args);
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    /// `.name` and `[…]` behind something.
    fn members(&mut self, of: Expression) -> Option<Expression> {
        let mut keys = Vec::new();
        loop {
            if self.rest.starts_with('.') {
                self.rest = &self.rest[1..];
                let length = self
                    .rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)))
                    .unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(length);
                if name.is_empty() {
                    return None;
                }
                keys.push(Expression::Value(Value::from(name)));
                self.rest = rest;
            } else if self.eat("[") {
                keys.push(self.binary(0)?);
                if !self.eat("]") {
                    return None;
                }
            } else {
                break;
            }
        }
        if keys.is_empty() {
            return Some(of);
        }
        Some(match of {
            Expression::Path(mut path) => {
                path.extend(keys);
                Expression::Path(path)
            }
            other => {
                let mut args = vec![other];
                args.extend(keys);
                // A member of a function's result.
                Expression::Call("member".to_owned(), args)
            }
        })
    }

    fn quoted(&mut self) -> Option<Expression> {
        let mut text = String::new();
        let mut rest = self.rest.strip_prefix('\'')?;
        loop {
            let end = rest.find('\'')?;
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(more) => {
                    text.push('\'');
                    rest = more;
                }
                None => break,
            }
        }
        self.rest = rest;
        Some(Expression::Value(Value::String(text)))
    }
}
