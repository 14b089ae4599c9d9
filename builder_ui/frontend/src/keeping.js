// What the page itself knows of its work: whether the socket is gone, whether an edit is unanswered, whether everything is stored.
// The server's word is as old as its last answer; where the page knows better, the state line says so by itself.

const PATIENCE_MS = 5000; // a server that says nothing for so long while something is asked of it does not answer
const FORM = ".pfb-side, .pfb-outline"; // where people edit outside of the canvas
const PRESSED = `${FORM}, .tpl`;

const all = new Map();

export function keeping(id) {
  if (!all.has(id)) all.set(id, new Keeping());
  return all.get(id);
}

class Keeping {
  constructor() {
    this.away = false; // the socket is gone
    this.typed = false; // a field holds what the server has not heard
    this.unsaid = 0; // fields left while the connection was away
    this.drawn = false; // the canvas, or a text, is ahead of what is stored
    this.asked = 0; // the last question, and the last one answered
    this.answered = 0;
    this.typedAt = 0; // the question whose answer settles what was typed
    this.heardAt = 0;
    this.timer = 0;
    this.ask = null; // sends a question
    this.listeners = new Set();
    this.state = "";
    this.listen();
  }

  listen() {
    window.addEventListener("pfadwerk:away", () => { this.away = true; this.look(); });
    window.addEventListener("pfadwerk:heard", () => { this.away = false; this.heardAt = Date.now(); this.look(); });
    window.addEventListener("pfadwerk:unsaid", ({ detail }) => { this.unsaid = detail; this.look(); });
    window.addEventListener("offline", () => this.question());
    window.addEventListener("beforeunload", (event) => { if (this.ask && this.typed) event.preventDefault(); });
    document.addEventListener("input", ({ target }) => { if (target.closest?.(FORM)) this.touch(target); }, true);
    // What a field says when it is left, and what a button does, is on its way once the page has dealt with the event.
    for (const kind of ["focusout", "change", "click"]) {
      document.addEventListener(kind, ({ target }) => { if (target.closest?.(PRESSED)) setTimeout(() => this.settle(kind, target)); }, true);
    }
  }

  touch(field) {
    if (field.closest("form")) return; // sent as a whole, and no part of the draft
    this.typed = true;
    this.typedAt = 0;
    this.look();
  }

  settle(kind, target) {
    if (kind === "click" && !target.closest("button")) return;
    this.question();
    if (this.typed && kind !== "click") this.typedAt = this.asked;
  }

  /** Asks the server to say that it has heard everything up to now. */
  question() {
    if (!this.ask) return this.look();
    if (this.asked === this.answered) this.heardAt = Date.now();
    this.asked += 1;
    this.ask({ type: "ping", n: this.asked });
    return this.look();
  }

  /** News from the server: the last question it heard, and whether everything it knows of is stored. */
  hear({ pong, all }) {
    this.heardAt = Date.now();
    if (pong !== undefined) this.answered = Math.max(this.answered, Math.min(pong, this.asked));
    if (this.typed && this.typedAt && this.answered >= this.typedAt && all) this.typed = false;
    this.look();
  }

  /** Another process answers now, which has heard none of the questions. A field that somebody is still in says its text when it is left. */
  begin() {
    this.answered = this.asked;
    if (!this.typed || !this.typedAt) return this.look();
    this.question();
    this.typedAt = this.asked;
    return undefined;
  }

  draw(isAhead) {
    const begins = isAhead && !this.drawn;
    this.drawn = isAhead;
    if (begins) this.question();
    else this.look();
  }

  get dirty() {
    return this.typed || this.unsaid > 0 || this.drawn;
  }

  /** Says anew what is so, and looks again by itself when patience could end. What stays unsaved for long may have a server that is well. */
  look() {
    clearTimeout(this.timer);
    const waits = this.asked > this.answered;
    const left = this.heardAt + PATIENCE_MS - Date.now();
    const again = !waits || left <= 0; // a question that nobody answers may have been lost with a connection: it is asked again
    if (!this.away && (this.dirty || waits)) {
      this.timer = setTimeout(() => (again ? this.question() : this.look()), waits && again ? PATIENCE_MS : Math.max(left, 0) + 20);
    }
    const state = this.away ? "away" : waits && left <= 0 ? "silent" : "";
    const now = state ? (this.dirty ? `${state}_unsaved` : state) : this.dirty ? "pending" : "";
    if (now === this.state) return;
    this.state = now;
    for (const listener of this.listeners) listener();
  }

  subscribe = (listener) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  shown = () => this.state;
}
