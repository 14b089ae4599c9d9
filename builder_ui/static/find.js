// The search: a combobox whose answers are links. Source: WAI-ARIA APG, combobox with list autocomplete.
"use strict";

(() => {
const field = document.getElementById("find");
const list = document.getElementById("found");
const spoken = document.querySelector(".find [aria-live]");
const TYPING_MS = 200;
let typing = 0;
let asked = null;
let chosen = -1;

function options() { return [...list.querySelectorAll("[role=option]")]; }

function choose(index) {
  const all = options();
  chosen = all.length ? (index + all.length) % all.length : -1;
  all.forEach((option, n) => option.setAttribute("aria-selected", String(n === chosen)));
  if (chosen < 0) return field.removeAttribute("aria-activedescendant");
  field.setAttribute("aria-activedescendant", all[chosen].id);
  all[chosen].scrollIntoView({ block: "nearest" });
}

function showFound(open) {
  list.hidden = !open;
  field.setAttribute("aria-expanded", String(open));
  if (open) return;
  chosen = -1;
  field.removeAttribute("aria-activedescendant");
  clearTimeout(typing);
  asked?.abort(); // an answer on its way does not open it again
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawFound(found) {
  let n = 0;
  const option = (href, title, detail) => element("a", { role: "option", id: `found-${n++}`, href, tabindex: "-1", "aria-selected": "false" }, title, element("small", {}, detail));
  const groups = found.groups.map((group, g) => element("div", { role: "group", "aria-labelledby": `found-group-${g}` },
    element("p", { id: `found-group-${g}`, role: "presentation" }, group.title), ...group.hits.map((hit) => option(hit.href, hit.title, hit.detail))));
  const hits = n;
  const before = options()[chosen]?.href;
  list.replaceChildren(...groups, ...(hits ? [option(found.all, spoken.dataset.all, "")] : [element("p", { role: "presentation" }, spoken.dataset.none)]));
  spoken.textContent = hits ? spoken.dataset.some.replace("{count}", String(hits)) : spoken.dataset.none;
  chosen = -1;
  field.removeAttribute("aria-activedescendant");
  showFound(true);
  const again = options().findIndex((one) => one.href === before);
  if (again >= 0) choose(again); // an answer that comes late takes nothing away from whoever has chosen already
}

async function lookUp() {
  asked?.abort();
  const text = field.value.trim();
  if (text.length < 2) return showFound(false);
  asked = new AbortController();
  try {
    const answer = await fetch(`/ui/find?${new URLSearchParams({ q: text })}`, { signal: asked.signal });
    if (answer.ok) drawFound(await answer.json());
  } catch (error) {
    if (error.name !== "AbortError") showFound(false); // the page of results is still there
  }
}

field.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(lookUp, TYPING_MS); });
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (list.hidden) return;
    event.preventDefault();
    choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    options()[chosen].click();
  } else if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    event.stopPropagation();
    showFound(false);
  }
});
document.addEventListener("focusin", (event) => { if (!event.target.closest(".find")) showFound(false); });
document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".find")) showFound(false); });

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  openMenu(true);
  field.focus();
  field.select();
});
})();
