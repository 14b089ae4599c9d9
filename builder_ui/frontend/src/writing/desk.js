// The texts of one open template. They belong to the page: the server hears of them a moment after the last key, and says what it has stored.
import { keeping } from "../keeping.js";
import { post } from "../wire.js";

const PAUSE_MS = 250;
const FACE = "pfadwerk:face";
const desks = new Map();

export function desk(id) {
  if (!desks.has(id)) desks.set(id, new Desk(keeping(id)));
  return desks.get(id);
}

class Desk {
  constructor(keeper) {
    this.keeper = keeper;
    this.texts = new Map(); // place -> {text, n}: what was typed here, and as which change
    this.kept = new Map(); // place -> {state, generation}: undo survives another tab
    this.pasts = new Map(); // place -> what can be taken back in the block editor
    this.fields = new Map(); // place -> the field on the page now
    this.n = 0;
    this.sent = 0;
    this.saved = 0;
    this.rev = 0;
    this.session = "";
    this.onEvent = null;
    this.last = ""; // where the cursor was
    this.act = "";
    this.wrong = {}; // place -> lines with problems
    this.rules = {}; // condition of the open mail -> what it says
    this.waiting = null;
    this.timer = 0;
    window.addEventListener("beforeunload", (event) => {
      if (this.n > this.saved && this.onEvent) event.preventDefault();
    });
  }

  /** The change by which a place got its text here, 0 if nothing was typed there. */
  typed(place) {
    return this.texts.get(place)?.n ?? 0;
  }

  change(place, text) {
    this.n += 1;
    this.texts.set(place, { text, n: this.n });
    this.mark();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  flush() {
    clearTimeout(this.timer);
    if (this.n === this.sent) return;
    post(this.onEvent, { type: "texts", n: this.n, texts: this.since(this.sent) });
    this.sent = this.n;
  }

  since(n) {
    return Object.fromEntries([...this.texts].filter(([, one]) => one.n > n).map(([place, one]) => [place, one.text]));
  }

  save() {
    this.flush();
    post(this.onEvent, { type: "save" });
  }

  /** News from the server. Another session is another process, which knows nothing of what was not stored. */
  hear(session, feed, onEvent) {
    this.onEvent = onEvent;
    const again = this.session && this.session !== session;
    this.session = session;
    if (again) this.keeper.begin();
    this.keeper.hear({ pong: feed.pong, all: true });
    if (again) {
      if (this.n > this.saved) post(onEvent, { type: "resync", n: this.n, rev: this.rev, texts: this.since(this.saved) });
      else this.rev = feed.rev;
      this.sent = this.n;
    } else {
      this.saved = Math.max(this.saved, feed.saved);
      this.rev = feed.rev;
    }
    this.look(feed.face, again || !this.face);
    this.wrong = feed.wrong;
    for (const field of this.fields.values()) field.markWrong();
    if (JSON.stringify(feed.rules) !== JSON.stringify(this.rules)) {
      this.rules = feed.rules;
      for (const field of this.fields.values()) field.markRules?.(this.rules);
    }
    this.mark();
    if (feed.act && feed.act.id !== this.act) {
      this.act = feed.act.id;
      this.waiting = feed.act;
      this.perform();
    }
  }

  /** Blocks or source, as this person had it last: in the browser's memory, for the server's does not outlive a connection. */
  look(face, begins) {
    if (!face) return;
    const liked = this.liked();
    if (begins && liked && liked !== face) {
      this.face = liked;
      post(this.onEvent, { type: "face", face: liked });
    } else if (!begins && face !== this.face) {
      this.face = face;
      try {
        localStorage.setItem(FACE, face);
      } catch { /* a browser that remembers nothing */ }
    } else this.face = face;
  }

  liked() {
    try {
      const found = localStorage.getItem(FACE);
      return ["blocks", "source"].includes(found) ? found : "";
    } catch {
      return "";
    }
  }

  /** Carries out what a button asked for, once the field it concerns is there. */
  perform() {
    if (!this.waiting) return;
    const field = this.fields.get(this.waiting.place || this.last) ?? (this.waiting.place ? null : this.fields.values().next().value);
    if (!field) return;
    const { line, column, text, include, rule } = this.waiting;
    this.waiting = null;
    if (include !== undefined) field.include?.(include);
    else if (rule !== undefined) field.rule?.(rule);
    else if (text !== undefined) field.insert(text);
    else field.jump(line, column);
  }

  mark() {
    for (const field of this.fields.values()) field.host.dataset.kept = String(this.n <= this.saved);
    this.keeper.draw(this.n > this.saved);
  }
}
