// Where the lines between cards run, which of them cross, and what stands on them. The screen, its viewers and the pictures draw from the same values.
import { FIRST_LEVEL, LEVEL, arranged, levelled } from "./layered.js";
import { ENTRY, edgeId, isNote, labelled, movedTo, outletsOf, overlaps, portOf } from "./graph.js";

const BESIDE = 96; // from the journey to what hangs together with it nowhere
const COLUMN = 1600; // so high such pieces are stacked
const PLUS = 20; // from a card to the "+" of a line that turns
const LEAST_FALL = FIRST_LEVEL + 12; // a line that falls less runs around, as React Flow draws it
const TONES = 4;
const NAME = { height: 17, most: 124, letter: 6.3, around: 14 };

/** {nodes, edges}: the journey from top to bottom, outlets from left to right. What hangs together with its start nowhere keeps its place, unless
 * `all` is wanted or something is in the way. What stays where it is keeps its identity: React Flow draws anew whatever has another. */
export function layout(nodes, edges, all = false) {
  const steps = nodes.filter((node) => !isNote(node));
  const [main, ...others] = together(steps, edges);
  const laid = arrangedOf(main, edges);
  const places = new Map(laid.places);
  const courses = new Map(laid.courses);
  const room = boxOf(main, places);
  const stack = { x: room.right + BESIDE, y: room.top, right: room.right };
  for (const some of others) {
    const here = new Map(some.map(({ id, position }) => [id, [position.x, position.y]]));
    if (!all && !overlaps(some) && !meet(boxOf(some, here), room)) {
      for (const [id, place] of here) places.set(id, place);
      continue;
    }
    const own = all || overlaps(some) ? arrangedOf(some, edges) : { places: here, courses: new Map() };
    const box = boxOf(some, own.places);
    if (stack.y > room.top && stack.y + box.bottom - box.top > COLUMN) Object.assign(stack, { x: stack.right + BESIDE, y: room.top });
    const [right, down] = [stack.x - box.left, stack.y - box.top];
    for (const [id, [x, y]] of own.places) places.set(id, [x + right, y + down]);
    for (const [id, corners] of own.courses) courses.set(id, corners.map(([x, y]) => [x + right, y + down]));
    stack.y += box.bottom - box.top + BESIDE;
    stack.right = Math.max(stack.right, box.right + right);
  }
  const placed = nodes.map((node) => {
    const at = places.get(node.id);
    return at ? movedTo(node, { x: at[0], y: at[1] }) : node;
  });
  return { nodes: placed, edges: traced(placed, edges, courses) };
}

/** The steps in groups that hang together; the one with the start comes first. */
function together(steps, edges) {
  const beside = new Map(steps.map(({ id }) => [id, []]));
  for (const { source, target } of edges) {
    beside.get(source)?.push(target);
    beside.get(target)?.push(source);
  }
  const seen = new Set();
  const byId = new Map(steps.map((node) => [node.id, node]));
  const groups = [];
  for (const first of [ENTRY, ...byId.keys()]) {
    if (seen.has(first) || !byId.has(first)) continue;
    const group = new Set([first]);
    for (const id of group) for (const next of beside.get(id)) if (byId.has(next)) group.add(next);
    for (const id of group) seen.add(id);
    groups.push(steps.filter(({ id }) => group.has(id)));
  }
  return groups.length ? groups : [[]];
}

let last = { shape: "", found: null };

/** Most changes touch no shape, and finding the places takes longer than anything else: the last ones are kept. The first box stands at 0, 0. */
function arrangedOf(steps, edges) {
  const byId = new Map(steps.map((node) => [node.id, node]));
  const boxes = steps.map(({ id, width, height }) => ({ id, width, height }));
  const entry = boxes.findIndex(({ id }) => id === ENTRY);
  if (entry > 0) boxes.unshift(...boxes.splice(entry, 1));
  const ways = inOrder(steps, edges).filter(({ target }) => byId.has(target))
    .map(({ id, source, sourceHandle, target }) => ({ id, from: source, to: target, port: portOf(byId.get(source), sourceHandle) }));
  const shape = JSON.stringify([boxes, ways]);
  if (entry < 0) return anchored(arranged(boxes, ways), boxes);
  if (shape !== last.shape) last = { shape, found: anchored(arranged(boxes, ways), boxes) };
  return last.found;
}

