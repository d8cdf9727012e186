//! What every drawing has to keep, on drawn-up and on random graphs.

use std::collections::BTreeSet;

use super::*;

fn sheet(sizes: &[(f64, f64)], pairs: &[(usize, usize)]) -> Sheet {
    Sheet {
        gap: 16.0,
        boxes: sizes
            .iter()
            .map(|&(width, height)| Size {
                width,
                height,
                stretches: height < 60.0,
            })
            .collect(),
        lines: pairs
            .iter()
            .enumerate()
            .map(|(number, &(from, to))| Line {
                from,
                to,
                weight: if number % 3 == 0 { 1 } else { 3 },
                strand: u8::from(number % 3 == 0),
            })
            .collect(),
    }
}

fn plain(n: usize, pairs: &[(usize, usize)]) -> Sheet {
    sheet(&vec![(100.0, 40.0); n], pairs)
}

/// A repeatable graph: mostly a forest, with lines across; now and then one that closes a cycle.
fn random(n: usize, seed: u64) -> Sheet {
    let mut state = seed * 2 + 1;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut pairs = BTreeSet::new();
    for number in 1..n {
        if next(6) > 0 {
            pairs.insert((next(number), number));
        }
        if next(4) == 0 {
            pairs.insert((next(number), number));
        }
        if next(40) == 0 {
            pairs.insert((number, next(n)));
        }
    }
    let sizes: Vec<(f64, f64)> = (0..n)
        .map(|_| match next(8) {
            0 => (
                220.0,
                26.0 * (2.0 + f64::from(u32::try_from(next(12)).unwrap())),
            ),
            _ => (80.0 + f64::from(u32::try_from(next(120)).unwrap()), 42.0),
        })
        .collect();
    sheet(&sizes, &pairs.into_iter().collect::<Vec<_>>())
}

fn all_kinds() -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = (1..30)
        .map(|seed| random(4 * usize::try_from(seed).unwrap(), seed))
        .collect();
    sheets.extend([
        Sheet::default(),
        plain(1, &[]),
        plain(9, &[]),
        plain(1, &[(0, 0)]),
        plain(3, &[(0, 1), (1, 2), (2, 0)]),
        plain(2, &[(0, 1), (1, 0), (0, 1)]),
        plain(81, &(1..81).map(|to| (0, to)).collect::<Vec<_>>()),
        plain(15, &(1..15).map(|to| (to - 1, to)).collect::<Vec<_>>()),
        plain(
            40,
            &(1..20)
                .flat_map(|to| [(0, to), (to, to + 20)])
                .collect::<Vec<_>>(),
        ),
    ]);
    sheets
}

#[test]
fn boxes_do_not_overlap() {
    for sheet in all_kinds() {
        let drawing = lay_out(&sheet);
        assert_eq!(drawing.boxes.len(), sheet.boxes.len());
        for (a, upper) in drawing.boxes.iter().enumerate() {
            assert!(upper.x >= 0.0 && upper.y >= 0.0, "{upper:?}");
            assert!(
                upper.x + upper.width <= drawing.width && upper.y + upper.height <= drawing.height
            );
            assert!(upper.width >= sheet.boxes[a].width);
            for lower in &drawing.boxes[a + 1..] {
                let apart = upper.x + upper.width + 8.0 <= lower.x
                    || lower.x + lower.width + 8.0 <= upper.x
                    || upper.y + upper.height + 8.0 <= lower.y
                    || lower.y + lower.height + 8.0 <= upper.y;
                assert!(apart, "{upper:?} {lower:?}");
            }
        }
    }
}

