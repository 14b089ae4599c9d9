// What the pages need in the browser beside ReactPy's own client: a banner while the connection is away, relative times that stay true,
// the menu of a phone, and the keys of the tour. What is typed into fields is in fields.js, the search in find.js.
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
    this.addEventListener("open", () => { open = true; });
    // What was drawn before a break can do nothing any more: the page is there again once the first drawing is.
    this.addEventListener("message", () => setTimeout(connected), { once: true });
    this.addEventListener("message", () => window.dispatchEvent(new Event("pfadwerk:heard")));
    this.addEventListener("close", (event) => { window.dispatchEvent(new Event("pfadwerk:away")); disconnected(event, open); });
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

// What a question opens stays inside the window, however wide that is: moved sideways, opened upwards where there is more room, else scrolled.
const MARGIN_PX = 8;
function fit(ask) {
  const box = ask.querySelector(".question");
  if (!box) return;
  box.style.translate = box.style.maxWidth = box.style.maxHeight = box.style.overflowY = "";
  if (!ask.open) return;
  box.style.maxWidth = `${document.documentElement.clientWidth - 2 * MARGIN_PX}px`;
  const { left, right, top, bottom, height } = box.getBoundingClientRect();
  const width = document.documentElement.clientWidth, high = window.innerHeight;
  const across = Math.max(MARGIN_PX - left, Math.min(0, width - MARGIN_PX - right));
  const above = ask.getBoundingClientRect().top;
  let down = Math.max(0, MARGIN_PX - top);
  if (bottom > high - MARGIN_PX) {
    if (above - height > MARGIN_PX) down = above - MARGIN_PX - bottom;
    else {
      box.style.maxHeight = `${Math.max(120, high - 2 * MARGIN_PX)}px`;
      box.style.overflowY = "auto";
      down = Math.min(0, high - MARGIN_PX - top - box.getBoundingClientRect().height);
    }
  }
  box.style.translate = `${across}px ${down}px`;
}
document.addEventListener("toggle", ({ target }) => { if (target.matches?.("details.ask")) fit(target); }, true);
window.addEventListener("resize", () => { for (const open of document.querySelectorAll("details.ask[open]")) fit(open); });

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

// The tour: it does not hide the page, so it takes the focus but does not trap it; Escape leaves it for good.
const tour = document.getElementById("tour");
if (tour) {
  tour.querySelector("h2").focus();
  tour.addEventListener("keydown", (event) => { if (event.key === "Escape") tour.querySelector(".leave").requestSubmit(); });
}

// A file that the server would refuse half way is refused before it is sent.
document.addEventListener("change", ({ target }) => {
  const most = Number(target.dataset?.mostBytes);
  if (most) target.setCustomValidity(target.files[0]?.size > most ? target.dataset.tooLarge : "");
});
