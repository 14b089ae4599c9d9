// What stands around the canvas: palette, menu of steps, search, shortcuts, toolbar.
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { called, isNote } from "./graph.js";
import { Icon } from "./shapes.jsx";
import { useCanvas } from "./store.js";

const DRAG_FROM_PX = 5;

/** The kinds in which every word is found; those first whose own name has what was typed. */
function fitting(kinds, text) {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/).filter(Boolean);
  const named = (kind) => kind.label.toLowerCase().includes(wanted);
  const found = kinds.filter((kind) => words.every((word) => kind.words.includes(word)));
  return [...found.filter(named), ...found.filter((kind) => !named(kind))];
}

export function Palette({ kinds, groups }) {
  const { t } = useCanvas();
  const [text, setText] = useState("");
  const found = fitting(kinds, text);
  return (
    <nav className="pfb-palette" aria-label={t("Steps to add")}>
      <input type="search" value={text} onChange={(event) => setText(event.target.value)} placeholder={t("Search steps")} aria-label={t("Search steps")} />
      {groups.map(([group, title]) => {
        const inside = found.filter((kind) => kind.group === group);
        return inside.length > 0 && (
          <section key={group}>
            <h3>{title}</h3>
            {inside.map((kind) => <Offer key={kind.id} kind={kind} />)}
          </section>
        );
      })}
      {!found.length && <p className="quiet">{t("No matching steps.")}</p>}
    </nav>
  );
}

/** Dragged by the pointer with a ghost of our own; a click or Enter adds it without a place. */
function Offer({ kind }) {
  const { act } = useCanvas();
  const [ghost, setGhost] = useState(null);
  const start = useRef(null);
  const dragged = useRef(false);
  function move(event) {
    const from = start.current;
    if (!from || (!ghost && Math.hypot(event.clientX - from.x, event.clientY - from.y) < DRAG_FROM_PX)) return;
    dragged.current = true;
    setGhost({ x: event.clientX, y: event.clientY });
    act.hover(act.under(event.clientX, event.clientY)?.edge ?? null);
  }
  function drop(event) {
    start.current = null;
    if (!ghost) return;
    setGhost(null);
    act.hover(null);
    const at = act.under(event.clientX, event.clientY);
    if (at) act.add(kind, at);
  }
  return (
    <>
      <button
        type="button"
        className="pfb-offer"
        title={kind.text}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = { x: event.clientX, y: event.clientY };
          dragged.current = false;
        }}
        onPointerMove={move}
        onPointerUp={drop}
        onPointerCancel={() => { start.current = null; setGhost(null); act.hover(null); }}
        onClick={() => { if (!dragged.current) act.append(kind); dragged.current = false; }}
      >
        <span className={`pfb-card-icon pfb-g-${kind.group}`}><Icon name={kind.view.icon} /></span>{kind.label}
      </button>
      {ghost && <div className="pfb-ghost" style={{ left: ghost.x + 8, top: ghost.y + 8 }}>{kind.label}</div>}
    </>
  );
}

/** The "+" menu: type to search, arrows to choose, Enter to add. */
export function AddMenu({ at, x, y, kinds, groups, onClose }) {
  const { t, act } = useCanvas();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const listId = useId();
  const list = useRef(null);
  const back = useRef(document.activeElement);
  const found = useMemo(() => fitting(groups.flatMap(([group]) => kinds.filter((kind) => kind.group === group)), text), [kinds, groups, text]);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  function close() {
    onClose();
    back.current?.focus?.();
  }
  function press(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) { event.preventDefault(); setChosen((chosen + moves[event.key] + found.length) % Math.max(1, found.length)); }
    if (event.key === "Enter" && found[chosen]) { event.preventDefault(); act.add(found[chosen], at); }
    if (event.key === "Escape") { event.stopPropagation(); close(); }
  }
  return (
    <div className="pfb-menu" style={{ left: x, top: y }} role="dialog" aria-label={t("Add a step")}
      onBlur={(event) => { if (!event.currentTarget.contains(event.relatedTarget)) onClose(); }}>
      <input
        type="search" autoFocus value={text} placeholder={t("Search steps")} aria-label={t("Search steps")} role="combobox" aria-expanded="true"
        aria-controls={listId} aria-activedescendant={found[chosen] ? `${listId}-${chosen}` : undefined}
        onChange={(event) => { setText(event.target.value); setChosen(0); }} onKeyDown={press}
      />
      <div className="pfb-options" role="listbox" id={listId} ref={list} aria-label={t("Steps to add")}>
        {found.map((kind, place) => (
          <div
            key={kind.id} id={`${listId}-${place}`} role="option" aria-selected={place === chosen} className="pfb-option"
            onPointerEnter={() => setChosen(place)} onMouseDown={(event) => event.preventDefault()} onClick={() => act.add(kind, at)}
          >
            <span className={`pfb-card-icon pfb-g-${kind.group}`}><Icon name={kind.view.icon} /></span>
            <span><b>{kind.label}</b><small>{kind.text}</small></span>
          </div>
        ))}
        {!found.length && <p className="quiet">{t("No matching steps.")}</p>}
      </div>
    </div>
  );
}

