// What is selected, searched, filtered and folded, and how that looks.

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
