// The graph as values: edges, ids, sizes, what changed since it was last sent. Knows neither React nor the server.

export const ENTRY = "$entry";
const WIDTH = 252;
const OUTLET_WIDTH = 96;
const HANDLE = 11;
const BORDER = 1;

export const edgeId = (from, outlet) => `${from}:${outlet}`;

export function edgeOf(from, outlet, to) {
  return { id: edgeId(from, outlet), source: from, sourceHandle: outlet, target: to, type: "way" };
}

/** The nearest step that sends a message, from a step on backwards; null where none does. `sends`: the kinds that do. */
export function lastMessage(nodes, edges, from, sends) {
  const kinds = new Map(nodes.filter((node) => !isNote(node)).map((node) => [node.id, node.data.raw.kind]));
  const seen = new Set();
  for (let level = from ? [from] : []; level.length; level = edges.filter((edge) => level.includes(edge.target)).map((edge) => edge.source)) {
    level = level.filter((id) => !seen.has(id));
    for (const id of level) {
      if (sends.has(kinds.get(id))) return id;
      seen.add(id);
    }
  }
  return null;
}

const LAST_MESSAGE = "$last_message";

/** A ready step asks about the last message before it; where there is none, which one is still to be chosen. */
export function asking(raw, message) {
  return JSON.parse(JSON.stringify(raw), (_, value) => (value === LAST_MESSAGE ? message ?? "" : value));
}

export const NOTE = "note:";
export const isNote = (node) => node.type === "note";
export const outletsOf = (node) => node.data.view?.outlets ?? [];
/** What people call the step of a view, as the server says: of two steps without a name one has a number. */
export const called = (view) => view?.called || view?.name || view?.label || "";
export const labelled = (node) => outletsOf(node).length > 1;

/** How far from its left edge a step has an outlet. */
export function portOf(node, outlet) {
  const outlets = outletsOf(node);
  const place = Math.max(0, outlets.findIndex(([name]) => name === outlet));
  const exact = BORDER + ((node.width - 2 * BORDER) * (place + 0.5)) / Math.max(1, outlets.length);
  return Math.round(2 * exact) / 2; // halves add up exactly: what is meant to be upright is
}

/** Sizes are decided here, not measured: the layout is right before anything is painted. */
export function sized(node) {
  const many = outletsOf(node).length;
  const { label, name, summary } = node.data.view;
  const known = name ? [label, name] : [called(node.data.view)];
  const size = { width: Math.max(WIDTH, many * OUTLET_WIDTH), height: many > 1 ? 104 : 80 };
  return { ...node, ...size, measured: size, handles: handles(node, size), ariaLabel: [...known, summary].filter(Boolean).join(", ") };
}

/** Where canvas.css puts the handles. React Flow would draw every card to find them out, also those out of sight. */
function handles(node, { width, height }) {
  const outlets = outletsOf(node);
  const at = (type, id, position, x, y) => ({ type, id, position, x: x - HANDLE / 2, y: y - HANDLE / 2, width: HANDLE, height: HANDLE });
  const out = ([outlet]) => at("source", outlet, "bottom", portOf({ ...node, width }, outlet), height - BORDER);
  return [...(node.type === "entry" ? [] : [at("target", null, "top", width / 2, BORDER)]), ...outlets.map(out)];
}

export function nodeOf(id, raw, view, position) {
  const entry = id === ENTRY;
  return sized({ id, type: entry ? "entry" : "step", position, data: { raw, view }, deletable: !entry });
}

/** A note has an id of its own kind, so that it is never taken for a step. */
export function noteOf(id, { text, color, x, y, width, height }) {
  const size = { width, height };
  return { id: NOTE + id, type: "note", position: { x, y }, data: { text, color }, ...size, style: size, zIndex: -1, connectable: false, ariaLabel: text };
}

/** The node at a place: itself if it stands there. */
export function movedTo(node, position) {
  const { x, y } = node.position;
  return x === position.x && y === position.y ? node : { ...node, position };
}

/** Steps from the start, depth first, each outlet in its order; then those that nothing leads to. */
export function fromStart(nodes, edges) {
  const steps = new Map(nodes.filter((node) => !isNote(node)).map((node) => [node.id, node]));
  const targets = new Map(edges.map((edge) => [edge.id, edge.target]));
  const order = new Set();
  const waiting = [ENTRY];
  while (waiting.length) {
    const node = steps.get(waiting.pop());
    if (!node || order.has(node)) continue;
    order.add(node);
    waiting.push(...outletsOf(node).map(([outlet]) => targets.get(edgeId(node.id, outlet))).filter(Boolean).reverse());
  }
  return [...new Set([...order, ...steps.values()])].filter((node) => node.id !== ENTRY);
}

