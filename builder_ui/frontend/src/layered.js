// Where steps stand and how lines run: rows from top to bottom, the ways out of a step in their order from left to right (docs/decisions).
// In four parts: rows, order within the rows, columns, levels of the lines. Pure values: knows neither React nor journeys.

const CARD_GAP = 48;
const LANE_GAP = 28;
const LEAST_GAP = 64; // between two rows
export const FIRST_LEVEL = 38; // beneath a row: the "+" of a line fits above it
export const LEVEL = 14;
const LAST_LEVEL = 26; // above the next row
const MOST_PUSHES = 8;
const SWEEPS = 12;
const SIFTS = 3;
const SNAP = 24;
const IN_LINE = 1_000; // as bad as so many crossings: uprights that run in one line
const KIN = 1_000_000; // a line that crosses another of its own step

/** `boxes`: [{id, width, height}], the first is where everything begins; `ways`: [{id, from, to, port}] in the order of their outlets, `port` from
 * the left edge of the box. Answers `places`: id -> [left, top], and `courses`: id of a way -> its corners, without its two ends. */
export function arranged(boxes, ways) {
  const graph = graphOf(boxes, ways);
  const rows = rowsOf(graph);
  settle(rows);
  const x = columns(rows);
  return drawn(graph, rows, x);
}

// Rows

function graphOf(boxes, ways) {
  const index = new Map(boxes.map((box, at) => [box.id, at]));
  const known = ways.filter(({ from, to }) => index.has(from) && index.has(to) && from !== to);
  const links = known.map((way) => ({ id: way.id, from: index.get(way.from), to: index.get(way.to), port: way.port, back: false, turned: new Set() }));
  const out = boxes.map(() => []);
  for (const link of links) out[link.from].push(link);
  const order = walked(boxes, links, out);
  return { boxes, links, out, order };
}

/** Nodes in the order in which they are met, depth first, outlet after outlet; marks the ways that lead back to where one came from. */
function walked(boxes, links, out) {
  const state = new Uint8Array(boxes.length); // 1: on the way here, 2: done
  const met = [];
  const led = new Set(links.map(({ to }) => to));
  const visit = (first) => {
    const trail = [[first, 0]];
    state[first] = 1;
    met.push(first);
    while (trail.length) {
      const top = trail.at(-1);
      const link = out[top[0]][top[1]];
      top[1] += 1;
      if (!link) {
        state[top[0]] = 2;
        trail.pop();
      } else if (state[link.to] === 1) link.back = true;
      else if (state[link.to] === 0) {
        state[link.to] = 1;
        met.push(link.to);
        trail.push([link.to, 0]);
      }
    }
  };
  const roots = boxes.map((_, at) => at).filter((at) => at === 0 || !led.has(at));
  for (const at of [...roots, ...boxes.keys()]) if (state[at] === 0) visit(at);
  return met;
}

/** Rows of cells. What two steps want in opposite order stands in two rows, so that each has it as it wants. */
function rowsOf(graph) {
  const least = new Map();
  for (let pushes = 0; ; pushes += 1) {
    const rows = celled(graph, ranked(graph, least));
    const clash = constrained(graph, rows);
    if (clash === null || pushes === MOST_PUSHES) return rows;
    least.set(clash, rows.rank[clash] + 1);
  }
}

/** As high as possible; what nothing leads to stands right above what it leads to. */
function ranked({ boxes, links, out, order }, least) {
  const rank = boxes.map((_, at) => least.get(at) ?? 0);
  const waiting = boxes.map(() => 0);
  for (const link of links) if (!link.back) waiting[link.to] += 1;
  const roots = order.filter((at) => waiting[at] === 0);
  const ready = [...roots];
  while (ready.length) {
    const at = ready.pop();
    for (const link of out[at]) {
      if (link.back) continue;
      rank[link.to] = Math.max(rank[link.to], rank[at] + 1);
      waiting[link.to] -= 1;
      if (waiting[link.to] === 0) ready.push(link.to);
    }
  }
  for (const at of roots) {
    const below = out[at].filter((link) => !link.back).map((link) => rank[link.to]);
    if (at !== 0 && below.length) rank[at] = Math.min(...below) - 1;
  }
  return rank;
}