function anchored({ places, courses }, [first]) {
  const [left, top] = first ? places.get(first.id) : [0, 0];
  const to = ([x, y]) => [x - left, y - top];
  return {
    places: new Map([...places].map(([id, at]) => [id, to(at)])),
    courses: new Map([...courses].map(([id, corners]) => [id, corners.map(to)])),
  };
}

function inOrder(nodes, edges) {
  const byOutlet = grouped(edges, (edge) => edgeId(edge.source, edge.sourceHandle));
  return nodes.flatMap((node) => outletsOf(node).flatMap(([outlet]) => byOutlet.get(edgeId(node.id, outlet)) ?? []));
}

function grouped(things, key) {
  const groups = new Map();
  for (const one of things) {
    if (!groups.has(key(one))) groups.set(key(one), []);
    groups.get(key(one)).push(one);
  }
  return groups;
}

function boxOf(steps, places) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { id, width, height } of steps) {
    const [x, y] = places.get(id);
    Object.assign(box, { left: Math.min(box.left, x), top: Math.min(box.top, y), right: Math.max(box.right, x + width), bottom: Math.max(box.bottom, y + height) });
  }
  return box;
}

const meet = (a, b) => a.left < b.right + 24 && b.left < a.right + 24 && a.top < b.bottom + 24 && b.top < a.bottom + 24;

/** The edges with their `data`: {ends, corners, plus, tone, name}. `corners` is null where React Flow finds the way; `tone` tells lines that cross
 * apart; `name` is {text, x, y} near the target, for lines that cross another and come from a step of several outlets.
 * `courses` are those of a layout; without one, lines between cards that have not moved keep theirs. */
export function traced(nodes, edges, courses = null) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const lines = edges.map((edge) => {
    const [source, target] = [byId.get(edge.source), byId.get(edge.target)];
    if (!source || !target) return { edge, ends: null, corners: null };
    const ends = endsOf(source, target, edge.sourceHandle);
    const kept = !courses && String(edge.data?.ends) === String(ends) ? edge.data.corners : undefined;
    return { edge, source, ends, corners: courses?.get(edge.id) ?? kept };
  });
  for (const siblings of grouped(lines.filter(({ ends, corners }) => ends && corners === undefined), ({ edge }) => edge.source).values()) fan(siblings);
  const crossed = crossings(lines);
  const names = named(lines, crossed, nodes);
  return lines.map((line) => withData(line, toneOf(line, crossed), names.get(line)));
}

export function endsOf(source, target, outlet) {
  return [
    [source.position.x + portOf(source, outlet), source.position.y + source.height],
    [target.position.x + target.width / 2, target.position.y],
  ];
}

/** Lines of one step whose cards stand where somebody put them: each turns on a level of its own where they would lie on each other. */
function fan(siblings) {
  const pieces = [];
  for (const line of siblings) {
    const [[x, y], [toX, toY]] = line.ends;
    line.corners = toY - y < LEAST_FALL ? null : [];
    if (line.corners === null || Math.abs(x - toX) < 1) continue;
    const link = { from: line.edge.source, to: line.edge.target, turned: new Set() };
    const part = { link, ends: [x, toX], tops: [x], bottoms: [toX] };
    pieces.push({ line, goal: line.edge.target, low: Math.min(x, toX), high: Math.max(x, toX), parts: [part], level: 0 });
  }
  levelled(pieces);
  for (const { line, level } of pieces) {
    const [[x, y], [toX, toY]] = line.ends;
    const at = Math.min(y + FIRST_LEVEL + level * LEVEL, toY - 8);
    line.corners = [[x, at], [toX, at]];
  }
}

// Crossings

/** line -> the lines it crosses or lies on, without those that lead to the same step. */
function crossings(lines) {
  const [level, upright] = [[], []];
  for (const line of lines) {
    for (const [[x, y], [toX, toY]] of pieces(line)) {
      if (y === toY) level.push({ line, at: y, low: Math.min(x, toX), high: Math.max(x, toX) });
      else upright.push({ line, at: x, low: Math.min(y, toY), high: Math.max(y, toY) });
    }
  }
  const found = new Map();
  const meeting = (one, other) => {
    if (one.edge.target === other.edge.target) return;
    for (const [a, b] of [[one, other], [other, one]]) {
      if (!found.has(a)) found.set(a, new Set());
      found.get(a).add(b);
    }
  };
  upright.sort((a, b) => a.at - b.at);
  for (const flat of level) {
    for (let n = firstAfter(upright, flat.low); n < upright.length && upright[n].at < flat.high; n += 1) {
      if (upright[n].low < flat.at && flat.at < upright[n].high) meeting(flat.line, upright[n].line);
    }
  }
  return found;
}

