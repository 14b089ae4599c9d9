// A text that is typed where it stands in the mail, with a small bar for what it looks like.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { Icon, ICONS } from "./icons.jsx";
import { Picker, named } from "./picker.jsx";
import { setInner } from "./edit.js";
import { apart, chip, fill, isRich, read } from "./rich.js";

export function Writing({ api, node, inner, editing, line, label }) {
  const { store, t, titles } = api;
  const host = useRef(null);
  const mine = useRef(null); // what this element says, so that it is not drawn anew under the fingers
  const [bar, setBar] = useState(null);

  useLayoutEffect(() => {
    if (mine.current === inner) return;
    fill(host.current, inner, (one) => named(one, titles, t));
    mine.current = inner;
  }, [inner, titles, t]);
  useEffect(() => {
    if (!editing) return;
    host.current.focus({ preventScroll: true });
    const selection = window.getSelection();
    if (!host.current.contains(selection.anchorNode)) selection.selectAllChildren(host.current);
    setBar(host.current.closest("[data-index]")?.querySelector(":scope > .blk-bar") ?? null);
  }, [editing]);

  /** What is half written (`{{ contact.`) is told once it is whole, or when it is left. */
  const told = (left = false) => {
    const text = read(host.current);
    if (text === mine.current || (!left && !isRich(text))) return;
    const before = mine.current;
    mine.current = text;
    const now = store.node();
    if (now && !store.edit(setInner(store.source, now, text), `${now.start}/text`)) mine.current = before;
    store.editing = store.selected;
  };
  const leave = () => {
    if (editing) {
      apart(host.current);
      told(true);
    }
    api.flush();
  };
  const act = (command, value) => {
    host.current.focus();
    document.execCommand("styleWithCSS", false, false);
    document.execCommand(command, false, value);
    told();
  };
  const put = (raw, path) => {
    host.current.focus();
    const selection = window.getSelection();
    if (!selection.rangeCount || !host.current.contains(selection.anchorNode)) {
      selection.selectAllChildren(host.current);
      selection.collapseToEnd();
    }
    const range = selection.getRangeAt(0);
    range.deleteContents();
    const made = chip(document, raw, titles.get(path) ?? path);
    range.insertNode(made);
    range.setStartAfter(made);
    range.collapse(true);
    selection.removeAllRanges();
    selection.addRange(range);
    told();
  };
  useEffect(() => {
    if (!editing) return undefined;
    api.writing = { put };
    return () => { api.writing = null; };
  });
  const keys = (event) => {
    const mod = event.ctrlKey || event.metaKey;
    if (event.key === "Escape") {
      event.stopPropagation();
      event.preventDefault();
      store.select(store.selected);
      host.current.closest("[data-index]")?.focus({ preventScroll: true });
    } else if (event.key === "Enter" && !mod) {
      if (line) event.preventDefault();
      else if (!window.getSelection().anchorNode?.parentElement?.closest("li, p")) {
        event.preventDefault();
        act("insertLineBreak");
      }
    } else if (mod && ["b", "i"].includes(event.key.toLowerCase())) {
      event.preventDefault();
      act(event.key.toLowerCase() === "b" ? "bold" : "italic");
    } else if (!(mod && ["s", "z", "y"].includes(event.key.toLowerCase()))) event.stopPropagation();
  };
  const pasted = (event) => {
    event.preventDefault();
    const text = event.clipboardData.getData("text/plain");
    if (line) document.execCommand("insertText", false, text.replace(/\s+/g, " "));
    else document.execCommand("insertText", false, text);
    told();
  };
  const before = (event) => {
    if (event.nativeEvent.inputType?.startsWith("history")) event.preventDefault(); // the editor's own undo knows more than the browser's
  };

  return (
    <>
      <div
        ref={host} className="blk-write" contentEditable={editing} suppressContentEditableWarning role="textbox" aria-multiline={!line} aria-readonly={!editing} aria-label={label}
        tabIndex={editing ? 0 : -1} spellCheck={editing} onInput={() => told()} onKeyDown={editing ? keys : undefined} onPaste={pasted} onBeforeInput={before} onDrop={(event) => event.preventDefault()}
        onBlur={leave}
      />
      {editing && bar ? createPortal(<Bar {...{ api, act, put, host, told, line }} />, bar) : null}
    </>
  );
}