/** A cell is a step or the lane of a long way in a row: {row, width, node, up: [thread], down: [thread], right: cells}.
 * A thread joins cells of neighbouring rows: {upper, lower, shift} where `shift` is from the middle of the upper cell. */
function celled({ boxes, links, out, order }, rank) {
  const rows = Array.from({ length: Math.max(0, ...rank) + 1 }, () => []);
  const cellOf = (row, width, node) => ({ row, width, node, at: 0, up: [], down: [], right: new Set(), x: 0 });
  const cells = boxes.map((box, at) => cellOf(rank[at], box.width, at));
  const join = (upper, lower, shift) => {
    const thread = { upper, lower, shift, lean: 0 };
    upper.down.push(thread);
    lower.up.push(thread);
  };
  const lanes = new Map();
  for (const at of order) {
    rows[rank[at]].push(cells[at]);
    for (const link of out[at]) {
      const [first, last] = link.back ? [rank[link.to], rank[at]] : [rank[at] + 1, rank[link.to] - 1];
      const lane = [];
      for (let row = first; row <= last; row += 1) lane.push(cellOf(row, 0, -1));
      for (const cell of lane) rows[cell.row].push(cell);
      lanes.set(link, lane);
      const shift = link.port - boxes[at].width / 2;
      const whole = link.back ? lane : [cells[at], ...lane, cells[link.to]];
      for (let n = 1; n < whole.length; n += 1) join(whole[n - 1], whole[n], n === 1 && !link.back ? shift : 0);
    }
  }
  for (const cell of cells) {
    cell.down.sort((a, b) => a.shift - b.shift);
    const middle = cell.down.reduce((sum, { shift }) => sum + shift, 0) / cell.down.length;
    for (const thread of cell.down) thread.lean = thread.shift - middle;
  }
  return { rows, cells, lanes, rank, links };
}

/** Lays down that siblings keep the order of their outlets in every row. Answers a node to be set lower where that cannot be, else null. */
function constrained({ out, order }, rows) {
  const { lanes, cells } = rows;
  let clash = null;
  for (const links of out) for (const link of links) link.turned.clear();
  for (const at of order) {
    const forward = out[at].filter((link) => !link.back);
    const reach = forward.map((link) => [...lanes.get(link), cells[link.to]]);
    for (let i = 0; i < reach.length; i += 1) {
      for (let j = i + 1; j < reach.length; j += 1) {
        for (let row = 0; row < Math.min(reach[i].length, reach[j].length); row += 1) {
          const [left, right] = [reach[i][row], reach[j][row]];
          if (left === right || left.right.has(right)) continue;
          const against = chain(right, left);
          if (!against) {
            left.right.add(right);
            continue;
          }
          forward[i].turned.add(forward[j]);
          forward[j].turned.add(forward[i]);
          if (!enclosed(forward, i, j)) clash ??= against.find((cell) => cell.node > 0)?.node ?? null;
        }
      }
    }
  }
  return clash;
}

/** Whether one of two outlets lies between two that lead to the step of the other: no drawing has these lines without a crossing. */
function enclosed(forward, i, j) {
  return forward.slice(j + 1).some(({ to }) => to === forward[i].to) || forward.slice(0, i).some(({ to }) => to === forward[j].to);
}

/** The cells from one to another, each of which must be left of the next; null if there are none. */
function chain(from, to) {
  const came = new Map([[from, null]]);
  const waiting = [from];
  while (waiting.length && !came.has(to)) {
    const cell = waiting.pop();
    for (const next of cell.right) {
      if (came.has(next)) continue;
      came.set(next, cell);
      waiting.push(next);
    }
  }
  if (!came.has(to)) return null;
  const cells = [];
  for (let cell = to; cell; cell = came.get(cell)) cells.push(cell);
  return cells.reverse();
}

// Order within the rows

/** The order with the fewest crossings that was found, among those that keep siblings as they are wanted. */
function settle(rows) {
  const all = rows.rows;
  for (let row = 0; row < all.length; row += 1) place(all, row, (cell, at) => at);
  let best = { count: crossings(all), order: all.map((row) => [...row]) };
  let idle = 0;
  for (let sweep = 0; sweep < SWEEPS && best.count > 0 && idle < 4; sweep += 1) {
    const down = sweep % 2 === 0;
    for (let n = 1; n < all.length; n += 1) {
      const row = down ? n : all.length - 1 - n;
      place(all, row, down ? (cell, at) => middle(cell.up, upperEnd, at) : (cell, at) => middle(cell.down, lowerEnd, at));
    }
    swapped(all);
    const count = crossings(all);
    idle = count < best.count ? 0 : idle + 1;
    if (count < best.count) best = { count, order: all.map((row) => [...row]) };
  }
  best.order.forEach((row, at) => numbered(all, at, row));
  for (let round = 0; round < SIFTS; round += 1) sifted(all);
}

