// What the pages need in the browser beside ReactPy's own client: a banner while the connection is away, and relative times that stay true.
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
    this.addEventListener("message", () => { if (away || unsaid.size) back(); });
    this.addEventListener("close", (event) => { away = true; disconnected(event, open); });
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
let typing = null;
for (const kind of [HTMLInputElement, HTMLTextAreaElement]) {
  const value = Object.getOwnPropertyDescriptor(kind.prototype, "value");
  Object.defineProperty(kind.prototype, "value", { ...value, set(text) { if (this !== typing) value.set.call(this, text); } });
}
document.addEventListener("input", (event) => { if (!event.target.closest(".pfb-board")) typing = event.target; }, true);
document.addEventListener("focusout", () => { typing = null; }, true);
document.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.tagName === "INPUT") typing = null; }, true);

// What is written into a form while the connection is away would go nowhere: it is kept, and said as soon as the same field is there again.
let away = false;
const unsaid = new Map(); // id of a field -> what was written into it

function keep(field) {
  if (field.id && field.closest("#app") && !field.closest(".pfb-board, form")) unsaid.set(field.id, field.value);
}
for (const kind of ["focusout", "change"]) {
  document.addEventListener(kind, (event) => { if (away && event.target.matches("input:not([type=checkbox]), textarea, select")) keep(event.target); }, true);
}

function back() {
  if (away && typing) keep(typing);
  away = false;
  setTimeout(() => {
    for (const [id, text] of away ? [] : unsaid) {
      const field = document.getElementById(id);
      if (!field) continue;
      unsaid.delete(id);
      if (typing === field) typing = null;
      if (field.value === text) continue;
      field.value = text;
      field.dispatchEvent(field.tagName === "SELECT" ? new Event("change", { bubbles: true }) : new FocusEvent("focusout", { bubbles: true }));
    }
    const [waiting] = unsaid.keys();
    if (waiting && !away && !asked.has(waiting)) show(waiting);
  }, 100);
}

const asked = new Set();

/** Chooses the step to whose form a field belongs. */
function show(id) {
  asked.add(id);
  [...document.querySelectorAll(".react-flow__node")].find((card) => id.startsWith(`pfb-${card.dataset.id.replace("$", "")}-`))?.click();
}
