// Two diagrams in step, and runs played on them move by move. diagram.js draws; it tells of each viewer as it is shown.
//   #pictures[data-counterparts='{"id in a": "id in b"}']   what is drawn for the same
//   <button data-play='{"side": "a", "moves": [{"words", "tokens", "passed"}]}'>   plays a run
//   <a data-shows-in="a" data-step="id">                    brings a step into view, and its counterpart
const pictures = document.getElementById("pictures");
const toB = JSON.parse(pictures?.dataset.counterparts ?? "{}");
const toA = Object.fromEntries(Object.entries(toB).map(([a, b]) => [b, a]));
const viewers = {};
const whole = {};
const PACE = 1400;
const STEP = 80;
const READABLE = 0.75;

const other = (side) => (side === "a" ? "b" : "a");
const counterpart = (side, id) => (side === "a" ? toB : toA)[id];
const canvas = (side) => viewers[side]?.get("canvas");
const element = (side, id) => viewers[side]?.get("elementRegistry").get(id);

document.addEventListener("diagram:shown", ({ target, detail }) => {
  const side = target.id.slice(-1);
  viewers[side] = detail.viewer;
  whole[side] = canvas(side).viewbox();
  byKeys(side, target);
  lightTogether(side);
  if (viewers.a && viewers.b) for (const one of ["a", "b"]) moveTogether(one);
});

// In step: what one shows of its whole picture, the other shows of its own.
let leading = null;
function moveTogether(side) {
  viewers[side].get("eventBus").on("canvas.viewbox.changed", ({ viewbox }) => {
    if (leading) return;
    leading = side;
    const [mine, theirs] = [whole[side], whole[other(side)]];
    const share = theirs.width / mine.width;
    canvas(other(side)).viewbox({
      x: theirs.x + (viewbox.x - mine.x) * share,
      y: theirs.y + (viewbox.y - mine.y) * share,
      width: viewbox.width * share,
      height: viewbox.height * share,
    });
    leading = null;
  });
}

function byKeys(side, host) {
  host.tabIndex = 0;
  const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
  host.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) canvas(side).scroll({ dx: moves[event.key][0], dy: moves[event.key][1] });
    else if (event.key === "+" || event.key === "=") viewers[side].get("zoomScroll").stepZoom(1);
    else if (event.key === "-") viewers[side].get("zoomScroll").stepZoom(-1);
    else if (event.key === "0") canvas(side).viewbox(whole[side]);
    else return;
    event.preventDefault();
  });
}

function light(side, id, lit) {
  for (const [at, found] of [[side, id], [other(side), counterpart(side, id)]]) {
    if (!found || !element(at, found)) continue;
    lit ? canvas(at).addMarker(found, "lit") : canvas(at).removeMarker(found, "lit");
  }
}

function lightTogether(side) {
  const bus = viewers[side].get("eventBus");
  const idOf = (event) => (event.element.labelTarget ?? event.element).id;
  bus.on("element.hover", (event) => light(side, idOf(event), true));
  bus.on("element.out", (event) => light(side, idOf(event), false));
}

// Keeps the zoom, and moves the picture only where the element is out of sight.
function bringIntoView(side, id) {
  const found = element(side, id);
  const shape = found?.width ? found : found?.source;
  if (!shape) return;
  const { x, y, width, height } = canvas(side).viewbox();
  if (shape.x >= x && shape.y >= y && shape.x + shape.width <= x + width && shape.y + shape.height <= y + height) return;
  centre(side, shape, width, height);
}

function centre(side, shape, width, height) {
  canvas(side).viewbox({ x: shape.x + shape.width / 2 - width / 2, y: shape.y + shape.height / 2 - height / 2, width, height });
}

// Near enough to be read; whoever has looked closer stays there.
function comeNearer(side, id) {
  const found = element(side, id);
  const { outer, scale } = canvas(side).viewbox();
  if (found?.width && scale < READABLE) centre(side, found, outer.width / READABLE, outer.height / READABLE);
}

for (const link of document.querySelectorAll("[data-shows-in]")) {
  const { showsIn: side, step } = link.dataset;
  link.addEventListener("click", () => bringIntoView(side, step));
  for (const [name, lit] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
    link.addEventListener(name, () => light(side, step, lit));
  }
}

