// Messages to Python: one JSON text each, cut into pieces where a frame would be too large for the host.
const PIECE = 14_000; // quotes grow fourfold on their way
let number = 0;

/** A socket that is still opening again takes nothing, and says so by an error. That stops nobody's hand: as with a socket that is closed, what
 * is said now is lost, and the session that begins next is handed everything. */
export function post(onEvent, message) {
  if (!onEvent) return;
  try {
    say(onEvent, JSON.stringify(message));
  } catch (error) {
    if (error.name !== "InvalidStateError") throw error;
  }
}

function say(onEvent, text) {
  if (text.length <= PIECE) {
    onEvent(text);
    return;
  }
  number += 1;
  const of = Math.ceil(text.length / PIECE);
  for (let at = 0; at < of; at += 1) {
    onEvent(JSON.stringify({ type: "piece", id: number, at, of, text: text.slice(at * PIECE, (at + 1) * PIECE) }));
  }
}
