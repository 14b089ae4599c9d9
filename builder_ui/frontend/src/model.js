// What the client owns: nodes, edges, their history, and what the server has been told of them.
import { layout, traced } from "./courses.js";
import { joined } from "./joining.js";
import { asking, difference, edgeId, edgeOf, ENTRY, freshId, freshName, isNote, lastMessage, NOTE, nodeOf, noteOf, outletsOf, overlaps, portOf, sized, told, without, written } from "./graph.js";

const HISTORY = 100;
const SEND_AFTER_MS = 250;
const GAP = 64;
export const MAX_NOTES = 100;
const NOTE_SIZE = { width: 200, height: 120 };
const STEP = { width: 288, height: 104 }; // the widest and highest a new step usually is
const MARGIN = 24;
const STRIDE = 40;

export class Model {
  constructor(send) {
    this.send = send;
    this.nodes = [];
    this.edges = [];
    this.nodesById = null; // made when somebody asks
    this.byId = new Map(); // the edges; every step asks for its own whenever anything changes
    this.past = [];
    this.future = [];
    this.said = told([], []);
    this.number = 0; // of the last message with changes
    this.saved = { rev: 0, op: 0, all: true }; // what the server has stored; `all`: nothing of the panel's waits either
    this.base = 0; // the last revision of which everything is in what is shown here
    this.handed = 0; // the message that handed everything over to the present server
    this.laid = true; // nobody moved a step since the last layout
    this.held = false; // while something is dragged
    this.waiting = []; // news of others that came meanwhile
    this.salt = ""; // ends the ids of new steps while others are inside, who make some, too
    this.seen = 0;
    this.timer = 0;
    this.sends = new Set(); // kinds of step that send a message
    this.onSaved = null; // called when `dirty` may have changed
    this.listeners = new Set();
    this.version = 0;
  }

  subscribe = (listener) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  look = () => this.version;

  show(nodes, edges) {
    if (this.edges !== edges) this.byId = new Map(edges.map((edge) => [edge.id, edge]));
    this.nodes = nodes;
    this.edges = edges;
    this.nodesById = null;
    this.version += 1;
    for (const listener of this.listeners) listener();
  }

  node = (id) => {
    this.nodesById ??= new Map(this.nodes.map((node) => [node.id, node]));
    return this.nodesById.get(id);
  };
  edge = (id) => this.byId.get(id);
  get dirty() {
    return this.number > this.saved.op || this.timer !== 0;
  }
  get selected() {
    return this.nodes.filter((node) => node.selected).map((node) => node.id);
  }
  /** What the server's forms know of what is chosen. */
  get selectedSteps() {
    return this.nodes.filter((node) => node.selected && !isNote(node)).map((node) => node.id);
  }

  /** Takes over a graph from the server, which thereby counts as told. */
  load({ nodes, edges, notes, laid }) {
    const known = new Set(Object.keys(nodes));
    const steps = Object.entries(nodes).map(([id, one]) => nodeOf(id, one.raw, one.view, { x: one.x ?? 0, y: one.y ?? 0 }));
    const made = [...steps, ...Object.entries(notes ?? {}).map(([id, one]) => noteOf(id, one))];
    const drawn = edges.filter(([from, , to]) => known.has(from) && known.has(to)).map(([from, outlet, to, gone]) => {
      const edge = edgeOf(from, outlet, to);
      return gone ? { ...edge, id: `${edge.id}:${gone}` } : edge; // beside the one that took its place
    });
    this.said = told(made, drawn);
    const placed = Object.values(nodes).every((one) => one.x !== undefined);
    this.laid = laid || !placed;
    if (!placed || overlaps(made)) {
      this.laid = true;
    }
    const shown = this.laid ? layout(made, drawn) : { nodes: made, edges: traced(made, drawn) };
    // Positions found here are no edit: they are told along with the first one.
    this.said = told(shown.nodes, shown.edges);
    this.past = [];
    this.future = [];
    this.show(shown.nodes, shown.edges);
  }