const upperEnd = ({ upper, shift }) => upper.at + (upper.width ? shift / (upper.width + CARD_GAP) : 0);
const lowerEnd = ({ lower, upper, shift }) => lower.at - (upper.width ? shift / (upper.width + CARD_GAP) : 0);

function middle(threads, end, otherwise) {
  if (!threads.length) return otherwise;
  return threads.reduce((sum, thread) => sum + end(thread), 0) / threads.length;
}

function numbered(all, row, cells) {
  all[row] = cells;
  cells.forEach((cell, at) => { cell.at = at; });
}

/** Sorts a row by what its cells wish, each after those that must be left of it. */
function place(all, row, wish) {
  const cells = all[row];
  const wishes = new Map(cells.map((cell, at) => [cell, wish(cell, at)]));
  const before = new Map(cells.map((cell) => [cell, 0]));
  for (const cell of cells) for (const right of cell.right) before.set(right, before.get(right) + 1);
  const sorted = [...cells].sort((a, b) => wishes.get(a) - wishes.get(b));
  const placed = [];
  const rest = new Set(sorted);
  for (let cell; rest.size; ) {
    cell = undefined;
    for (const one of rest) if (before.get(one) === 0) { cell = one; break; }
    cell ??= rest.values().next().value;
    rest.delete(cell);
    placed.push(cell);
    for (const right of cell.right) before.set(right, before.get(right) - 1);
  }
  numbered(all, row, placed);
}

/** Neighbours change places where that saves crossings. */
function swapped(all) {
  for (let round = 0, better = true; better && round < 6; round += 1) {
    better = false;
    for (const row of all) {
      for (let at = 1; at < row.length; at += 1) {
        const [left, right] = [row[at - 1], row[at]];
        if (left.right.has(right)) continue;
        const saved = pairs(left.up, right.up, upperPlace) + pairs(left.down, right.down, lowerPlace)
          - pairs(right.up, left.up, upperPlace) - pairs(right.down, left.down, lowerPlace);
        if (saved <= 0) continue;
        [row[at - 1], row[at]] = [right, left];
        [right.at, left.at] = [at - 1, at];
        better = true;
      }
    }
  }
}

/** Each cell goes to where in its row its threads cross the fewest others, as far as it may among its siblings. */
function sifted(all) {
  for (const row of all) for (const cell of [...row]) sift(row, cell);
}

function sift(row, cell) {
  const from = cell.at;
  let [saved, most, to] = [0, 0, from];
  for (let at = from - 1; at >= 0 && !row[at].right.has(cell); at -= 1) {
    saved += ofThreads(row[at], cell) - ofThreads(cell, row[at]);
    if (saved > most) [most, to] = [saved, at];
  }
  saved = 0;
  for (let at = from + 1; at < row.length && !cell.right.has(row[at]); at += 1) {
    saved += ofThreads(cell, row[at]) - ofThreads(row[at], cell);
    if (saved > most) [most, to] = [saved, at];
  }
  if (to === from) return;
  row.splice(from, 1);
  row.splice(to, 0, cell);
  row.forEach((one, at) => { one.at = at; });
}

/** How often the threads of two cells cross while one is left of the other. */
const ofThreads = (left, right) => pairs(left.up, right.up, upperPlace) + pairs(left.down, right.down, lowerPlace);

const upperPlace = ({ upper, shift }) => upper.at + (upper.width ? shift / (upper.width + 1) : 0);
const lowerPlace = ({ lower }) => lower.at;

function pairs(left, right, end) {
  let count = 0;
  for (const one of left) for (const other of right) if (end(one) > end(other)) count += 1;
  return count;
}

function crossings(all) {
  let count = 0;
  for (const row of all) {
    const ends = row.flatMap((cell) => cell.down.map(({ lower }) => lower.at));
    count += inversions(ends);
  }
  return count;
}