// ---- a run

const player = document.getElementById("player");
const part = (name) => player.querySelector(`[data-player="${name}"]`);
let run = null;
let at = 0;
let timer = null;

function unmark(side) {
  if (!viewers[side]) return;
  viewers[side].get("overlays").remove({ type: "token" });
  viewers[side].get("elementRegistry").forEach((found) => {
    for (const name of ["has-token", "is-passed"]) canvas(side).removeMarker(found, name);
  });
}

function putToken(side, id) {
  const found = element(side, id);
  if (!found?.width) return;
  const dot = document.createElement("span");
  dot.className = "token";
  canvas(side).addMarker(id, "has-token");
  viewers[side].get("overlays").add(id, "token", { position: { bottom: 12, left: found.width / 2 - 9 }, html: dot });
}

// What was passed up to now is drawn along; where tokens stand is dotted, on the other side as far as it has the same.
function show(number) {
  at = Math.max(0, Math.min(number, run.moves.length - 1));
  const move = run.moves[at];
  const there = other(run.side);
  for (const side of ["a", "b"]) unmark(side);
  for (const { passed } of run.moves.slice(0, at + 1)) {
    for (const id of passed) {
      if (element(run.side, id)) canvas(run.side).addMarker(id, "is-passed");
      const same = counterpart(run.side, id);
      if (same && element(there, same)) canvas(there).addMarker(same, "is-passed");
    }
  }
  for (const id of move.tokens) putToken(run.side, id);
  const same = move.tokens.map((id) => counterpart(run.side, id)).filter(Boolean);
  for (const id of same) putToken(there, id);
  const last = move.passed.at(-1) ?? move.tokens.at(-1);
  if (last) bringIntoView(run.side, last);
  part("count").textContent = `${at + 1} / ${run.moves.length}`;
  part("words").textContent = move.words;
  part("other").textContent = move.tokens.length && !same.length ? part("other").dataset.words : "";
  part("back").disabled = at === 0;
  part("next").disabled = at === run.moves.length - 1;
  if (at === run.moves.length - 1) pause();
}

function pause() {
  clearInterval(timer);
  timer = null;
  part("play").textContent = part("play").dataset.words.split("|")[0];
}

function play() {
  if (at === run.moves.length - 1) show(0);
  timer = setInterval(() => show(at + 1), PACE);
  part("play").textContent = part("play").dataset.words.split("|")[1];
}

function begin(button) {
  run = JSON.parse(button.dataset.play);
  player.hidden = false;
  pause();
  comeNearer(run.side, run.moves[0].tokens[0] ?? run.moves[0].passed[0]);
  show(0);
  pictures.querySelector(".side-picture").scrollIntoView({ block: "start" });
  part("next").focus({ preventScroll: true });
  // Whoever wants no motion goes on move by move.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-play]");
  if (button && viewers.a && viewers.b) begin(button);
  if (target.closest("[data-prints]")) window.print();
});
if (player) {
  part("back").addEventListener("click", () => (pause(), show(at - 1)));
  part("next").addEventListener("click", () => (pause(), show(at + 1)));
  part("play").addEventListener("click", () => (timer ? pause() : play()));
  part("close").addEventListener("click", () => {
    pause();
    for (const side of ["a", "b"]) unmark(side);
    player.hidden = true;
  });
}

// What was calculated meanwhile must not push away what somebody has come to look at.
document.addEventListener("htmx:beforeSwap", ({ target, detail }) => {
  if (!detail.shouldSwap || target.closest("#cards")) return;
  const top = () => pictures?.getBoundingClientRect().top ?? Infinity;
  const before = top();
  if (before > innerHeight) return;
  document.addEventListener("htmx:afterSettle", () => requestAnimationFrame(() => scrollBy(0, top() - before)), { once: true });
});

// What is narrowed down stands in the address, so that it can be sent to a colleague.
const filters = document.querySelector("form.filters");
filters?.addEventListener("change", () => {
  const chosen = [...new FormData(filters)].filter(([, value]) => value);
  const query = new URLSearchParams(chosen).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
});

// On paper nothing can be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main details:not([open], .correcting)")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});