#[test]
fn lines_join_their_boxes_and_lead_to_the_right_unless_they_close_a_cycle() {
    for sheet in all_kinds() {
        let drawing = lay_out(&sheet);
        let backward = acyclic::backward(&sheet);
        for (number, (line, route)) in sheet.lines.iter().zip(&drawing.routes).enumerate() {
            if line.from == line.to {
                assert!(route.is_empty());
                continue;
            }
            let (mut left, mut right) = (&drawing.boxes[line.from], &drawing.boxes[line.to]);
            let mut route = route.clone();
            let parts_agree = route.first().unwrap().x <= route.last().unwrap().x;
            assert_eq!(parts_agree, left.x < right.x);
            if !parts_agree {
                std::mem::swap(&mut left, &mut right);
                route.reverse();
            }
            assert!(left.x + left.width < right.x, "line {number}");
            assert!((route[0].x - left.x - left.width).abs() < 0.5);
            assert!((route.last().unwrap().end - right.x).abs() < 0.5);
            for (rect, y) in [(left, route[0].y), (right, route.last().unwrap().y)] {
                assert!((rect.y + rect.height / 2.0 - y).abs() <= 1.0);
            }
            assert!(route.windows(2).all(|runs| runs[0].end < runs[1].x));
        }
        // Nothing but cycles is turned around.
        if backward.iter().all(|back| !back) {
            let lines = sheet.lines.iter();
            assert!(
                lines
                    .clone()
                    .all(|l| l.from == l.to || drawing.boxes[l.from].x < drawing.boxes[l.to].x)
            );
        }
    }
}

#[test]
fn no_line_runs_through_a_box() {
    for sheet in all_kinds() {
        let drawing = lay_out(&sheet);
        for run in drawing.routes.iter().flatten() {
            for rect in &drawing.boxes {
                let beside = run.end <= rect.x || rect.x + rect.width <= run.x;
                let apart = run.y < rect.y || rect.y + rect.height < run.y;
                assert!(beside || apart, "{run:?} {rect:?}");
            }
        }
        // Between two runs a line curves, and no box reaches into that gap.
        for pair in drawing.routes.iter().flat_map(|route| route.windows(2)) {
            let (from, to) = (pair[0].end.min(pair[1].end), pair[0].x.max(pair[1].x));
            let low = pair[0].y.min(pair[1].y);
            let high = pair[0].y.max(pair[1].y);
            for rect in &drawing.boxes {
                let beside = to <= rect.x || rect.x + rect.width <= from;
                assert!(
                    beside || rect.y > high || rect.y + rect.height < low,
                    "{pair:?} {rect:?}"
                );
            }
        }
    }
}

#[test]
fn the_same_sheet_gives_the_same_drawing() {
    for sheet in all_kinds() {
        assert_eq!(lay_out(&sheet), lay_out(&sheet.clone()));
    }
}

#[test]
fn sorting_columns_never_adds_crossings_and_saves_most_of_them() {
    let (mut before, mut after) = (0, 0);
    for sheet in all_kinds() {
        for part in parts(&sheet) {
            let backward = acyclic::backward(&part.sheet);
            let mut part = part.sheet;
            let mut backward = backward.into_iter();
            part.lines.retain(|_| !backward.next().unwrap());
            let mut layers = Layers::new(&part, &ranks::ranks(&part));
            let naive = layers.crossings();
            order::reduce_crossings(&mut layers);
            assert!(layers.crossings() <= naive);
            before += naive;
            after += layers.crossings();
        }
    }
    assert!(after * 3 < before * 2, "{before} → {after}");
}

#[test]
fn crossings_are_counted() {
    let count = |pairs: &[(usize, usize)]| {
        let sheet = plain(6, pairs);
        let ranks: Vec<usize> = (0..6).map(|number| number / 3).collect();
        let mut layers = Layers::new(&sheet, &ranks);
        layers.columns = vec![vec![0, 1, 2], vec![3, 4, 5]];
        let all_one = |joints: &mut Vec<Vec<(usize, u32)>>| {
            joints.iter_mut().flatten().for_each(|joint| joint.1 = 1);
        };
        all_one(&mut layers.right);
        layers.crossings()
    };
    assert_eq!(count(&[(0, 3), (1, 4), (2, 5)]), 0);
    assert_eq!(count(&[(0, 4), (1, 3)]), 1);
    assert_eq!(count(&[(0, 5), (1, 4), (2, 3)]), 3);
    assert_eq!(count(&[(0, 5), (1, 5), (2, 5)]), 0);
    assert_eq!(count(&[(0, 3), (0, 4), (0, 5), (1, 3), (1, 4), (1, 5)]), 3);
}

