// Files of a form: sent by themselves as soon as they are chosen, so that the form is saved at once and nothing is lost
// with an error elsewhere. The form keeps the id that the answer gives. Without this script they travel with the form.

const PATIENCE = 300; // milliseconds before progress is shown

document.addEventListener("change", (event) => {
  const field = event.target.closest("[data-upload]");
  if (field && event.target.type === "file" && event.target.files.length) send(field, event.target);
});

function send(field, input) {
  const [file] = input.files;
  const progress = field.querySelector("progress");
  const sent = new FormData();
  sent.append("csrf", input.form.elements.csrf.value);
  sent.append("file", file);
  complain(field, "");
  const patience = setTimeout(() => (progress.hidden = false), PATIENCE);

  const request = new XMLHttpRequest();
  request.open("POST", field.dataset.upload);
  request.setRequestHeader("Accept", "application/json");
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => (progress.value = loaded / total));
  request.addEventListener("loadend", () => {
    clearTimeout(patience);
    progress.hidden = true;
    progress.value = 0;
    input.value = "";
    if (request.status === 201) attached(field, input, file.name, request.response);
    else complain(field, request.response?.error?.message ?? field.dataset.failed);
  });
  request.send(sent);
}

function attached(field, input, name, { uid, path }) {
  field.querySelector("input[type=hidden]").value = uid;
  const link = field.querySelector(".attached a");
  link.href = path;
  link.textContent = name;
  field.querySelector(".attached").hidden = false;
  input.hidden = true;
  link.focus();
  // Whatever keeps the form hears of it.
  input.form.dispatchEvent(new Event("change", { bubbles: true }));
}

function complain(field, words) {
  const error = field.querySelector(".error");
  error.hidden = !words;
  error.querySelector("span").textContent = words;
  field.classList.toggle("wrong", Boolean(words));
}
