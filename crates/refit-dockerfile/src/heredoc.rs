//! Here-documents: their markers, found by the shell lexer anywhere in RUN, COPY and ADD, and their bodies.

use crate::expand::{ExpandError, Lexer};

/// A here-document and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it: COPY's file name.
    pub name: String,
    /// The file descriptor before `<<`, 0 if none is written.
    pub descriptor: u32,
    /// Whether variables in the body are expanded: no part of the name was quoted.
    pub expand: bool,
    /// `<<-`: leading tabs are no part of the body.
    pub chomp: bool,
    /// The body as written, line endings and tabs included.
    pub content: String,
}

impl Heredoc {
    /// The body as COPY writes it and RUN runs it: without leading tabs after `<<-`.
    pub fn body(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// The markers in a logical line, in order, their bodies still empty. A line that the lexer cannot read has none.
pub(crate) fn markers(line: &str) -> Result<Vec<Heredoc>, ExpandError> {
    let mut lexer = Lexer::new('\\', &|_| None);
    lexer.keep_quotes();
    lexer.keep_escapes();
    lexer.keep_unset();
    let Ok((_, words)) = lexer.process(line) else {
        return Ok(Vec::new());
    };
    let markers = words.iter().filter_map(|word| marker(word).transpose());
    markers.collect()
}

/// The name in a word that is a marker.
pub(crate) fn name(word: &str) -> Option<String> {
    marker(word).ok().flatten().map(|heredoc| heredoc.name)
}

/// `^(\d*)<<(-?)\s*([^<]*)$`, the last part one word.
fn marker(word: &str) -> Result<Option<Heredoc>, ExpandError> {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = digits.strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let read = |keep_quotes: bool| {
        let mut lexer = Lexer::new('\\', &|_| None);
        lexer.keep_unset();
        if keep_quotes {
            lexer.keep_quotes();
        }
        lexer.process(rest).map(|(_, words)| words)
    };
    let [name] = &read(false)?[..] else {
        return Ok(None);
    };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    // A name with more quotes before they are removed than after was quoted somewhere.
    let expand = matches!(&read(true)?[..], [raw] if quotes(raw) == quotes(name));
    let descriptor = &word[..word.len() - digits.len()];
    Ok(Some(Heredoc {
        name: name.clone(),
        descriptor: descriptor.parse().unwrap_or(0),
        expand,
        chomp,
        content: String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_anywhere_in_the_words() {
        for (line, expect) in [
            ("RUN <<EOF", &["EOF"][..]),
            ("RUN << EOF", &["EOF"]),
            ("RUN <<- EOF", &[]),
            ("RUN << -EOF", &["-EOF"]),
            ("RUN cat <<EOF > /x", &["EOF"]),
            ("RUN <<A <<B", &["A", "B"]),
            ("RUN 3<<EOF", &["EOF"]),
            ("RUN <<'EOF'", &["EOF"]),
            ("RUN <<EO\"F\"", &["EOF"]),
            ("RUN <<'one two'", &["one two"]),
            ("RUN <<$EOF", &["$EOF"]),
            ("RUN <<eo\\'f", &["eo'f"]),
            ("COPY --chmod=0755 <<a.txt /b", &["a.txt"]),
            ("RUN \"<<EOF\"", &[]),
            ("RUN echo $((1<<2))", &[]),
            ("RUN a <<<word", &[]),
            ("RUN it's <<EOF", &[]),
            ("RUN x<<EOF", &[]),
            ("RUN <<", &[]),
        ] {
            let names: Vec<_> = markers(line).unwrap().into_iter().map(|h| h.name).collect();
            assert_eq!(names, expect, "{line}");
        }
    }

    #[test]
    fn quotes_stop_expansion_and_a_dash_chomps() {
        for (word, expand, chomp, descriptor) in [
            ("<<EOF", true, false, 0),
            ("<<-EOF", true, true, 0),
            ("<<'EOF'", false, false, 0),
            ("4<<-\"EOF\"", false, true, 4),
            ("<<eo'f'", false, false, 0),
            ("<<eo\\'f", true, false, 0),
            ("<<'e'o\\'f", false, false, 0),
        ] {
            let heredoc = marker(word).unwrap().unwrap();
            let read = (heredoc.expand, heredoc.chomp, heredoc.descriptor);
            assert_eq!(read, (expand, chomp, descriptor), "{word}");
        }
        for bad in ["<<'EOF", "<<EOF\""] {
            assert!(marker(bad).is_err(), "{bad}");
        }
    }
}
