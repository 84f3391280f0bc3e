// Forms: sent once, waiting shown, parts that depend on a choice, choices that send at once.

const PATIENCE = 300; // milliseconds before waiting is shown

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || form.target === "_blank") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.matches("[hx-post], [hx-get]")) return;
  form.dataset.sent = "1";
  const button = event.submitter;
  setTimeout(() => button?.setAttribute("aria-busy", "true"), PATIENCE);
});

// Coming back with the browser's own button shows the page as it was left: ready to send again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
});

// data-shown-when="result=refuse|return": shown while the form's field has one of these values. What is hidden is
// disabled too, so that it is neither required nor sent.
function showDependents(form) {
  for (const part of form.querySelectorAll("[data-shown-when]")) {
    const [name, values] = part.dataset.shownWhen.split("=");
    const chosen = new FormData(form).getAll(name);
    const shown = values.split("|").some((value) => chosen.includes(value));
    part.hidden = !shown;
    for (const control of part.querySelectorAll("input, select, textarea")) control.disabled = !shown;
  }
}

function prepare(root) {
  for (const part of root.querySelectorAll("[data-shown-when]")) showDependents(part.closest("form"));
}

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form) return;
  showDependents(form);
  if (event.target.matches("[data-sends]")) form.requestSubmit();
});

document.addEventListener("htmx:load", (event) => prepare(event.target));
prepare(document);

// The first field with an error gets the focus, so that it is read out and need not be looked for.
document.querySelector("[aria-invalid='true']")?.focus();
