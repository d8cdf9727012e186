// Where boxes are while some are hidden: rows and columns without any are taken out, all else keeps its order.

/** A map of one axis: `used` keeps its size, gaps shrink to `gap` at most. */
function squeezed(used, gap) {
  const spans = [];
  for (const [start, end] of used.sort((a, b) => a[0] - b[0])) {
    const last = spans.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else spans.push({ start, end });
  }
  let at = spans.length > 0 ? Math.min(spans[0].start, 24) : 0;
  let before = 0;
  for (const span of spans) {
    if (before > 0) at += Math.min(span.start - before, gap);
    span.at = at;
    at += span.end - span.start;
    before = span.end;
  }
  return (value) => {
    let low = 0;
    let high = spans.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (spans[middle].start <= value) low = middle;
      else high = middle - 1;
    }
    const span = spans[low];
    if (!span) return value;
    if (value <= span.end) return span.at + (value - span.start);
    const next = spans[low + 1];
    const end = span.at + span.end - span.start;
    if (!next) return end + (value - span.end);
    return end + ((value - span.end) / (next.start - span.end)) * (next.at - end);
  };
}

const HEADING = 30;
/** The width of the narrowest gap between columns. */
const CURVE = 44;

/** The places of all that is shown: boxes, groups and lines. `shows` tells of nodes, `folds` of groups. */
function places(shows, folds) {
  const shownOf = groups.map((group) => group.members.filter(shows));
  const isWhole = nodes.every((_, node) => shows(node)) && !groups.some((_, group) => folds(group));
  const columns = [];
  const rows = [];
  nodes.forEach((node, number) => {
    if (node.group !== undefined || !shows(number)) return;
    const [x, y, width, height] = node.box;
    columns.push([x, x + width]);
    rows.push([y, y + height]);
  });
  const cells = new Map();
  groups.forEach((group, number) => {
    const shown = shownOf[number];
    if (shown.length === 0) return;
    const [x, y, width, height] = group.box;
    const folded = folds(number);
    columns.push([x, x + (folded ? Math.min(width, group.heading) : width)]);
    rows.push([y, y + HEADING], [y + height - 4, y + height - 4]);
    // What is left moves up into the first cells.
    shown.forEach((member, slot) => {
      const cell = nodes[group.members[slot]].box;
      cells.set(member, cell);
      if (!folded) rows.push([cell[1] - 6, cell[1] + cell[3]]);
    });
  });
  const same = (value) => value;
  const mapX = isWhole ? same : squeezed(columns, 84);
  const mapY = isWhole ? same : squeezed(rows, 16);
  const boxes = nodes.map((node, number) => {
    const [x, y, width, height] = cells.get(number) ?? node.box;
    return [mapX(x), mapY(y), width, height];
  });
  const frames = groups.map((group, number) => {
    const [x, y, width, height] = group.box;
    const folded = folds(number);
    const top = mapY(y);
    const last = Math.max(...shownOf[number].map((member) => boxes[member][1] + boxes[member][3]));
    const bottom = folded || shownOf[number].length === 0 ? top + HEADING : last + 10;
    return [mapX(x), top, folded ? Math.min(width, group.heading) : width, bottom - top];
  });
  return { boxes, frames, routes: lines.map((line) => route(line, boxes, frames, mapX, mapY)) };
}

/** A line's level pieces; its ends follow the boxes that they touch. */
function route(line, boxes, frames, mapX, mapY) {
  const first = links[line.links[0]];
  const end = (node) => (nodes[node].group === undefined ? boxes[node] : frames[nodes[node].group]);
  const pieces = line.route.map(([x, end, y]) => [mapX(x), mapX(end), mapY(y)]);
  if (pieces.length > 0) {
    const toRight = pieces[0][0] <= pieces.at(-1)[0];
    const ordered = toRight ? pieces : [...pieces].reverse();
    // Where a column became narrow, the curve to the next one still has room.
    ordered.slice(1).forEach((next, before) => {
      const piece = ordered[before];
      piece[1] = Math.max(piece[0], Math.min(piece[1], next[0] - CURVE));
    });
    pieces[0][2] = end(first.from)[1] + end(first.from)[3] / 2;
    pieces.at(-1)[2] = end(first.to)[1] + end(first.to)[3] / 2;
  }
  return pieces;
}

const HEAD = 7;

/** The same shape as in the still picture: level where boxes are, curved between. */
function shape(pieces) {
  if (pieces.length === 0) return ["", ""];
  const last = pieces.length - 1;
  const toRight = pieces[0][0] <= pieces[last][0];
  const sign = toRight ? 1 : -1;
  const tip = (toRight ? pieces[last][0] : pieces[last][1]) - sign;
  const neck = tip - sign * HEAD;
  let way = "";
  let at = [0, 0];
  pieces.forEach(([left, right, y], number) => {
    let [x, end] = toRight ? [left, right] : [right, left];
    if (number === 0) way += `M${x},${y}`;
    else {
      if (number === last) x = neck;
      const middle = (at[0] + x) / 2;
      way += `C${middle},${at[1]} ${middle},${y} ${x},${y}`;
    }
    if (number < last && end !== x) way += `H${end}`;
    at = [end, y];
  });
  const y = pieces[last][2];
  return [way, `M${neck},${y - 4}L${tip},${y}L${neck},${y + 4}Z`];
}
