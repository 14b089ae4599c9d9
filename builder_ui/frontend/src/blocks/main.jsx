// What the template page loads when somebody opens a mail as blocks: one function that takes a place on the page.
import { createRoot } from "react-dom/client";
import { Editor, askRule, include, keepBlock, rule } from "./editor.jsx";
import { Store } from "./store.js";
import { wayTo } from "./tree.js";

/** `given`: {source, past, editable, rules (condition -> {said, holds}), texts (JSON: words, own, groups, partials, pictures, brand), changed, flush, save, send}. */
export function mount(node, given) {
  const store = new Store(given.source, given.past, given.changed);
  const api = { store, writing: null, asked: null, ruling: null, awaited: null, flush: given.flush, save: given.save, send: given.send };
  api.keepBlock = (one) => keepBlock(api, one);
  api.askRule = (one) => askRule(api, one);
  api.rules = given.rules;
  api.holderAt = (start) => (start === 0 && store.body().type === "root" ? store.tree : wayTo(store.tree, start).at(-1));
  const read = ({ texts, editable }) => {
    const { words, own, groups, partials, pictures, brand } = JSON.parse(texts);
    api.t = (text, values = {}) => (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
    Object.assign(api, { own, groups, partials, pictures, brand, editable, titles: new Map(groups.flatMap(([, entries]) => entries)) });
  };
  read(given);
  const root = createRoot(node);
  const paint = () => root.render(<Editor api={api} words={api.t} />);
  paint();
  return {
    take: (source) => store.take(source),
    update: (next) => { read(next); paint(); store.tell(); },
    insert: (text) => (api.writing ? api.writing.put(text, text.match(/coupon\("[^"]*"\)|[\w.]+/)?.[0] ?? text) : store.add(text.trim(), /^(\{%[^%]*%\}\s*)?<mj-(section|hero|wrapper)/.test(text.trim()) ? "row" : "block", ...store.placeFor("block"), "")),
    jump: (line, column) => {
      const at = store.source.split("\n").slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
      const way = store.tree ? innermost(store.tree, at) : [];
      const found = way.filter(({ type, name }) => type === "group" || /^mj-(?!head|body|attributes|all)/.test(name ?? "")).at(-1);
      if (found) store.select(found.start);
    },
    include: (key, name, level) => include(api, key, name, level),
    rule: (condition) => rule(api, condition),
    rules: (rules) => { api.rules = rules; store.tell(); },
    destroy: () => { api.awaited?.disconnect(); root.unmount(); },
  };
}

function innermost(node, at) {
  const inside = node.children?.find((one) => one.start <= at && at < one.end);
  return inside ? [inside, ...innermost(inside, at)] : [];
}
