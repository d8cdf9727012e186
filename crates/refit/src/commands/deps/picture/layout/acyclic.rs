//! Lines that are drawn backwards, so that no cycle is left.

use super::Sheet;

/// For each line, whether it closes a cycle. A line of a box to itself is left to others.
pub(super) fn backward(sheet: &Sheet) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut out = vec![Vec::new(); sheet.boxes.len()];
    let mut has_parent = vec![false; sheet.boxes.len()];
    for (number, line) in sheet.lines.iter().enumerate() {
        if line.from != line.to {
            out[line.from].push(number);
            has_parent[line.to] = true;
        }
    }
    let mut backward = vec![false; sheet.lines.len()];
    let mut seen = vec![Seen::Not; sheet.boxes.len()];
    // From the boxes that nothing leads to first: a cycle is then opened where it is entered.
    let mut starts: Vec<usize> = (0..sheet.boxes.len()).collect();
    starts.sort_by_key(|number| has_parent[*number]);
    for start in starts {
        if seen[start] != Seen::Not {
            continue;
        }
        seen[start] = Seen::Open;
        let mut stack = vec![(start, 0)];
        while let Some((number, next)) = stack.last_mut() {
            let Some(line) = out[*number].get(*next) else {
                seen[*number] = Seen::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            let to = sheet.lines[*line].to;
            match seen[to] {
                Seen::Open => backward[*line] = true,
                Seen::Not => {
                    seen[to] = Seen::Open;
                    stack.push((to, 0));
                }
                Seen::Done => {}
            }
        }
    }
    backward
}