  remember() {
    this.past = [...this.past.slice(1 - HISTORY), { nodes: this.nodes, edges: this.edges, laid: this.laid }];
    this.future = [];
  }

  /** One step of the person's: remembered for undo, told to the server. */
  change(nodes, edges) {
    this.remember();
    this.show(nodes, edges);
    this.tell();
  }

  undo = () => this.travel(this.past, this.future);
  redo = () => this.travel(this.future, this.past);

  travel(from, to) {
    const there = from.at(-1);
    if (!there) return false;
    to.push({ nodes: this.nodes, edges: this.edges, laid: this.laid });
    from.pop();
    this.laid = there.laid;
    const chosen = new Set(this.selected);
    const { nodes, edges } = there.joined ? this.drawn(there.nodes, there.edges) : there;
    this.show(nodes.map((node) => ({ ...node, selected: chosen.has(node.id), dragging: false })), edges);
    this.tell();
    return true;
  }

  tell() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.flush, SEND_AFTER_MS);
    this.onSaved?.();
  }

  flush = () => {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.held) return this.tell();
    const changes = difference(this.said, this.nodes, this.edges);
    if (!changes) return this.onSaved?.();
    this.said = told(this.nodes, this.edges);
    this.number += 1;
    this.send({ type: "ops", n: this.number, laid: this.laid, ...changes });
  };

  /** Everything, for a server that knows nothing of this page. */
  resync(was) {
    clearTimeout(this.timer);
    this.timer = 0;
    const dirty = this.number > this.saved.op || !this.saved.all || difference(this.said, this.nodes, this.edges) !== null;
    this.said = told(this.nodes, this.edges);
    this.number += 1;
    this.handed = this.number;
    this.seen = 0;
    this.waiting = []; // a server that knows nothing of this page says all that was saved since `base` once more
    const graph = difference(told([], []), this.nodes, this.edges) || { nodes: {}, edges: [], gone: [], cut: [] };
    this.send({ type: "resync", n: this.number, rev: this.base, was, dirty, laid: this.laid, ...graph });
    this.send({ type: "select", ids: this.selectedSteps });
  }

  // What people do

  tidy = () => {
    this.laid = true;
    const tidied = layout(this.nodes, this.edges, true);
    this.change(tidied.nodes, tidied.edges);
  };

  /** Sets one step of the palette; `at` is {position}, {from, outlet} or {edge}. Answers its id. */
  add(kind, at) {
    const id = freshId(kind.kind, new Set(this.nodes.map((node) => node.id)), this.salt);
    let edges = this.edges;
    let nodes = this.nodes;
    const edge = at.edge && this.edge(at.edge);
    const from = edge ? edge.source : at.from;
    let made = nodeOf(id, asking(kind.raw, lastMessage(nodes, edges, from, this.sends)), kind.view, { x: 0, y: 0 });
    if (from) {
      const source = this.node(from);
      const outlet = edge ? edge.sourceHandle : at.outlet;
      made = { ...made, position: beneath(source, outlet, made) };
      const first = outletsOf(made)[0];
      edges = [...edges.filter((one) => one.id !== edgeId(from, outlet)), edgeOf(from, outlet, id)];
      const next = edge ? edge.target : this.edge(edgeId(from, outlet))?.target;
      if (next && first) edges = [...edges, edgeOf(id, first[0], next)];
      if (!this.laid && next) nodes = moved(nodes, edges, next, made);
    } else {
      made = { ...made, position: { x: Math.round(at.position.x - made.width / 2), y: Math.round(at.position.y - 20) } };
    }
    nodes = [...nodes.map((node) => (node.selected ? { ...node, selected: false } : node)), { ...made, selected: true }];
    this.arrange(nodes, edges);
    return id;
  }

  /** The place itself for something new of this size, else the nearest beside or beneath it where no card is in its way: the middle of its upper part. */
  free({ x, y }, size = STEP) {
    const taken = this.nodes.filter((node) => !isNote(node));
    const clear = (left, top) => !taken.some(({ position, width, height }) =>
      left < position.x + width + MARGIN && position.x < left + size.width + MARGIN && top < position.y + height + MARGIN && position.y < top + size.height + MARGIN);
    for (let ring = 0; ring < 200; ring += 1) {
      for (const [right, down] of around(ring)) {
        const place = { x: x + right * STRIDE, y: y + down * STRIDE };
        if (clear(place.x - size.width / 2, place.y - 20)) return place;
      }
    }
    return { x, y: Math.max(...taken.map((node) => node.position.y + node.height)) + GAP };
  }

  /** A new note with its upper left corner there; answers its id, null if there are as many as can be. */
  addNote({ x, y }, text = "") {
    const notes = this.nodes.filter(isNote);
    if (notes.length >= MAX_NOTES) return null;
    const id = freshId("note", new Set(notes.map((node) => node.id.slice(NOTE.length))), this.salt);
    const made = { ...noteOf(id, { text, color: "yellow", x: Math.round(x), y: Math.round(y), ...NOTE_SIZE }), selected: true };
    this.change([...this.nodes.map((node) => (node.selected ? { ...node, selected: false } : node)), made], this.edges);
    return made.id;
  }

  /** Writes on a note, colours it, or gives it another size. */
  editNote(id, changes) {
    const node = this.node(id);
    if (!node) return;
    const now = { ...written(node), ...changes };
    if (JSON.stringify(now) === JSON.stringify(written(node))) return;
    const made = noteOf(id.slice(NOTE.length), now);
    this.change(this.nodes.map((one) => (one.id === id ? { ...one, ...made, selected: one.selected } : one)), this.edges);
  }

  /** A change after which the layout stays tidy if it was. */
  arrange(nodes, edges) {
    const shown = this.drawn(nodes, edges);
    this.change(shown.nodes, shown.edges);
  }

  drawn(nodes, edges) {
    return this.laid ? layout(nodes, edges) : { nodes, edges: traced(nodes, edges) };
  }

  connect(from, outlet, to) {
    if (this.edge(edgeId(from, outlet))?.target === to) return;
    this.reconnect(edgeId(from, outlet), from, outlet, to);
  }

  reconnect(old, from, outlet, to) {
    if (from === to || to === ENTRY) return;
    const kept = this.edges.filter((edge) => edge.id !== old && edge.id !== edgeId(from, outlet));
    this.arrange(this.nodes, [...kept, edgeOf(from, outlet, to)]);
  }

  remove(nodeIds, edgeIds) {
    const ids = nodeIds.filter((id) => id !== ENTRY);
    if (!ids.length && !edgeIds.length) return 0;
    const left = without(this.nodes, this.edges, ids, edgeIds);
    if (ids.some((id) => !id.startsWith(NOTE))) this.arrange(left.nodes, left.edges);
    else this.change(left.nodes, left.edges);
    return ids.length || edgeIds.length;
  }

  /** The chosen steps and the edges among them, as a text for the clipboard; empty if none is chosen. */
  copied() {
    const chosen = this.nodes.filter((node) => node.selected && node.id !== ENTRY);
    if (!chosen.length) return "";
    const ids = new Set(chosen.map((node) => node.id));
    const notes = chosen.filter(isNote).map(written);
    const steps = chosen.filter((node) => !isNote(node)).map((node) => ({ id: node.id, raw: node.data.raw, view: node.data.view, ...node.position }));
    const ways = this.edges.filter((edge) => ids.has(edge.source) && ids.has(edge.target));
    return JSON.stringify({ pfadwerk: "steps", steps, notes, ways: ways.map((edge) => [edge.source, edge.sourceHandle, edge.target]) });
  }

  /** Sets copied steps near a place (what they hang on has none in its way), or after an open outlet {from, outlet} where they have one beginning.
   * They get new ids; answers how many, 0 if the text holds none. */
  paste(text, at, after = null) {
    const found = read(text);
    if (!found) return 0;
    const taken = new Set(this.nodes.map((node) => node.id));
    const names = new Set(this.nodes.map((node) => node.data.raw?.name).filter(Boolean));
    const renamed = new Map();
    for (const one of found.steps) {
      const id = freshId(one.raw.kind, taken, this.salt);
      taken.add(id);
      renamed.set(one.id, id);
    }
    const ways = found.ways.filter(([from, , to]) => renamed.has(from) && renamed.has(to));
    let edges = ways.map(([from, outlet, to]) => edgeOf(renamed.get(from), outlet, renamed.get(to)));
    let made = found.steps.map((one) => nodeOf(renamed.get(one.id), ...called(one, names), { x: one.x, y: one.y }));
    made.push(...this.freshNotes(found.notes));
    if (!made.length) return 0;
    const led = new Set(edges.map((edge) => edge.target));
    const heads = made.filter((node) => !isNote(node) && !led.has(node.id));
    const source = heads.length === 1 && after ? this.node(after.from) : null;
    if (source) edges = [...edges, edgeOf(after.from, after.outlet, heads[0].id)];
    made = this.standing(made, source ? beneath(source, after.outlet, heads[0]) : null, heads[0], at);
    this.arrange([...this.nodes.map((node) => ({ ...node, selected: false })), ...made], [...this.edges, ...edges]);
    return made.length;
  }

  freshNotes(notes) {
    const papers = new Set(this.nodes.filter(isNote).map((node) => node.id.slice(NOTE.length)));
    return notes.slice(0, MAX_NOTES - papers.size).map((note) => {
      const id = freshId("note", papers, this.salt);
      papers.add(id);
      return noteOf(id, note);
    });
  }

  /** What was pasted, as it was to each other, chosen: with its head at a place if nothing is there, else near `at`. */
  standing(made, wanted, head, at) {
    const [left, top] = ["x", "y"].map((side) => Math.min(...made.map((node) => node.position[side])));
    const size = {
      width: Math.max(...made.map((node) => node.position.x + node.width)) - left,
      height: Math.max(...made.map((node) => node.position.y + node.height)) - top,
    };
    const shifted = (x, y) => made.map((node) => ({ ...node, position: { x: Math.round(node.position.x + x), y: Math.round(node.position.y + y) }, selected: true }));
    if (wanted) {
      const there = shifted(wanted.x - head.position.x, wanted.y - head.position.y);
      if (this.laid || !overlaps([...this.nodes, ...there])) return there;
    }
    const place = this.free(at, size);
    return shifted(place.x - size.width / 2 - left, place.y - 20 - top);
  }

  /** Where something can be hung on: the open outlet of the one chosen step, if it has one. */
  get open() {
    const [id, ...more] = this.selectedSteps;
    const node = more.length ? null : this.node(id);
    const outlet = node && outletsOf(node).find(([name]) => !this.edge(edgeId(id, name)));
    return outlet ? { from: id, outlet: outlet[0] } : null;
  }

  select(ids) {
    const chosen = new Set(ids);
    this.show(
      this.nodes.map((node) => (!!node.selected === chosen.has(node.id) ? node : { ...node, selected: chosen.has(node.id) })),
      this.edges.map((edge) => (edge.selected ? { ...edge, selected: false } : edge)),
    );
  }

  // What the server says

  /** What somebody else saved: in what is shown, and in every state that undo leads to, so that undo takes back only one's own. */
  join(news) {
    if (this.held) return void this.waiting.push(news);
    const pending = this.timer !== 0;
    if (pending) this.flush(); // before the server hears that these news are seen: it knows then what they may overrun
    else this.laid = news.laid;
    const put = (state) => ({ ...state, ...joined(state, news), joined: true });
    [this.past, this.future] = [this.past.map(put), this.future.map(put)];
    const { nodes, edges } = joined(this, news);
    this.said = told(nodes, edges);
    const shown = this.drawn(nodes, edges);
    this.show(shown.nodes, shown.edges);
    return undefined;
  }

  /** Nothing is dragged any more. */
  release() {
    this.held = false;
    for (const news of this.waiting.splice(0)) this.join(news);
    this.acknowledge();
  }

  /** All that the server has said is carried out here, unless some of it waits; it hears up to where where there were `news`. */
  acknowledge(news = true) {
    if (this.waiting.length) return;
    if (this.saved.op >= this.handed) this.base = this.saved.rev;
    if (news) this.send({ type: "seen", seq: this.seen });
  }

  /** What was dragged or resized stays so: it counts as ours before the news that waited come in. */
  settle() {
    this.tell();
    this.release();
  }

  /** Changes made in the panel: they can be undone like any other. A view alone is no change. */
  apply(patch) {
    const news = patch.nodes || {};
    const papers = Object.entries(patch.notes || {}).map(([id, one]) => noteOf(id, one));
    const torn = new Set((patch.torn || []).map((id) => NOTE + id));
    const real = papers.length || torn.size || patch.gone?.length || patch.cut?.length || patch.edges?.length || Object.entries(news).some(([id, one]) => {
      const node = this.node(id);
      return node ? one.raw !== undefined && JSON.stringify(node.data.raw) !== JSON.stringify(one.raw) : one.raw !== undefined;
    });
    if (real) this.remember();
    const gone = new Set(patch.gone || []);
    const cut = new Set((patch.cut || []).map(([from, outlet]) => edgeId(from, outlet)));
    const drawn = (patch.edges || []).map(([from, outlet, to]) => edgeOf(from, outlet, to));
    const replaced = new Set(drawn.map((edge) => edge.id));
    const left = (edge) => !cut.has(edge.id) && !replaced.has(edge.id) && !gone.has(edge.source) && !gone.has(edge.target);
    const edges = drawn.length || !this.edges.every(left) ? [...this.edges.filter(left), ...drawn] : this.edges;
    let nodes = this.nodes.filter((node) => !gone.has(node.id)).map((node) => {
      const one = news[node.id];
      return one ? sized({ ...node, data: { raw: one.raw ?? node.data.raw, view: one.view ?? node.data.view } }) : node;
    });
    const fresh = Object.entries(news).filter(([id, one]) => one.raw && !this.node(id));
    for (const [id, one] of fresh) {
      const made = nodeOf(id, one.raw, one.view, { x: 0, y: 0 });
      const above = drawn.find((edge) => edge.target === id);
      const source = above && nodes.find((node) => node.id === above.source);
      nodes = [...nodes, source ? { ...made, position: beneath(source, above.sourceHandle, made) } : made];
    }
    const fresher = new Map(papers.map((note) => [note.id, note]));
    nodes = nodes.filter((node) => !torn.has(node.id)).map((node) => (fresher.has(node.id) ? { ...node, ...fresher.get(node.id) } : node));
    nodes = [...nodes, ...papers.filter((note) => !this.node(note.id))];
    // What came from the server it knows already; positions found here it does not.
    const know = told(nodes, edges);
    for (const [id] of fresh) know.nodes.set(id, { ...know.nodes.get(id), x: null });
    const pending = this.timer !== 0;
    const same = edges === this.edges && nodes.length === this.nodes.length && Object.keys(news).every((id) => shapeOf(nodes.find((node) => node.id === id)) === shapeOf(this.node(id)));
    const shown = same ? { nodes, edges } : this.laid ? layout(nodes, edges) : { nodes, edges: traced(nodes, edges) };
    this.show(shown.nodes, shown.edges);
    if (pending) this.merge(know, { news, drawn, cut, gone, papers, torn });
    else this.said = know;
    if (real) this.tell();
  }

  /** Marks as told only what the patch held, because something of our own is still to be told. */
  merge(know, { news, drawn, cut, gone, papers, torn }) {
    for (const id of Object.keys(news)) this.said.nodes.set(id, know.nodes.get(id));
    for (const edge of drawn) this.said.edges.set(edge.id, [edge.source, edge.sourceHandle, edge.target]);
    for (const id of cut) this.said.edges.delete(id);
    for (const id of gone) this.said.nodes.delete(id);
    for (const note of papers) this.said.notes.set(note.id.slice(NOTE.length), written(note));
    for (const id of torn) this.said.notes.delete(id.slice(NOTE.length));
    this.tell();
  }
}

