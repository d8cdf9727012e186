//! How Go prints what BuildKit writes into an image's history.

use std::fmt::Write as _;

/// `%q` of a list: `["/bin/sh" "-c"]`.
pub(crate) fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("[{}]", words.join(" "))
}

/// `%v` of a list: `[a b]`.
pub(crate) fn plain(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// `strconv.Quote`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{b}' => "\\v",
            _ => "",
        };
        let code = u32::from(c);
        // A string takes any write.
        let _ = match c {
            _ if !escape.is_empty() => quoted.write_str(escape),
            ' '..='~' => quoted.write_char(c),
            _ if code < 0x20 || code == 0x7f => write!(quoted, "\\x{code:02x}"),
            _ if !c.is_control() && !c.is_whitespace() => quoted.write_char(c),
            _ if code < 0x1_0000 => write!(quoted, "\\u{code:04x}"),
            _ => write!(quoted, "\\U{code:08x}"),
        };
    }
    quoted.push('"');
    quoted
}

/// `time.Duration.String` of nanoseconds that are not negative: `1m30s`, `1.5ms`.
pub(crate) fn duration(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let below_a_second = |unit: u64, name: &str| format!("{}{name}", decimal(nanoseconds, unit));
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => below_a_second(1, "ns"),
        1_000..1_000_000 => below_a_second(1_000, "µs"),
        1_000_000..SECOND => below_a_second(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (nanoseconds / SECOND / 60, nanoseconds % (60 * SECOND));
            let seconds = format!("{}s", decimal(rest, SECOND));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn decimal(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    format!(
        "{whole}.{}",
        format!("{fraction:0digits$}").trim_end_matches('0')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_quoted_as_by_go() {
        let words = ["a b", "\"x\"\\", "\n\t\u{1b}\u{7f}", "é☺", "\u{2028}\u{a0}"];
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let expect = r#"["a b" "\"x\"\\" "\n\t\x1b\x7f" "é☺" "\u2028\u00a0"]"#;
        assert_eq!(quoted(&words), expect);
        assert_eq!(quoted(&[]), "[]");
        assert_eq!(plain(&words[..1]), "[a b]");
    }

    #[test]
    fn durations_are_printed_as_by_go() {
        for (nanoseconds, expect) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (30_000_000_000, "30s"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_000_000_001, "1h1m1.000000001s"),
        ] {
            assert_eq!(duration(nanoseconds), expect);
        }
    }
}
