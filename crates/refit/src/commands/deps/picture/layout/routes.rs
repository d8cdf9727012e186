//! From columns and heights to boxes and lines.

use super::{Drawing, Rect, Run, Sheet, layers::Layers};

/// The least space between two columns.
const GAP: f64 = 44.0;
/// The most that lines which rise or fall far add to it.
const STEEP: f64 = 72.0;
/// How far a line may rise for each pixel of the gap.
const RISE: f64 = 7.0;

/// A column's left side and width.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    x: f64,
    width: f64,
    /// How wide the boxes are that stretch.
    stretched: f64,
}

/// Places boxes and lines. A line is level where it passes a column; it rises and falls between columns only.
pub(super) fn draw(sheet: &Sheet, layers: &Layers, middles: &[f64]) -> Drawing {
    let columns = columns(sheet, layers, middles);
    let top = middles.iter().zip(&layers.items);
    let top = top.fold(f64::INFINITY, |top, (y, item)| {
        top.min(y - item.height / 2.0)
    });
    let middle = |item: usize| (middles[item] - top).round();
    let boxes: Vec<Rect> = sheet
        .boxes
        .iter()
        .enumerate()
        .map(|(item, size)| {
            let column = columns[layers.items[item].rank];
            let width = if size.stretches {
                column.stretched
            } else {
                size.width
            };
            Rect {
                x: column.x,
                y: middle(item) - (size.height / 2.0).round(),
                width,
                height: size.height,
            }
        })
        .collect();
    let routes = layers.ways.iter().map(|way| {
        let last = way.len() - 1;
        let runs = way.iter().enumerate().map(|(at, &item)| {
            let column = columns[layers.items[item].rank];
            let (x, end) = (column.x, column.x + column.width);
            Run {
                x: if at == 0 { right_of(&boxes[item]) } else { x },
                end: if at == last { x } else { end },
                y: middle(item),
            }
        });
        if last == 0 {
            Vec::new()
        } else {
            runs.collect()
        }
    });
    let routes = routes.collect();
    let extent = |of: fn(&Rect) -> f64| boxes.iter().map(of).fold(0.0, f64::max);
    Drawing {
        width: extent(right_of),
        height: extent(|rect| rect.y + rect.height),
        boxes,
        routes,
    }
}

fn right_of(rect: &Rect) -> f64 {
    rect.x + rect.width
}

fn columns(sheet: &Sheet, layers: &Layers, middles: &[f64]) -> Vec<Column> {
    let mut columns = vec![Column::default(); layers.columns.len()];
    for (size, item) in sheet.boxes.iter().zip(&layers.items) {
        let column = &mut columns[item.rank];
        column.width = column.width.max(size.width);
        if size.stretches {
            column.stretched = column.stretched.max(size.width);
        }
    }
    let mut x = 0.0;
    for (rank, column) in columns.iter_mut().enumerate() {
        column.x = x;
        let joints = layers.columns[rank]
            .iter()
            .flat_map(|item| layers.right[*item].iter().map(move |(to, _)| (*item, *to)));
        let rises = joints.map(|(from, to)| (middles[from] - middles[to]).abs());
        let steepest = rises.fold(0.0, f64::max);
        x += column.width + (GAP + (steepest / RISE).min(STEEP)).round();
    }
    columns
}
