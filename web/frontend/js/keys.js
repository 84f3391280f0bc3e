// The keyboard: `/` search, `?` all keys; in a table with data-keys `j` `k` move, `x` tick, `b` decide, `Enter` open.

const typing = (target) => target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

function rows() {
  return [...document.querySelectorAll("table[data-keys] tbody tr")].filter((row) => row.querySelector("a[href]"));
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.classList.contains("here"));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  all[now]?.classList.remove("here");
  next.classList.add("here");
  // The focus goes along, so that a screen reader reads the row and the browser scrolls to it.
  next.querySelector(".main a[href], a[href]").focus();
}

const here = () => document.querySelector("table[data-keys] tr.here");

const ACTIONS = {
  "/": () => [...document.querySelectorAll("[data-search]")].find((field) => field.offsetParent)?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: () => here()?.querySelector("[data-tick]")?.click(),
  b: () => [...document.querySelectorAll(".batch-bar button")].find((button) => button.offsetParent)?.focus(),
  Enter: () => here()?.querySelector(".main a[href], a[href]").click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  // A focused button or link answers Enter by itself.
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("table[data-keys] tbody tr");
  if (!row) return;
  here()?.classList.remove("here");
  row.classList.add("here");
});