/** A pasted step as [raw, view], under a name of its own: of two steps of one name nobody can say which is meant. */
function called({ raw, view }, names) {
  if (!raw.name) return [raw, view];
  const name = freshName(raw.name, names);
  names.add(name);
  return [{ ...raw, name }, { ...view, name, called: name }];
}

/** What of a step the lines depend on. */
const shapeOf = (node) => node && JSON.stringify([node.width, node.height, outletsOf(node)]);

/** Under the outlet it hangs on. */
function beneath(source, outlet, node) {
  const x = source.position.x + portOf(source, outlet) - node.width / 2;
  return { x: Math.round(x), y: Math.round(source.position.y + source.height + GAP) };
}

/** Strides to the right and down, all those as far as `ring`: beneath first, then right, left and above. */
function around(ring) {
  if (ring === 0) return [[0, 0]];
  const line = Array.from({ length: 2 * ring + 1 }, (_, n) => (n % 2 ? (n + 1) / 2 : -n / 2)); // from the middle outward
  return [...line.map((n) => [n, ring]), ...line.map((n) => [ring, n]), ...line.map((n) => [-ring, n]), ...line.map((n) => [n, -ring])];
}

/** Makes room for `made` above `first`: it and what follows move down. */
function moved(nodes, edges, first, made) {
  const target = nodes.find((node) => node.id === first);
  const shift = made.position.y + made.height + GAP - target.position.y;
  if (shift <= 0 || target.position.y < made.position.y - GAP) return nodes;
  const following = new Set([first]);
  for (const id of following) for (const edge of edges) if (edge.source === id) following.add(edge.target);
  const lowest = target.position.y;
  return nodes.map((node) =>
    following.has(node.id) && node.position.y >= lowest ? { ...node, position: { x: node.position.x, y: node.position.y + shift } } : node,
  );
}

