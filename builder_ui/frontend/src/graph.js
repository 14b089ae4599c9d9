// The graph as values: edges, ids, sizes, the layout, what changed since it was last sent. Knows neither React nor the server.
import dagre from "@dagrejs/dagre";

export const ENTRY = "$entry";
const WIDTH = 252;
const OUTLET_WIDTH = 96;

export const edgeId = (from, outlet) => `${from}:${outlet}`;

export function edgeOf(from, outlet, to) {
  return { id: edgeId(from, outlet), source: from, sourceHandle: outlet, target: to, type: "way" };
}

export const outletsOf = (node) => node.data.view.outlets;
export const labelled = (node) => outletsOf(node).length > 1;

/** Sizes are decided here, not measured: the layout is right before anything is painted. */
export function sized(node) {
  const many = outletsOf(node).length;
  return { ...node, width: Math.max(WIDTH, many * OUTLET_WIDTH), height: many > 1 ? 104 : 80 };
}

export function nodeOf(id, raw, view, position) {
  const entry = id === ENTRY;
  return sized({ id, type: entry ? "entry" : "step", position, data: { raw, view }, deletable: !entry });
}

/** Positions from top to bottom, outlets from left to right. */
export function layout(nodes, edges) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 48, ranksep: 64, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map((node) => node.id));
  for (const node of nodes) graph.setNode(node.id, { width: node.width, height: node.height });
  for (const edge of inOrder(nodes, edges)) if (known.has(edge.source) && known.has(edge.target)) graph.setEdge(edge.source, edge.target);
  dagre.layout(graph);
  return nodes.map((node) => {
    const { x, y } = graph.node(node.id);
    return { ...node, position: { x: Math.round(x - node.width / 2), y: Math.round(y - node.height / 2) } };
  });
}

function inOrder(nodes, edges) {
  const byId = new Map(edges.map((edge) => [edge.id, edge]));
  return nodes.flatMap((node) => outletsOf(node).map(([outlet]) => byId.get(edgeId(node.id, outlet))).filter(Boolean));
}

export function overlaps(nodes) {
  const rows = [...nodes].sort((a, b) => a.position.y - b.position.y);
  for (let i = 0; i < rows.length; i += 1) {
    for (let j = i + 1; j < rows.length && rows[j].position.y < rows[i].position.y + rows[i].height; j += 1) {
      const [a, b] = [rows[i], rows[j]];
      if (a.position.x < b.position.x + b.width && b.position.x < a.position.x + a.width) return true;
    }
  }
  return false;
}

/** `send_email` -> `send_email_2` if there is one already. */
export function freshId(kind, taken) {
  const base = kind.replace(/^custom\./, "").replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 50);
  if (!taken.has(base)) return base;
  let number = 2;
  while (taken.has(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
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
    nodes: new Map(nodes.map((node) => [node.id, { raw: node.data.raw, x: node.position.x, y: node.position.y }])),
    edges: new Map(edges.map((edge) => [edge.id, [edge.source, edge.sourceHandle, edge.target]])),
  };
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
  if (!Object.keys(changed).length && !gone.length && !drawn.length && !cut.length) return null;
  return { nodes: changed, gone, edges: drawn, cut };
}
