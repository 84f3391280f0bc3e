// Long lists: ticks and the bar that counts them, and table roles that survive the two-line rows of narrow screens.

// `display: flex` on a row makes browsers forget that it is one; saying it keeps it a table for screen readers.
const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TFOOT: "rowgroup", TR: "row", TD: "cell", CAPTION: "caption" };

function nameRoles(root) {
  for (const table of root.querySelectorAll("table.rows")) {
    for (const part of [table, ...table.querySelectorAll("*")]) {
      const role = part.tagName === "TH" ? (part.scope === "row" ? "rowheader" : "columnheader") : ROLES[part.tagName];
      if (role) part.setAttribute("role", role);
    }
  }
}

// <form data-batch> holds a table whose rows have <input type="checkbox" data-tick>, one [data-tick-all], and a
// .batch-bar whose [data-ticked] shows how many. data-group on the ticks counts distinct groups into [data-groups].
function count(form) {
  const ticks = [...form.querySelectorAll("[data-tick]")];
  const ticked = ticks.filter((tick) => tick.checked);
  for (const tick of ticks) tick.closest("tr")?.classList.toggle("ticked", tick.checked);
  const bar = form.querySelector(".batch-bar");
  bar.hidden = ticked.length === 0;
  for (const place of bar.querySelectorAll("[data-ticked]")) place.textContent = ticked.length;
  const groups = new Set(ticked.map((tick) => tick.dataset.group));
  for (const place of bar.querySelectorAll("[data-groups]")) place.textContent = groups.size;
  const all = form.querySelector("[data-tick-all]");
  if (all) {
    all.checked = ticks.length > 0 && ticked.length === ticks.length;
    all.indeterminate = ticked.length > 0 && !all.checked;
  }
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-batch]");
  if (!form) return;
  if (event.target.matches("[data-tick-all]")) {
    for (const tick of form.querySelectorAll("[data-tick]")) tick.checked = event.target.checked;
  }
  if (event.target.matches("[data-tick], [data-tick-all]")) count(form);
});

// The whole cell answers to a finger, not the small box alone.
document.addEventListener("click", (event) => {
  if (event.target.matches("td.tick, th.tick")) event.target.querySelector("input[type=checkbox]")?.click();
});

function prepare(root) {
  nameRoles(root);
  for (const form of document.querySelectorAll("form[data-batch]")) count(form);
}

document.addEventListener("htmx:load", (event) => prepare(event.target.parentElement ?? document));
window.addEventListener("pageshow", () => prepare(document));
prepare(document);
