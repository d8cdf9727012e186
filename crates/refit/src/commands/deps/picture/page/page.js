// Selecting, searching, filtering, folding, and the keys.

const view = { selected: null, query: "", stale: false, platform: "", hide: false, folded: new Set(), groups: new Set() };
const search = document.getElementById("search");
const found = document.getElementById("found");
const nodeElements = nodes.map((_, number) => document.getElementById(`n${number}`));
const groupElements = groups.map((_, number) => document.getElementById(`g${number}`));
const lineElements = lines.map((_, number) => document.getElementById(`e${number}`));
/** Below this scale nobody reads the names. */
const READABLE = 0.6;
let placed = places(() => true, () => false);
let matches = [];
let matching = new Set();
let theme = "auto";
const dresses = new Set();

/** Every rule for dark windows holds always, never, or as the window says. */
function dress(as) {
  const media = { auto: "(prefers-color-scheme: dark)", dark: "all", light: "not all" }[as];
  for (const rule of [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])) {
    if (dresses.has(rule) || rule.media?.mediaText.includes("color-scheme")) {
      dresses.add(rule);
      rule.media.mediaText = media;
    }
  }
  document.documentElement.style.colorScheme = as === "auto" ? "light dark" : as;
}

const isStale = (node) => nodes[node].state?.tone === "stale";
/** What is stale, and all that it hangs on. */
const staleKin = new Set(nodes.flatMap((_, node) => (isStale(node) ? [...ancestors(node)] : [])));
const onPlatform = (node) =>
  nodes[node].is_image
    ? nodes[node].platforms.includes(view.platform)
    : children[node].some((link) => link.platforms.includes(view.platform));
const says = (node) => [nodes[node].name, nodes[node].label, nodes[node].dockerfile ?? ""].join("\n").toLowerCase();

/** The nodes that are meant; none if all are. */
function meant() {
  const tests = [];
  if (view.selected !== null) {
    const kin = lineage(view.selected);
    tests.push((node) => kin.has(node));
  }
  if (view.query !== "") tests.push((node) => matching.has(node));
  if (view.stale) tests.push((node) => staleKin.has(node));
  if (view.platform !== "") tests.push(onPlatform);
  return tests.length === 0 ? null : (node) => tests.every((test) => test(node));
}

function render() {
  const is = meant();
  const away = foldedAway(view.folded);
  const shows = (node) => !away.has(node) && !(view.hide && is && !is(node));
  const folds = (group) => view.groups.has(group);
  const visible = (node) => shows(node) && !(nodes[node].group !== undefined && folds(nodes[node].group));
  placed = places(shows, folds);
  const { boxes, frames, routes } = placed;
  nodes.forEach((_, node) => {
    const element = nodeElements[node];
    const classes = element.classList;
    classes.toggle("gone", !visible(node));
    classes.toggle("dim", is !== null && !is(node));
    classes.toggle("selected", view.selected === node);
    classes.toggle("match", matching.has(node));
    element.setAttribute("transform", `translate(${boxes[node][0]},${boxes[node][1]})`);
    element.setAttribute("aria-current", String(view.selected === node));
    foldMark(node, away);
  });
  groups.forEach((group, number) => {
    const element = groupElements[number];
    const shown = group.members.filter(shows);
    element.classList.toggle("gone", shown.length === 0);
    element.classList.toggle("dim", is !== null && !shown.some(is));
    const [x, y, width, height] = frames[number];
    element.setAttribute("transform", `translate(${x},${y})`);
    element.setAttribute("aria-expanded", String(!folds(number)));
    element.querySelector(".frame").setAttribute("width", width);
    element.querySelector(".frame").setAttribute("height", height);
    element.querySelector(".fold text").textContent = folds(number) ? "+" : "−";
    element.querySelector(".fold").setAttribute("transform", `translate(${width - 16},20)`);
    element.querySelector(".badge")?.setAttribute("transform", `translate(${width - group.box[2] - 14},0)`);
  });
  lines.forEach((line, number) => {
    const element = lineElements[number];
    const shown = line.links.map((link) => links[link]).filter((link) => shows(link.from) && shows(link.to));
    const both = (link) => is === null || (is(link.from) && is(link.to));
    element.classList.toggle("gone", shown.length === 0);
    element.classList.toggle("dim", !shown.some(both));
    element.classList.toggle("lit", view.selected !== null && shown.some(onTheWay));
    const [way, head] = shape(routes[number]);
    element.querySelector(".way")?.setAttribute("d", way);
    element.querySelector(".head")?.setAttribute("d", head);
  });
  const all = [...boxes.filter((_, node) => visible(node)), ...frames.filter((_, group) => groups[group].members.some(shows))];
  extent.width = Math.max(...all.map(([x, , width]) => x + width), 0) + 24;
  extent.height = Math.max(...all.map(([, y, , height]) => y + height), 0) + 24;
  rove();
}

/** Whether a link leads to the selected node, or on from it. */
function onTheWay(link) {
  if (view.kin?.of !== view.selected) {
    view.kin = { of: view.selected, up: ancestors(view.selected), down: descendants(view.selected) };
  }
  const { up, down } = view.kin;
  return (up.has(link.from) && up.has(link.to)) || (down.has(link.from) && down.has(link.to));
}

function foldMark(node, away) {
  const mark = nodeElements[node].querySelector(".fold");
  if (!mark) return;
  const folded = view.folded.has(node);
  mark.classList.toggle("folded", folded);
  const hidden = () => [...descendants(node)].filter((other) => other !== node && away.has(other)).length;
  mark.querySelector("text").textContent = folded ? `+${hidden()}` : "−";
  nodeElements[node].setAttribute("aria-expanded", String(!folded));
}

