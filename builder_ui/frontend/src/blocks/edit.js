// Edits of a source, one place at a time: each takes the source and a node of its tree and gives the new source; all else keeps its bytes.
// An answer is {source, at}: `at` is where the node concerned begins now.
import { Unreadable, escaped, jinjaIn } from "./tree.js";

const put = (source, from, to, text) => source.slice(0, from) + text + source.slice(to);

/** Sets an attribute; an empty value takes it away. */
export function setAttribute(source, node, name, value) {
  const old = node.attributes.get(name);
  const at = node.start;
  if (!value) return { source: old ? put(source, blankBefore(source, old.start), old.end, "") : source, at };
  if (old && !old.bare) return { source: put(source, old.valueStart, old.valueEnd, escaped(value, old.quote)), at };
  const written = `${name}="${escaped(value)}"`;
  if (old) return { source: put(source, old.start, old.end, written), at };
  return { source: put(source, node.attributesEnd, node.attributesEnd, ` ${written}`), at };
}

function blankBefore(source, at) {
  let start = at;
  while (/\s/.test(source[start - 1] ?? "")) start -= 1;
  return start;
}

/** Replaces what stands in a node. */
export function setInner(source, node, text) {
  if (!node.empty) return { source: put(source, node.inner, node.innerEnd, text), at: node.start };
  const open = source.slice(node.start, node.end).replace(/\s*\/>$/, ">");
  return { source: put(source, node.start, node.end, `${open}${text}</${node.name}>`), at: node.start };
}

/** Replaces a node whole. */
export function replace(source, node, text) {
  return { source: put(source, node.start, node.end, text), at: node.start };
}

/** The whole lines of a node that has lines of its own, else only itself: [from, to]. */
export function extent(source, node) {
  const line = source.lastIndexOf("\n", node.start - 1) + 1;
  const after = source.slice(node.end).match(/^[ \t]*(?:\r?\n|$)/);
  const alone = !source.slice(line, node.start).trim() && after;
  return alone ? [line, node.end + after[0].length] : [node.start, node.end];
}

export function remove(source, node) {
  const [from, to] = extent(source, node);
  return { source: put(source, from, to, ""), at: Math.min(from, source.length) };
}

/** The blanks at the begin of the line in which a place lies. */
export function indentAt(source, at) {
  const line = source.lastIndexOf("\n", at - 1) + 1;
  return source.slice(line, at).match(/^[ \t]*/)[0];
}

export function indented(text, indent) {
  return text.replace(/\n(?=[^\n])/g, `\n${indent}`);
}

/** Puts a text before the child `index` of a node, or behind its last. The text is written without indentation; `asIs` leaves its lines alone. */
export function insert(source, holder, index, text, asIs = false) {
  const children = holder.children.filter(({ type }) => type !== "text");
  const lines = (indent) => (asIs ? text : indented(text, indent));
  if (index < children.length) {
    const next = children[index];
    const indent = indentAt(source, next.start);
    const own = source.slice(source.lastIndexOf("\n", next.start - 1) + 1, next.start) === indent;
    const written = lines(indent);
    return { source: put(source, next.start, next.start, own ? `${written}\n${indent}` : written), at: next.start };
  }
  if (children.length) {
    const last = children.at(-1);
    const indent = indentAt(source, last.start);
    const own = source.slice(source.lastIndexOf("\n", last.start - 1) + 1, last.start) === indent;
    const before = own ? `\n${indent}` : "";
    return { source: put(source, last.end, last.end, before + lines(indent)), at: last.end + before.length };
  }
  return first(source, holder, lines);
}

function first(source, holder, lines) {
  const indent = holder.type === "root" ? "" : indentAt(source, holder.start);
  const deeper = holder.type === "root" ? "" : `${indent}  `;
  const written = `${holder.type === "root" ? "" : "\n"}${deeper}${lines(deeper)}\n${indent}`;
  const opened = setInner(source, holder, written);
  return { source: opened.source, at: opened.source.indexOf(written.trim(), holder.start + (holder.type === "root" ? 0 : 1)) };
}

/** A copy behind the node. */
export function duplicate(source, node) {
  const text = source.slice(node.start, node.end);
  const [from, to] = extent(source, node);
  if (to === node.end && from === node.start) return { source: put(source, node.end, node.end, text), at: node.end };
  const before = `\n${source.slice(from, node.start)}`;
  return { source: put(source, node.end, node.end, before + text), at: node.end + before.length };
}

/** Moves a node before the child `index` of another (or the same) one, counted as it is now. */
export function move(source, node, holder, index) {
  const text = source.slice(node.start, node.end);
  const [from, to] = extent(source, node);
  const put_ = insert(source, holder, index, text, true);
  const grown = put_.source.length - source.length;
  const later = put_.at > node.start; // the place lies behind: what is taken out moves it up
  // what was written before the old place moved it
  const [start, end] = later ? [from, to] : [from + grown, to + grown];
  // A node at the end of the last line of a whole has no line break of its own to take along.
  return { source: put(put_.source, start, end, ""), at: later ? put_.at - (end - start) : put_.at };
}

/** Puts a condition or a loop around a node, in lines of its own. */
export function wrap(source, node, open, close) {
  const indent = indentAt(source, node.start);
  const own = source.slice(source.lastIndexOf("\n", node.start - 1) + 1, node.start) === indent;
  const gap = own ? `\n${indent}` : "";
  const text = source.slice(node.start, node.end);
  return { source: put(source, node.start, node.end, `${open}${gap}${text}${gap}${close}`), at: node.start };
}

/** Replaces what a condition asks or a loop runs over; null if that would not be one piece of Jinja any more. */
export function setCondition(source, group, condition) {
  const open = source.slice(group.start, group.inner).replace(group.condition, () => condition);
  const inside = jinjaWhole(open);
  return inside ? { source: put(source, group.start, group.inner, open), at: group.start } : null;
}

function jinjaWhole(text) {
  try {
    const [one] = jinjaIn(text);
    return one?.start === 0 && one.end === text.length;
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

/** Takes the condition or the loop around its content away. */
export function unwrap(source, group) {
  const inside = source.slice(group.inner, group.innerEnd).trim();
  return { source: put(source, group.start, group.end, inside), at: group.start };
}
