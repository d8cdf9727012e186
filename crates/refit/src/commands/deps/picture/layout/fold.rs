//! Wide levels: many short branches that hang on the same few boxes would be one tall column. They are spread over
//! several columns, one after the other, if that makes the drawing better to look at.

use super::Sheet;

/// How much wider than high a drawing should be.
const ASPECT: f64 = 1.6;
/// A drawing that is no higher than this is left as it is.
const HIGH: f64 = 1200.0;
/// Spread is what makes it that much smaller.
const WORTH: f64 = 0.7;
/// Fewer branches are not spread.
const FEWEST: usize = 8;
/// About the space that lines need between two columns.
const BETWEEN: f64 = 60.0;

/// A branch: boxes that nothing but what stands before `rank` connects with others.
struct Branch {
    boxes: Vec<usize>,
    /// How many columns it takes.
    depth: usize,
    height: f64,
}

/// Ranks that spread the branches after the column that makes most of it; none if nothing is to be gained.
pub(super) fn fold(sheet: &Sheet, ranks: &[usize]) -> Option<Vec<usize>> {
    let last = ranks.iter().copied().max().unwrap_or(0);
    let columns = columns(sheet, ranks, last);
    let height = columns.iter().map(|column| column.1).fold(0.0, f64::max);
    let all: f64 = columns.iter().map(|column| column.0 + BETWEEN).sum();
    if height <= HIGH {
        return None;
    }
    let mut best = height.max(all / ASPECT) * WORTH;
    let mut spread: Option<Vec<usize>> = None;
    for kept in 0..last {
        let branches = branches(sheet, ranks, kept);
        if branches.len() < FEWEST {
            continue;
        }
        let before = &columns[..=kept];
        let before_width: f64 = before.iter().map(|column| column.0 + BETWEEN).sum();
        let before_height = before.iter().map(|column| column.1).fold(0.0, f64::max);
        let after = columns[kept + 1..].iter().map(|column| column.0 + BETWEEN);
        let after_width: f64 = after.sum();
        let depth = branches
            .iter()
            .map(|branch| branch.depth)
            .max()
            .unwrap_or(1);
        for n in 2..=branches.len() {
            let width =
                before_width + after_width * f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            if width / ASPECT >= best {
                break; // it only gets wider
            }
            let (bands, high) = banded(&branches, n);
            let extent = high.max(before_height).max(width / ASPECT);
            if extent < best {
                best = extent;
                let mut moved = ranks.to_vec();
                for (branch, band) in branches.iter().zip(bands) {
                    for number in &branch.boxes {
                        moved[*number] += band * depth;
                    }
                }
                spread = Some(moved);
            }
        }
    }
    spread
}

/// The width and height of each column.
fn columns(sheet: &Sheet, ranks: &[usize], last: usize) -> Vec<(f64, f64)> {
    let mut columns = vec![(0.0_f64, 0.0_f64); last + 1];
    for (size, rank) in sheet.boxes.iter().zip(ranks) {
        let column = &mut columns[*rank];
        column.0 = column.0.max(size.width);
        column.1 += size.height + sheet.gap;
    }
    columns
}

/// What the columns after `kept` fall into, by their first boxes.
fn branches(sheet: &Sheet, ranks: &[usize], kept: usize) -> Vec<Branch> {
    let mut leaders: Vec<usize> = (0..sheet.boxes.len()).collect();
    let is_after = |number: usize| ranks[number] > kept;
    let inner = |line: &&super::Line| is_after(line.from) && is_after(line.to);
    for line in sheet.lines.iter().filter(inner) {
        let a = super::leader(&mut leaders, line.from);
        let b = super::leader(&mut leaders, line.to);
        leaders[a.max(b)] = a.min(b);
    }
    let mut branches: Vec<Branch> = Vec::new();
    let mut place = vec![usize::MAX; sheet.boxes.len()];
    for number in (0..sheet.boxes.len()).filter(|number| is_after(*number)) {
        let first = super::leader(&mut leaders, number);
        if first == number {
            place[number] = branches.len();
            branches.push(Branch {
                boxes: Vec::new(),
                depth: 0,
                height: 0.0,
            });
        }
        let branch = &mut branches[place[first]];
        branch.depth = branch.depth.max(ranks[number] - kept);
        branch.boxes.push(number);
    }
    for branch in &mut branches {
        let mut heights = vec![0.0_f64; branch.depth];
        for number in &branch.boxes {
            heights[ranks[*number] - kept - 1] += sheet.boxes[*number].height + sheet.gap;
        }
        branch.height = heights.into_iter().fold(0.0, f64::max);
    }
    branches
}

/// The branches in `n` bands that are about as high, in their order; and how high the highest is.
fn banded(branches: &[Branch], n: usize) -> (Vec<usize>, f64) {
    let all: f64 = branches.iter().map(|branch| branch.height).sum();
    let each = all / f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let (mut above, mut band, mut begun, mut highest) = (0.0_f64, 0, 0.0_f64, 0.0_f64);
    let mut bands = Vec::with_capacity(branches.len());
    for branch in branches {
        // Into the band that its middle is in.
        let middle = above + branch.height / 2.0;
        if band + 1 < n && middle > each * f64::from(u32::try_from(band + 1).unwrap_or(u32::MAX)) {
            band += 1;
            begun = above;
        }
        above += branch.height;
        highest = highest.max(above - begun);
        bands.push(band);
    }
    (bands, highest)
}
