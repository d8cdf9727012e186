//! A picture with every box, cell and line in its place.

use std::collections::BTreeMap;

use super::{
    groups::groups,
    layout::{self, Line, Rect, Run, Sheet, Size},
    model::{Node, Picture, Stroke},
    text,
};

/// The height of a box of two lines.
const FULL: f64 = 44.0;
/// The height of a box of one line.
const SLIM: f64 = 28.0;
/// With more boxes than this they have one line each.
const MANY: usize = 100;
/// The narrowest box.
const NARROW: f64 = 132.0;
/// The height of a group's heading.
pub(super) const HEADING: f64 = 30.0;
/// The height of a cell in a group.
pub(super) const CELL: f64 = 26.0;
/// The space between cells, and around them.
pub(super) const CELL_GAP: f64 = 6.0;
/// No group with more than three columns is wider.
const WIDEST_GROUP: f64 = 1080.0;
/// The space around the whole.
pub(super) const MARGIN: f64 = 24.0;

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// By the nodes' numbers; of a grouped node, its cell.
    pub(super) nodes: Vec<(Rect, Shape)>,
    pub(super) groups: Vec<Group>,
    pub(super) strokes: Vec<Drawn>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// How much room a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A box of two lines.
    Full,
    /// A box of one line.
    Slim,
    /// A cell of a group, of one line.
    Cell {
        /// Whether it says its platforms, as those of the group differ.
        with_platforms: bool,
    },
}

/// Leaves that share a box.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) members: Vec<usize>,
    pub(super) rect: Rect,
    /// The least width that its heading needs.
    pub(super) heading: f64,
}

/// A line, and the links that it stands for: just one, or those to members of one group.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) links: Vec<usize>,
    pub(super) stroke: Stroke,
    pub(super) inferred: bool,
    pub(super) route: Vec<Run>,
}

/// Places everything.
pub(super) fn figure(picture: &Picture) -> Figure {
    let groups = groups(picture);
    let mut group_of = vec![None; picture.nodes.len()];
    for (number, group) in groups.iter().enumerate() {
        for member in group {
            group_of[*member] = Some(number);
        }
    }
    let n_grouped: usize = groups.iter().map(Vec::len).sum();
    let shape = if picture.nodes.len() + groups.len() - n_grouped > MANY {
        Shape::Slim
    } else {
        Shape::Full
    };
    // The layout's boxes: nodes that stand alone, in their order, and each group where its first member would be.
    let mut boxes = Vec::new();
    let mut box_of = vec![0; picture.nodes.len()];
    let mut box_of_group = vec![None; groups.len()];
    for (number, node) in picture.nodes.iter().enumerate() {
        box_of[number] = match group_of[number] {
            None => {
                boxes.push(size_of(node, shape));
                boxes.len() - 1
            }
            Some(group) => *box_of_group[group].get_or_insert_with(|| {
                boxes.push(Grid::of(&groups[group], picture).size());
                boxes.len() - 1
            }),
        };
    }
    let mut strokes: BTreeMap<(usize, usize, Stroke, bool), Vec<usize>> = BTreeMap::new();
    for (number, link) in picture.links.iter().enumerate() {
        let key = (
            box_of[link.from],
            box_of[link.to],
            link.stroke(),
            link.inferred,
        );
        strokes.entry(key).or_default().push(number);
    }
    let lines = strokes.keys().map(|&(from, to, stroke, inferred)| Line {
        from,
        to,
        weight: if stroke == Stroke::Base { 3 } else { 1 },
        strand: 2 * stroke as u8 + u8::from(inferred),
    });
    let drawing = layout::lay_out(&Sheet {
        lines: lines.collect(),
        boxes,
        gap: if shape == Shape::Full { 16.0 } else { 10.0 },
    });
    let moved = |rect: &Rect| Rect {
        x: rect.x + MARGIN,
        y: rect.y + MARGIN,
        ..*rect
    };
    let alone = box_of.iter().map(|b| (moved(&drawing.boxes[*b]), shape));
    let mut nodes: Vec<(Rect, Shape)> = alone.collect();
    let groups = groups
        .into_iter()
        .zip(box_of_group)
        .map(|(members, place)| {
            let place = place.expect("a group has members");
            let rect = moved(&drawing.boxes[place]);
            let grid = Grid::of(&members, picture);
            for (at, member) in members.iter().enumerate() {
                let shape = Shape::Cell {
                    with_platforms: grid.with_platforms,
                };
                nodes[*member] = (grid.cell(at, &rect), shape);
            }
            Group {
                members,
                rect,
                heading: grid.heading.ceil(),
            }
        });
    let groups = groups.collect();
    let strokes = strokes.into_iter().zip(drawing.routes);
    let strokes = strokes.map(|((key, links), route)| Drawn {
        links,
        stroke: key.2,
        inferred: key.3,
        route: route
            .iter()
            .map(|run| Run {
                x: run.x + MARGIN,
                end: run.end + MARGIN,
                y: run.y + MARGIN,
            })
            .collect(),
    });
    Figure {
        strokes: strokes.collect(),
        nodes,
        groups,
        width: drawing.width + 2.0 * MARGIN,
        height: drawing.height + 2.0 * MARGIN,
    }
}

