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
  // The answer is a file: the page stays, and its dialog has done its work.
  if (form.matches("[data-downloads]")) {
    form.closest("dialog")?.close();
    return;
  }
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
// disabled too, so that it is neither required nor sent. data-required-when asks the same for the star and `required`.
function holds(form, rule) {
  const [name, values] = rule.split("=");
  const chosen = new FormData(form).getAll(name);
  return values.split("|").some((value) => chosen.includes(value) || (value === "false" && !chosen.length));
}

function showDependents(form) {
  for (const part of form.querySelectorAll("[data-shown-when]")) {
    part.hidden = !holds(form, part.dataset.shownWhen);
    for (const control of part.querySelectorAll("input, select, textarea")) control.disabled = part.hidden;
  }
  for (const control of form.querySelectorAll("[data-required-when]")) {
    control.required = holds(form, control.dataset.requiredWhen);
    const star = control.closest(".field")?.querySelector(".required");
    if (star) star.hidden = !control.required;
  }
}

function prepare(root) {
  for (const part of root.querySelectorAll("[data-shown-when], [data-required-when]")) showDependents(part.closest("form"));
}

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form) return;
  showDependents(form);
  if (event.target.matches("[data-sends]")) form.requestSubmit();
});

document.addEventListener("htmx:load", (event) => prepare(event.target));
prepare(document);

// <button type="button" data-unfolds="id">: shows what is folded away (the reasons of a refusal) in the place of the
// element around the buttons, [data-folded-with="id"]; a [data-folds] inside goes back.
function fold(id, unfolded) {
  const part = document.getElementById(id);
  part.hidden = !unfolded;
  for (const other of document.querySelectorAll(`[data-folded-with="${id}"]`)) other.hidden = unfolded;
  const next = unfolded ? part : document.querySelector(`[data-unfolds="${id}"]`);
  (unfolded ? next.querySelector("textarea, input:not([type=hidden]), select, button") : next)?.focus();
}

document.addEventListener("click", (event) => {
  const unfolder = event.target.closest("[data-unfolds]");
  if (unfolder) fold(unfolder.dataset.unfolds, true);
  const folder = event.target.closest("[data-folds]");
  if (folder) fold(folder.closest("[id]").id, false);
});

// The first field with an error gets the focus, so that it is read out and need not be looked for.
document.querySelector("[aria-invalid='true']")?.focus();

// data-tells="id": a slider says its value there while it is moved, and what follows it in the number that fits.
document.addEventListener("input", (event) => {
  const told = event.target.dataset?.tells && document.getElementById(event.target.dataset.tells);
  if (!told) return;
  told.value = event.target.value;
  const { one, many } = told.nextElementSibling?.dataset ?? {};
  if (one) told.nextElementSibling.textContent = Number(told.value) === 1 ? one : many;
});
