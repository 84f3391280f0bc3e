// Diagrams to look at. <div class="diagram" data-diagram="URL of the XML"> becomes a viewer; beside it may stand
//   data-participant="id"        show this pool alone
//   data-marks='{"id": "done"}'  done, current or waiting, by element
//   data-focus="id"              zoom to this element (without it: the current ones, else everything)
//   data-clauses="id of a list"  its items with data-element="id [id …]" and the elements light each other up
//   data-label="…"               the name that a screen reader hears
// A click on an element that the list knows scrolls the list there.
import NavigatedViewer from "bpmn-js/lib/NavigatedViewer";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function viewerIn(host) {
  return new NavigatedViewer({
    container: host,
    textRenderer: { defaultStyle: { fontFamily: css("--font"), fontSize: "12px" }, externalStyle: { fontSize: "12px" } },
    bpmnRenderer: { defaultFillColor: css("--ground"), defaultStrokeColor: css("--edge"), defaultLabelColor: css("--text") },
  });
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

function mark(viewer, marks) {
  const registry = viewer.get("elementRegistry");
  for (const [id, state] of Object.entries(marks)) {
    if (registry.get(id)) viewer.get("canvas").addMarker(id, `is-${state}`);
  }
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

function wanted(viewer, host, marks) {
  const registry = viewer.get("elementRegistry");
  const ids = host.dataset.focus ? [host.dataset.focus] : Object.keys(marks).filter((id) => marks[id] === "current");
  return ids.map((id) => registry.get(id)).filter((element) => element?.width);
}

function linkClauses(viewer, host) {
  const list = document.getElementById(host.dataset.clauses);
  if (!list) return;
  const canvas = viewer.get("canvas");
  const registry = viewer.get("elementRegistry");
  const items = [...list.querySelectorAll("[data-element]")];
  const idsOf = (item) => item.dataset.element.split(" ").filter((id) => registry.get(id));
  const itemsOf = (id) => items.filter((item) => item.dataset.element.split(" ").includes(id));

  const light = (ids, lit) => {
    for (const id of ids) {
      lit ? canvas.addMarker(id, "lit") : canvas.removeMarker(id, "lit");
      for (const item of itemsOf(id)) item.classList.toggle("lit", lit);
    }
  };

  for (const item of items) {
    for (const [name, lit] of [["mouseenter", true], ["focusin", true], ["mouseleave", false], ["focusout", false]]) {
      item.addEventListener(name, () => light(idsOf(item), lit));
    }
  }
  const bus = viewer.get("eventBus");
  const idOf = ({ element }) => (element.labelTarget ?? element).id;
  bus.on("element.hover", (event) => itemsOf(idOf(event)).length && light([idOf(event)], true));
  bus.on("element.out", (event) => itemsOf(idOf(event)).length && light([idOf(event)], false));
  bus.on("element.click", (event) => itemsOf(idOf(event))[0]?.scrollIntoView({ block: "nearest", behavior: "smooth" }));
}

// Buttons beside the picture: <button data-zoom="in|out|all|current" data-of="id of the diagram">.
function linkButtons(viewer, host, participant, focused) {
  const actions = {
    in: () => viewer.get("zoomScroll").stepZoom(1),
    out: () => viewer.get("zoomScroll").stepZoom(-1),
    all: () => everything(viewer, participant),
    current: () => focused.length && showBox(viewer, bounds(focused), 140),
  };
  for (const button of document.querySelectorAll(`[data-zoom][data-of="${host.id}"]`)) {
    button.addEventListener("click", actions[button.dataset.zoom]);
    if (button.dataset.zoom === "current") button.hidden = !focused.length;
  }
}

async function show(host) {
  host.setAttribute("role", "figure");
  host.setAttribute("aria-label", host.dataset.label ?? "");
  host.setAttribute("aria-busy", "true");
  const answer = await fetch(host.dataset.diagram);
  if (!answer.ok) throw new Error(`${host.dataset.diagram}: ${answer.status}`);
  const viewer = viewerIn(host);
  await viewer.importXML(await answer.text());
  const marks = JSON.parse(host.dataset.marks ?? "{}");
  mark(viewer, marks);
  const participant = host.dataset.participant && cropTo(viewer, host.dataset.participant);
  const focused = wanted(viewer, host, marks);
  if (focused.length) showBox(viewer, bounds(focused), 140);
  else everything(viewer, participant);
  linkClauses(viewer, host);
  linkButtons(viewer, host, participant, focused);
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
