// Messages to Python: one JSON text each, cut into pieces where a frame would be too large for the host.
const PIECE = 14_000; // quotes grow fourfold on their way
let number = 0;

export function post(onEvent, message) {
  if (!onEvent) return;
  const text = JSON.stringify(message);
  if (text.length <= PIECE) return onEvent(text);
  number += 1;
  const of = Math.ceil(text.length / PIECE);
  for (let at = 0; at < of; at += 1) {
    onEvent(JSON.stringify({ type: "piece", id: number, at, of, text: text.slice(at * PIECE, (at + 1) * PIECE) }));
  }
}
