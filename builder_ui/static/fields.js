// What people write into the fields of a page stays theirs: nothing drawn meanwhile takes it away, and a lost connection only delays it.
"use strict";

(() => {
// What somebody is typing is theirs until they leave the field or press Enter: the client would set a field back to what the server last
// knew whenever anything around it is drawn again, which swallowed keys. The canvas minds its own fields.
let typing = null;
const told = new WeakMap(); // field -> the text that the server last set
const said = new WeakMap(); // field that Enter was pressed in and whose answer is to come -> timer of what came early (0: nothing yet)
for (const kind of [HTMLInputElement, HTMLTextAreaElement]) {
  const value = Object.getOwnPropertyDescriptor(kind.prototype, "value");
  Object.defineProperty(kind.prototype, "value", {
    ...value,
    set(text) {
      if (this === typing || early(this, text)) return;
      heard(this);
      told.set(this, text);
      value.set.call(this, text);
    },
  });
}

const BETTER_MS = 4000; // longer than an answer takes on a slow line

/** After Enter, the text of before may come from a drawing that did not know yet, or be the answer: it waits for a better one. */
function early(field, text) {
  if (!said.has(field) || text !== (told.get(field) ?? field.defaultValue)) return false;
  said.set(field, said.get(field) || setTimeout(() => { heard(field); field.value = text; }, BETTER_MS));
  return true;
}

function heard(field) {
  clearTimeout(said.get(field));
  said.delete(field);
}

document.addEventListener("input", ({ target }) => {
  heard(target);
  if (!target.closest(".pfb-board")) typing = target;
}, true);

/** A text field outside the forms that are sent as a whole: the server hears of its text when it is left. */
function alone(field) {
  return field.matches("#app :is(input, textarea)") && !field.closest(".pfb-board, form");
}

// What was typed is said once, by Enter or by leaving the field. Said again it could fall into another state: 7 days have become 1 week by then.
let left = null; // the field that is being left this moment, with a text to say: perhaps because it is taken away
document.addEventListener("focusout", (event) => {
  if (event.isTrusted && typing !== event.target && alone(event.target)) event.stopPropagation();
  left = typing;
  setTimeout(() => { left = null; });
  typing = null;
}, true);

// Enter says it as leaving does, and who wrote stays in the field.
document.addEventListener("keydown", ({ key, target, isComposing }) => {
  if (key !== "Enter" || isComposing || target.tagName !== "INPUT") return;
  if (typing === target && alone(target)) {
    said.set(target, 0);
    target.dispatchEvent(new FocusEvent("focusout", { bubbles: true }));
  }
  typing = null;
}, true);

// Who is in a field while it is drawn anew is in the new one: what an answer redraws has the same id. After a lost connection the form may
// come later than the page; what is typed meanwhile waits with the person.
const RETURN_MS = 10_000;
let here = null; // where somebody is
let lost = null; // the field they were in, gone and not there again yet: {id, place, text, caret, keys}
const places = new WeakMap(); // field -> where its form is: what is taken away cannot be asked any more
document.addEventListener("focusin", ({ target }) => {
  [here, lost] = [target, null];
  places.set(target, { step: target.closest("[data-step]")?.dataset.step, chapter: target.closest("[data-chapter]")?.dataset.chapter });
}, true);
document.addEventListener("pointerdown", () => { lost = null; }, true);
document.addEventListener("focusout", ({ target, isTrusted }) => {
  setTimeout(() => { if (isTrusted && here === target) here = null; }); // not at once: a field that is taken away is left, too
}, true);

new MutationObserver(() => {
  if (here && !here.isConnected) {
    const gone = here;
    here = null;
    if (document.activeElement === document.body) lose(gone);
  }
  if (lost) find();
}).observe(document.getElementById("app"), { childList: true, subtree: true });

function lose(gone) {
  const text = [typing, left].includes(gone) ? gone.value : null; // the server no longer knows who said it
  const mine = { id: gone.id, place: places.get(gone), text, caret: gone.selectionStart ?? null, keys: [] };
  lost = mine;
  setTimeout(() => { if (lost === mine) lost = null; }, RETURN_MS);
}

/** Puts the person back into their field, with what they had typed there, as soon as it is there again. */
function find() {
  const { id, text, caret, keys } = lost;
  const field = id && document.getElementById(id);
  if (!field) return;
  if (unsaid.has(id)) say(id, field);
  else if (text !== null) write(field, text);
  field.focus();
  if (caret !== null && field.selectionStart !== null) field.setSelectionRange?.(caret, caret);
  for (const key of keys) press(field, key);
}

/** What a person has in a field, and has not said yet. */
function write(field, text) {
  const known = told.get(field) ?? field.defaultValue;
  field.value = text;
  told.set(field, known);
  typing = field;
  setTimeout(() => { if (typing === field) field.dispatchEvent(new Event("input", { bubbles: true })); }); // not said yet, whoever was left
}

function press(field, key) {
  if (!field.setRangeText || field.selectionStart === null) return;
  const { selectionStart: start, selectionEnd: end } = field;
  if (key === "Backspace") field.setRangeText("", start === end ? Math.max(start - 1, 0) : start, end, "end");
  else field.setRangeText(key, start, end, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Keys between two drawings are meant for the field, and never for the canvas, where they would delete steps.
document.addEventListener("keydown", (event) => {
  if (!lost || event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key.length > 1 && !["Backspace", "Delete"].includes(event.key)) return;
  lost.keys.push(...(event.key === "Delete" ? [] : [event.key]));
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

// What is written into a form while the connection is away would go nowhere: it is kept, and said as soon as the same field is there again.
let away = false;
const unsaid = new Map(); // id of a field -> {text: what was written into it, place: whose form it belongs to, if any}

function keep(field) {
  if (field.id && field.closest("#app") && !field.closest(".pfb-board, form")) {
    unsaid.set(field.id, { text: field.value, place: places.get(field) ?? {} });
  }
  count();
}

/** For the line that says whether everything is stored. */
function count() {
  window.dispatchEvent(new CustomEvent("pfadwerk:unsaid", { detail: unsaid.size }));
}

for (const kind of ["focusout", "change"]) {
  document.addEventListener(kind, (event) => { if (away && event.target.matches("input:not([type=checkbox]), textarea, select")) keep(event.target); }, true);
}

function say(id, field) {
  const { text } = unsaid.get(id);
  unsaid.delete(id);
  asked.delete(id);
  if (typing === field || field.value === text) return; // who still writes says it later
  field.value = text;
  field.dispatchEvent(field.tagName === "SELECT" ? new Event("change", { bubbles: true }) : new FocusEvent("focusout", { bubbles: true }));
}

/** The connection is there again. */
function back() {
  if (away && typing) keep(typing);
  away = false;
  setTimeout(() => {
    if (away) return;
    for (const id of [...unsaid.keys()]) {
      const field = document.getElementById(id);
      if (field) say(id, field);
    }
    next();
    count();
  }, 100);
}

const asked = new Set();

/** Has the canvas show the form that a text waits for, once for each field, at last the one that somebody was in; a text whose step is gone has
 * no place any more. */
function next() {
  const waiting = [...unsaid].map(([id, { place }]) => [id, place]).sort(([id]) => (id === lost?.id ? 1 : -1));
  for (const [id, place] of waiting) {
    if (!place.step) continue;
    if (asked.has(id)) return;
    if (want(place)) {
      asked.add(id);
      return;
    }
    unsaid.delete(id);
  }
  if (lost?.place.step) want(lost.place);
  else want({});
}

/** Whether there is such a step; without one the canvas shows again what was shown before it was asked. */
function want(place) {
  const wanted = { ...place, gone: false };
  window.dispatchEvent(new CustomEvent("pfadwerk:wanted", { detail: wanted }));
  return !wanted.gone;
}

window.addEventListener("pfadwerk:away", () => { away = true; });
window.addEventListener("pfadwerk:heard", () => { if (away || unsaid.size) back(); });
})();
