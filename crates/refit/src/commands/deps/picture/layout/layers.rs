//! Columns of boxes and of the places where long lines pass between them.

use std::collections::BTreeMap;

use super::Sheet;

/// How much of the space between boxes a line keeps to what it passes.
const BESIDE_LINE: f64 = 0.75;

/// Something that takes up height in one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) rank: usize,
    pub(super) height: f64,
    /// Whether it is where a line passes.
    pub(super) is_passage: bool,
}

/// All columns, and what connects one to the next.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    /// The boxes by their numbers, then the passages.
    pub(super) items: Vec<Item>,
    /// The items of each rank, from top to bottom.
    pub(super) columns: Vec<Vec<usize>>,
    /// What an item is connected with in the column before, with weights; each once, sorted.
    pub(super) left: Vec<Vec<(usize, u32)>>,
    /// The same in the column after.
    pub(super) right: Vec<Vec<(usize, u32)>>,
    /// The items of each line, from left to right.
    pub(super) ways: Vec<Vec<usize>>,
    /// The least space between two boxes.
    gap: f64,
}

impl Layers {
    /// Columns in the order of a walk from the left, which draws a forest without crossings.
    pub(super) fn new(sheet: &Sheet, ranks: &[usize]) -> Self {
        let mut layers = Self::unsorted(sheet, ranks);
        layers.walk(<[usize]>::to_vec);
        layers
    }

    /// The same where wide levels are spread: what leads on to the next band leaves amid the boxes of the one before, so
    /// that all bands have one middle.
    pub(super) fn spread(sheet: &Sheet, ranks: &[usize]) -> Self {
        let mut layers = Self::unsorted(sheet, ranks);
        let n_boxes = sheet.boxes.len();
        layers.walk(|right| {
            let (passages, mut amid): (Vec<usize>, Vec<usize>) =
                right.iter().partition(|item| **item >= n_boxes);
            let middle = amid.len() / 2;
            amid.splice(middle..middle, passages);
            amid
        });
        layers
    }

    fn unsorted(sheet: &Sheet, ranks: &[usize]) -> Self {
        let boxes = sheet.boxes.iter().zip(ranks).map(|(size, rank)| Item {
            rank: *rank,
            height: size.height,
            is_passage: false,
        });
        let mut items: Vec<Item> = boxes.collect();
        let mut passages: BTreeMap<(usize, u8, usize), usize> = BTreeMap::new();
        let mut joints: BTreeMap<(usize, usize), u32> = BTreeMap::new();
        let mut ways = Vec::with_capacity(sheet.lines.len());
        for line in &sheet.lines {
            let mut way = vec![line.from];
            if line.from != line.to {
                for rank in ranks[line.from] + 1..ranks[line.to] {
                    let key = (line.from, line.strand, rank);
                    way.push(*passages.entry(key).or_insert_with(|| {
                        items.push(Item {
                            rank,
                            height: 0.0,
                            is_passage: true,
                        });
                        items.len() - 1
                    }));
                }
                way.push(line.to);
            }
            for pair in way.windows(2) {
                *joints.entry((pair[0], pair[1])).or_default() += line.weight;
            }
            ways.push(way);
        }
        let mut left = vec![Vec::new(); items.len()];
        let mut right = vec![Vec::new(); items.len()];
        for ((from, to), weight) in joints {
            right[from].push((to, weight));
            left[to].push((from, weight));
        }
        let n_columns = items.iter().map(|item| item.rank + 1).max().unwrap_or(0);
        Self {
            columns: vec![Vec::new(); n_columns],
            items,
            left,
            right,
            ways,
            gap: sheet.gap,
        }
    }

    /// `sorted` puts what an item is connected with on its right into the order of the walk.
    fn walk(&mut self, sorted: impl Fn(&[usize]) -> Vec<usize>) {
        let mut seen = vec![false; self.items.len()];
        let starts: Vec<usize> = (0..self.items.len())
            .filter(|item| self.left[*item].is_empty())
            .collect();
        for start in starts {
            let mut open = vec![start];
            while let Some(item) = open.pop() {
                if !std::mem::replace(&mut seen[item], true) {
                    self.columns[self.items[item].rank].push(item);
                    let right: Vec<usize> = self.right[item].iter().map(|(to, _)| *to).collect();
                    open.extend(sorted(&right).into_iter().rev());
                }
            }
        }
    }

    /// The position of each item in its column.
    pub(super) fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.items.len()];
        for column in &self.columns {
            for (position, item) in column.iter().enumerate() {
                positions[*item] = position;
            }
        }
        positions
    }

    /// How far apart the middles of two neighbours in a column have to be.
    pub(super) fn distance(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (self.items[a], self.items[b]);
        let gap = if a.is_passage || b.is_passage {
            self.gap * BESIDE_LINE
        } else {
            self.gap
        };
        f64::midpoint(a.height, b.height) + gap
    }

    /// How often lines cross, each weighing as much as it does.
    pub(super) fn crossings(&self) -> u64 {
        let positions = self.positions();
        let between = self.columns.windows(2);
        between
            .map(|pair| self.crossings_between(&pair[0], pair[1].len(), &positions))
            .sum()
    }

    /// By an accumulator tree: Barth, Jünger and Mutzel, Simple and efficient bilayer cross counting.
    fn crossings_between(&self, column: &[usize], n_right: usize, positions: &[usize]) -> u64 {
        let size = n_right.next_power_of_two();
        let mut tree = vec![0_u64; 2 * size];
        let mut crossings = 0;
        for item in column {
            let mut ends: Vec<(usize, u64)> = self.right[*item]
                .iter()
                .map(|(to, weight)| (positions[*to], u64::from(*weight)))
                .collect();
            ends.sort_unstable();
            for &(end, weight) in &ends {
                let mut at = end + size;
                while at > 1 {
                    if at.is_multiple_of(2) {
                        crossings += weight * tree[at + 1];
                    }
                    at /= 2;
                }
            }
            for (end, weight) in ends {
                let mut at = end + size;
                while at > 0 {
                    tree[at] += weight;
                    at /= 2;
                }
            }
        }
        crossings
    }
}