/** How many pairs stand in the wrong order. */
function inversions(numbers) {
  const tree = new Int32Array(Math.max(0, ...numbers) + 2);
  let count = 0;
  numbers.forEach((number, seen) => {
    let smaller = 0;
    for (let at = number + 1; at > 0; at -= at & -at) smaller += tree[at];
    count += seen - smaller;
    for (let at = number + 1; at < tree.length; at += at & -at) tree[at] += 1;
  });
  return count;
}

// Columns

/** Gives every cell its `x`, the middle: near what it hangs together with, as far from its neighbours as it must be, long lanes straight. */
function columns({ rows, lanes }) {
  for (const row of rows) {
    let right = 0;
    row.forEach((cell, at) => {
      cell.x = at ? right + apart(row[at - 1], cell) : 0;
      right = cell.x;
    });
  }
  const [down, up] = [[...rows.keys()], [...rows.keys()].reverse()];
  const above = (cell) => pull(cell.up, fromAbove);
  const below = (cell) => pull(cell.down, fromBelow);
  const both = (cell) => added(above(cell), below(cell));
  for (let round = 0; round < 4; round += 1) {
    for (const row of down) spread(rows[row], above);
    for (const row of up) spread(rows[row], below);
  }
  for (let round = 0; round < 4; round += 1) for (const order of [down, up]) for (const row of order) spread(rows[row], both);
  const files = filesOf(rows);
  for (let round = 0; round < 2; round += 1) {
    for (const lane of lanes.values()) straighten(rows, lane);
    for (const file of files) straighten(rows, file);
    for (const row of rows) for (const cell of row) snap(rows, cell);
  }
  for (const row of rows) for (const cell of row) if (cell.node >= 0) cell.x = Math.round(cell.x - cell.width / 2) + cell.width / 2;
  for (const lane of lanes.values()) straighten(rows, lane);
  for (const lane of lanes.values()) for (const cell of lane) cell.x = Math.round(2 * cell.x) / 2;
}

function apart(left, right) {
  const gap = (cell) => (cell.node < 0 ? LANE_GAP : CARD_GAP);
  return (left.width + right.width) / 2 + (gap(left) + gap(right)) / 2;
}

/** How much a thread wants to be upright: a lane, and a step that alone follows another, more than branches. */
function weight({ upper, lower }) {
  if (upper.node < 0 || lower.node < 0) return upper.node < 0 && lower.node < 0 ? 8 : 2;
  return upper.down.length === 1 && lower.up.length === 1 ? 6 : 1;
}

const fromAbove = ({ upper, lean }) => upper.x + lean; // a journey of one outlet a step runs straight down, wherever that outlet is
const fromBelow = ({ lower, lean }) => lower.x - lean;
const portOf = ({ upper, shift }) => upper.x + shift;

function pull(threads, end) {
  let [sum, strength] = [0, 0];
  for (const thread of threads) {
    sum += weight(thread) * end(thread);
    strength += weight(thread);
  }
  return [sum, strength];
}

const added = ([sum, strength], [more, stronger]) => [sum + more, strength + stronger];

/** The places nearest to what is wished that keep the cells of a row apart (isotonic regression: pool adjacent violators). */
function spread(row, wish) {
  const blocks = []; // {sum, strength, count} of x less the width of everything left of it in the row
  let left = 0;
  row.forEach((cell, at) => {
    if (at) left += apart(row[at - 1], cell);
    const [sum, strength] = wish(cell);
    const firm = strength || 0.01;
    let block = { sum: (strength ? sum : firm * cell.x) - firm * left, strength: firm, count: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).strength > block.sum / block.strength) {
      const other = blocks.pop();
      block = { sum: block.sum + other.sum, strength: block.strength + other.strength, count: block.count + other.count };
    }
    blocks.push(block);
  });
  let at = 0;
  left = 0;
  for (const { sum, strength, count } of blocks) {
    for (let n = 0; n < count; n += 1, at += 1) {
      if (at) left += apart(row[at - 1], row[at]);
      row[at].x = sum / strength + left;
    }
  }
}

/** Between which places a cell can stand without another moving. */
function room(rows, cell) {
  const row = rows[cell.row];
  const [before, after] = [row[cell.at - 1], row[cell.at + 1]];
  return [before ? before.x + apart(before, cell) : -Infinity, after ? after.x - apart(cell, after) : Infinity];
}

