//! Where boxes and lines go: a layered drawing, read from left to right. Pure, and the same on every machine.
//!
//! Each connected part is drawn on its own: cycles are opened, boxes get ranks (columns), wide levels are spread, long lines get places between
//! the boxes of the columns that they pass, columns are sorted until few lines cross, and everything is moved so that
//! lines are straight. Then the parts are packed side by side.

mod acyclic;
mod fold;
mod heights;
mod layers;
mod order;
mod pack;
mod ranks;
mod routes;
#[cfg(test)]
mod tests;

use layers::Layers;

/// What is to be drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    /// The boxes, by their numbers.
    pub(super) boxes: Vec<Size>,
    /// The lines between them; the order of equals follows theirs.
    pub(super) lines: Vec<Line>,
    /// The least space between a box and the one below it.
    pub(super) gap: f64,
}

/// How large a box is, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Whether it may become as wide as its column.
    pub(super) stretches: bool,
}

/// A line from the right side of one box to the left side of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Heavier lines are kept shorter and straighter.
    pub(super) weight: u32,
    /// Lines of one box and strand share their way until they part.
    pub(super) strand: u8,
}

/// A placed box: its upper left corner and its size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A level piece of a line. Between two pieces it is a curve, in a gap without boxes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) x: f64,
    pub(super) end: f64,
    pub(super) y: f64,
}

/// Everything placed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Drawing {
    pub(super) boxes: Vec<Rect>,
    /// By the lines' numbers, from `from` to `to`, whichever of them is on the left. A line of a box to itself has none.
    pub(super) routes: Vec<Vec<Run>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Places all boxes and lines of a sheet.
pub(super) fn lay_out(sheet: &Sheet) -> Drawing {
    let parts = parts(sheet);
    let drawings: Vec<Drawing> = parts.iter().map(|part| place(&part.sheet)).collect();
    let sizes: Vec<(f64, f64)> = drawings.iter().map(|d| (d.width, d.height)).collect();
    let packed = pack::pack(&sizes);
    let mut whole = Drawing {
        boxes: vec![Rect::default(); sheet.boxes.len()],
        routes: vec![Vec::new(); sheet.lines.len()],
        width: packed.width,
        height: packed.height,
    };
    for ((part, drawing), (dx, dy)) in parts.iter().zip(drawings).zip(packed.corners) {
        for (number, rect) in part.boxes.iter().zip(drawing.boxes) {
            whole.boxes[*number] = Rect {
                x: rect.x + dx,
                y: rect.y + dy,
                ..rect
            };
        }
        for (number, route) in part.lines.iter().zip(drawing.routes) {
            let moved = route.into_iter().map(|run| Run {
                x: run.x + dx,
                end: run.end + dx,
                y: run.y + dy,
            });
            whole.routes[*number] = moved.collect();
        }
    }
    whole
}

/// One connected part.
fn place(sheet: &Sheet) -> Drawing {
    let backward = acyclic::backward(sheet);
    let forward = |(line, back): (&Line, &bool)| match back {
        true => Line {
            from: line.to,
            to: line.from,
            ..*line
        },
        false => *line,
    };
    let opened = Sheet {
        boxes: sheet.boxes.clone(),
        lines: sheet.lines.iter().zip(&backward).map(forward).collect(),
        gap: sheet.gap,
    };
    let ranks = ranks::ranks(&opened);
    let mut layers = match fold::fold(&opened, &ranks) {
        Some(spread) => Layers::spread(&opened, &spread),
        None => Layers::new(&opened, &ranks),
    };
    order::reduce_crossings(&mut layers);
    let middles = heights::middles(&layers);
    let mut drawing = routes::draw(&opened, &layers, &middles);
    for (route, back) in drawing.routes.iter_mut().zip(backward) {
        if back {
            route.reverse();
        }
    }
    drawing
}

/// A part of a sheet, with the numbers that its boxes and lines have in the whole.
struct Part {
    sheet: Sheet,
    boxes: Vec<usize>,
    lines: Vec<usize>,
}

/// The connected parts, by their first boxes.
fn parts(sheet: &Sheet) -> Vec<Part> {
    let mut leaders: Vec<usize> = (0..sheet.boxes.len()).collect();
    for line in &sheet.lines {
        let (a, b) = (
            leader(&mut leaders, line.from),
            leader(&mut leaders, line.to),
        );
        leaders[a.max(b)] = a.min(b);
    }
    let mut part_of: Vec<usize> = Vec::with_capacity(leaders.len());
    let mut place_in: Vec<usize> = Vec::with_capacity(leaders.len());
    let mut parts: Vec<Part> = Vec::new();
    for number in 0..leaders.len() {
        let first = leader(&mut leaders, number);
        let part = if first == number {
            parts.push(Part {
                sheet: Sheet {
                    gap: sheet.gap,
                    ..Sheet::default()
                },
                boxes: Vec::new(),
                lines: Vec::new(),
            });
            parts.len() - 1
        } else {
            part_of[first]
        };
        part_of.push(part);
        place_in.push(parts[part].boxes.len());
        parts[part].boxes.push(number);
        parts[part].sheet.boxes.push(sheet.boxes[number]);
    }
    for (number, line) in sheet.lines.iter().enumerate() {
        let part = &mut parts[part_of[line.from]];
        part.lines.push(number);
        part.sheet.lines.push(Line {
            from: place_in[line.from],
            to: place_in[line.to],
            ..*line
        });
    }
    parts
}

fn leader(leaders: &mut [usize], mut number: usize) -> usize {
    while leaders[number] != number {
        leaders[number] = leaders[leaders[number]];
        number = leaders[number];
    }
    number
}