function pieces({ ends, corners }) {
  if (!corners) return [];
  const points = [ends[0], ...corners, ends[1]];
  return points.slice(1).map((point, at) => [points[at], point]);
}

/** The place of the first upright right of `x`. */
function firstAfter(uprights, x) {
  let [low, high] = [0, uprights.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (uprights[middle].at <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Lines that cross have different tones, as far as there are tones. */
function toneOf(line, crossed) {
  const others = crossed.get(line);
  if (!others) return 0;
  const taken = new Set([...others].map(({ tone }) => tone));
  line.tone = 0;
  while (taken.has(line.tone) && line.tone < TONES) line.tone += 1;
  return (line.tone %= TONES);
}

/** line -> {text, x, y}: as near to the target as there is room. */
function named(lines, crossed, nodes) {
  const taken = nodes.map(({ position: { x, y }, width, height }) => ({ left: x, top: y, right: x + width, bottom: y + height }));
  const found = new Map();
  for (const line of crossed.keys()) {
    if (!labelled(line.source)) continue;
    const text = outletsOf(line.source).find(([outlet]) => outlet === line.edge.sourceHandle)?.[1] ?? "";
    const half = Math.min(NAME.most, text.length * NAME.letter + NAME.around) / 2;
    for (const [x, y] of spots(line, half)) {
      const box = { left: x - half, top: y - NAME.height / 2, right: x + half, bottom: y + NAME.height / 2 };
      if (taken.some((other) => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)) continue;
      taken.push(box);
      found.set(line, { text, x: Math.round(x), y: Math.round(y) });
      break;
    }
  }
  return found;
}

/** Places for a name, from the target backwards; the last upright before a step may be everybody's. */
function* spots(line, half) {
  const all = pieces(line).reverse();
  for (const [[x, y], [toX, toY]] of all.length > 1 ? all.slice(1) : all) {
    const length = Math.abs(toX - x) + Math.abs(toY - y);
    const upright = y !== toY;
    const margin = upright ? NAME.height / 2 + 4 : half + 4;
    for (let back = margin; back <= length - margin; back += 2 * margin) {
      yield upright ? [x, toY - Math.sign(toY - y) * back] : [toX - Math.sign(toX - x) * back, y];
    }
  }
}

function withData(line, tone, name = null) {
  const { edge, ends, corners } = line;
  const data = ends ? { ends, corners, plus: plusOf(ends, corners), tone, name } : undefined;
  return JSON.stringify(data) === JSON.stringify(edge.data) ? edge : { ...edge, data };
}

/** In the middle of a line that runs straight down, else right beneath its outlet: there no two lie on each other. */
function plusOf([[x, y], [, toY]], corners) {
  if (!corners) return null;
  return corners.length ? [x, y + PLUS] : [x, (y + toY) / 2];
}

/** A path through points whose pieces are upright or level, with round corners. */
export function through(points) {
  const corners = points.filter((point, at) => at === 0 || String(point) !== String(points[at - 1]));
  let path = `M${corners[0].join(",")}`;
  for (let i = 1; i < corners.length - 1; i += 1) {
    const [[fromX, fromY], [x, y], [toX, toY]] = [corners[i - 1], corners[i], corners[i + 1]];
    const round = Math.min(8, Math.hypot(x - fromX, y - fromY) / 2, Math.hypot(toX - x, toY - y) / 2);
    const [before, after] = [toward(x, y, fromX, fromY, round), toward(x, y, toX, toY, round)];
    path += `L${before.join(",")}Q${x},${y} ${after.join(",")}`;
  }
  return `${path}L${corners.at(-1).join(",")}`;
}

function toward(x, y, toX, toY, by) {
  const length = Math.hypot(toX - x, toY - y) || 1;
  return [x + ((toX - x) * by) / length, y + ((toY - y) * by) / length];
}
