// Long lists: ticks and the bar that counts them, and table roles that survive the two-line rows of narrow screens.

// `display: flex` on a row makes browsers forget that it is one; saying it keeps it a table for screen readers.
const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TFOOT: "rowgroup", TR: "row", TD: "cell" };

function nameRoles(root) {
  for (const table of root.querySelectorAll("table.rows")) {
    for (const part of [table, ...table.querySelectorAll("*")]) {
      const role = part.tagName === "TH" ? (part.scope === "row" ? "rowheader" : "columnheader") : ROLES[part.tagName];
      if (role) part.setAttribute("role", role);
    }
  }
}

// <form data-batch> has ticks, <input type="checkbox" data-tick>, inside it or by their `form`, perhaps one [data-tick-all],
// and a .batch-bar; [data-ticked] shows how many, [data-groups] of how many distinct data-group.
const batches = () => [...document.querySelectorAll("form[data-batch]")];
const ticksOf = (form) => [...form.elements].filter((control) => control.matches("[data-tick]"));

function count(form) {
  const ticks = ticksOf(form);
  const ticked = ticks.filter((tick) => tick.checked);
  for (const tick of ticks) tick.closest("tr")?.classList.toggle("ticked", tick.checked);
  form.querySelector(".batch-bar").hidden = ticked.length === 0;
  for (const place of form.querySelectorAll("[data-ticked]")) place.textContent = ticked.length;
  const groups = new Set(ticked.map((tick) => tick.dataset.group));
  for (const place of form.querySelectorAll("[data-groups]")) place.textContent = groups.size;
  const all = [...form.elements].find((control) => control.matches("[data-tick-all]"));
  if (all) {
    all.checked = ticks.length > 0 && ticked.length === ticks.length;
    all.indeterminate = ticked.length > 0 && !all.checked;
  }
  offerEverything(form, ticked.length === ticks.length);
}

// The other pages can be added where the whole of this one is ticked: [data-everything], with words of its own for it.
function offerEverything(form, whole) {
  const everything = form.querySelector("[data-everything]");
  if (!everything) return;
  everything.disabled = !whole;
  everything.checked &&= whole;
  everything.closest("label").hidden = !whole;
  for (const words of form.querySelectorAll("[data-with-everything]")) words.hidden = !everything.checked;
  for (const words of form.querySelectorAll("[data-but-everything]")) words.hidden = everything.checked;
}

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form?.matches("[data-batch]")) return;
  if (event.target.matches("[data-tick-all]")) {
    for (const tick of ticksOf(form)) tick.checked = event.target.checked;
  }
  if (event.target.matches("[data-tick], [data-tick-all], [data-everything]")) count(form);
});

// The whole cell answers to a finger, not the small box alone.
document.addEventListener("click", (event) => {
  if (event.target.matches("td.tick, th.tick")) event.target.querySelector("input[type=checkbox]")?.click();
});

function prepare(root) {
  nameRoles(root);
  batches().forEach(count);
}

document.addEventListener("htmx:load", (event) => prepare(event.target.parentElement ?? document));
window.addEventListener("pageshow", () => prepare(document));
prepare(document);
