// What the pages need in the browser beside ReactPy's own client: a banner while the connection is away, relative times that stay true,
// the menu of a phone, the search with its list of answers, and the keys of the tour.
"use strict";

const banner = document.getElementById("offline");
const LOGGED_OUT = 4401;
const SILENT_MS = 1500; // a short break is nobody's business
const GIVE_UP_MS = 15 * 60 * 1000; // the client has stopped trying by then
let lost = 0;
let leaving = false;

function tell(text) {
  banner.firstElementChild.textContent = text;
  banner.hidden = false;
}

function connected() {
  clearTimeout(lost);
  banner.hidden = true;
}

function disconnected(event, wasOpen) {
  if (leaving) return;
  clearTimeout(lost);
  if (event.code === LOGGED_OUT) return tell(banner.dataset.out);
  if (!wasOpen && banner.hidden && !lost) return tell(banner.dataset.gone);
  const since = Date.now();
  lost = setTimeout(function show() {
    const over = Date.now() - since > GIVE_UP_MS;
    tell(over ? banner.dataset.gone : banner.dataset.lost);
    if (!over) lost = setTimeout(show, 30_000);
  }, SILENT_MS);
}

// The client opens its socket itself, so the only place to watch it is the constructor.
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    let open = false;
    this.addEventListener("open", () => { open = true; connected(); });
    this.addEventListener("close", (event) => disconnected(event, open));
  }
};
window.addEventListener("pagehide", () => { leaving = true; });
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

function relative(time) {
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= 1.2 * size) || UNITS[6];
  return new Intl.RelativeTimeFormat(time.dataset.relative).format(Math.round(seconds / size), unit);
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    // The text node itself is changed, never replaced: it belongs to the client.
    if (time.firstChild) time.firstChild.data = relative(time);
  }
}, 10_000);

// Escape closes an open question, a click elsewhere too.
function closeQuestions(except) {
  for (const open of document.querySelectorAll("details.ask[open]")) if (open !== except) open.open = false;
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeQuestions(null); });
document.addEventListener("click", (event) => {
  const inside = event.target.closest("details.ask");
  closeQuestions(inside);
  if (inside && event.target.closest(".question button")) inside.open = false;
});

// What somebody is typing is theirs until they leave the field or press Enter: the client would set a field back to what the server last
// knew whenever anything around it is drawn again, which swallowed keys. The canvas minds its own fields.
let heldField = null;
for (const kind of [HTMLInputElement, HTMLTextAreaElement]) {
  const value = Object.getOwnPropertyDescriptor(kind.prototype, "value");
  Object.defineProperty(kind.prototype, "value", { ...value, set(text) { if (this !== heldField) value.set.call(this, text); } });
}
document.addEventListener("input", (event) => { if (!event.target.closest(".pfb-board")) heldField = event.target; }, true);
document.addEventListener("focusout", () => { heldField = null; }, true);
document.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.tagName === "INPUT") heldField = null; }, true);

// A button with data-copy copies the field of that id.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); } // no clipboard without https
  const said = button.querySelector("span").firstChild, before = said.data;
  if (before === button.dataset.copied) return;
  said.data = button.dataset.copied;
  setTimeout(() => { said.data = before; }, 2_000);
});

// The menu of a phone.
const side = document.querySelector(".side");
const fold = side.querySelector(".fold");
function openMenu(open) {
  side.classList.toggle("open", open);
  fold.setAttribute("aria-expanded", String(open));
}
fold.addEventListener("click", () => openMenu(!side.classList.contains("open")));

// The search: a combobox whose answers are links. Source: WAI-ARIA APG, combobox with list autocomplete.
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
  if (!open) { chosen = -1; field.removeAttribute("aria-activedescendant"); }
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
  list.replaceChildren(...groups, ...(hits ? [option(found.all, spoken.dataset.all, "")] : [element("p", { role: "presentation" }, spoken.dataset.none)]));
  spoken.textContent = hits ? spoken.dataset.some.replace("{count}", String(hits)) : spoken.dataset.none;
  chosen = -1;
  showFound(true);
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

// The tour: it does not hide the page, so it takes the focus but does not trap it; Escape leaves it for good.
const tour = document.getElementById("tour");
if (tour) {
  tour.querySelector("h2").focus();
  tour.addEventListener("keydown", (event) => { if (event.key === "Escape") tour.querySelector(".leave").requestSubmit(); });
}
