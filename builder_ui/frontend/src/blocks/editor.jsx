// The block editor: what can be put in or what is set on the left, the mail on the right.
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Canvas } from "./canvas.jsx";
import { follow } from "./drag.js";
import { replace, setCondition, wrap } from "./edit.js";
import { Icon, ICONS } from "./icons.jsx";
import { PALETTE, defaultsIn, titleOf } from "./kinds.js";
import { Panel } from "./panel.jsx";
import { attribute } from "./tree.js";

export function Editor({ api }) {
  const { store, t } = api;
  const state = useSyncExternalStore(store.subscribe, store.snapshot);
  const canvas = useRef(null);
  const side = useRef(null);
  const [adding, setAdding] = useState(false);
  const defaults = useMemo(() => (state.tree ? defaultsIn(state.tree, (one, name) => attribute(one, name, state.source)) : null), [state.tree, state.source]);
  api.canvas = canvas;
  api.toPanel = () => setTimeout(() => side.current?.querySelector(".blk-settings input, .blk-settings select, .blk-settings button, textarea")?.focus());
  useEffect(() => { setAdding(false); }, [state.selected]);

  const keys = (event) => {
    const mod = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (mod && key === "s") { event.preventDefault(); api.save(); }
    else if (mod && (key === "y" || (key === "z" && event.shiftKey))) { event.preventDefault(); store.redo(t("Redone.")); }
    else if (mod && key === "z" && !event.target.closest(".blk-side textarea")) { event.preventDefault(); store.undo(t("Undone.")); }
    else if (event.key === "Escape" && state.selected >= 0) {
      const above = store.way().filter(({ name }) => name !== "mjml" && name !== "mj-body").at(-2);
      store.select(above ? above.start : -1);
    }
  };
  if (!state.tree || !store.body() || store.body().torn) {
    const line = state.wrong >= 0 ? state.source.slice(0, state.wrong).split("\n").length : 0;
    return (
      <div className="blk blk-cannot">
        <p><Icon path={ICONS.code} />{line ? t("The source does not fit together in line {line}, so it cannot be shown as blocks. Mend it in the source; nothing is lost.", { line }) : t("This source cannot be shown as blocks. It can be edited as source; nothing is lost.")}</p>
        {state.undo && api.editable ? <button type="button" className="button" onClick={() => store.undo(t("Undone."))}>{t("Undo")}</button> : null}
      </div>
    );
  }
  const chosen = state.selected >= 0 && store.way().length > 0;
  return (
    <div className="blk" onKeyDown={keys}>
      <div className="blk-side" ref={side}>
        {(chosen && !adding) || !api.editable ? <Panel api={api} state={state} defaults={defaults} back={() => setAdding(true)} /> : <Palette api={api} state={state} defaults={defaults} />}
      </div>
      <div className="blk-stage">
        <div className="blk-top">
          <button type="button" className="blk-act" disabled={!state.undo || !api.editable} title={t("Undo")} aria-label={t("Undo")} onClick={() => store.undo(t("Undone."))}><Icon path={ICONS.undo} /></button>
          <button type="button" className="blk-act" disabled={!state.redo || !api.editable} title={t("Redo")} aria-label={t("Redo")} onClick={() => store.redo(t("Redone."))}><Icon path={ICONS.redo} /></button>
          <span className="blk-said" role="status">{state.said}</span>
        </div>
        <p className="blk-narrow">{t("This window is narrow: texts and settings can be changed here; to arrange blocks, use a wider one.")}</p>
        <Canvas api={api} state={state} defaults={defaults} canvas={canvas} />
      </div>
    </div>
  );
}

