//! The order in each column, so that few lines cross: sweeps by weighted averages, then exchanges of neighbours.

use super::layers::Layers;

/// How many sweeps may pass without a better order.
const PATIENCE: usize = 4;
/// No more sweeps than this, whatever they bring.
const SWEEPS: usize = 24;
/// With more items than this in a drawing, exchanges cost more than they bring.
const EXCHANGED: usize = 6_000;

/// Which neighbours decide.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Sorts the columns; never to more crossings than they had.
pub(super) fn reduce_crossings(layers: &mut Layers) {
    let mut best = layers.crossings();
    let mut columns = layers.columns.clone();
    let mut without_gain = 0;
    for sweep in 0..SWEEPS {
        if best == 0 || without_gain == PATIENCE {
            break;
        }
        let side = if sweep % 2 == 0 {
            Side::Left
        } else {
            Side::Right
        };
        self::sweep(layers, side);
        if layers.items.len() <= EXCHANGED {
            exchange(layers);
        }
        let crossings = layers.crossings();
        if crossings < best {
            best = crossings;
            columns.clone_from(&layers.columns);
            without_gain = 0;
        } else {
            without_gain += 1;
        }
    }
    layers.columns = columns;
}

fn sweep(layers: &mut Layers, side: Side) {
    let n = layers.columns.len();
    let mut positions = layers.positions();
    let ranks: Vec<usize> = match side {
        Side::Left => (1..n).collect(),
        Side::Right => (0..n.saturating_sub(1)).rev().collect(),
    };
    for rank in ranks {
        let column = std::mem::take(&mut layers.columns[rank]);
        let averages = column.iter().enumerate().map(|(position, item)| {
            let neighbours = match side {
                Side::Left => &layers.left[*item],
                Side::Right => &layers.right[*item],
            };
            (average(neighbours, &positions), position, *item)
        });
        let sorted = merge(&averages.collect::<Vec<_>>());
        for (position, item) in sorted.iter().enumerate() {
            positions[*item] = position;
        }
        layers.columns[rank] = sorted;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "positions and weights are far below 2^52"
)]
fn average(neighbours: &[(usize, u32)], positions: &[usize]) -> Option<f64> {
    let weights: u64 = neighbours.iter().map(|(_, w)| u64::from(*w)).sum();
    let sum: u64 = neighbours
        .iter()
        .map(|(item, w)| positions[*item] as u64 * u64::from(*w))
        .sum();
    (weights > 0).then(|| sum as f64 / weights as f64)
}

/// Sorts what has an average by it, equals as they stood; what has none keeps its place.
fn merge(items: &[(Option<f64>, usize, usize)]) -> Vec<usize> {
    let free: Vec<bool> = items
        .iter()
        .map(|(average, ..)| average.is_some())
        .collect();
    let mut sorted: Vec<(f64, usize, usize)> = items
        .iter()
        .filter_map(|(average, position, item)| Some(((*average)?, *position, *item)))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut sorted = sorted.into_iter().map(|(_, _, item)| item);
    let placed =
        items.iter().zip(free).filter_map(
            |((_, _, item), is_free)| {
                if is_free { sorted.next() } else { Some(*item) }
            },
        );
    placed.collect()
}

/// Exchanges neighbours while that saves crossings.
fn exchange(layers: &mut Layers) {
    let mut positions = layers.positions();
    let mut improved = true;
    let mut rounds = 0;
    while improved && rounds < 8 {
        improved = false;
        rounds += 1;
        for rank in 0..layers.columns.len() {
            for upper in 1..layers.columns[rank].len() {
                let (a, b) = (layers.columns[rank][upper - 1], layers.columns[rank][upper]);
                let now = pair_crossings(layers, &positions, a, b);
                let then = pair_crossings(layers, &positions, b, a);
                if then < now {
                    layers.columns[rank].swap(upper - 1, upper);
                    positions.swap(a, b);
                    improved = true;
                }
            }
        }
    }
}

/// How often the lines of two neighbours cross when `a` is above `b`.
fn pair_crossings(layers: &Layers, positions: &[usize], a: usize, b: usize) -> u64 {
    let sides = [&layers.left, &layers.right];
    let of_side = |joints: &Vec<Vec<(usize, u32)>>| -> u64 {
        let pairs = joints[a]
            .iter()
            .flat_map(|x| joints[b].iter().map(move |y| (x, y)));
        pairs
            .filter(|((x, _), (y, _))| positions[*x] > positions[*y])
            .map(|((_, v), (_, w))| u64::from(*v) * u64::from(*w))
            .sum()
    };
    sides.into_iter().map(of_side).sum()
}
