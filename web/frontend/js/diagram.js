// Diagrams to look at. <div class="diagram" data-diagram="URL of the XML"> becomes a viewer; beside it may stand
//   data-participant="id"        show this pool alone
//   data-marks='{"id": "done"}'  done, current or waiting, by element, or refused; flows may be done; wrong or doubtful in a draft
//                                in a comparison effect, acts, other or worded
//   data-heat='{"id": {"level": 3, "text": "12"}}'   how warm an element is, from 0 to 4, and what stands beside it
//   data-icons="URL"             the sprite whose drawings stamp the marked elements, so that no mark is colour alone
//   data-focus="id"              zoom to this element (without it: what is current, else what is waited for, else all)
//   data-clauses="id of a list"  its items with data-element="id [id …]" and the elements light each other up
//                                a link in it with data-shows="id" brings that element into view
//   data-follows                 begins where the case begins, at a size that can be read, and follows the list's pointer
//   data-panel="id"              where the <template> of the item that is lit is shown; the last one stays
//   data-label="…"               the name that a screen reader hears
// A click on an element that the list knows scrolls the list there. In an English page elements have English words.
import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";

const MARGIN = 140;
const STAMPS = { done: "agreed", refused: "refused", current: "todo", waiting: "waiting", wrong: "refused", doubtful: "overdue", effect: "overdue", acts: "person", other: "info" };
const CAMUNDA = "http://camunda.org/schema/1.0/bpmn";
const BPMNDI = "http://www.omg.org/spec/BPMN/20100524/DI";
const LABEL_WIDTH = 84;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function viewerIn(host) {
  return new NavigatedViewer({
    container: host,
    textRenderer: { defaultStyle: { fontFamily: css("--font"), fontSize: "12px" }, externalStyle: { fontSize: "12px" } },
    bpmnRenderer: { defaultFillColor: css("--ground"), defaultStrokeColor: css("--edge"), defaultLabelColor: css("--text") },
    // A page is scrolled over its diagrams; the wheel is theirs once they have been clicked, until the pointer leaves.
    zoomScroll: { enabled: false },
  });
}

// Elements carry their English words as a property beside the Chinese name.
function inReadersLanguage(xml) {
  if (!document.documentElement.lang.startsWith("en")) return xml;
  const tree = new DOMParser().parseFromString(xml, "application/xml");
  for (const property of tree.getElementsByTagNameNS(CAMUNDA, "property")) {
    // Not those of form fields: their properties have ids instead of names.
    if (property.getAttribute("name") !== "label.en") continue;
    property.parentNode.parentNode.parentNode.setAttribute("name", property.getAttribute("value"));
  }
  for (const label of tree.getElementsByTagNameNS(BPMNDI, "BPMNLabel")) widen(label);
  return new XMLSerializer().serializeToString(tree);
}

// English words need more room than two or three characters; a label stays on its own side of its element.
function widen(label) {
  const boundsIn = (element) => [...element.children].find((child) => child.localName === "Bounds");
  const [box, host] = [boundsIn(label), boundsIn(label.parentNode)];
  const missing = LABEL_WIDTH - Number(box?.getAttribute("width"));
  if (!(missing > 0)) return;
  const left = Number(box.getAttribute("x"));
  const middle = host && Number(host.getAttribute("x")) + Number(host.getAttribute("width")) / 2;
  const share = !host || (left < middle && left + LABEL_WIDTH - missing > middle) ? 0.5 : left < middle ? 1 : 0;
  box.setAttribute("x", left - missing * share);
  box.setAttribute("width", LABEL_WIDTH);
}

// Everything that lies in the pool, its labels and inner flows included.
function within(element, participant) {
  const owner = element.labelTarget ?? element;
  // A message between two pools hangs in one of them: both its ends count.
  if (owner.source && owner.target) return within(owner.source, participant) && within(owner.target, participant);
  for (let at = owner; at; at = at.parent) if (at === participant) return true;
  return false;
}

function cropTo(viewer, id) {
  const registry = viewer.get("elementRegistry");
  const canvas = viewer.get("canvas");
  const participant = registry.get(id);
  if (!participant) return null;
  registry.forEach((element) => {
    if (element !== canvas.getRootElement() && !within(element, participant)) canvas.addMarker(element, "outside");
  });
  return participant;
}

function drawing(icons, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}

function stamp(viewer, id, state, icons) {
  const html = document.createElement("span");
  html.className = `stamp is-${state}`;
  html.append(drawing(icons, STAMPS[state]));
  // On a corner; of what is round or pointed that is nearer to the middle.
  const position = viewer.get("elementRegistry").get(id).width > 60 ? { top: -9, right: 9 } : { top: 0, right: 14 };
  viewer.get("overlays").add(id, { position, scale: { min: 0.7, max: 1.2 }, html });
}

function mark(viewer, marks, icons) {
  const registry = viewer.get("elementRegistry");
  for (const [id, state] of Object.entries(marks)) {
    const element = registry.get(id);
    if (!element) continue;
    viewer.get("canvas").addMarker(id, `is-${state}`);
    if (icons && element.width && STAMPS[state]) stamp(viewer, id, state, icons);
  }
}

