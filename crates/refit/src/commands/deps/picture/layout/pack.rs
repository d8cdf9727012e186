//! Parts that nothing connects, side by side.

/// The space between parts.
const GAP: f64 = 40.0;
/// How much wider than high the whole should be.
const ASPECT: f64 = 1.6;

/// Where each part's upper left corner goes, and the size of the whole.
pub(super) struct Packed {
    pub(super) corners: Vec<(f64, f64)>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The widths that are tried, as multiples of what would do if nothing were wasted.
const TRIED: [f64; 6] = [1.0, 1.2, 1.4, 1.7, 2.0, 2.5];

/// Of several widths the one whose result is seen whole at the largest scale.
pub(super) fn pack(sizes: &[(f64, f64)]) -> Packed {
    let area: f64 = sizes.iter().map(|(w, h)| (w + GAP) * (h + GAP)).sum();
    let widest = sizes.iter().map(|(w, _)| *w).fold(0.0, f64::max);
    let mut best = shelves(sizes, (area * ASPECT).sqrt().max(widest));
    for times in &TRIED[1..] {
        let other = shelves(sizes, (area * ASPECT).sqrt().max(widest) * times);
        if other.extent() < best.extent() {
            best = other;
        }
    }
    best
}

impl Packed {
    /// The height of the window of the wanted shape that holds it.
    fn extent(&self) -> f64 {
        self.height.max(self.width / ASPECT)
    }
}

/// Shelves: the highest part left on each, the others in stacks that are no higher.
fn shelves(sizes: &[(f64, f64)], limit: f64) -> Packed {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|a, b| sizes[*b].1.total_cmp(&sizes[*a].1).then(a.cmp(b)));
    let mut corners = vec![(0.0, 0.0); sizes.len()];
    let (mut width, mut height) = (0.0_f64, 0.0_f64);
    let mut order = order.into_iter().peekable();
    while let Some(first) = order.next() {
        let shelf = if height > 0.0 { height + GAP } else { 0.0 };
        let room = sizes[first].1;
        corners[first] = (0.0, shelf);
        let mut stack = Stack {
            x: sizes[first].0 + GAP,
            width: 0.0,
            height: 0.0,
        };
        width = width.max(sizes[first].0);
        while let Some(&part) = order.peek() {
            let (w, h) = sizes[part];
            if stack.height + h > room {
                stack = stack.next();
            }
            if stack.x + w.max(stack.width) > limit {
                break;
            }
            corners[part] = (stack.x, shelf + stack.height);
            width = width.max(stack.x + w);
            stack.width = stack.width.max(w);
            stack.height += h + GAP;
            order.next();
        }
        height = shelf + room;
    }
    Packed {
        corners,
        width,
        height,
    }
}

/// Parts on top of each other.
struct Stack {
    x: f64,
    width: f64,
    height: f64,
}

impl Stack {
    fn next(self) -> Self {
        Self {
            x: self.x + self.width + GAP,
            width: 0.0,
            height: 0.0,
        }
    }
}
