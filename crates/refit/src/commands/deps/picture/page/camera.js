// Zoom and pan.

const stage = document.getElementById("stage");
const svg = stage.querySelector("svg");
const world = document.getElementById("world");
const camera = { x: 0, y: 0, scale: 1, least: null };
/** The size of what is shown. */
const extent = { width: graph.width, height: graph.height };

function look() {
  world.setAttribute("transform", `translate(${camera.x},${camera.y}) scale(${camera.scale})`);
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = clamp(camera.scale * factor, 0.05, 4);
  camera.x = x - ((x - camera.x) * scale) / camera.scale;
  camera.y = y - ((y - camera.y) * scale) / camera.scale;
  camera.scale = scale;
  camera.least = null;
  look();
}

function pan(dx, dy) {
  camera.x += dx;
  camera.y += dy;
  camera.least = null;
  look();
}

/** The whole picture, where it can be read then; else its start. */
function fit(least = 0.05) {
  const { clientWidth: width, clientHeight: height } = stage;
  const whole = Math.min(width / extent.width, height / extent.height, 1);
  camera.scale = Math.max(whole, least);
  camera.x = Math.max((width - extent.width * camera.scale) / 2, 0);
  camera.y = Math.max((height - extent.height * camera.scale) / 2, 0);
  camera.least = least; // until somebody moves it
  look();
}

// What was fitted stays fitted when the window or the panel takes or gives room.
new ResizeObserver(() => camera.least !== null && fit(camera.least)).observe(stage);

/** Moves no further than it takes to show a box. */
function reveal([x, y, width, height]) {
  const margin = 40;
  if (camera.scale < 0.45) zoom(0.85 / camera.scale);
  const left = x * camera.scale + camera.x;
  const top = y * camera.scale + camera.y;
  const right = left + width * camera.scale;
  const bottom = top + height * camera.scale;
  const dx = left < margin ? margin - left : Math.min(stage.clientWidth - margin - right, 0);
  const dy = top < margin ? margin - top : Math.min(stage.clientHeight - margin - bottom, 0);
  if (dx !== 0 || dy !== 0) pan(dx, dy);
}

stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const { left, top } = stage.getBoundingClientRect();
    const lines = event.deltaMode === 0 ? 1 : 16;
    const isWheel = event.deltaX === 0 && Math.abs(event.deltaY * lines) >= 48;
    // A pinch comes with `ctrlKey`; two fingers that slide move the picture.
    if (event.ctrlKey || isWheel) {
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      zoom(Math.exp(-event.deltaY * lines * speed), event.clientX - left, event.clientY - top);
    } else {
      pan(-event.deltaX * lines, -event.deltaY * lines);
    }
  },
  { passive: false },
);

const fingers = new Map();
let dragged = 0;

stage.addEventListener("pointerdown", (event) => {
  if (event.target.closest("button")) return;
  fingers.set(event.pointerId, event);
  dragged = 0;
});
addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const dx = event.clientX - before.clientX;
  const dy = event.clientY - before.clientY;
  if (fingers.size === 2) {
    const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
    const distance = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    const { left, top } = stage.getBoundingClientRect();
    const [x, y] = [(event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top];
    zoom(distance(event) / Math.max(distance(before), 1), x, y);
    pan(dx / 2, dy / 2);
    dragged += 9;
  } else {
    dragged += Math.abs(dx) + Math.abs(dy);
    if (dragged < 5) return;
    stage.classList.add("dragged");
    pan(dx, dy);
  }
  fingers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size === 0) stage.classList.remove("dragged");
  });
}

// On paper the whole picture, in the colours of paper.
addEventListener("beforeprint", () => {
  world.removeAttribute("transform");
  svg.setAttribute("viewBox", `0 0 ${extent.width} ${extent.height}`);
  dress("light");
});
addEventListener("afterprint", () => {
  svg.removeAttribute("viewBox");
  dress(theme);
  look();
});
