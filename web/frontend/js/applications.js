// The application form: kept as a draft while it is filled in, and the student looked up once number and name are there.
// What could not be kept (the session has ended, the line is down) waits in this tab's own memory.

const KEY = "application";
const BREATH = 1200; // milliseconds of quiet before what has been typed is kept
const UNKEPT = new Set(["csrf"]);

const theForm = () => document.getElementById("application");
const isOurs = (event) => event.target === theForm() || event.target.form === theForm();

function entries(form) {
  return [...new FormData(form)].filter(([name, value]) => typeof value === "string" && !UNKEPT.has(name));
}

// ---- The draft

let timer;
let leaving = false;

async function keep() {
  const form = theForm();
  if (leaving || !form) return;
  const body = new FormData();
  for (const [name, value] of entries(form)) body.append(name, value);
  body.append("csrf", form.elements.csrf.value);
  let words = form.dataset.unkept;
  let out = false;
  try {
    const response = await fetch(form.dataset.keeps, { method: "POST", body, headers: { Accept: "application/json" } });
    const answer = await response.json();
    if (response.ok) {
      sessionStorage.removeItem(KEY);
      history.replaceState(null, "", `/transfers/new?draft=${form.elements.draft.value}`);
      words = answer.words;
    } else {
      stash(form);
      out = response.status === 401;
      words = `${answer.error.message} ${answer.error.remedy}`;
    }
  } catch {
    stash(form);
  }
  const state = document.getElementById("draft-state");
  if (!state) return;
  state.textContent = words;
  document.querySelector("[data-log-in]").hidden = !out;
}

function stash(form) {
  sessionStorage.setItem(KEY, JSON.stringify(entries(form)));
}

function keepSoon(event) {
  if (!isOurs(event)) return;
  clearTimeout(timer);
  timer = setTimeout(keep, BREATH);
}

document.addEventListener("input", keepSoon);
document.addEventListener("change", keepSoon);

document.addEventListener("submit", (event) => {
  if (!isOurs(event) || event.defaultPrevented) return;
  leaving = true;
  clearTimeout(timer);
});

window.addEventListener("pageshow", () => (leaving = false));

// What an earlier page of this tab could not keep: ask the server to draw the form with it.
const left = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
if (left && document.querySelector("[data-begins]")) {
  sessionStorage.removeItem(KEY);
  const again = document.createElement("form");
  again.method = "post";
  again.action = "/transfers/new/form";
  for (const [name, value] of [...left, ["csrf", document.querySelector("[name=csrf]").value]]) {
    const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
    again.append(input);
  }
  document.body.append(again);
  again.submit();
}

// ---- The student

let asked = "";

function lookUp() {
  const given = [...document.querySelectorAll("[data-looks-up]")].map((control) => control.value.trim());
  if (!given.every(Boolean) || given.join("\n") === asked) return;
  asked = given.join("\n");
  document.querySelector("[data-look-up]").click();
}

document.addEventListener("change", (event) => {
  // The form itself may be asking for its choices now; the look-up follows it in its queue.
  if (event.target.matches("[data-looks-up]")) setTimeout(lookUp);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input[data-looks-up]")) return;
  event.preventDefault();
  lookUp();
});

// ---- An error goes with its cause

document.addEventListener("input", (event) => {
  const field = isOurs(event) && event.target.closest(".field.wrong");
  if (!field || field.matches("[data-upload]")) return;
  field.classList.remove("wrong");
  field.querySelector(".error")?.remove();
  for (const control of field.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
});