function Palette({ api, state, defaults }) {
  const { store, t, own, partials, canvas } = api;
  const put = (text, level, name) => store.add(text, level, ...store.placeFor(level), t("{name} added", { name }));
  const press = (event, text, level, name) => follow(event, canvas.current, level, (start, index) => {
    const holder = api.holderAt(start);
    if (holder) store.add(text, level, holder, index, t("{name} added", { name }));
  });
  const entry = (key, title, icon, level, text) => (
    <button key={key} type="button" className="blk-new" data-kind={key} onPointerDown={(event) => press(event, text, level, title)} onClick={() => put(text, level, title)}>
      <Icon path={icon} /><span>{title}</span>
    </button>
  );
  const group = (title, entries) => (
    <section><h2>{title}</h2><div className="blk-palette">{entries}</div></section>
  );
  const made = (level) => PALETTE.filter((one) => one[3] === level).map(([key, title, icon, , write]) => entry(key, t(title), icon, level, write({ own })));
  return (
    <div className="blk-add">
      {group(t("Content"), made("block"))}
      {group(t("Rows"), made("row"))}
      {group(t("Saved blocks"), partials.length
        ? partials.map(([key, name, level]) => entry(`partial:${key}`, name, ICONS.save, level, `<mj-include path="partial:${key}" />`))
        : <p className="quiet">{t("None yet. Choose a block and press “Save as a block”.")}</p>)}
      {chosenNothing(state) ? <Panel api={api} state={state} defaults={defaults} back={null} /> : null}
    </div>
  );
}

const chosenNothing = ({ selected }) => selected < 0;

/** Asks what a saved block is to be called, then hands it to the server, which answers with its key. */
export function keepBlock(api, node) {
  const text = api.store.source.slice(node.start, node.end);
  api.asked = { text };
  const dialog = document.createElement("dialog");
  dialog.className = "blk-dialog";
  const form = document.createElement("form");
  form.method = "dialog";
  const label = document.createElement("label");
  label.textContent = api.t("Name of the saved block");
  const input = document.createElement("input");
  Object.assign(input, { required: true, maxLength: 100, type: "text", value: titleOf(node, api.t) });
  label.append(input);
  const note = document.createElement("p");
  note.textContent = api.t("Other mails can use it; when it is changed, all of them change with it.");
  const buttons = document.createElement("div");
  const button = (words, value, look) => Object.assign(document.createElement("button"), { textContent: words, value, className: look });
  const cancel = button(api.t("Cancel"), "", "button");
  cancel.formNoValidate = true;
  buttons.append(cancel, button(api.t("Save the block"), "yes", "button main"));
  form.append(label, note, buttons);
  dialog.append(form);
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue === "yes" && input.value.trim()) api.send({ type: "block", name: input.value.trim(), text });
  });
  document.querySelector(".tpl").append(dialog);
  dialog.showModal();
  input.select();
}

/** The server kept a block: what was it stands in the mail as a reference now. */
export function include(api, key, name, level) {
  const { store, t } = api;
  const text = api.asked?.text;
  api.asked = null;
  if (!api.partials.some(([one]) => one === key)) api.partials = [...api.partials, [key, name, level]];
  const node = [...nodes(store.tree)].find((one) => store.source.slice(one.start, one.end) === text);
  if (node) store.edit(replace(store.source, node, `<mj-include path="partial:${key}" />`), "", t("Saved as “{name}”", { name }));
  else store.tell();
}

/** Has the server's rule editor ask by which rule a block, or a condition around some, is shown. */
export function askRule(api, node) {
  api.ruling = { start: node.start, text: api.store.source.slice(node.start, node.end) };
  api.awaited?.disconnect();
  api.awaited = new MutationObserver(() => openDialog(api));
  api.awaited.observe(document.querySelector(".tpl"), { childList: true });
  api.send({ type: "rule", condition: node.type === "group" ? node.condition : "" });
}

/** The server draws the rule editor; what a modal dialog does (focus, Esc, nothing behind it) is the browser's. */
function openDialog(api) {
  const dialog = document.querySelector("dialog.tpl-rule");
  if (!dialog) return;
  api.awaited.disconnect();
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    dialog.querySelector(".cancel").click();
  });
  if (!dialog.open) dialog.showModal();
}

/** What came of it: the condition stands around the block that asked. */
export function rule(api, condition) {
  const { store, t, ruling } = api;
  api.ruling = null;
  const asked = store.tree && ruling ? [...nodes(store.tree)].filter((one) => store.source.slice(one.start, one.end) === ruling.text) : [];
  const node = asked.find(({ start }) => start === ruling.start) ?? asked[0];
  if (!node) {
    store.said = t("The block is not there any more.");
    store.tell();
    return;
  }
  const next = node.type === "group" ? setCondition(store.source, node, condition) : wrap(store.source, node, `{% if ${condition} %}`, "{% endif %}");
  if (next) store.edit(next, "", t("Shown only if a condition holds"));
}

function* nodes(node) {
  for (const child of node.children ?? []) {
    yield child;
    yield* nodes(child);
  }
}