/** Steps that follow one another and nothing else. */
function filesOf(rows) {
  const only = (cell) => (cell.down.length === 1 && cell.down[0].lower.up.length === 1 ? cell.down[0].lower : null);
  const inside = new Set(rows.flat().map((cell) => (cell.node < 0 ? null : only(cell))).filter((cell) => cell && cell.node >= 0));
  const files = [];
  for (const first of rows.flat()) {
    if (first.node < 0 || inside.has(first)) continue;
    const file = [first];
    for (let next = only(first); next && next.node >= 0; next = only(next)) file.push(next);
    if (file.length > 1) files.push(file);
  }
  return files;
}

/** As few bends in a lane, or in a file of steps, as what stands beside it allows. */
function straighten(rows, lane) {
  for (let first = 0; first < lane.length; ) {
    let [low, high] = room(rows, lane[first]);
    let next = first + 1;
    for (; next < lane.length; next += 1) {
      const [from, to] = room(rows, lane[next]);
      if (Math.max(low, from) > Math.min(high, to)) break;
      [low, high] = [Math.max(low, from), Math.min(high, to)];
    }
    const run = lane.slice(first, next);
    const free = run[0].node < 0 ? [...run[0].up.map(portOf), ...run.at(-1).down.map(({ lower }) => lower.x)] : [];
    const ends = free.filter((x) => x >= low && x <= high);
    const wished = ends[0] ?? run.reduce((sum, cell) => sum + cell.x, 0) / run.length;
    for (const cell of run) cell.x = Math.min(high, Math.max(low, wished));
    first = next;
  }
}

/** A step right under the way that leads to it, where little is missing. */
function snap(rows, cell) {
  if (cell.node < 0 || cell.up.length !== 1) return;
  const x = portOf(cell.up[0]);
  const [low, high] = room(rows, cell);
  if (Math.abs(x - cell.x) < SNAP && x >= low && x <= high) cell.x = x;
}

// Levels

function drawn({ boxes, links }, rows) {
  const gaps = gapsOf(boxes, links, rows).map((pieces) => (levelled(pieces) < KIN ? pieces : apiece(pieces)));
  const heights = rows.rows.map((row) => Math.max(0, ...row.map((cell) => (cell.node < 0 ? 0 : boxes[cell.node].height))));
  const levels = gaps.map((pieces) => Math.max(1, ...pieces.map(({ level }) => level + 1)));
  const tops = [];
  let y = 0;
  heights.forEach((height, row) => {
    tops.push(y);
    y += height + Math.max(LEAST_GAP, FIRST_LEVEL + LAST_LEVEL + (levels[row + 1] - 1) * LEVEL);
  });
  // The gap with number n lies above row n; the one above the first row is there for ways that lead back to it.
  const yOf = (gap, level) => (gap ? tops[gap - 1] + heights[gap - 1] + FIRST_LEVEL : -LAST_LEVEL - levels[0] * LEVEL) + level * LEVEL;
  const corners = new Map(links.map((link) => [link, []]));
  gaps.forEach((pieces, gap) => {
    for (const piece of pieces) for (const { link, ends: [from, to] } of piece.parts) corners.get(link).push([gap, from, to, yOf(gap, piece.level)]);
  });
  const courses = new Map();
  for (const [link, parts] of corners) {
    parts.sort((a, b) => (link.back ? b[0] - a[0] : a[0] - b[0]));
    courses.set(link.id, parts.flatMap(([, from, to, level]) => (from === to ? [] : [[from, level], [to, level]])));
  }
  const places = new Map(boxes.map((box, at) => [box.id, [Math.round(rows.cells[at].x - box.width / 2), tops[rows.rank[at]]]]));
  return { places, courses };
}

