// What is said of the selected node. Text only ever becomes text.

const panel = document.getElementById("panel");

function element(name, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside.filter((part) => part !== undefined));
  return made;
}

const short = (id) => id.replace(/^[^:]*:/, "").slice(0, 12);

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago, as seen from now. */
function ago(at) {
  const seconds = (Date.now() - Date.parse(at)) / 1000;
  if (Number.isNaN(seconds)) return at;
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["minute", 60];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.max(Math.floor(seconds / size), 0), unit);
}

function copyable(digest) {
  const code = element("code", { textContent: short(digest), title: digest });
  const button = element("button", { type: "button", textContent: "copy" });
  button.setAttribute("aria-label", `copy ${digest}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(digest);
      button.textContent = "copied";
    } catch {
      code.textContent = digest; // to be copied by hand
    }
  });
  return element("span", { className: "digest" }, code, button);
}

function when(fact) {
  const time = element("time", { dateTime: fact.at, textContent: ago(fact.at), title: fact.at });
  const from = fact.commit ? ` from commit ${short(fact.commit)}` : "";
  return element("span", { className: "note" }, time, from);
}

function link(number, words) {
  const node = nodes[number];
  const anchor = element("a", { href: `#${encodeURIComponent(node.name)}`, textContent: node.label });
  return element("li", {}, anchor, words ? element("span", { className: "note", textContent: `  ${words}` }) : undefined);
}

const kind = (link) => link.kinds.join(", ") + (link.inferred ? ", inferred" : "");

function section(title, rows) {
  if (rows.length === 0) return;
  panel.append(element("h3", { textContent: title }), element("ul", {}, ...rows));
}

function facts(found) {
  return found.map((fact) =>
    element("li", {}, element("span", { textContent: fact.platform }), copyable(fact.digest), when(fact)),
  );
}

/** What of a base images were built on, the newest first, each digest once. */
function used(number) {
  const found = new Map();
  for (const { to, pins } of children[number]) {
    for (const pin of pins) {
      const key = `${pin.platform} ${pin.digest}`;
      const known = found.get(key) ?? { ...pin, by: new Set() };
      if (pin.at > known.at) known.at = pin.at;
      found.set(key, { ...known, commit: null, by: known.by.add(to) });
    }
  }
  return [...found.values()].sort((a, b) => (a.at < b.at ? 1 : -1));
}

function describe(number) {
  panel.hidden = number === null;
  panel.replaceChildren();
  if (number === null) return;
  const node = nodes[number];
  const close = element("button", { type: "button", className: "close", textContent: "×" });
  close.setAttribute("aria-label", "close");
  close.addEventListener("click", () => select(null));
  const what = node.is_image ? "image of this repository" : "external base";
  panel.append(close, element("h2", { textContent: node.name }), element("p", { className: "kind", textContent: what }));
  if (node.state) {
    const word = element("span", { className: `word ${node.state.tone}`, textContent: node.state.word });
    panel.append(element("p", {}, word));
    panel.append(element("ul", {}, ...node.state.why.map((why) => element("li", { textContent: why }))));
  }
  if (node.is_image) {
    const target = node.target ? [element("p", { textContent: `target stage ${node.target}` })] : [];
    panel.append(element("h3", { textContent: "Dockerfile" }), element("code", { textContent: node.dockerfile }), ...target);
  }
  section("Platforms", node.platforms.map((platform) => element("li", { textContent: platform })));
  const on = parents[number].map((edge) => {
    const row = link(edge.from, kind(edge));
    edge.pins.forEach((pin) => row.append(element("div", { className: "note" }, `${pin.platform} `, copyable(pin.digest))));
    return row;
  });
  section("Built on", on);
  section(
    "Built from it",
    children[number].map((edge) => link(edge.to, kind(edge) === "base" ? "" : kind(edge))),
  );
  section("Last builds", facts(node.built));
  if (!node.is_image) {
    const rows = used(number).map((fact) => {
      const by = `${fact.by.size} image${fact.by.size === 1 ? "" : "s"}`;
      return element("li", {}, `${fact.platform}, ${by} `, copyable(fact.digest), when(fact));
    });
    section("Digests that images were built on", rows);
  }
  const all = descendants(number).size - 1;
  if (all > 0) {
    panel.append(element("p", { className: "note", textContent: `${all} image${all === 1 ? "" : "s"} in all, directly or not` }));
  }
  panel.scrollTop = 0;
}
