// An MJML source as a tree that keeps every byte: a node is a stretch of the source, and its parts lie in it end to end.
// Nothing is corrected or filled in here. What does not fit together is said by the server, which reads more strictly.

const VOID = new Set("area base br col embed hr img input link meta param source track wbr".split(" "));
const HIDDEN = "\ue000"; // stands for each character of Jinja while tags are looked for: the places stay
const PIECE = /<!--[\s\S]*?-->|<!\[(?:if\s[^[\]<>]*|endif)\s*\]>|<\?xml\s[^<>?]*\?>|<!doctype\s[^[\]<>]*>|<\/(?<closing>[A-Za-z][\w:.-]*)\s*>|<(?<name>[A-Za-z][\w:.-]*)(?<attributes>(?:\s+[^\s=<>"'/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?)*)\s*(?<empty>\/?)>|[^<]+/iy;
const ATTRIBUTE = /([^\s=<>"'/]+)(?:\s*=\s*("[^"]*"|'[^']*'))?/g;
const ENDS = { "{{": "}}", "{%": "%}", "{#": "#}" };
const DEEPEST = 100;
const OPENING = new Set(["if", "for", "with", "filter"]);
const BETWEEN = new Set(["elif", "else"]);

/** A source that is no tree; `at` is where it ceases to be one. */
export class Unreadable extends Error {
  constructor(at) {
    super(`unreadable at ${at}`);
    this.at = at;
  }
}

/** Where the pieces of Jinja lie: [{start, end, kind: "expression" | "block" | "comment", inner}]. Raises: Unreadable, if one never ends. */
export function jinjaIn(source) {
  const found = [];
  let at = 0;
  for (;;) {
    const start = opening(source, at);
    if (start < 0) return found;
    const open = source.slice(start, start + 2);
    const end = endOf(source, start + 2, ENDS[open]);
    if (end < 0) throw new Unreadable(start);
    const kind = open === "{{" ? "expression" : open === "{%" ? "block" : "comment";
    found.push({ start, end, kind, inner: source.slice(start + 2, end - 2).replace(/^[-+]|[-+]$/g, "").trim() });
    at = end;
  }
}

function opening(source, at) {
  for (let n = source.indexOf("{", at); n >= 0; n = source.indexOf("{", n + 1)) if ("{%#".includes(source[n + 1] ?? " ")) return n;
  return -1;
}

/** Behind the end of a piece. Quotes hide an end, except in comments. */
function endOf(source, at, end) {
  let quote = "";
  for (let n = at; n < source.length; n += 1) {
    const one = source[n];
    if (quote) {
      if (one === "\\") n += 1;
      else if (one === quote) quote = "";
    } else if (end !== "#}" && (one === '"' || one === "'")) quote = one;
    else if (source.startsWith(end, n)) return n + 2;
  }
  return -1;
}

/** The tree of a source: its root holds what stands side by side. Raises: Unreadable. */
export function parse(source) {
  const jinja = jinjaIn(source);
  let masked = source;
  if (jinja.length) {
    const parts = [];
    let at = 0;
    for (const one of jinja) {
      parts.push(source.slice(at, one.start), HIDDEN.repeat(one.end - one.start));
      at = one.end;
    }
    masked = parts.join("") + source.slice(at);
  }
  const root = { type: "root", name: "", start: 0, inner: 0, innerEnd: source.length, end: source.length, attributes: new Map(), children: [] };
  const stack = [root];
  let at = 0;
  let next = 0; // the next piece of Jinja that may stand between tags
  while (at < masked.length) {
    PIECE.lastIndex = at;
    const piece = PIECE.exec(masked);
    if (!piece) throw new Unreadable(at);
    const end = at + piece[0].length;
    const holder = stack.at(-1);
    const { closing, name, empty } = piece.groups;
    if (closing !== undefined) {
      if (stack.length === 1 || holder.name.toLowerCase() !== closing.toLowerCase()) throw new Unreadable(at);
      Object.assign(stack.pop(), { innerEnd: at, end });
    } else if (name !== undefined) {
      if (stack.length > DEEPEST) throw new Unreadable(at);
      const node = element(name, piece, at, end, source);
      holder.children.push(node);
      if (!empty && !VOID.has(name.toLowerCase())) stack.push(node);
    } else if (piece[0][0] === "<") holder.children.push({ type: "comment", start: at, end });
    else {
      while (next < jinja.length && jinja[next].start < at) next += 1;
      const inside = [];
      while (next < jinja.length && jinja[next].start < end) inside.push(jinja[next++]);
      texts(holder.children, at, end, inside);
    }
    at = end;
  }
  if (stack.length > 1) throw new Unreadable(stack.at(-1).start);
  pair(root);
  return root;
}

function texts(children, start, end, jinja) {
  let at = start;
  for (const one of jinja) {
    if (one.start > at) children.push({ type: "text", start: at, end: one.start });
    children.push({ type: "jinja", ...one });
    at = one.end;
  }
  if (end > at) children.push({ type: "text", start: at, end });
}

function element(name, piece, start, end, source) {
  const attributes = new Map();
  const from = start + 1 + name.length;
  for (const one of piece.groups.attributes.matchAll(ATTRIBUTE)) {
    const at = from + one.index;
    const stop = at + one[0].length;
    const valueStart = one[2] === undefined ? stop : stop - one[2].length + 1;
    attributes.set(source.slice(at, at + one[1].length), {
      start: at, end: stop, valueStart, valueEnd: one[2] === undefined ? stop : stop - 1, bare: one[2] === undefined, quote: one[2]?.[0] ?? '"',
    });
  }
  return {
    type: "element", name, start, inner: end, innerEnd: end, end, attributes, attributesEnd: from + piece.groups.attributes.length,
    empty: Boolean(piece.groups.empty), children: [],
  };
}

/** Puts what stands between `{% if %}` and `{% endif %}` into one node, wherever both stand side by side; an element where some do not is `torn`. */
function pair(holder) {
  for (const child of holder.children) if (child.type === "element") pair(child);
  const stack = [{ children: [] }];
  for (const child of holder.children) {
    const word = child.type === "jinja" && child.kind === "block" ? child.inner.split(/\s/, 1)[0] : "";
    const open = stack.at(-1);
    if (OPENING.has(word)) stack.push({ type: "group", tag: word, start: child.start, inner: child.end, condition: child.inner.slice(word.length).trim(), children: [] });
    else if (word.startsWith("end") && OPENING.has(word.slice(3))) {
      if (open.tag !== word.slice(3)) { holder.torn = true; return; }
      stack.pop();
      stack.at(-1).children.push({ ...open, innerEnd: child.start, end: child.end, branches: open.children.some(({ between }) => between) });
    } else open.children.push(BETWEEN.has(word) ? { ...child, between: word } : child);
  }
  if (stack.length > 1) holder.torn = true;
  else holder.children = stack[0].children;
}

/** The source of a node, put together from its parts. */
export function print(node, source) {
  if (!node.children) return source.slice(node.start, node.end);
  return source.slice(node.start, node.inner) + node.children.map((one) => print(one, source)).join("") + source.slice(node.innerEnd, node.end);
}

/** A node and all below it, in order. */
export function* walk(node) {
  yield node;
  for (const child of node.children ?? []) yield* walk(child);
}

/** The way from the root to the node that begins at `start` (of several the outermost), without the root; empty if there is none. */
export function wayTo(root, start) {
  const way = [];
  let node = root;
  for (;;) {
    node = node.children?.find((one) => one.start <= start && start < one.end);
    if (!node) return [];
    way.push(node);
    if (node.start === start) return way;
  }
}

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/** What an attribute says, its entities read; Jinja stays as it is. */
export function attribute(node, name, source) {
  const one = node.attributes?.get(name);
  return one ? unescaped(source.slice(one.valueStart, one.valueEnd)) : "";
}

export function unescaped(text) {
  return around(text, (plain) => plain.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]+));/gi, (whole, hex, decimal, named) => {
    if (named) return NAMED[named.toLowerCase()] ?? whole;
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code > 0 && code < 0x110000 ? String.fromCodePoint(code) : whole;
  }));
}

/** A text as it may stand in an attribute or between tags; Jinja stays as it is. */
export function escaped(text, quote = '"') {
  return around(text, (plain) => {
    const safe = plain.replace(/&(?!#?\w+;)/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
    return quote === '"' ? safe.replace(/"/g, "&quot;") : quote === "'" ? safe.replace(/'/g, "&#39;") : safe;
  });
}

/** `write` for everything of a text that is no Jinja. A brace that never closes is plain. */
export function around(text, write) {
  let pieces = [];
  try {
    pieces = jinjaIn(text);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
  }
  let at = 0;
  let made = "";
  for (const one of pieces) {
    made += write(text.slice(at, one.start)) + text.slice(one.start, one.end);
    at = one.end;
  }
  return made + write(text.slice(at));
}