/** One node at a time can be reached with Tab; arrows lead on from it. */
function rove(to) {
  const all = [...nodeElements, ...groupElements];
  const usable = (element) => element && !element.classList.contains("gone");
  const current = usable(to) ? to : all.find((element) => element.tabIndex === 0 && usable(element));
  const next = current ?? all.find(usable);
  for (const element of all) element.setAttribute("tabindex", element === next ? "0" : "-1");
}

function select(node, { quietly = false } = {}) {
  view.selected = node;
  describe(node);
  if (node !== null && nodes[node].group !== undefined) view.groups.delete(nodes[node].group);
  if (node !== null) [...ancestors(node)].forEach((other) => other !== node && view.folded.delete(other));
  render();
  if (node !== null) {
    if (camera.least !== null) fit(camera.least);
    reveal(placed.boxes[node]);
    rove(nodeElements[node]);
  }
  if (!quietly) {
    const hash = node === null ? location.pathname + location.search : `#${encodeURIComponent(nodes[node].name)}`;
    history.replaceState(null, "", hash);
  }
}

function fold(set, value) {
  if (!set.delete(value)) set.add(value);
  render();
}

function find(query) {
  view.query = query.trim().toLowerCase();
  matches = view.query === "" ? [] : nodes.map((_, node) => node).filter((node) => says(node).includes(view.query));
  matching = new Set(matches);
  view.at = -1;
  found.textContent = view.query === "" ? "" : `${matches.length} found`;
  if (matches.length > 0) {
    matches.forEach((node) => nodes[node].group !== undefined && view.groups.delete(nodes[node].group));
  }
  render();
}

function nextMatch(step) {
  if (matches.length === 0) return;
  view.at = (view.at + step + matches.length) % matches.length;
  const node = matches[view.at];
  found.textContent = `${view.at + 1} of ${matches.length}`;
  [...ancestors(node)].forEach((other) => view.folded.delete(other));
  render();
  reveal(placed.boxes[node]);
  rove(nodeElements[node]);
}

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

function drawFold(element, x, y, isGroup) {
  const made = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const mark = made("g");
  mark.setAttribute("class", "fold");
  mark.setAttribute("transform", `translate(${x},${y})`);
  if (!isGroup) {
    const box = made("rect");
    for (const [name, value] of Object.entries({ x: -15, y: -9, width: 30, height: 18, rx: 9 })) box.setAttribute(name, value);
    mark.append(box);
  }
  const text = made("text");
  if (!isGroup) text.setAttribute("y", 4);
  mark.append(text);
  element.append(mark);
}

function setUp() {
  nodes.forEach((node, number) => {
    const element = nodeElements[number];
    const said = [node.name, node.is_image ? "image" : "external base", node.state?.word, ...node.platforms];
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", said.filter(Boolean).join(", "));
    if (children[number].length > 0) drawFold(element, node.box[2], node.box[3] / 2, false);
    // Days are told from now on, too.
    const title = element.querySelector("title");
    title.textContent = title.textContent.replace(/^((?:built|used) .* on )(\d{4}-\d\d-\d\d)/gm, (_, start, day) => `${start}${day}, ${ago(day)}`);
    element.addEventListener("focus", () => rove(element));
  });
  groups.forEach((group, number) => {
    const element = groupElements[number];
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", `group of ${group.members.length} images`);
    drawFold(element, group.box[2] - 16, 20, true);
  });
  const platforms = new Set(nodes.flatMap((node) => node.platforms));
  const choice = document.getElementById("platform");
  [...platforms].sort().forEach((platform) => choice.append(element("option", { value: platform, textContent: platform })));
  choice.hidden = platforms.size < 2;
  choice.addEventListener("change", () => ((view.platform = choice.value), render()));
  const toggle = (id, name, needed) => {
    const button = document.getElementById(id);
    button.hidden = !needed;
    button.addEventListener("click", () => {
      view[name] = !view[name];
      button.setAttribute("aria-pressed", String(view[name]));
      render();
      if (name === "hide") {
        fit(READABLE);
        if (view.selected !== null) reveal(placed.boxes[view.selected]);
      }
    });
  };
  toggle("stale", "stale", nodes.some((_, node) => isStale(node)));
  toggle("hide", "hide", true);
  const all = document.getElementById("fold");
  all.hidden = groups.length === 0;
  all.addEventListener("click", () => {
    const folds = view.groups.size === 0;
    view.groups = new Set(folds ? groups.keys() : []);
    all.setAttribute("aria-pressed", String(folds));
    render();
    fit();
  });
  const themes = ["auto", "light", "dark"];
  const wardrobe = document.getElementById("theme");
  wardrobe.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    wardrobe.textContent = `theme: ${theme}`;
    dress(theme);
  });
  search.addEventListener("input", () => find(search.value));
  document.getElementById("in").addEventListener("click", () => zoom(1.25));
  document.getElementById("out").addEventListener("click", () => zoom(0.8));
  document.getElementById("whole").addEventListener("click", () => fit());
  addEventListener("keydown", onKey);
  stage.addEventListener("click", onClick);
  const fromHash = () => {
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      // Not ours: taken as it is.
    }
    const node = nodes.findIndex((node) => node.name === name);
    if (node >= 0 && node !== view.selected) select(node, { quietly: true });
  };
  addEventListener("hashchange", fromHash);
  document.documentElement.classList.add("live");
  for (const name of ["width", "height", "viewBox"]) svg.removeAttribute(name);
  document.querySelectorAll(".needs-script").forEach((part) => (part.hidden = false));
  stage.tabIndex = 0;
  render();
  fit(READABLE);
  fromHash();
}

setUp();
