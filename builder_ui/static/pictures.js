// Pictures are dropped on the form or chosen, and go one after the other; a photo that is too large is made smaller here first.
"use strict";

(() => {
const LARGEST = 2400; // pixels: as much as the server keeps
const QUALITY = 0.9;

async function smaller(file, most) {
  if (file.size <= most || !/^image\/(jpeg|png|webp)$/.test(file.type)) return file;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return file;
  const scale = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  const type = file.type === "image/png" ? "image/png" : "image/jpeg";
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, type, QUALITY); });
  return blob ? new File([blob], file.name, { type }) : file;
}

async function send(form, files) {
  const word = form.querySelector(".sending"), button = form.querySelector("button"), most = Number(form.dataset.drop) - 4096;
  const action = form.getAttribute("action");
  word.hidden = false;
  button.disabled = true;
  for (const [n, file] of files.entries()) {
    word.textContent = word.dataset.sending.replace("{number}", n + 1).replace("{count}", files.length);
    const body = new FormData();
    const fitting = await smaller(file, most);
    body.append("file", fitting);
    const answer = fitting.size > most
      ? { ok: false, json: async () => ({ problem: "bytes" }) }
      : await fetch(action, { method: "POST", body, headers: { accept: "application/json" } }).catch(() => ({ ok: false, json: async () => ({}) }));
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      window.location.assign(`${action}?problem=${said.problem || "lost"}`);
      return;
    }
  }
  window.location.assign(action);
}

const formOf = (event) => event.target.closest?.("form[data-drop]");

document.addEventListener("submit", (event) => {
  const form = formOf(event);
  if (!form) return;
  event.preventDefault();
  send(form, [...form.querySelector("input[type=file]").files]);
});
document.addEventListener("change", (event) => {
  const form = formOf(event);
  if (form && event.target.files?.length) form.requestSubmit();
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const form = formOf(event);
    if (!form) return;
    event.preventDefault();
    form.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) send(form, [...event.dataTransfer.files]);
  });
}
})();
