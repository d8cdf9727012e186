// Keys and clicks.

/** The node next to `element` in the direction of an arrow key, along links and in columns. */
function neighbour(element, key) {
  const node = nodeElements.indexOf(element);
  const group = groupElements.indexOf(element);
  const [x, y, , height] = node >= 0 ? placed.boxes[node] : placed.frames[group];
  const middle = y + height / 2;
  const elementOf = (other) =>
    nodes[other].group !== undefined && view.groups.has(nodes[other].group) ? groupElements[nodes[other].group] : nodeElements[other];
  const members = node >= 0 ? [node] : groups[group].members;
  let options;
  if (key === "ArrowRight" || key === "ArrowLeft") {
    const along = key === "ArrowRight" ? children : parents;
    const end = key === "ArrowRight" ? "to" : "from";
    options = members.flatMap((member) => along[member].map((link) => link[end])).map((other) => [other, 0]);
  } else {
    const sign = key === "ArrowDown" ? 1 : -1;
    options = nodes.map((_, other) => [other, placed.boxes[other]]);
    options = options.filter(([other, box]) => (box[1] - y) * sign > 1 && !members.includes(other));
    options = options.map(([other, box]) => [other, Math.abs(box[0] - x) * 3]);
  }
  options = options.filter(([other]) => !elementOf(other).classList.contains("gone"));
  const distance = ([other, extra]) => Math.abs(placed.boxes[other][1] + placed.boxes[other][3] / 2 - middle) + extra;
  options.sort((a, b) => distance(a) - distance(b));
  return options.length > 0 ? elementOf(options[0][0]) : undefined;
}

function focusOn(element) {
  const node = nodeElements.indexOf(element);
  reveal(node >= 0 ? placed.boxes[node] : placed.frames[groupElements.indexOf(element)]);
  rove(element);
  element.focus({ preventScroll: true });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key, target } = event;
  const inField = target.closest("input, select, textarea");
  if (key === "Escape") {
    if (view.query !== "") {
      search.value = "";
      find("");
    } else if (inField) target.blur();
    else select(null);
  } else if (inField) {
    if (key === "Enter" && target === search) nextMatch(event.shiftKey ? -1 : 1);
    else return;
  } else if (key === "/") search.focus();
  else if (key === "+" || key === "=") zoom(1.25);
  else if (key === "-") zoom(0.8);
  else if (key === "0") fit();
  else if (target.closest(".node, .group")) {
    const element = target.closest(".node, .group");
    const node = nodeElements.indexOf(element);
    if (key.startsWith("Arrow")) {
      const next = neighbour(element, key);
      if (next) focusOn(next);
    } else if (key === "Enter" && node >= 0) select(view.selected === node ? null : node);
    else if ((key === " " || key === "Enter") && node < 0) fold(view.groups, groupElements.indexOf(element));
    else if (key === " ") children[node].length > 0 && fold(view.folded, node);
    else return;
  } else if (target === stage && key.startsWith("Arrow")) {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[key];
    pan(...step);
  } else return;
  event.preventDefault();
}

function onClick(event) {
  if (dragged >= 5) return;
  const element = event.target.closest(".node, .group");
  if (!element) return event.target.closest(".stage") && !event.target.closest("button") ? select(null) : undefined;
  const node = nodeElements.indexOf(element);
  if (node < 0) fold(view.groups, groupElements.indexOf(element));
  else if (event.target.closest(".fold")) fold(view.folded, node);
  else select(node);
}
