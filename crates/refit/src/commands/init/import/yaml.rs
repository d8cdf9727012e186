//! YAML (and JSON, which is YAML) with the line of every value.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Spanned, Tagged};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) mark: Mark,
}

/// Tags that compose files know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    #[default]
    None,
    /// `!reset`.
    Reset,
    /// `!override`.
    Override,
}

/// A value; of numbers what YAML makes of them, as text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number of the source: `1.20` is `1.2`.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the source.
    Map(Vec<(String, Node)>),
}

/// Mappings and sequences within one another: no file needs more, and the stack holds them.
const DEEPEST: usize = 32;

/// Reads one document; the error names line and column where there are any.
pub(crate) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
        with_snippet: false,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Node::new(Value::Null, 1));
    }
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        let message = error.to_string();
        let message = match message.lines().next().unwrap_or_default() {
            deep if deep.starts_with("budget breached: Depth") || deep.starts_with("recursion") => {
                format!("values are nested more than {DEEPEST} deep")
            }
            other => other.to_owned(),
        };
        (usize::try_from(line).unwrap_or(0), message)
    })
}

/// Reads JSON. Most of it is YAML, which knows lines; what is not (a letter as two `\\u`) is read without.
pub(crate) fn parse_json(text: &str) -> Result<Node, (usize, String)> {
    parse(text).or_else(|error| {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| error)?;
        Ok(without_lines(&value))
    })
}

fn without_lines(value: &serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(without_lines).collect()),
        Json::Object(map) => {
            let entries = map.iter();
            Value::Map(
                entries
                    .map(|(key, value)| (key.clone(), without_lines(value)))
                    .collect(),
            )
        }
    };
    Node::new(value, 0)
}

impl Node {
    pub(crate) fn new(value: Value, line: usize) -> Self {
        let mark = Mark::None;
        Self { value, line, mark }
    }

    /// The value under a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.entries().iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The value under a key, unless it is null.
    pub(crate) fn filled(&self, key: &str) -> Option<&Node> {
        self.get(key).filter(|node| node.value != Value::Null)
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a sequence; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A scalar as text; none of null and collections.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The text under a key.
    pub(crate) fn text_at(&self, key: &str) -> Option<String> {
        self.get(key)?.text()
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tagged<Value>>::deserialize(deserializer)?;
        let Tagged(value, tag) = spanned.value;
        Ok(Self {
            value,
            line: usize::try_from(spanned.referenced.line()).unwrap_or(0),
            mark: match tag.as_deref() {
                Some("!reset") => Mark::Reset,
                Some("!override") => Mark::Override,
                _ => Mark::None,
            },
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, mut value)) = entries.next_entry::<Node, Node>()? {
            // A value that begins below its key is looked for at the key.
            if key.line > 0 {
                value.line = key.line;
            }
            let key = match key.value {
                Value::Text(text) | Value::Number(text) => text,
                Value::Bool(value) => value.to_string(),
                Value::Null | Value::List(_) | Value::Map(_) => String::new(),
            };
            map.push((key, value));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_lines_and_strings_stay_strings() {
        let node =
            parse("on:\n  push: no\nv: 1.20\nw: '1.20'\nb: true\nx: &a\n  - 1\ny: *a\n").unwrap();
        assert_eq!(node.get("on").unwrap().text_at("push").unwrap(), "no");
        assert_eq!(node.text_at("v").unwrap(), "1.2");
        assert_eq!(node.text_at("w").unwrap(), "1.20");
        assert_eq!(node.get("w").unwrap().line, 4);
        assert_eq!(node.get("b").unwrap().value, Value::Bool(true));
        assert_eq!(node.get("y").unwrap().items().len(), 1);
    }

    #[test]
    fn marks_are_kept_and_other_tags_change_nothing() {
        use Mark::{None, Override, Reset};

        let node = parse(
            "a: !reset null\nb: !override {x: 1}\nc: !reset\nd: !override [1]\ne: !!str 5\nf: !own x\n\
             g: &g !override {y: 2}\nh: *g\ni: !reset []\n",
        )
        .unwrap();
        let marks: Vec<Mark> = node.entries().iter().map(|(_, node)| node.mark).collect();
        assert_eq!(
            marks,
            [
                Reset, Override, Reset, Override, None, None, Override, Override, Reset
            ]
        );
        assert_eq!(node.get("b").unwrap().text_at("x").unwrap(), "1");
        assert_eq!(node.get("b").unwrap().line, 2);
        assert_eq!(node.get("f").unwrap().text().unwrap(), "x");
        assert_eq!(node.text_at("e").unwrap(), "5");
    }

    #[test]
    fn merge_keys_are_merged() {
        let node = parse("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n").unwrap();
        let b = node.get("b").unwrap();
        assert_eq!(
            (b.text_at("x"), b.text_at("y")),
            (Some("1".into()), Some("3".into()))
        );
    }

    #[test]
    fn json_that_is_no_yaml_is_read_nevertheless() {
        let node = parse_json("{\"a\": \"\\ud83d\\ude00\",\n\t\"b\": [1.50]}").unwrap();
        assert_eq!(node.text_at("a").unwrap(), "\u{1f600}");
        assert_eq!(node.get("b").unwrap().items()[0].text().unwrap(), "1.5");
        assert!(parse_json("{\"a\": ").is_err());
    }

    #[test]
    fn errors_name_their_line() {
        assert_eq!(parse("a: 1\nb: [\n").unwrap_err().0, 2);
        assert!(parse("").is_ok());
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let deep = format!("a:\n  {}{}", open.repeat(9000), close.repeat(9000));
            let (line, why) = parse(&deep).unwrap_err();
            assert_eq!(
                (line, why.as_str()),
                (2, "values are nested more than 32 deep")
            );
        }
    }
}
