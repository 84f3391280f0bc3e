// Nothing typed is lost: a form with data-draft="a name of its own" keeps its entries in this tab until they are saved.
// Only in the tab's own memory: office computers are shared, and these are children's data.

const PREFIX = "draft:";
const UNKEPT = new Set(["csrf", "revision"]);

const read = (key) => JSON.parse(sessionStorage.getItem(key) ?? "null");
const write = (key, draft) => sessionStorage.setItem(key, JSON.stringify(draft));

function entries(form) {
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !UNKEPT.has(name));
}

function refill(form, kept) {
  for (const control of form.elements) {
    if (!control.name || UNKEPT.has(control.name) || control.type === "file" || control.type === "hidden") continue;
    const values = kept.filter(([name]) => name === control.name).map(([, value]) => value);
    if (control.type === "checkbox" || control.type === "radio") control.checked = values.includes(control.value);
    else if (values.length && !control.readOnly) control.value = values[0];
  }
  form.dispatchEvent(new Event("change", { bubbles: true }));
}

const forms = [...document.querySelectorAll("form[data-draft]")];
const here = new Set(forms.map((form) => PREFIX + form.dataset.draft));

// A draft that was sent, and whose form is not shown again, has arrived, unless this page is about an error.
for (const key of Object.keys(sessionStorage)) {
  if (!key.startsWith(PREFIX) || here.has(key)) continue;
  if (read(key).sent && document.body.dataset.page !== "interruption") sessionStorage.removeItem(key);
}

for (const form of forms) {
  const key = PREFIX + form.dataset.draft;
  const draft = read(key);
  // What the server sent back after an error is at least as new as the draft.
  if (draft && !form.querySelector("[aria-invalid='true']")) {
    refill(form, draft.entries);
    form.querySelector("[data-draft-note]")?.removeAttribute("hidden");
  }
  if (draft?.sent) write(key, { ...draft, sent: false });
  const keep = () => write(key, { entries: entries(form), sent: false });
  form.addEventListener("input", keep);
  form.addEventListener("submit", () => write(key, { entries: entries(form), sent: true }));
  form.querySelector("[data-draft-discard]")?.addEventListener("click", () => {
    sessionStorage.removeItem(key);
    location.reload();
  });
}

// Logging out leaves nothing behind.
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-forget-drafts]")) sessionStorage.clear();
});