/** Per gap the level pieces in it: {goal, low, high, parts: [{link, ends, tops, bottoms}], level}. Ways to one cell share a piece. */
function gapsOf(boxes, links, { rows, cells, lanes, rank }) {
  const gaps = Array.from({ length: rows.length + 1 }, () => new Map());
  const put = (gap, key, link, from, to, fromTop, toTop) => {
    const pieces = gaps[gap];
    if (!pieces.has(key)) pieces.set(key, { goal: key, low: Infinity, high: -Infinity, parts: [], level: 0 });
    const piece = pieces.get(key);
    piece.low = Math.min(piece.low, from, to);
    piece.high = Math.max(piece.high, from, to);
    const ends = [[from, fromTop], [to, toTop]];
    const those = (top) => ends.filter((end) => end[1] === top).map(([x]) => x);
    piece.parts.push({ link, ends: [from, to], tops: those(true), bottoms: those(false) });
  };
  const left = (at) => Math.round(cells[at].x - boxes[at].width / 2);
  for (const link of links) {
    const [start, end] = [left(link.from) + link.port, left(link.to) + boxes[link.to].width / 2];
    const lane = lanes.get(link);
    const target = `to ${link.to}`;
    if (link.back) {
      put(rank[link.from] + 1, link, link, start, lane.at(-1).x, true, true);
      for (let n = lane.length - 1; n > 0; n -= 1) put(lane[n].row, link, link, lane[n].x, lane[n - 1].x, false, true);
      put(rank[link.to], link, link, lane[0].x, end, false, false);
      continue;
    }
    const stops = [start, ...lane.map((cell) => cell.x), end];
    for (let n = 1; n < stops.length; n += 1) {
      put(rank[link.from] + n, n === stops.length - 1 ? target : link, link, stops[n - 1], stops[n], true, false);
    }
  }
  return gaps.map((pieces) => [...pieces.values()]);
}

/** Every line with a piece of its own: where two steps want those of two targets in opposite order, a shared one does right by neither. */
function apiece(pieces) {
  const single = pieces.flatMap(({ goal, parts }) =>
    parts.map((part) => ({ goal, low: Math.min(...part.ends), high: Math.max(...part.ends), parts: [part], level: 0 })));
  levelled(single);
  return single;
}

/** Gives each piece of a gap its level so that pieces do not lie on each other and uprights cross as few of them as can be. Answers what that cost. */
export function levelled(pieces) {
  const flat = pieces.filter(({ low, high }) => low < high);
  const rest = new Set(flat);
  const price = new Map(flat.map((piece) => [piece, 0]));
  const prefer = new Map(flat.map((piece) => [piece, []]));
  let paid = 0;
  for (let i = 0; i < flat.length; i += 1) {
    for (let j = i + 1; j < flat.length; j += 1) {
      const [a, b] = [flat[i], flat[j]];
      if (!beside(a, b)) continue;
      const [above, under] = [cost(a, b), cost(b, a)];
      const more = above - under; // what it costs that a is above b
      paid += Math.min(above, under);
      prefer.get(a).push([b, more]);
      prefer.get(b).push([a, -more]);
      price.set(a, price.get(a) + Math.max(0, more));
      price.set(b, price.get(b) + Math.max(0, -more));
    }
  }
  const placed = new Set();
  while (rest.size) {
    let next = null;
    for (const piece of rest) if (next === null || price.get(piece) < price.get(next)) next = piece;
    rest.delete(next);
    paid += price.get(next);
    const taken = prefer.get(next).filter(([other]) => placed.has(other));
    next.level = Math.max(0, ...taken.filter(([, more]) => more > 0).map(([other]) => other.level + 1));
    while (taken.some(([other]) => other.level === next.level)) next.level += 1;
    for (const [other, more] of prefer.get(next)) if (!placed.has(other)) price.set(other, price.get(other) - Math.max(0, -more));
    placed.add(next);
  }
  return paid;
}

/** Whether two pieces on one level would lie on each other, or nearly touch. */
const beside = (a, b) => a.goal !== b.goal && a.low < b.high + LEVEL && b.low < a.high + LEVEL;

function cost(upper, under) {
  let sum = 0;
  for (const part of upper.parts) for (const other of under.parts) sum += crossed(part, other) * (kin(part.link, other.link) ? KIN : 1);
  return sum;
}

/** Ways out of one step that can have the order of their outlets. */
const kin = (link, other) => link.from === other.from && !link.turned.has(other);

/** How often the uprights of two lines cross the other's piece if the first one's is above. Uprights in one line are as bad as can be. */
function crossed(upper, under) {
  const within = (ends, [a, b]) => ends.filter((x) => (x - a) * (x - b) < 0).length;
  const along = upper.bottoms.some((x) => under.tops.some((other) => Math.abs(x - other) < 4));
  return within(upper.bottoms, under.ends) + within(under.tops, upper.ends) + (along ? IN_LINE : 0);
}
