// What people write into the fields of a page stays theirs: nothing drawn meanwhile takes it away, and a lost connection only delays it.
"use strict";

(() => {
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

/** The connection is there again. */
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

window.addEventListener("pfadwerk:away", () => { away = true; });
window.addEventListener("pfadwerk:heard", () => { if (away || unsaid.size) back(); });
})();
