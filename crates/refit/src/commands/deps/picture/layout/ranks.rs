//! Ranks: which column each box stands in.

use std::cmp::Ordering;

use super::{Line, Sheet};

/// More rounds than any drawing has needed; each shortens the lines.
const ROUNDS: usize = 64;

/// A rank for each box, from 0: a line leads from a lower to a higher one, and lines are short.
pub(super) fn ranks(sheet: &Sheet) -> Vec<usize> {
    let lines: Vec<&Line> = sheet.lines.iter().filter(|l| l.from != l.to).collect();
    let mut into = vec![Vec::new(); sheet.boxes.len()];
    let mut out = vec![Vec::new(); sheet.boxes.len()];
    for line in lines {
        into[line.to].push((line.from, line.weight));
        out[line.from].push((line.to, line.weight));
    }
    let order = topological(&into, &out);
    let mut ranks = vec![0_usize; sheet.boxes.len()];
    for &number in &order {
        let above = into[number].iter().map(|(from, _)| ranks[*from] + 1);
        ranks[number] = above.max().unwrap_or(0);
    }
    // A box that more weight draws to one side goes there, as far as its lines allow.
    for _ in 0..ROUNDS {
        let mut moved = false;
        for &number in order.iter().rev() {
            let weight = |ends: &[(usize, u32)]| ends.iter().map(|(_, w)| w).sum::<u32>();
            let (left, right) = (weight(&into[number]), weight(&out[number]));
            let first = into[number].iter().map(|(from, _)| ranks[*from] + 1);
            let last = out[number].iter().map(|(to, _)| ranks[*to] - 1);
            let goal = match left.cmp(&right) {
                Ordering::Greater => first.max(),
                Ordering::Less => last.min(),
                Ordering::Equal => None,
            };
            if let Some(goal) = goal.filter(|goal| *goal != ranks[number]) {
                ranks[number] = goal;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let first = ranks.iter().copied().min().unwrap_or(0);
    for rank in &mut ranks {
        *rank -= first;
    }
    ranks
}

/// The boxes so that every line leads forward.
fn topological(into: &[Vec<(usize, u32)>], out: &[Vec<(usize, u32)>]) -> Vec<usize> {
    let mut open: Vec<usize> = into.iter().map(Vec::len).collect();
    let ready = open.iter().enumerate().filter(|(_, n)| **n == 0);
    let mut order: Vec<usize> = ready.map(|(number, _)| number).collect();
    let mut next = 0;
    while let Some(&number) = order.get(next) {
        next += 1;
        for (to, _) in &out[number] {
            open[*to] -= 1;
            if open[*to] == 0 {
                order.push(*to);
            }
        }
    }
    order
}
