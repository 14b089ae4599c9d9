// What somebody else saved, put into a state of the drawing: the parts that are others now, and nothing beside them.
import { edgeId, edgeOf, NOTE, nodeOf, noteOf, sized } from "./graph.js";

/** A step with other values at some paths; null takes a field out. */
function fielded(raw, set) {
  return set.reduce((made, [path, value]) => at(made, path, value), raw);
}

function at(object, [first, ...rest], value) {
  const made = { ...object };
  if (rest.length) made[first] = at(made[first] ?? {}, rest, value);
  else if (value === null || value === undefined) delete made[first];
  else made[first] = value;
  return made;
}

/** `news` as `builder/joining.py` has them, with a view for every step that looks different now. */
export function joined({ nodes, edges }, news) {
  const gone = new Set([...news.gone, ...news.torn.map((id) => NOTE + id)]);
  const there = new Set(nodes.map((node) => node.id));
  const papers = new Map(Object.entries(news.notes).map(([id, one]) => [NOTE + id, noteOf(id, one)]));
  const left = nodes.filter((node) => !gone.has(node.id)).map((node) => {
    if (papers.has(node.id)) return { ...node, ...papers.get(node.id) };
    return news.nodes[node.id] ? step(node, news.nodes[node.id]) : node;
  });
  const fresh = Object.entries(news.nodes).filter(([id, one]) => one.raw && !there.has(id));
  const made = fresh.map(([id, one]) => nodeOf(id, one.raw, one.view, { x: one.x ?? 0, y: one.y ?? 0 }));
  const all = [...left, ...made, ...[...papers.values()].filter((note) => !there.has(note.id))];
  return { nodes: all, edges: led(all, edges, news) };
}

function step(node, { raw, set, view, x, y }) {
  const data = { raw: set ? fielded(node.data.raw, set) : raw ?? node.data.raw, view: view ?? node.data.view };
  const position = x === undefined ? node.position : { x, y };
  return sized({ ...node, position, data });
}

function led(nodes, edges, news) {
  const cut = new Set(news.cut.map(([from, outlet]) => edgeId(from, outlet)));
  const drawn = news.edges.map(([from, outlet, to]) => edgeOf(from, outlet, to));
  const again = new Set(drawn.map((edge) => edge.id));
  const there = new Set(nodes.map((node) => node.id));
  const kept = edges.filter((edge) => !cut.has(edge.id) && !again.has(edge.id));
  return [...kept, ...drawn].filter((edge) => there.has(edge.source) && there.has(edge.target));
}