fn size_of(node: &Node, shape: Shape) -> Size {
    let (label, below) = text::lines(node, shape);
    let badge = node.state.as_ref();
    let badge = badge.map_or(0.0, |state| text::badge_width(&state.word) + 12.0);
    let (name, below) = (text::name_width(&label), text::small_width(&below));
    let (width, height) = match shape {
        Shape::Full => (name.max(below + badge), FULL),
        Shape::Slim | Shape::Cell { .. } => (name + badge, SLIM),
    };
    Size {
        width: (width + if node.is_image { 30.0 } else { 38.0 })
            .max(NARROW)
            .ceil(),
        height,
        stretches: true,
    }
}

/// As many columns as make a group of many cells about as many rows high, where they have room.
fn n_columns(n_cells: usize, cell_width: f64) -> usize {
    match n_cells {
        0..=8 => 1,
        9..=24 => 2,
        _ => {
            let fits = |n: &usize| f64_of(*n) * (cell_width + CELL_GAP) <= WIDEST_GROUP;
            let square = n_cells.isqrt();
            (3..=square).rev().find(fits).unwrap_or(3)
        }
    }
}

/// The cells of a group.
struct Grid {
    n_columns: usize,
    n_cells: usize,
    cell_width: f64,
    heading: f64,
    with_platforms: bool,
}

impl Grid {
    fn of(members: &[usize], picture: &Picture) -> Self {
        let n_cells = members.len();
        let mut platforms = members
            .iter()
            .map(|member| &picture.nodes[*member].platforms);
        let first = platforms.next();
        let with_platforms = platforms.any(|other| Some(other) != first);
        let nodes = members.iter().map(|member| &picture.nodes[*member]);
        let widths = nodes.map(|node| text::cell_width(node, with_platforms));
        let cell_width = widths.fold(96.0, f64::max).ceil();
        let heading = text::heading(members, picture);
        let badge =
            text::heading_badge(members, picture).map_or(0.0, |b| text::badge_width(&b) + 12.0);
        Self {
            n_columns: n_columns(n_cells, cell_width),
            n_cells,
            cell_width,
            heading: text::heading_width(&heading) + badge + 46.0,
            with_platforms,
        }
    }

    fn size(&self) -> Size {
        let columns = f64_of(self.n_columns);
        let rows = f64_of(self.n_cells.div_ceil(self.n_columns));
        let cells = columns * (self.cell_width + CELL_GAP) + CELL_GAP + 4.0;
        Size {
            width: cells.max(self.heading).ceil(),
            height: HEADING + rows * (CELL + CELL_GAP) + 4.0,
            stretches: false,
        }
    }

    /// Column by column, so that sorted names are read downwards.
    fn cell(&self, at: usize, group: &Rect) -> Rect {
        let n_rows = self.n_cells.div_ceil(self.n_columns);
        let (column, row) = (f64_of(at / n_rows), f64_of(at % n_rows));
        let inner = group.width - 4.0 - CELL_GAP;
        let width = (inner / f64_of(self.n_columns)).floor() - CELL_GAP;
        Rect {
            x: group.x + 2.0 + CELL_GAP + column * (width + CELL_GAP),
            y: group.y + HEADING + row * (CELL + CELL_GAP),
            width,
            height: CELL,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no group has 2^52 members")]
fn f64_of(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::{
        super::model::{Link, State, Tone},
        *,
    };

    /// One base, `n` images on it, some of them stale, some for one platform only.
    fn wide(n: usize) -> Figure {
        let image = |number: usize| Node {
            name: format!("image-{number}"),
            label: format!("image-{}", "x".repeat(number % 40)),
            is_image: number > 0,
            platforms: vec!["linux/amd64".to_owned(); 1 + number % 2],
            state: number.is_multiple_of(3).then(|| State {
                word: "stale".to_owned(),
                tone: Tone::Stale,
                why: Vec::new(),
            }),
            ..Node::default()
        };
        let link = |to| Link {
            from: 0,
            to,
            kinds: vec!["base"],
            ..Link::default()
        };
        figure(&Picture {
            nodes: (0..=n).map(image).collect(),
            links: (1..=n).map(link).collect(),
            ..Picture::default()
        })
    }

    #[test]
    fn cells_lie_in_their_group_side_by_side() {
        for n in [3, 8, 9, 25, 80, 333] {
            let figure = wide(n);
            let [group] = figure.groups.as_slice() else {
                panic!("{n} leaves are one group");
            };
            assert_eq!((group.members.len(), figure.strokes.len()), (n, 1));
            let cells: Vec<Rect> = group
                .members
                .iter()
                .map(|member| figure.nodes[*member].0)
                .collect();
            for (at, cell) in cells.iter().enumerate() {
                assert!(
                    group.rect.x < cell.x && cell.x + cell.width < group.rect.x + group.rect.width
                );
                assert!(
                    group.rect.y < cell.y
                        && cell.y + cell.height < group.rect.y + group.rect.height
                );
                for other in &cells[at + 1..] {
                    let apart = cell.x + cell.width < other.x || cell.y + cell.height < other.y;
                    assert!(
                        apart || other.x + other.width < cell.x || other.y + other.height < cell.y
                    );
                }
            }
            assert!(
                group.rect.width < 2.0 * group.rect.height + 900.0,
                "{:?}",
                group.rect
            );
        }
    }

    #[test]
    fn what_a_cell_says_fits_into_it() {
        let figure = wide(80);
        let narrowest = figure.nodes[1..].iter().map(|(rect, _)| rect.width);
        let longest = text::cell_name_width(&"x".repeat(34)) + text::badge_width("stale");
        assert!(narrowest.fold(f64::INFINITY, f64::min) > longest);
    }
}
