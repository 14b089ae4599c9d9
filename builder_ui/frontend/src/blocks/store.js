// One mail being edited in blocks: its source, what is selected, and what can be taken back. The source is the whole truth; the tree is read from it.
import { move, remove, insert, replace } from "./edit.js";
import { parse, wayTo } from "./tree.js";
import { HOLDS_BLOCKS, HOLDS_ROWS, ROWS, section } from "./kinds.js";

const STEPS = 200;
const PAUSE_MS = 1000;

export class Store {
  /** `past` is kept by the page, so that undo survives another view of the same text. */
  constructor(source, past, changed) {
    this.past = past;
    this.changed = changed;
    this.listeners = new Set();
    this.selected = -1;
    this.said = "";
    this.editing = -1;
    this.state = null;
    this.read(source);
  }

  read(source) {
    this.source = source;
    try {
      this.tree = parse(source);
      this.wrong = -1;
    } catch (error) {
      this.tree = null;
      this.wrong = error.at ?? 0;
    }
  }

  subscribe = (listener) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = () => {
    if (!this.state) this.state = { source: this.source, tree: this.tree, wrong: this.wrong, selected: this.selected, editing: this.editing, said: this.said, undo: this.past.undo.length > 0, redo: this.past.redo.length > 0 };
    return this.state;
  };

  tell() {
    this.state = null;
    for (const listener of this.listeners) listener();
  }

  /** The server's text, or that of the other view. */
  take(source) {
    if (source === this.source) return;
    this.past.undo.push({ source: this.source, selected: this.selected });
    this.past.redo.length = 0;
    this.read(source);
    this.selected = this.editing = -1;
    this.tell();
  }

  /** Carries an edit out. `what` names it; edits of the same name in a row are one step back. One after which the source would fit together no
   *  more (`{{ contact.` on the way to `}}`) is not: false. */
  edit({ source, at }, what = "", said = "") {
    if (source === this.source) return true;
    const { source: before, tree } = this;
    this.read(source);
    if (tree && !this.tree) {
      Object.assign(this, { source: before, tree, wrong: -1 });
      return false;
    }
    const { undo, redo } = this.past;
    const now = Date.now();
    const same = what && what === this.past.what && now - this.past.when < PAUSE_MS;
    if (!same) undo.push({ source: before, selected: this.selected });
    if (undo.length > STEPS) undo.shift();
    redo.length = 0;
    Object.assign(this.past, { what, when: now });
    this.selected = at;
    this.said = said;
    this.changed(source);
    this.tell();
    return true;
  }

  back(from, to, said) {
    const step = this.past[from].pop();
    if (!step) return;
    this.past[to].push({ source: this.source, selected: this.selected });
    this.past.what = "";
    this.read(step.source);
    this.selected = step.selected;
    this.editing = -1;
    this.said = said;
    this.changed(step.source);
    this.tell();
  }

  undo(said) { this.back("undo", "redo", said); }
  redo(said) { this.back("redo", "undo", said); }

  select(start) {
    if (start === this.selected && this.editing < 0) return;
    this.selected = start;
    this.editing = -1;
    this.tell();
  }

  write(start) {
    this.selected = this.editing = start;
    this.tell();
  }

  /** The selected node with all it stands in, the outermost first; empty if nothing is selected. */
  way() {
    return this.tree && this.selected >= 0 ? wayTo(this.tree, this.selected) : [];
  }

  node() { return this.way().at(-1) ?? null; }

  body() {
    if (!this.tree) return null;
    const mail = this.tree.children.find(({ name }) => name === "mjml");
    return mail ? (mail.children.find(({ name }) => name === "mj-body") ?? null) : this.tree;
  }

  /** Whether a holder takes rows or blocks; "" for neither. A condition takes what stands around it; a saved block of its own what it holds. */
  takes(holder) {
    if (holder.type === "root") return partialTakes(holder);
    if (holder.torn) return "";
    if (HOLDS_ROWS.has(holder.name)) return "row";
    if (HOLDS_BLOCKS.has(holder.name)) return "block";
    if (holder.type !== "group") return "";
    const above = wayTo(this.tree, holder.start).at(-2) ?? this.tree;
    return this.takes(above);
  }