#[test]
fn a_forest_has_no_crossings_and_parents_stand_in_the_middle_of_their_children() {
    let mut sheet = plain(7, &[(0, 1), (0, 2), (0, 3), (2, 4), (2, 5), (2, 6)]);
    sheet.lines.iter_mut().for_each(|line| line.weight = 3);
    let drawing = lay_out(&sheet);
    let middle = |number: usize| drawing.boxes[number].y + 20.0;
    assert!((middle(0) - middle(2)).abs() <= 1.0, "{drawing:?}");
    assert!((middle(2) - middle(5)).abs() <= 1.0, "{drawing:?}");
}

#[test]
fn long_lines_are_straight_and_sources_stand_before_what_uses_them() {
    // A chain of six, a line over five of them, and a second source of the last one.
    let sheet = plain(7, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5), (6, 5)]);
    let drawing = lay_out(&sheet);
    let long = &drawing.routes[5];
    let heights: BTreeSet<u64> = long[1..long.len() - 1]
        .iter()
        .map(|run| run.y.to_bits())
        .collect();
    assert_eq!(heights.len(), 1, "{long:?}");
    assert!((drawing.boxes[6].x - drawing.boxes[4].x).abs() < 0.5);
}

#[test]
fn parts_are_packed_without_much_waste() {
    let sizes: Vec<(f64, f64)> = (0..60)
        .map(|i| (300.0, if i == 0 { 600.0 } else { 42.0 }))
        .collect();
    let packed = pack::pack(&sizes);
    let area: f64 = sizes.iter().map(|(w, h)| (w + 40.0) * (h + 40.0)).sum();
    assert!(
        packed.width * packed.height < area * 1.6,
        "{} × {}",
        packed.width,
        packed.height
    );
    assert!(packed.width > packed.height && packed.width < 3.5 * packed.height);
}

/// A box with many branches that are alike: each a box with another one behind it.
fn fan(n: usize) -> Sheet {
    let pairs = (1..=n).flat_map(|child| [(0, child), (child, n + child)]);
    let mut sheet = plain(2 * n + 1, &pairs.collect::<Vec<_>>());
    for line in &mut sheet.lines {
        (line.weight, line.strand) = (3, 0);
    }
    sheet
}

#[test]
fn a_wide_level_is_spread_over_several_columns() {
    let drawing = lay_out(&fan(80));
    let shape = drawing.width / drawing.height;
    assert!(
        (1.0..2.5).contains(&shape),
        "{} × {}",
        drawing.width,
        drawing.height
    );
    // What is built on a child still stands right behind it, in the same row.
    for child in 1..=80 {
        let (own, next) = (drawing.boxes[child], drawing.boxes[80 + child]);
        assert!(next.x > own.x && next.x < own.x + 2.0 * own.width + 100.0);
        assert!((next.y - own.y).abs() <= 1.0, "{child}");
    }
    // The bands have one middle, and it is that of what they are built on.
    let middle = drawing.height / 2.0 - 20.0;
    assert!((drawing.boxes[0].y - middle).abs() < 40.0, "{drawing:?}");
    // They are read downwards, column by column.
    let corner = |number: usize| (drawing.boxes[number].x, drawing.boxes[number].y);
    assert!((2..=80).all(|child| corner(child - 1) < corner(child)));
}

#[test]
fn a_level_that_can_be_seen_at_once_stays_one_column() {
    let drawing = lay_out(&fan(12));
    assert!((2..=12).all(|n| (drawing.boxes[n].x - drawing.boxes[1].x).abs() < 0.5));
}

#[test]
fn two_thousand_boxes_are_drawn() {
    let drawing = lay_out(&random(2_000, 7));
    assert!(drawing.boxes.iter().all(|rect| rect.width > 0.0));
    assert!(drawing.width > 0.0 && drawing.height > 0.0);
}
