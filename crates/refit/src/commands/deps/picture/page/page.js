// Sets the page up, once all is there.

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
