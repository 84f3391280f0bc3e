// The drawer of narrow screens, menus that close again, dialogs, notices that can be put away.

const side = document.getElementById("side");
const drawerButton = document.querySelector("[data-drawer]");
const veil = document.querySelector(".veil");

function setDrawer(open) {
  side.classList.toggle("open", open);
  drawerButton.setAttribute("aria-expanded", String(open));
  veil.hidden = !open;
  document.getElementById("content").inert = open;
  if (open) side.querySelector("a, input").focus();
  else drawerButton.focus();
}

if (drawerButton && side) {
  drawerButton.addEventListener("click", () => setDrawer(!side.classList.contains("open")));
  veil.addEventListener("click", () => setDrawer(false));
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog, .notice").matches("dialog") ? closer.closest("dialog").close() : closer.closest(".notice").remove();
  const printer = event.target.closest("[data-prints]");
  if (printer) window.print();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (side?.classList.contains("open")) {
    setDrawer(false);
  }
});

// Show a refused dialog again: `<dialog data-open>` was sent back with an error in it.
for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();

// In a narrow window the tabs are a strip: show the one that is open.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  const strip = tab.parentElement;
  strip.scrollLeft = tab.offsetLeft - strip.offsetLeft - (strip.clientWidth - tab.offsetWidth) / 2;
}