  /** Puts a new one in: into the holder before its child `index`. A block in a place for rows gets a row of its own. */
  add(text, level, holder, index, said) {
    const takes = this.takes(holder);
    const row = takes === "row" && level === "block";
    const put = insert(this.source, holder, index, row ? inRow(text) : text);
    if (!row) return this.edit(put, "", said);
    const at = put.source.indexOf(text.slice(0, text.search(/[\s>]/)), put.at + 1);
    return this.edit({ ...put, at }, "", said);
  }

  /** Where a new one goes without a mouse: behind what is selected, as far out as it must. */
  placeFor(level) {
    const way = [...this.way()];
    const body = this.body();
    for (let n = way.length - 1; n >= 0; n -= 1) {
      const holder = way[n];
      if (level === "block" && this.takes(holder) === "block" && holder.type === "element") {
        const child = way[n + 1];
        return [holder, child ? solid(holder).indexOf(child) + 1 : solid(holder).length];
      }
    }
    const child = way.find((one) => solid(body).includes(one));
    return [body, child ? solid(body).indexOf(child) + 1 : solid(body).length];
  }

  /** Moves a node among its neighbours. */
  shift(by, said) {
    const way = this.way();
    const node = way.at(-1);
    const holder = way.at(-2) ?? this.tree;
    const around = solid(holder);
    const now = around.indexOf(node);
    const to = now + by;
    if (to >= 0 && to < around.length) return this.edit(move(this.source, node, holder, by > 0 ? to + 1 : to), "", said);
    return this.shiftOut(node, way, by, said);
  }

  /** At the end of a column: into the next one, or the next row's. */
  shiftOut(node, way, by, said) {
    if (ROWS.has(node.name) || node.type !== "element" || node.name === "mj-column") return;
    const holders = [...this.holders(this.body())];
    const here = holders.indexOf(way.at(-2));
    const to = holders[here + by];
    if (!to) return;
    this.edit(move(this.source, node, to, by > 0 ? 0 : solid(to).length), "", said);
  }

  *holders(node) {
    if (this.takes(node) === "block" && node.type === "element") yield node;
    for (const child of node.children ?? []) if (child.children) yield* this.holders(child);
  }

  moveTo(node, holder, index, said) {
    const around = solid(holder);
    const now = around.indexOf(node);
    if (now >= 0 && (index === now || index === now + 1)) return;
    if (holder === node || (holder.start >= node.start && holder.end <= node.end && holder.type !== "root")) return;
    if (this.takes(holder) === "row" && !ROWS.has(node.name) && node.name !== "mj-include" && node.type === "element") {
      this.moveIntoRow(node, holder, index, said);
      return;
    }
    this.edit(move(this.source, node, holder, index), "", said);
  }

  moveIntoRow(node, holder, index, said) {
    const text = this.source.slice(node.start, node.end);
    const marked = replace(this.source, node, "\u0001".repeat(node.end - node.start)); // its place is found again, whatever moves
    const put = insert(marked.source, holder, index, inRow(text));
    const from = put.source.indexOf("\u0001");
    const gone = remove(put.source, { start: from, end: from + text.length });
    const at = from < put.at ? put.at - (put.source.length - gone.source.length) : put.at;
    this.edit({ source: gone.source, at: gone.source.indexOf(text.slice(0, text.search(/[\s>]/)), at + 1) }, "", said);
  }
}

const inRow = (text) => section(`<mj-column>\n  ${text.replace(/\n/g, "\n  ")}\n</mj-column>`);

/** The children that people see as things, in the order by which `insert` and `move` count. */
export const solid = (holder) => holder.children.filter(({ type }) => type !== "text");

function partialTakes(root) {
  const first = root.children.find(({ type }) => type === "element");
  return !first || ROWS.has(first.name) ? "row" : "block";
}
