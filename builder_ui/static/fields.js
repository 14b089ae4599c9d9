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

/** After Enter, the text of before may come from a drawing that did not know yet, or be the answer: it waits a second for a better one. */
function early(field, text) {
  if (!said.has(field) || text !== (told.get(field) ?? field.defaultValue)) return false;
  said.set(field, said.get(field) || setTimeout(() => { heard(field); field.value = text; }, 1000));
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
document.addEventListener("focusout", (event) => {
  if (event.isTrusted && typing !== event.target && alone(event.target)) event.stopPropagation();
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

// Who is in a field while it is drawn anew is in the new one: what an answer redraws has the same id.
let here = null;
document.addEventListener("focusin", (event) => { here = event.target; }, true);
document.addEventListener("focusout", ({ target, isTrusted }) => {
  setTimeout(() => { if (isTrusted && here === target) here = null; }); // not at once: a field that is taken away is left, too
}, true);
new MutationObserver(() => {
  if (!here || here.isConnected) return;
  const again = document.getElementById(here.id);
  here = null;
  if (document.activeElement === document.body) again?.focus();
}).observe(document.getElementById("app"), { childList: true, subtree: true });

// What is written into a form while the connection is away would go nowhere: it is kept, and said as soon as the same field is there again.
let away = false;
const unsaid = new Map(); // id of a field -> {text: what was written into it, step: whose form it belongs to, if any}

function keep(field) {
  if (field.id && field.closest("#app") && !field.closest(".pfb-board, form")) {
    unsaid.set(field.id, { text: field.value, step: field.closest("[data-step]")?.dataset.step });
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

/** The connection is there again. */
function back() {
  if (away && typing) keep(typing);
  away = false;
  setTimeout(() => {
    for (const [id, { text }] of away ? [] : unsaid) {
      const field = document.getElementById(id);
      if (!field) continue;
      unsaid.delete(id);
      asked.delete(id);
      if (typing === field || field.value === text) continue; // who still writes says it later
      field.value = text;
      field.dispatchEvent(field.tagName === "SELECT" ? new Event("change", { bubbles: true }) : new FocusEvent("focusout", { bubbles: true }));
    }
    if (!away) next();
    count();
  }, 100);
}

const asked = new Set();

/** Has the canvas choose the step whose form waits for a text, once for each field; a text whose step is gone has no place any more. */
function next() {
  for (const [id, { step }] of unsaid) {
    if (!step) continue;
    if (asked.has(id)) return;
    const wanted = { step, gone: false };
    window.dispatchEvent(new CustomEvent("pfadwerk:wanted", { detail: wanted }));
    if (!wanted.gone) {
      asked.add(id);
      return;
    }
    unsaid.delete(id);
  }
}

window.addEventListener("pfadwerk:away", () => { away = true; });
window.addEventListener("pfadwerk:heard", () => { if (away || unsaid.size) back(); });
})();
