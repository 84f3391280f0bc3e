// Decisions: <form data-decision> has a button for each value. [data-chooses] picks one and unfolds what it needs, the
// parts [data-when="value"]; [data-settles] picks one and sends. [data-choice] holds what was picked, so that fields
// which depend on it know; without a script it stays disabled, and the buttons alone say it.

function pick(form, value) {
  for (const choice of form.querySelectorAll("[data-choice]")) {
    choice.value = value;
    choice.disabled = !value;
    choice.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function unfold(form, value) {
  for (const part of form.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== value;
  const unfilled = [...form.elements].find((control) => control.required && !control.value && control.offsetParent);
  const next = unfilled ?? form.querySelector(value ? `button[data-when="${value}"], [data-when="${value}"] button` : "[data-chooses]");
  next?.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-decision] button");
  if (!button) return;
  const { chooses, settles } = button.dataset;
  if (settles) pick(button.form, settles);
  if (chooses === undefined) return;
  event.preventDefault();
  pick(button.form, chooses);
  unfold(button.form, chooses);
});