function read(text) {
  if (text.length > 1_000_000 || !text.includes('"pfadwerk"')) return null;
  try {
    const found = JSON.parse(text);
    const good = found?.pfadwerk === "steps" && Array.isArray(found.steps) && Array.isArray(found.ways);
    const notes = Array.isArray(found?.notes) ? found.notes.filter(isPaper).map(({ text, color, x, y, width, height }) => ({ text, color, x, y, width, height })) : [];
    if (!good || !(found.steps.length || notes.length)) return null;
    return found.steps.every(isStep) && found.ways.every((way) => Array.isArray(way) && way.length === 3) ? { ...found, notes } : null;
  } catch {
    return null; // text from anywhere
  }
}

const COLORS = ["yellow", "green", "blue"];

function isPaper(one) {
  const sizes = [one?.width, one?.height];
  return (
    typeof one?.text === "string" && one.text.length <= 2000 && COLORS.includes(one.color) && Number.isFinite(one.x) && Number.isFinite(one.y) &&
    sizes.every((size) => Number.isFinite(size) && size >= 40 && size <= 2000)
  );
}

function isStep(one) {
  return (
    typeof one?.id === "string" && typeof one.raw?.kind === "string" && Array.isArray(one.view?.outlets) &&
    one.view.outlets.every((outlet) => Array.isArray(outlet)) && Number.isFinite(one.x) && Number.isFinite(one.y)
  );
}