function matching(nodes, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const said = (node) => isNote(node) ? node.data.text : `${node.id} ${called(node.data.view)} ${node.data.view.label} ${node.data.view.summary} ${JSON.stringify(node.data.raw)}`;
  return nodes.filter((node) => said(node).toLowerCase().includes(wanted));
}

export function Find({ onGo, onLead, onClose }) {
  const { t, model } = useCanvas();
  const back = useRef(document.activeElement);
  const [text, setText] = useState("");
  const [place, setPlace] = useState(-1);
  const typed = useRef(false); // what was found by typing is shown already: Enter stays there
  const found = useMemo(() => matching(model.nodes, text), [text, model.nodes]);
  function type(event) {
    const first = matching(model.nodes, event.target.value)[0];
    setText(event.target.value);
    setPlace(first ? 0 : -1);
    typed.current = !!first;
    if (first) onGo(first.id);
  }
  function go(step) {
    if (!found.length) return;
    const next = (place + (typed.current ? 0 : step) + found.length) % found.length;
    typed.current = false;
    setPlace(next);
    onGo(found[next].id);
  }
  /** The focus goes to what was found, else back to where it was. */
  function close() {
    onClose();
    if (found[place]) onLead(found[place].id);
    else back.current?.focus?.();
  }
  return (
    <div className="pfb-find" role="search">
      <input
        type="search" autoFocus value={text} placeholder={t("Find in the journey")} aria-label={t("Find in the journey")}
        onChange={type}
        onKeyDown={(event) => {
          if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") close();
        }}
      />
      <span className="quiet" role="status">{text.trim() && (found.length ? `${Math.max(0, place) + 1} / ${found.length}` : t("Nothing found"))}</span>
      <button type="button" onClick={() => { typed.current = false; go(1); }} aria-label={t("Next match")}>↓</button>
      <button type="button" onClick={close} aria-label={t("Close")}>×</button>
    </div>
  );
}

const KEYS = [
  ["Ctrl Z", "Undo"], ["Ctrl Shift Z / Ctrl Y", "Redo"], ["Ctrl C / X / V", "Copy, cut, paste, also into another journey"],
  ["Ctrl D", "Duplicate"], ["Ctrl A", "Select all"], ["Del", "Delete"], ["Ctrl F", "Find in the journey"], ["Ctrl S", "Save now"], ["Ctrl Enter", "Review and publish"], ["F", "Fit everything in"], ["N", "Add a note"], ["D", "Show or hide days"],
  ["Tab", "Go from step to step"], ["Enter", "Choose the step and show its form"], ["Enter, Enter", "Go into the form of the step"], ["Esc", "Back from the form to the step"], ["← ↑ → ↓", "Move the chosen steps"], ["Shift", "Draw a frame to choose many"], ["?", "This list"],
];

/** Keys as they are written on the keyboards of the reader's language. */
const named = (keys, t) => keys.replaceAll("Ctrl", t("Ctrl")).replace("Shift", t("Shift")).replace("Del", t("Del"));

export function Shortcuts({ onClose }) {
  const { t } = useCanvas();
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return (
    <dialog className="pfb-dialog" ref={dialog} onClose={onClose} aria-label={t("Keyboard shortcuts")}>
      <h2>{t("Keyboard shortcuts")}</h2>
      <dl className="pfb-keys">{KEYS.map(([keys, text]) => <div key={keys}><dt><kbd>{named(keys, t)}</kbd></dt><dd>{t(text)}</dd></div>)}</dl>
      <button type="button" className="button main" autoFocus onClick={() => dialog.current.close()}>{t("Close")}</button>
    </dialog>
  );
}

export function Toolbar({ canUndo, canRedo }) {
  const { t, act, editable, days } = useCanvas();
  return (
    <div className="pfb-toolbar" role="toolbar" aria-label={t("Editing")}>
      {editable && <button type="button" disabled={!canUndo} onClick={act.undo} title={`${t("Undo")} (${named("Ctrl Z", t)})`}>↶ {t("Undo")}</button>}
      {editable && <button type="button" disabled={!canRedo} onClick={act.redo} title={`${t("Redo")} (${named("Ctrl Y", t)})`}>↷ {t("Redo")}</button>}
      {editable && <button type="button" onClick={act.note} title={`${t("Add a note")} (N)`}><Icon name="pencil" />{t("Note")}</button>}
      <button type="button" onClick={act.days} aria-pressed={days} title={`${t("Show or hide days")} (D)`}><Icon name="clock" />{t("Days")}</button>
      <button type="button" onClick={act.find} title={`${t("Find")} (${named("Ctrl F", t)})`}><Icon name="search" />{t("Find")}</button>
      <button type="button" onClick={act.keys} aria-label={t("Keyboard shortcuts")} title={`${t("Keyboard shortcuts")} (?)`}>?</button>
    </div>
  );
}
