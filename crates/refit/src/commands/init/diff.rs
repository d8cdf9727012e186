//! A unified diff of two texts that differ in one place, which is all that `init` ever does to a file.

use std::fmt::Write as _;

/// Lines of context around the change.
const CONTEXT: usize = 3;

/// One hunk: everything between the first and the last line that differ.
pub(super) fn unified(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same_start;
    let same_end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let from = same_start.saturating_sub(CONTEXT);
    let (old_to, new_to) = (old.len() - same_end, new.len() - same_end);
    let after_context = same_end.min(CONTEXT);
    let range = |to: usize| {
        let n = to + after_context - from;
        let start = if n == 0 { from } else { from + 1 };
        format!("{start},{n}")
    };
    let mut hunk = format!("@@ -{} +{} @@\n", range(old_to), range(new_to));
    let mut line =
        |mark: char, text: &str| writeln!(hunk, "{mark}{text}").expect("writing to a string");
    old[from..same_start]
        .iter()
        .for_each(|text| line(' ', text));
    old[same_start..old_to]
        .iter()
        .for_each(|text| line('-', text));
    new[same_start..new_to]
        .iter()
        .for_each(|text| line('+', text));
    old[old_to..old_to + after_context]
        .iter()
        .for_each(|text| line(' ', text));
    hunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_all_plus() {
        assert_eq!(unified("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
    }

    #[test]
    fn an_inserted_block_shows_its_surroundings() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n";
        let after = "1\n2\n3\n4\nnew\n5\n6\n7\n8\n";
        assert_eq!(
            unified(before, after),
            "@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n"
        );
    }

    #[test]
    fn repeated_lines_do_not_confuse_it() {
        assert_eq!(unified("a\n", "a\na\n"), "@@ -1,1 +1,2 @@\n a\n+a\n");
        assert_eq!(unified("a\na\n", "a\n"), "@@ -1,2 +1,1 @@\n a\n-a\n");
    }
}
