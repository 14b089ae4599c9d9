// A file goes in parts: neither the browser nor the server holds it as a whole, and what is on its way can be seen and stopped.
"use strict";

(() => {
const PAUSES_MS = [500, 1_000, 2_000, 5_000, 10_000]; // a part whose answer is lost is sent again: the server knows it
const REFUSED = 400; // and above, below 500: trying again would change nothing

class Refusal extends Error {}

async function ask(method, path, body, signal) {
  const answer = await fetch(path, { method, body, signal, headers: { accept: "application/json" } });
  if (answer.ok) return answer.status === 204 ? {} : answer.json();
  const said = await answer.json().catch(() => ({}));
  if (answer.status >= REFUSED && answer.status < 500) throw new Refusal(said.problem || "gone");
  throw new Error(String(answer.status));
}

async function patiently(work, signal) {
  for (const pause of PAUSES_MS) {
    try { return await work(); } catch (error) {
      if (error instanceof Refusal || signal.aborted) throw error;
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  }
  return work();
}

async function send(form) {
  const start = form.dataset.parts, [file] = form.querySelector("input[type=file]").files;
  const bar = form.querySelector(".sending"), progress = bar.querySelector("progress"), word = bar.querySelector("span");
  const stop = new AbortController();
  const button = form.querySelector("button:not([type=button])");
  bar.querySelector("button").onclick = () => stop.abort();
  bar.hidden = false;
  button.disabled = true;
  let id = "";
  try {
    const room = await ask("POST", start, JSON.stringify({ name: file.name, size: file.size }), stop.signal);
    id = room.id;
    for (let number = 0, at = 0; at < file.size; number += 1, at += room.part_bytes) {
      const part = file.slice(at, at + room.part_bytes);
      await patiently(() => ask("PUT", `${start}/${id}/${number}`, part, stop.signal), stop.signal);
      progress.value = Math.min(1, (at + part.size) / file.size);
    }
    word.textContent = word.dataset.reading;
    progress.removeAttribute("value");
    const { location } = await ask("POST", `${start}/${id}/done${form.dataset.about || ""}`, null, stop.signal);
    window.location.assign(location);
  } catch (error) {
    if (id) fetch(`${start}/${id}`, { method: "DELETE" }).catch(() => {});
    const action = form.getAttribute("action");
    if (!stop.signal.aborted) return window.location.assign(`${action}${action.includes("?") ? "&" : "?"}problem=${error instanceof Refusal ? error.message : "lost"}`);
    bar.hidden = true;
    button.disabled = false;
    progress.value = 0;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-parts]");
  if (!form) return;
  event.preventDefault();
  send(form);
});
})();
