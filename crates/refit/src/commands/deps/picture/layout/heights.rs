//! Heights: every item is drawn to the middle of what it is connected with, as far as its column has room.
//!
//! Columns are settled one after the other, to the right and back, until little changes. What one column wants is a
//! least-squares problem under the order and the distances of its items, solved exactly by pooling neighbours that
//! would overlap. At last long lines are made straight, and small steps are taken out, where nothing is in the way.

use super::layers::Layers;

/// Sweeps there and back that look at one side only, and then at both.
const ROUGH: usize = 6;
const FINE: usize = 16;
/// How much more a line inside of its way weighs than one at a box: long lines are straight first of all.
const INSIDE: f64 = 8.0;
const AT_PASSAGE: f64 = 2.0;
/// What holds an item where it is, if nothing draws it.
const INERTIA: f64 = 0.01;
/// A step that is smaller looks like a mistake.
const STEP: f64 = 12.0;

/// Which neighbours draw an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

/// The middle of each item.
pub(super) fn middles(layers: &Layers) -> Vec<f64> {
    let mut middles = stacked(layers);
    for _ in 0..ROUGH {
        sweep(layers, &mut middles, Side::Right, true);
        sweep(layers, &mut middles, Side::Left, false);
    }
    for _ in 0..FINE {
        sweep(layers, &mut middles, Side::Both, true);
        sweep(layers, &mut middles, Side::Both, false);
    }
    straighten(layers, &mut middles);
    take_out_steps(layers, &mut middles);
    middles
}

/// Each column as close together as it can be, around zero.
fn stacked(layers: &Layers) -> Vec<f64> {
    let mut middles = vec![0.0; layers.items.len()];
    for column in &layers.columns {
        let offsets = offsets(layers, column);
        let half = offsets.last().map_or(0.0, |last| last / 2.0);
        for (item, offset) in column.iter().zip(offsets) {
            middles[*item] = offset - half;
        }
    }
    middles
}

/// How far below the first item of a column each has to be.
fn offsets(layers: &Layers, column: &[usize]) -> Vec<f64> {
    let mut offset = 0.0;
    let mut offsets: Vec<f64> = Vec::with_capacity(column.len());
    for (at, item) in column.iter().enumerate() {
        if at > 0 {
            offset += layers.distance(column[at - 1], *item);
        }
        offsets.push(offset);
    }
    offsets
}

fn sweep(layers: &Layers, middles: &mut [f64], side: Side, backward: bool) {
    let n = layers.columns.len();
    for step in 0..n {
        let rank = if backward { n - 1 - step } else { step };
        settle(layers, &layers.columns[rank], middles, side);
    }
}

/// Items that touch, and move as one.
struct Pool {
    n: usize,
    weight: f64,
    /// The weighted mean of what its items want, less their offsets.
    mean: f64,
}

fn settle(layers: &Layers, column: &[usize], middles: &mut [f64], side: Side) {
    let offsets = offsets(layers, column);
    let mut pools: Vec<Pool> = Vec::with_capacity(column.len());
    for (item, offset) in column.iter().zip(&offsets) {
        let (wanted, weight) = wanted(layers, *item, middles, side);
        let mut pool = Pool {
            n: 1,
            weight,
            mean: wanted - offset,
        };
        while let Some(above) = pools.pop_if(|above| above.mean > pool.mean) {
            let weight = above.weight + pool.weight;
            pool = Pool {
                n: above.n + pool.n,
                mean: (above.mean * above.weight + pool.mean * pool.weight) / weight,
                weight,
            };
        }
        pools.push(pool);
    }
    let mut at = 0;
    for pool in pools {
        for _ in 0..pool.n {
            middles[column[at]] = pool.mean + offsets[at];
            at += 1;
        }
    }
}

/// Where an item is drawn to, and how much.
fn wanted(layers: &Layers, item: usize, middles: &[f64], side: Side) -> (f64, f64) {
    let (mut sum, mut weights) = (middles[item] * INERTIA, INERTIA);
    let left = layers.left[item].iter().filter(|_| side != Side::Right);
    let right = layers.right[item].iter().filter(|_| side != Side::Left);
    for (other, weight) in left.chain(right) {
        let times = match (
            layers.items[item].is_passage,
            layers.items[*other].is_passage,
        ) {
            (true, true) => INSIDE,
            (false, false) => 1.0,
            _ => AT_PASSAGE,
        };
        let weight = f64::from(*weight) * times;
        sum += middles[*other] * weight;
        weights += weight;
    }
    (sum / weights, weights)
}

/// How far up and down an item can go.
fn room(layers: &Layers, positions: &[usize], middles: &[f64], item: usize) -> (f64, f64) {
    let column = &layers.columns[layers.items[item].rank];
    let at = positions[item];
    let above = at.checked_sub(1).map(|above| column[above]);
    let top = above.map_or(f64::NEG_INFINITY, |above| {
        middles[above] + layers.distance(above, item)
    });
    let below = column.get(at + 1);
    let bottom = below.map_or(f64::INFINITY, |below| {
        middles[*below] - layers.distance(item, *below)
    });
    // Rounding may have left a little less than nothing.
    (top.min(middles[item]), bottom.max(middles[item]))
}

/// Gives the passages of a long line one height, as many in a row as have one in common.
fn straighten(layers: &Layers, middles: &mut [f64]) {
    let positions = layers.positions();
    let is_passage = |item: usize| layers.items[item].is_passage;
    let next = |item: usize| {
        let after = layers.right[item].iter().map(|(other, _)| *other);
        after.into_iter().find(|other| is_passage(*other))
    };
    let starts = (0..layers.items.len()).filter(|item| {
        is_passage(*item)
            && layers.left[*item]
                .iter()
                .all(|(other, _)| !is_passage(*other))
    });
    for start in starts {
        let mut open = Some(start);
        while let Some(first) = open {
            let mut run = vec![first];
            let (mut top, mut bottom) = room(layers, &positions, middles, first);
            open = next(first);
            while let Some(item) = open {
                let (own_top, own_bottom) = room(layers, &positions, middles, item);
                if own_top.max(top) > own_bottom.min(bottom) {
                    break;
                }
                (top, bottom) = (own_top.max(top), own_bottom.min(bottom));
                run.push(item);
                open = next(item);
            }
            let height = layers.left[first]
                .first()
                .map_or(middles[first], |(from, _)| middles[*from]);
            let height = height.max(top).min(bottom);
            for item in run {
                middles[item] = height;
            }
        }
    }
}

/// Moves a box to the height of the one thing that it hangs on, where they nearly agree.
fn take_out_steps(layers: &Layers, middles: &mut [f64]) {
    let positions = layers.positions();
    for column in &layers.columns {
        for &item in column {
            let heaviest = layers.left[item]
                .iter()
                .max_by_key(|(other, weight)| (*weight, usize::MAX - *other));
            let Some((parent, _)) = heaviest else {
                continue;
            };
            let goal = middles[*parent];
            let (top, bottom) = room(layers, &positions, middles, item);
            let is_near = (goal - middles[item]).abs() < STEP;
            if !layers.items[item].is_passage && is_near && (top..=bottom).contains(&goal) {
                middles[item] = goal;
            }
        }
    }
}