function Bar({ api, act, put, host, told, line }) {
  const { t } = api;
  const [open, setOpen] = useState("");
  const [address, setAddress] = useState("");
  const range = useRef(null);
  const hold = () => {
    const selection = window.getSelection();
    if (selection.rangeCount && host.current.contains(selection.anchorNode)) range.current = selection.getRangeAt(0).cloneRange();
  };
  const giveBack = () => {
    if (!range.current) return;
    host.current.focus();
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range.current);
  };
  const linkHere = () => {
    const at = window.getSelection().anchorNode;
    return (at?.nodeType === Node.ELEMENT_NODE ? at : at?.parentElement)?.closest("a");
  };
  const toggle = (what) => {
    hold();
    if (what === "link") setAddress(linkHere()?.dataset.href ?? "https://");
    setOpen(open === what ? "" : what);
  };
  const link = () => {
    giveBack();
    const old = linkHere();
    if (old) {
      old.dataset.href = address;
      old.dataset.changed = "1";
      told();
    } else if (address.trim()) {
      if (window.getSelection().isCollapsed) act("insertText", address);
      document.execCommand("createLink", false, "#pfadwerk-new");
      for (const one of host.current.querySelectorAll('a[href="#pfadwerk-new"]')) {
        one.removeAttribute("href");
        one.dataset.href = address.trim();
      }
      told();
    }
    setOpen("");
  };
  const unlink = () => {
    giveBack();
    const old = linkHere();
    if (old) {
      old.replaceWith(...old.childNodes);
      told();
    } else act("unlink");
    setOpen("");
  };
  const button = (title, content, run, more = {}) => (
    <button type="button" className="blk-act" title={title} aria-label={title} onPointerDown={(event) => event.preventDefault()} onClick={run} {...more}>{content}</button>
  );
  return (
    <div className="blk-format" role="toolbar" aria-label={t("Look of the text")} onKeyDown={(event) => event.stopPropagation()}>
      {button(t("Bold"), <b>B</b>, () => act("bold"))}
      {button(t("Italic"), <i>I</i>, () => act("italic"))}
      {line ? null : button(t("Bullet list"), <Icon path={ICONS.list} />, () => act("insertUnorderedList"))}
      {line ? null : button(t("Numbered list"), <Icon path={ICONS.numbers} />, () => act("insertOrderedList"))}
      {line ? null : button(t("Link"), <Icon path={ICONS.link} />, () => toggle("link"), { "aria-expanded": open === "link" })}
      {button(t("Clear formatting"), <Icon path={ICONS.plain} />, () => act("removeFormat"))}
      {button(t("Personalise"), <Icon path={ICONS.person} />, () => toggle("value"), { "aria-expanded": open === "value" })}
      {open === "link" ? (
        <div className="blk-picker" role="group" aria-label={t("Link")}>
          <label>{t("Leads to")}
            <input autoFocus type="text" value={address} maxLength={2000} spellCheck={false} onChange={({ target }) => setAddress(target.value)} onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); link(); } if (event.key === "Escape") { setOpen(""); giveBack(); } }} />
          </label>
          <div className="blk-choice wide">
            {[["{{ unsubscribe_url }}", t("Unsubscribe")], ["{{ preferences_url }}", t("Choose what you receive")], ["{{ view_url }}", t("View in the browser")]].map(([raw, name]) => <button key={raw} type="button" onClick={() => setAddress(raw)}>{name}</button>)}
          </div>
          <button type="button" className="button main" onClick={link}>{t("Set the link")}</button>
          <button type="button" className="button" onClick={unlink}>{t("Remove the link")}</button>
        </div>
      ) : null}
      {open === "value" ? <Picker api={api} put={(raw, path) => { giveBack(); put(raw, path); }} close={() => { setOpen(""); giveBack(); }} /> : null}
    </div>
  );
}
