//! Fills templates: `@NAME@` in a line is a word, alone on a line it is as many lines as it stands for.

/// Names and what they stand for.
pub(super) type Values = Vec<(&'static str, String)>;

/// Replaces every placeholder. A line that is nothing but a placeholder gets its value's lines, each indented like it;
/// with an empty value it is left out.
pub(super) fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::new();
    for line in template.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let whole = values
            .iter()
            .find(|(name, _)| line.trim() == format!("@{name}@"));
        if let Some((_, value)) = whole {
            for line in value.lines() {
                let indent = if line.is_empty() { "" } else { indent };
                filled.extend([indent, line, "\n"]);
            }
            continue;
        }
        let mut line = line.to_owned();
        for (name, value) in values {
            line = line.replace(&format!("@{name}@"), value);
        }
        filled.push_str(line.trim_end());
        filled.push('\n');
    }
    filled
}

/// A YAML scalar in single quotes: nothing in it means anything.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Several of them, as in a flow sequence.
pub(super) fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_alone_on_a_line_is_as_many_lines_as_its_value() {
        let values = [
            ("A", "one\n\n  two".to_owned()),
            ("B", String::new()),
            ("C", "word".to_owned()),
        ];
        assert_eq!(
            fill("x:\n  @A@\n  @B@\n  y: @C@!\n", &values),
            "x:\n  one\n\n    two\n  y: word!\n"
        );
    }
}
