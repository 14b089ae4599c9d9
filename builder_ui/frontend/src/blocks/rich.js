// The text of a block as something to type into, and back. What a person did not touch keeps its tags letter for letter: each element carries the
// tag it was made from. Values (`{{ … }}`), conditions and comments stand as small labels that are one letter to the keyboard.
import { jinjaIn, parse, unescaped } from "./tree.js";

const SHOWN = new Set("a b strong i em u s sup sub span p div br ul ol li h1 h2 h3 h4 h5 h6 blockquote small font big code pre".split(" "));
const KEPT = Symbol("the tag as it was written");
const RAW = Symbol("a piece as it was written");
const NEW = { b: ["<b>", "</b>"], i: ["<i>", "</i>"] };

/** Whether a text can be edited as it looks; else only its source can. */
export function isRich(inner) {
  try {
    const root = parse(inner);
    return plain(root);
  } catch {
    return false;
  }
}

function plain(node) {
  return !node.torn && node.children.every((one) => one.type !== "element" || plain(one));
}

/** Fills an element with a text. `named` says what a piece of Jinja is called for people. */
export function fill(host, inner, named) {
  const document = host.ownerDocument;
  const root = parse(inner);
  const label = (text, raw, kind) => {
    const chip = document.createElement("span");
    chip.className = `blk-chip ${kind}`;
    chip.contentEditable = "false";
    chip.textContent = text;
    chip.title = raw;
    chip[RAW] = raw;
    return chip;
  };
  const add = (holder, nodes) => {
    for (const node of nodes) {
      const raw = inner.slice(node.start, node.end);
      if (node.type === "text") holder.append(...words(raw, document));
      else if (node.type === "comment") holder.append(label("…", raw, "quiet"));
      else if (node.type === "jinja") holder.append(label(named(node), raw, node.kind));
      else if (node.type === "group") {
        holder.append(label(named({ kind: "block", inner: `${node.tag} ${node.condition}`, raw }), inner.slice(node.start, node.inner), "block"));
        add(holder, node.children);
        holder.append(label("◂", inner.slice(node.innerEnd, node.end), "block"));
      } else if (!SHOWN.has(node.name.toLowerCase())) holder.append(label(`<${node.name}>`, raw, "quiet"));
      else {
        const made = document.createElement(node.name.toLowerCase());
        made[KEPT] = [inner.slice(node.start, node.inner), inner.slice(node.innerEnd, node.end), node.name.toLowerCase()];
        dress(made, node, inner);
        add(made, node.children);
        holder.append(made);
      }
    }
  };
  host.replaceChildren();
  add(host, root.children);
}

/** Blanks that do not break are pieces of their own: those that browsers put in while somebody types are plain blanks. */
function words(raw, document) {
  return raw.split(/(&nbsp;|&#160;|&#xa0;|\u00a0)/i).map((part, n) => {
    if (n % 2 === 0) return document.createTextNode(unescaped(part));
    const blank = document.createElement("span");
    blank.contentEditable = "false";
    blank.textContent = "\u00a0";
    blank[RAW] = part;
    return blank;
  });
}

/** Only what shows: the styles of the element, and where a link leads. */
function dress(made, node, inner) {
  const value = (name) => {
    const one = node.attributes.get(name);
    return one ? unescaped(inner.slice(one.valueStart, one.valueEnd)) : "";
  };
  const style = value("style");
  if (style && !/url\s*\(|expression|position|\{\{/i.test(style)) made.style.cssText = style; // by the object model: a strict policy forbids the attribute
  if (made.tagName === "A") {
    made.dataset.href = value("href");
    made.title = made.dataset.href;
  }
  if (made.tagName === "FONT" && value("color")) made.style.color = value("color");
}

const escapedText = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\u00a0/g, " ");
const escapedValue = (text) => text.replace(/&(?!#?\w+;)/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

/** The text that an element holds now. */
export function read(host) {
  let made = "";
  for (const node of host.childNodes) made += written(node);
  return made;
}

function written(node) {
  if (node.nodeType === Node.TEXT_NODE) return braced(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  if (node[RAW] !== undefined) return node[RAW];
  const tag = node.tagName.toLowerCase();
  const kept = node[KEPT];
  if (kept && kept[2] === tag && !(tag === "a" && node.dataset.changed)) return tag === "br" ? kept[0] : kept[0] + read(node) + kept[1];
  if (tag === "br") return "<br />";
  if (tag === "a") return node.dataset.href ? `<a href="${value(node.dataset.href)}">${read(node)}</a>` : read(node);
  if (tag === "strong" || tag === "b") return NEW.b.join(read(node));
  if (tag === "em" || tag === "i") return NEW.i.join(read(node));
  if (tag === "span" || tag === "font" || !SHOWN.has(tag)) return read(node); // what browsers add to keep a look
  return `<${tag}>${read(node)}</${tag}>`;
}

/** Braces that somebody types are Jinja, as in the source: nothing in them is an entity. */
function braced(text) {
  return text.split(/(\{\{[^{}]*\}\})/).map((part, n) => (n % 2 ? part : escapedText(part))).join("");
}

function value(text) {
  return text.split(/(\{\{[^{}]*\}\})/).map((part, n) => (n % 2 ? part : escapedValue(part))).join("");
}

/** Draws braces apart that open Jinja which never ends, so that what was typed stays, as text. */
export function apart(host) {
  const texts = host.ownerDocument.createTreeWalker(host, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const at = neverEnds(texts.currentNode.data);
    if (at >= 0) texts.currentNode.data = texts.currentNode.data.slice(0, at) + texts.currentNode.data.slice(at).replace(/\{(?=[{%#])/g, "{ ");
  }
}

function neverEnds(text) {
  try {
    jinjaIn(text);
    return -1;
  } catch (error) {
    return error.at;
  }
}

/** A label for a piece of Jinja that is put in now. */
export function chip(document, raw, text) {
  const made = document.createElement("span");
  made.className = "blk-chip expression";
  made.contentEditable = "false";
  made.textContent = text;
  made.title = raw;
  made[RAW] = raw;
  return made;
}