export function overlaps(nodes) {
  const rows = nodes.filter((node) => !isNote(node)).sort((a, b) => a.position.y - b.position.y);
  for (let i = 0; i < rows.length; i += 1) {
    for (let j = i + 1; j < rows.length && rows[j].position.y < rows[i].position.y + rows[i].height; j += 1) {
      const [a, b] = [rows[i], rows[j]];
      if (a.position.x < b.position.x + b.width && b.position.x < a.position.x + a.width) return true;
    }
  }
  return false;
}

/** `send_email` -> `send_email_2` if there is one already; `salt` tells ids apart that two people make at once. */
export function freshId(kind, taken, salt = "") {
  const plain = kind.replace(/^custom\./, "").replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 50);
  const base = salt ? `${plain}_${salt}` : plain;
  if (!taken.has(base)) return base;
  let number = 2;
  while (taken.has(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}

/** `Reminder` -> `Reminder 2` if there is one already. */
export function freshName(name, taken) {
  if (!taken.has(name)) return name;
  const base = name.replace(/ \d+$/, "").slice(0, 110);
  let number = 2;
  while (taken.has(`${base} ${number}`)) number += 1;
  return `${base} ${number}`;
}

/** Takes nodes and edges out; whatever led to a node now leads to what followed its first outlet. */
export function without(nodes, edges, nodeIds, edgeIds) {
  const gone = new Set(nodeIds);
  const cut = new Set(edgeIds);
  const byId = new Map(edges.map((edge) => [edge.id, edge]));
  const byNode = new Map(nodes.map((node) => [node.id, node]));
  const beyond = (id) => {
    for (let steps = 0; gone.has(id) && steps <= gone.size; steps += 1) {
      const first = outletsOf(byNode.get(id))[0];
      const edge = first && byId.get(edgeId(id, first[0]));
      if (!edge) return null;
      id = edge.target;
    }
    return gone.has(id) ? null : id;
  };
  const left = [];
  for (const edge of edges) {
    if (gone.has(edge.source)) continue;
    if (!gone.has(edge.target)) {
      if (!cut.has(edge.id)) left.push(edge);
      continue;
    }
    const target = beyond(edge.target);
    if (target && target !== edge.source) left.push(edgeOf(edge.source, edge.sourceHandle, target));
  }
  return { nodes: nodes.filter((node) => !gone.has(node.id)), edges: left };
}

/** What the server has been told, in a form that can be compared. */
export function told(nodes, edges) {
  return {
    nodes: new Map(nodes.filter((node) => !isNote(node)).map((node) => [node.id, { raw: node.data.raw, x: node.position.x, y: node.position.y }])),
    notes: new Map(nodes.filter(isNote).map((node) => [node.id.slice(NOTE.length), written(node)])),
    edges: new Map(edges.map((edge) => [edge.id, [edge.source, edge.sourceHandle, edge.target]])),
  };
}

export function written({ data, position, width, height }) {
  return { text: data.text, color: data.color, x: position.x, y: position.y, width, height };
}

/** The difference between what was told and what is, as an `ops` message; null if there is none. */
export function difference(before, nodes, edges) {
  const after = told(nodes, edges);
  const changed = {};
  for (const [id, now] of after.nodes) {
    const then = before.nodes.get(id);
    if (!then) changed[id] = now;
    else if (then.raw !== now.raw && JSON.stringify(then.raw) !== JSON.stringify(now.raw)) changed[id] = now;
    else if (then.x !== now.x || then.y !== now.y) changed[id] = { x: now.x, y: now.y };
  }
  const gone = [...before.nodes.keys()].filter((id) => !after.nodes.has(id));
  const drawn = [...after.edges].filter(([id, edge]) => before.edges.get(id)?.[2] !== edge[2]).map(([, edge]) => edge);
  const cut = [...before.edges].filter(([id]) => !after.edges.has(id)).map(([, [from, outlet]]) => [from, outlet]);
  const notes = {};
  for (const [id, note] of after.notes) if (JSON.stringify(before.notes.get(id)) !== JSON.stringify(note)) notes[id] = note;
  const torn = [...before.notes.keys()].filter((id) => !after.notes.has(id));
  if (![Object.keys(changed), gone, drawn, cut, Object.keys(notes), torn].some((one) => one.length)) return null;
  return { nodes: changed, gone, edges: drawn, cut, notes, torn };
}
