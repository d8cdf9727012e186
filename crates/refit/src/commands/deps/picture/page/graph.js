// The graph, as the page has it in `#data`, and walks along its links.

const graph = JSON.parse(document.getElementById("data").textContent);
const { nodes, links, lines, groups } = graph;

const parents = nodes.map(() => []);
const children = nodes.map(() => []);
for (const link of links) {
  parents[link.to].push(link);
  children[link.from].push(link);
}
groups.forEach((group, number) => group.members.forEach((member) => (nodes[member].group = number)));

/** All nodes that a walk reaches from `start`, itself included. */
function reached(start, next) {
  const seen = new Set([start]);
  const open = [start];
  while (open.length > 0) {
    for (const other of next(open.pop())) {
      if (!seen.has(other)) {
        seen.add(other);
        open.push(other);
      }
    }
  }
  return seen;
}

const ancestors = (node) => reached(node, (n) => parents[n].map((link) => link.from));
const descendants = (node) => reached(node, (n) => children[n].map((link) => link.to));
const lineage = (node) => new Set([...ancestors(node), ...descendants(node)]);

/** What an image hangs on: its bases, or whatever it takes something from. */
function holds(node) {
  const bases = parents[node].filter((link) => link.kinds.includes("base"));
  return (bases.length > 0 ? bases : parents[node]).map((link) => link.from);
}

/** The nodes that folded ones hide: what hangs on nothing else, and what only serves that. */
function foldedAway(folded) {
  const gone = new Set();
  if (folded.size === 0) return gone;
  // Nodes come after what they hang on only by chance, so until nothing changes.
  for (let changed = true; changed; ) {
    changed = false;
    nodes.forEach((_, node) => {
      if (gone.has(node)) return;
      const on = holds(node);
      const serves = children[node].map((link) => link.to);
      const hidden = on.length > 0 && on.every((other) => gone.has(other) || folded.has(other));
      const idle = on.length === 0 && !folded.has(node) && serves.length > 0 && serves.every((n) => gone.has(n));
      if (hidden || idle) {
        gone.add(node);
        changed = true;
      }
    });
  }
  return gone;
}