// On a shape below its middle, on a line at its middle.
function warm(viewer, heat) {
  const registry = viewer.get("elementRegistry");
  for (const [id, { level, text }] of Object.entries(heat)) {
    const element = registry.get(id);
    if (!element) continue;
    viewer.get("canvas").addMarker(id, `heat-${level}`);
    const html = document.createElement("span");
    html.className = "heat-text";
    html.textContent = text;
    // However small the picture, its numbers can be read, but where they would cover it.
    const position = element.width ? { bottom: 9, left: 6 } : middle(element);
    const min = (viewer.get("canvas").getContainer().clientWidth < 600 ? 0.4 : 0.7) + (element.width ? 0.1 : 0);
    viewer.get("overlays").add(id, { position, scale: { min, max: 1.2 }, html });
  }
}

// Overlays of a line are counted from the upper left corner of its box.
function middle({ waypoints }) {
  const at = Math.floor((waypoints.length - 1) / 2);
  const [one, other] = [waypoints[at], waypoints[at + 1]];
  const left = Math.min(...waypoints.map((point) => point.x));
  const top = Math.min(...waypoints.map((point) => point.y));
  return { left: (one.x + other.x) / 2 - left - 10, top: (one.y + other.y) / 2 - top - 9 };
}

function bounds(elements) {
  const left = Math.min(...elements.map((element) => element.x));
  const top = Math.min(...elements.map((element) => element.y));
  const right = Math.max(...elements.map((element) => element.x + element.width));
  const bottom = Math.max(...elements.map((element) => element.y + element.height));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function showBox(viewer, box, margin) {
  const canvas = viewer.get("canvas");
  const { outer } = canvas.viewbox();
  const scale = Math.min(1.25, outer.width / (box.width + 2 * margin), outer.height / (box.height + 2 * margin));
  const width = outer.width / scale;
  const height = outer.height / scale;
  canvas.viewbox({ x: box.x + box.width / 2 - width / 2, y: box.y + box.height / 2 - height / 2, width, height });
}

function everything(viewer, participant) {
  if (participant) showBox(viewer, participant, 24);
  else viewer.get("canvas").zoom("fit-viewport", "auto");
}

// The elements to begin with, close enough to be read, with what comes before and after.
function closeUp(viewer, elements) {
  showBox(viewer, bounds(elements), MARGIN);
}

// A flow is where its ends are.
function shapes(registry, ids) {
  const found = ids.map((id) => registry.get(id)).filter(Boolean);
  return found.flatMap((element) => (element.width ? [element] : [element.source, element.target]));
}

function wanted(viewer, host, marks) {
  const registry = viewer.get("elementRegistry");
  const marked = (state) =>
    Object.keys(marks)
      .filter((id) => marks[id] === state)
      .map((id) => registry.get(id))
      // Timers on a boundary wait as long as their host does.
      .filter((element) => element?.width && !element.host);
  if (host.dataset.focus) return shapes(registry, [host.dataset.focus]);
  const current = marked("current");
  return current.length ? current : marked("waiting");
}

// Where the case begins: the left end of the first pool, its lanes whole where they fit.
function beginning(viewer) {
  const start = viewer.get("elementRegistry").find((element) => element.type === "bpmn:StartEvent");
  if (!start) return everything(viewer);
  let pool = start;
  while (pool.parent?.width) pool = pool.parent;
  const canvas = viewer.get("canvas");
  const { outer } = canvas.viewbox();
  const scale = Math.min(0.8, Math.max(0.6, outer.height / (pool.height + 48)));
  const height = outer.height / scale;
  canvas.viewbox({ x: pool.x - 16, y: pool.y + pool.height / 2 - height / 2, width: outer.width / scale, height });
}

// Moves the picture, at its present size, only where the elements are out of sight.
function follow(viewer, elements) {
  const canvas = viewer.get("canvas");
  const { x, y, width, height } = canvas.viewbox();
  const box = bounds(elements);
  const inSight = box.x >= x && box.y >= y && box.x + box.width <= x + width && box.y + box.height <= y + height;
  if (inSight || box.width > width) return;
  canvas.viewbox({ x: box.x + box.width / 2 - width / 2, y: box.y + box.height / 2 - height / 2, width, height });
}

// Where the list scrolls by itself; the page never moves under the pointer.
function scrollTo(list, item) {
  const [around, own] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
  const outOfSight = own.top < around.top || own.top > Math.min(around.bottom, window.innerHeight) - 60;
  if (outOfSight && list.scrollHeight > list.clientHeight) list.scrollTop += own.top - around.top - 24;
}

function linkClauses(viewer, host) {
  const list = document.getElementById(host.dataset.clauses);
  if (!list) return;
  const panel = document.getElementById(host.dataset.panel);
  const canvas = viewer.get("canvas");
  const registry = viewer.get("elementRegistry");
  const items = [...list.querySelectorAll("[data-element]")];
  const idsOf = (item) => item.dataset.element.split(" ").filter((id) => registry.get(id));
  const itemsOf = (id) => items.filter((item) => item.dataset.element.split(" ").includes(id));

  const tell = (item) => {
    const told = item?.querySelector("template");
    if (panel && told) panel.replaceChildren(told.content.cloneNode(true));
  };
  const light = (ids, lit) => {
    for (const id of ids) {
      lit ? canvas.addMarker(id, "lit") : canvas.removeMarker(id, "lit");
      for (const item of itemsOf(id)) item.classList.toggle("lit", lit);
    }
  };

  for (const item of items) {
    for (const [name, lit] of [["mouseenter", true], ["focusin", true], ["mouseleave", false], ["focusout", false]]) {
      item.addEventListener(name, () => {
        light(idsOf(item), lit);
        if (lit) tell(item);
        if (lit && "follows" in host.dataset) follow(viewer, shapes(registry, idsOf(item)));
      });
    }
  }
  // Without a script the link loads the page with this element in view.
  for (const link of list.querySelectorAll("[data-shows]")) {
    link.addEventListener("click", (event) => {
      const element = registry.get(link.dataset.shows);
      if (!element) return;
      event.preventDefault();
      showBox(viewer, bounds(shapes(registry, [element.id])), MARGIN);
    });
  }
  const bus = viewer.get("eventBus");
  const idOf = ({ element }) => (element.labelTarget ?? element).id;
  const known = (listener) => (event) => itemsOf(idOf(event)).length && listener(idOf(event));
  bus.on("element.hover", known((id) => {
    light([id], true);
    tell(itemsOf(id)[0]);
    if ("follows" in host.dataset) scrollTo(list, itemsOf(id)[0]);
  }));
  bus.on("element.out", known((id) => light([id], false)));
  bus.on("element.click", known((id) => {
    tell(itemsOf(id)[0]);
    itemsOf(id)[0].scrollIntoView({ block: "nearest", behavior: "smooth" });
  }));
}

// Buttons beside the picture: <button data-zoom="in|out|all|current" data-of="id of the diagram">.
function linkButtons(viewer, host, participant, focused) {
  const actions = {
    in: () => viewer.get("zoomScroll").stepZoom(1),
    out: () => viewer.get("zoomScroll").stepZoom(-1),
    all: () => everything(viewer, participant),
    current: () => focused.length && closeUp(viewer, focused),
  };
  for (const button of document.querySelectorAll(`[data-zoom][data-of="${host.id}"]`)) {
    button.addEventListener("click", actions[button.dataset.zoom]);
    if (button.dataset.zoom === "current") button.hidden = !focused.length || "follows" in host.dataset;
  }
}

function takeWheelWhenClicked(viewer, host) {
  host.addEventListener("pointerdown", () => viewer.get("zoomScroll").toggle(true));
  host.addEventListener("pointerleave", () => viewer.get("zoomScroll").toggle(false));
}

// The library moves the picture by mouse alone. A finger moves it sideways, and the page up and down.
function moveByFinger(viewer, host) {
  let last = null;
  host.addEventListener("pointerdown", (event) => {
    last = event.pointerType === "touch" ? event.clientX : null;
  });
  host.addEventListener("pointermove", (event) => {
    if (last === null) return;
    viewer.get("canvas").scroll({ dx: event.clientX - last, dy: 0 });
    last = event.clientX;
  });
  for (const name of ["pointerup", "pointercancel"]) host.addEventListener(name, () => (last = null));
}

async function show(host) {
  host.setAttribute("role", "figure");
  host.setAttribute("aria-label", host.dataset.label ?? "");
  host.setAttribute("aria-busy", "true");
  const answer = await fetch(host.dataset.diagram);
  if (!answer.ok) throw new Error(`${host.dataset.diagram}: ${answer.status}`);
  const viewer = viewerIn(host);
  await viewer.importXML(inReadersLanguage(await answer.text()));
  const marks = JSON.parse(host.dataset.marks ?? "{}");
  mark(viewer, marks, host.dataset.icons);
  warm(viewer, JSON.parse(host.dataset.heat ?? "{}"));
  const participant = host.dataset.participant && cropTo(viewer, host.dataset.participant);
  const focused = wanted(viewer, host, marks);
  if (focused.length) closeUp(viewer, focused);
  else if ("follows" in host.dataset) beginning(viewer);
  else everything(viewer, participant);
  linkClauses(viewer, host);
  linkButtons(viewer, host, participant, focused);
  takeWheelWhenClicked(viewer, host);
  moveByFinger(viewer, host);
  host.removeAttribute("aria-busy");
  host.dispatchEvent(new CustomEvent("diagram:shown", { bubbles: true, detail: { viewer } }));
  return viewer;
}

for (const host of document.querySelectorAll("[data-diagram]")) {
  show(host).catch((error) => {
    host.removeAttribute("aria-busy");
    host.classList.add("failed");
    host.textContent = host.dataset.failed ?? "";
    console.error(error);
  });
}
