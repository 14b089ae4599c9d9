// The canvas: React Flow over the model, with palette, menu, search, shortcuts and toolbar. The server hears of changes, never of clicks.
import {
  Background, ControlButton, Controls, MiniMap, ReactFlow, ReactFlowProvider, applyEdgeChanges, applyNodeChanges, useReactFlow, useStore,
} from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { traced } from "./courses.js";
import { ENTRY, edgeId, isNote, movedTo, outletsOf } from "./graph.js";
import { keeping } from "./keeping.js";
import { MAX_NOTES, Model } from "./model.js";
import { AddMenu, Find, Palette, Shortcuts, Toolbar } from "./parts.jsx";
import { download } from "./picture.js";
import { Entry, Note, Step, Way, naming } from "./shapes.jsx";
import { CanvasContext, channel, lights, pinboard, shelf, useModel } from "./store.js";
import { post } from "./wire.js";

export const NODE_TYPES = { step: Step, entry: Entry, note: Note };
export const EDGE_TYPES = { way: Way };
const MINIMAP_FROM = 15;
const MINIMAP = { width: 150, height: 110 };
const MANY_KEYS = ["Shift", "Control", "Meta"];
const MANY = 80;
const FAR = 0.25; // from so far nothing small can be read or hit: it is not painted
const isFar = (flow) => flow.transform[2] < FAR;
export const READABLE = 0.72;
const TOP = 84; // beneath the toolbar, which has two rows on a phone
export const FIT = { maxZoom: 1, padding: 0.15, duration: 200 };
export const FIT_AT_ONCE = { maxZoom: 1, padding: 0.12 };

export function Canvas(props) {
  return (
    <ReactFlowProvider>
      <Board {...props} />
    </ReactFlowProvider>
  );
}

/** Draws nothing: carries the server's small news to the canvas of the same id. */
export function Bridge({ id, feed }) {
  useEffect(() => {
    const news = JSON.parse(feed);
    channel(id).give(news);
    keeping(id).hear({ pong: news.pong, all: news.saved.all });
  }, [id, feed]);
  return null;
}

/** Presses the page's own button, from wherever somebody is; what it opens comes next to it. */
function publish() {
  const button = document.getElementById("pfb-publish");
  button?.focus();
  button?.click();
}

function cardOf(host, id) {
  return host?.querySelector(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
}

let watch = null;
let presses = 0; // what was pressed may be gone by now, and leaves the focus nowhere: only this tells that somebody went on
document.addEventListener("pointerdown", () => { presses += 1; }, true);

/** Looks now and whenever the panel was drawn anew, until it is done; what was looked for before is given up. A slow line takes its time. */
function lookUntil(done) {
  watch?.disconnect();
  if (done()) return;
  watch = new MutationObserver((_, own) => { if (done()) own.disconnect(); });
  watch.observe(document.querySelector(".pfb-side") ?? document.body, { childList: true, subtree: true });
}

function partsOf(id) {
  return [...document.querySelectorAll(`.pfb-panel [data-step="${CSS.escape(id)}"]`)];
}

/** Into the form of a step, as soon as the server has sent it (what follows the step comes before it); whoever goes elsewhere meanwhile stays there. */
function enter(id) {
  const from = document.activeElement;
  lookUntil(() => {
    if (document.activeElement !== from) return true;
    const form = partsOf(id).some((part) => part.classList.contains("pfb-step"));
    const field = form && partsOf(id).flatMap((part) => [...part.querySelectorAll("input, select, textarea, button, summary")]).find((one) => !one.disabled);
    if (field) field.focus();
    return !!field;
  });
}

/** A form that is drawn anew takes the pressed button away: the focus goes to the field that came in, else to the button in its place. */
function tend({ target }) {
  const pressed = target instanceof Element && target.closest(".pfb-panel [data-step] button");
  if (!pressed || pressed.hasAttribute("aria-expanded")) return; // a chapter that opens keeps the focus
  const id = pressed.closest("[data-step]").dataset.step;
  const fields = () => partsOf(id).flatMap((part) => [...part.querySelectorAll(":is(input, select, textarea)[id]")]);
  const called = (button) => button.getAttribute("aria-label") ?? button.textContent;
  const known = new Set(fields().map((field) => field.id));
  lookUntil(() => {
    if (![document.body, pressed].includes(document.activeElement)) return true;
    const added = fields().filter((field) => !known.has(field.id));
    const fresh = added.find((field) => field.matches(".pfb-term input")) ?? added.find((field) => field.closest(".pfb-term")) ?? added[0]; // what is asked comes before how
    if (fresh) fresh.focus();
    else if (!pressed.isConnected) partsOf(id).flatMap((part) => [...part.querySelectorAll("button")]).find((one) => called(one) === called(pressed))?.focus();
    return !!fresh || !pressed.isConnected;
  });
}

function inText(target) {
  return target instanceof Element && !!target.closest("input, textarea, select, [contenteditable]");
}

const models = new Map();

/** The drawing outlives the component: should React ever have to begin anew, nothing drawn is lost. */
function kept(id, initial) {
  if (!models.has(id)) {
    const made = new Model(() => {});
    made.load(JSON.parse(initial));
    models.set(id, made);
  }
  return models.get(id);
}

export function translator(texts) {
  return (text, values) => {
    const said = texts[text] ?? text;
    return values ? said.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : said;
  };
}

/** Numbers as people of the page's language write them; `short` from ten thousand on, `percent` for shares. */
export function speaker() {
  const language = document.documentElement.lang || "en";
  const plain = new Intl.NumberFormat(language);
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(language, { style: "percent" });
  return (count, how) => (how === "percent" ? percent : how === "short" && count >= 10_000 ? short : plain).format(count);
}

const DAYS = "pfadwerk.days";

function Board({ id, journey, name, session, initial, palette: paletteText, texts: textsText, editable, onEvent }) {
  const handler = useRef(onEvent);
  handler.current = onEvent;
  const palette = useMemo(() => JSON.parse(paletteText), [paletteText]);
  const texts = useMemo(() => JSON.parse(textsText), [textsText]);
  const t = useMemo(() => translator(texts), [texts]);
  const number = useMemo(speaker, []);
  const [model] = useState(() => kept(id, initial));
  const [board] = useState(() => {
    const made = pinboard();
    made.set("hints", JSON.parse(initial).hints);
    return made;
  });
  const [days, setDays] = useState(() => localStorage.getItem(DAYS) !== "off");
  useEffect(() => {
    model.send = (message) => (editable || message.type === "seen") && post(handler.current, message);
  }, [model, editable]);
  useEffect(() => {
    model.sends = new Set(palette.kinds.filter((one) => one.sends).map((one) => one.kind));
    shelf.set(id, { model, kinds: palette.kinds });
  }, [id, model, palette]);
  const flow = useReactFlow();
  const far = useStore(isFar);
  const host = useRef(null);
  const [menu, setMenu] = useState(null);
  const [overlay, setOverlay] = useState(""); // "find" | "keys"
  const [over, setOver] = useState(null); // the edge under a dragged palette entry
  const [said, setSaid] = useState("");
  useModel(model);

  // Whether the server has stored everything that was done here or in the panel.
  useEffect(() => {
    const mark = () => {
      const kept = !model.dirty && model.saved.all;
      host.current.dataset.kept = String(kept);
      keeping(id).draw(!kept);
    };
    mark();
    model.onSaved = mark;
    return model.subscribe(mark);
  }, [model, id]);

  // Whoever comes back from another page may have made a template or a field there.
  useEffect(() => {
    const back = () => { if (!document.hidden) post(handler.current, { type: "back" }); };
    window.addEventListener("focus", back);
    document.addEventListener("visibilitychange", back);
    return () => { window.removeEventListener("focus", back); document.removeEventListener("visibilitychange", back); };
  }, []);

  // Who writes into a field is asked, should somebody else change it meanwhile; the server must know of it before the field is left.
  useEffect(() => {
    let writing = "";
    const say = (field) => {
      if (field === writing || !editable) return;
      writing = field;
      post(handler.current, { type: "writing", field });
    };
    const begin = ({ target }) => { if (target.id?.startsWith("pfb-") && target.closest(".pfb-side")) say(target.id); };
    const end = ({ target }) => setTimeout(() => { if (writing === target.id && document.activeElement?.id !== writing) say(""); }, 300);
    document.addEventListener("input", begin);
    document.addEventListener("focusout", end);
    return () => { document.removeEventListener("input", begin); document.removeEventListener("focusout", end); };
  }, [editable]);

  const tellSelection = useMemo(() => {
    let last = "";
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const ids = model.selectedSteps;
        if (ids.join() === last) return;
        last = ids.join();
        if (model.timer) model.flush(); // a step must be known before it can be chosen
        post(handler.current, { type: "select", ids });
      }, 20);
    };
  }, [model]);

  /** The first time the main column as large as it can be read, from the chosen step or the start on; once more everything, however small. */
  const fit = useCallback(() => {
    const box = host.current.querySelector(".pfb-flow").getBoundingClientRect();
    const readable = column(model, box);
    const { x, y, zoom } = flow.getViewport();
    const there = readable && Math.abs(readable.x - x) < 2 && Math.abs(readable.y - y) < 2 && Math.abs(readable.zoom - zoom) < 0.01;
    if (readable && !there) flow.setViewport(readable, { duration: FIT.duration });
    else flow.fitView(FIT);
  }, [flow, model]);

  const focus = useCallback((ids, animate = true) => {
    model.select(ids);
    tellSelection();
    const node = model.node(ids[0]);
    if (!node) return;
    const zoom = Math.max(flow.getZoom(), 0.7);
    flow.setCenter(node.position.x + node.width / 2, node.position.y + node.height / 2, { zoom, duration: animate ? 200 : 0 });
  }, [flow, model, tellSelection]);

  // What was written into a form while the connection was away waits for that form; with its step gone it has no place any more. Then what was
  // chosen before is chosen again.
  useEffect(() => {
    let before = null;
    let asked = "";
    const choose = (ids, chapter = "") => {
      model.select(ids);
      tellSelection();
      if (chapter) post(handler.current, { type: "select", ids: model.selectedSteps, chapter });
    };
    const want = ({ detail }) => {
      if (!detail.step) {
        if (before && model.selected.join() === asked) choose(before);
        before = null;
        return;
      }
      detail.gone = !model.node(detail.step);
      if (detail.gone) return;
      before ??= model.selected;
      asked = detail.step;
      choose([detail.step], detail.chapter);
    };
    window.addEventListener("pfadwerk:wanted", want);
    return () => window.removeEventListener("pfadwerk:wanted", want);
  }, [model, tellSelection]);

  /** Puts the focus on a card, or on what of it `part` selects, once it is drawn and as long as the person `stays`: Enter leads from a card into
   * its form. */
  const lead = useCallback((one, { part = "", stays = () => true, tries = 20 } = {}) => {
    if (!stays()) return;
    const card = cardOf(host.current, one);
    const target = part ? card?.querySelector(part) : card;
    if (target) target.focus({ preventScroll: true }); // the canvas itself brings it into view
    else if (tries) {
      if (tries === 20 && model.node(one)) focus([one], false); // far from what is seen it is not drawn
      setTimeout(() => lead(one, { part, stays, tries: tries - 1 }), 50);
    }
  }, [model, focus]);

  /** The same for a step or a note that has just been made or chosen, unless the person went on elsewhere meanwhile. What they had pressed is
   * mostly gone by then. */
  const follow = useCallback((one, part) => {
    const [before, turn] = [document.activeElement, presses];
    const stays = () => presses === turn && [document.body, before].includes(document.activeElement);
    setTimeout(() => lead(one, { part, stays }), 60);
  }, [lead]);

  // A session of another id is a server that knows nothing of this page: it gets everything.
  const present = useRef(model.session ?? session);
  useEffect(() => {
    model.session = session;
    if (present.current === session) return;
    const was = present.current;
    present.current = session;
    keeping(id).begin();
    board.count(null);
    if (editable) model.resync(was);
    else post(handler.current, { type: "select", ids: model.selectedSteps });
  }, [session, id, model, editable, board]);

  useEffect(() => channel(id).take((feed) => {
    if (feed.session !== present.current) return;
    model.saved = feed.saved;
    model.onSaved?.();
    board.set("problems", feed.problems);
    board.set("people", feed.people);
    model.salt = feed.salt;
    for (const patch of feed.patches) {
      if (patch.seq <= model.seen) continue;
      model.seen = patch.seq;
      if (patch.graph) {
        model.load(patch.graph);
        board.set("hints", patch.graph.hints);
        setTimeout(fit);
      }
      if (patch.nodes || patch.edges || patch.cut || patch.gone || patch.notes || patch.torn) model.apply(patch);
      if (patch.join) {
        model.join(patch.join);
        tellSelection();
      }
      if (patch.said) setSaid(patch.said);
      if (patch.counts !== undefined) {
        board.count(patch.counts);
        host.current.dataset.counting = String(patch.counts !== null);
      }
      if (patch.hints) board.set("hints", patch.hints);
      if (patch.select) {
        focus(patch.select);
        if (patch.select.length) follow(patch.select[0]);
      }
      if (patch.run) ({ undo: model.undo, redo: model.redo, tidy: model.tidy, forget })[patch.run]?.();
    }
    model.acknowledge(feed.patches.length > 0);
  }), [id, model, fit, focus, follow, tellSelection, board]);

  const act = useMemo(() => ({
    undo: () => { if (!model.undo()) setSaid(t("There is nothing to undo.")); tellSelection(); },
    redo: () => { if (!model.redo()) setSaid(t("There is nothing to redo.")); tellSelection(); },
    tidy: () => { model.tidy(); setTimeout(fit); },
    find: () => setOverlay("find"),
    keys: () => setOverlay("keys"),
    fit,
    duplicate: () => { if (model.paste(model.copied(), beside(model))) { tellSelection(); focus(model.selected); } },
    /** Lights up what hangs on a step, or on one of its outlets; nothing without a step. */
    light: (one, outlet) => { if (!model.held) board.set("lit", one ? lights(model, one, outlet) : {}); },
    go: (one) => lead(one),
    all: () => { model.select(model.nodes.filter((node) => node.id !== ENTRY).map((node) => node.id)); tellSelection(); },
    remove: () => {
      const edges = model.edges.filter((edge) => edge.selected).map((edge) => edge.id);
      if (model.remove(model.selected, edges)) { setSaid(t("Deleted. Ctrl+Z brings it back.")); tellSelection(); }
    },
    add: (kind, at) => {
      const made = model.add(kind, at);
      setMenu(null);
      tellSelection();
      setSaid(t("Added: {name}", { name: kind.label }));
      setTimeout(() => reveal(flow, host.current, model.node(made)), 60);
      follow(made);
    },
    /** From the palette without a place: after the chosen step where it has an open outlet, else in the middle. */
    append: (kind) => {
      const source = model.node(model.selected[0] ?? "") ?? unfinished(model);
      const open = source && outletsOf(source).find(([outlet]) => !model.edge(edgeId(source.id, outlet)));
      act.add(kind, open ? { from: source.id, outlet: open[0] } : { position: model.free(middle(flow, host.current)) });
    },
    menu: (event, at) => {
      const box = host.current.querySelector(".pfb-flow").getBoundingClientRect();
      const place = event.currentTarget.getBoundingClientRect();
      setMenu({ at, x: Math.max(8, Math.min(place.left - box.left + 16, box.width - 296)), y: Math.max(8, Math.min(place.top - box.top, box.height - 380)) });
    },
    /** What is under the pointer: an edge, the free canvas, or nothing. */
    under: (x, y) => {
      const found = document.elementsFromPoint(x, y);
      if (!found.some((one) => one.closest?.(".react-flow")) || found[0]?.closest?.(".pfb-palette, .pfb-toolbar")) return null;
      const edge = found.map((one) => one.closest?.("[data-way], .react-flow__edge")).find(Boolean);
      return edge ? { edge: edge.dataset.way ?? edge.dataset.id } : { position: flow.screenToFlowPosition({ x, y }) };
    },
    hover: setOver,
    /** A note in the middle of what is seen, ready to be written on. */
    note: () => {
      const at = middle(flow, host.current);
      const made = model.addNote(free(model, { x: at.x - 100, y: at.y - 60 }));
      tellSelection();
      setSaid(made ? t("Added: {name}", { name: t("Note") }) : t("There are {count} notes, which is the maximum.", { count: MAX_NOTES }));
      if (!made) return;
      reveal(flow, host.current, model.node(made), 0);
      follow(made, "textarea");
    },
    days: () => setDays((on) => { localStorage.setItem(DAYS, on ? "off" : "on"); return !on; }),
    resizing: {
      start: () => { model.remember(); model.held = true; },
      stop: () => model.settle(),
    },
  }), [model, board, flow, t, tellSelection, focus, fit, lead, follow]);

  useEffect(() => {
    // Whoever looks at somebody's way does not draw.
    const away = () => document.querySelector(".pfb-sheet") !== null;
    function press(event) {
      if (away()) return undefined;
      const mod = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      if (mod && key === "f") return taking(event, act.find);
      if (mod && key === "enter" && editable && !document.querySelector("dialog[open]")) return taking(event, publish);
      if (inText(event.target) || document.querySelector("dialog[open]")) return undefined;
      if (mod && key === "z" && editable) return taking(event, event.shiftKey ? act.redo : act.undo);
      if (mod && key === "y" && editable) return taking(event, act.redo);
      if (mod && key === "d" && editable) return taking(event, act.duplicate);
      if (mod && key === "s") return taking(event, () => { model.flush(); post(handler.current, { type: "save" }); });
      if (event.key === "?") return taking(event, act.keys);
      if (key === "escape" && !mod && event.target === document.body) return taking(event, () => lead(model.selected[0] ?? ENTRY));
      const inside = near(host.current, event.target);
      if (!inside || mod) return undefined;
      if ((key === "delete" || key === "backspace") && editable) return taking(event, act.remove);
      if (key === "f") return taking(event, act.fit);
      if (key === "n" && editable) return taking(event, act.note);
      if (key === "d") return taking(event, act.days);
      return undefined;
    }
    function selectAll(event) {
      if (away()) return;
      const inside = near(host.current, event.target);
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a" && inside && !inText(event.target)) taking(event, act.all);
    }
    /** Enter on a chosen card leads into its form, Escape in the form back to the card. */
    function cross(event) {
      if (away() || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || document.querySelector("dialog[open]")) return;
      const card = event.target instanceof Element && event.target.classList.contains("react-flow__node") ? event.target.dataset.id : null;
      if (event.key === "Enter" && card && model.selectedSteps.join() === card) {
        event.stopPropagation();
        taking(event, () => enter(card));
      }
      if (event.key === "Escape" && event.target instanceof Element && event.target.closest(".pfb-side")) taking(event, () => lead(model.selected[0] ?? ENTRY));
    }
    function jump(event) {
      const place = event.target instanceof Element && event.target.closest("[data-go]")?.dataset.go;
      const chosen = model.selected[0] ?? ENTRY;
      if (place) ({ canvas: lead, form: enter })[place](chosen);
    }
    function clip(event) {
      if (away() || inText(event.target) || String(document.getSelection())) return;
      const text = model.copied();
      if (!text) return;
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
      setSaid(t("Copied: {count}", { count: model.selected.filter((one) => one !== ENTRY).length }));
      if (event.type === "cut" && editable) act.remove();
    }
    function paste(event) {
      if (away() || inText(event.target) || !editable) return;
      const count = model.paste(event.clipboardData.getData("text/plain"), middle(flow, host.current), model.open);
      event.preventDefault();
      setSaid(count ? t("Pasted: {count}", { count }) : t("The clipboard holds no steps."));
      if (count) focus(model.selected);
    }
    function leaving(event) {
      if (editable && model.dirty) event.preventDefault();
    }
    function picture(event) {
      const kind = event.target instanceof Element && event.target.closest("[data-picture]")?.dataset.picture;
      if (kind) download(kind, model, { key: journey, name, t, days, icons: palette.icons, hint: (one) => board.get("hints", one) });
    }
    const heard = { keydown: [press, selectAll], copy: [clip], cut: [clip], paste: [paste], click: [picture, jump, tend] };
    for (const [name, all] of Object.entries(heard)) for (const one of all) document.addEventListener(name, one);
    document.addEventListener("keydown", cross, true); // before the canvas chooses the card by the same key
    window.addEventListener("beforeunload", leaving);
    window.addEventListener("pagehide", model.flush);
    return () => {
      for (const [name, all] of Object.entries(heard)) for (const one of all) document.removeEventListener(name, one);
      document.removeEventListener("keydown", cross, true);
      window.removeEventListener("beforeunload", leaving);
      window.removeEventListener("pagehide", model.flush);
    };
  }, [act, model, editable, t, flow, focus, lead, journey, name, palette, days, board]);

  const dragging = useMemo(() => {
    let before = null;
    return {
      start: () => { before = { nodes: model.nodes, edges: model.edges, laid: model.laid }; model.held = true; },
      stop: () => {
        const from = new Map(before.nodes.map((node) => [node.id, node.position]));
        const isMoved = model.nodes.some((node) => { const at = from.get(node.id); return at && (at.x !== node.position.x || at.y !== node.position.y); });
        if (!isMoved) return model.release();
        model.past = [...model.past, before].slice(-100);
        model.future = [];
        model.laid = false;
        const settled = model.nodes.map((node) => movedTo(node, { x: Math.round(node.position.x), y: Math.round(node.position.y) }));
        model.show(settled, traced(settled, model.edges));
        return model.settle();
      },
    };
  }, [model]);

  const onNodesChange = useCallback((changes) => {
    const kept = changes.filter((change) => change.type !== "remove" && (change.type !== "dimensions" || change.resizing !== undefined));
    if (!kept.length) return;
    const byKey = kept.some((change) => change.type === "position" && !change.dragging) && !model.held;
    if (byKey && editable) {
      if (Date.now() - (model.keyedAt ?? 0) > 600) model.remember();
      model.keyedAt = Date.now();
      model.laid = false;
    }
    const nodes = applyNodeChanges(kept, model.nodes).map(rounded);
    model.show(nodes, byKey ? traced(nodes, model.edges) : model.edges);
    if (byKey && editable) model.tell();
    if (kept.some((change) => change.type === "select")) tellSelection();
  }, [model, tellSelection, editable]);
  const onEdgesChange = useCallback((changes) => {
    const kept = changes.filter((change) => change.type !== "remove");
    if (kept.length) model.show(model.nodes, applyEdgeChanges(kept, model.edges));
  }, [model]);

  // The same functions and words at every drawing: React Flow asks every step and way anew when one of them is another.
  const connect = useMemo(() => ({
    onConnect: ({ source, sourceHandle, target }) => model.connect(source, sourceHandle, target),
    onReconnect: (old, { source, sourceHandle, target }) => model.reconnect(old.id, source, sourceHandle, target),
    isValidConnection: ({ source, target }) => source !== target && target !== ENTRY,
  }), [model]);
  const spoken = useMemo(() => aria(t), [t]);

  /** Everything, if it can be read then; else the beginning. */
  const begin = useCallback((drawn) => {
    const readable = column(model, host.current.querySelector(".pfb-flow").getBoundingClientRect());
    if (readable) drawn.setViewport(readable);
    else drawn.fitView(FIT_AT_ONCE);
  }, [model]);

  const context = useMemo(() => {
    const people = (node, what, outlet) => {
      const asked = { node: node === ENTRY ? "" : node, what, outlet, version: what === "refused" ? "" : board.version ?? "" };
      return `/ui/journeys/${journey}/people?${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`;
    };
    return { model, board, t, act, editable, days, people, said: number, icons: palette.icons };
  }, [model, board, t, act, editable, days, number, palette, journey]);
  const named = useMemo(() => naming(t), [t]);
  const edges = named(model.nodes, model.edges);
  const shown = over ? edges.map((edge) => (edge.id === over ? { ...edge, className: "pfb-over" } : edge)) : edges;
  const lit = useMemo(() => ({
    onNodeMouseEnter: (_, node) => act.light(node.id),
    onNodeMouseLeave: () => act.light(null),
    onFocus: ({ target }) => act.light(target instanceof Element ? target.closest(".react-flow__node")?.dataset.id : null),
    onBlur: () => act.light(null),
  }), [act]);

  return (
    <CanvasContext.Provider value={context}>
      <div className="pfb-board" ref={host}>
        {editable && <Palette kinds={palette.kinds} groups={palette.groups} />}
        <div className={far ? "pfb-flow pfb-far" : "pfb-flow"}>
          <ReactFlow
            nodes={model.nodes}
            edges={shown}
            nodeTypes={NODE_TYPES}
            edgeTypes={EDGE_TYPES}
            onNodesChange={onNodesChange}
            onEdgesChange={onEdgesChange}
            {...connect}
            {...lit}
            onNodeDragStart={dragging.start}
            onNodeDragStop={dragging.stop}
            onSelectionDragStart={dragging.start}
            onSelectionDragStop={dragging.stop}
            nodesDraggable={editable}
            nodesConnectable={editable}
            edgesReconnectable={editable}
            deleteKeyCode={null}
            multiSelectionKeyCode={MANY_KEYS}
            selectionKeyCode="Shift"
            colorMode="system"
            minZoom={0.1}
            maxZoom={1.6}
            onInit={begin}
            connectionRadius={40}
            nodeDragThreshold={3}
            onlyRenderVisibleElements={model.nodes.length > MANY}
            ariaLabelConfig={spoken}
          >
            <Background gap={22} size={1.2} />
            <Controls showInteractive={false} showFitView={false}>
              <Fit onFit={act.fit} t={t} />
              {editable && <ControlButton onClick={act.tidy} title={t("Tidy up")} aria-label={t("Tidy up")}>≡</ControlButton>}
            </Controls>
            {model.nodes.length >= MINIMAP_FROM && <MiniMap pannable zoomable style={MINIMAP} ariaLabel={t("Map of the journey")} />}
          </ReactFlow>
          <Toolbar canUndo={model.past.length > 0} canRedo={model.future.length > 0} />
          {menu && <AddMenu {...menu} kinds={palette.kinds} groups={palette.groups} onClose={() => setMenu(null)} />}
          {overlay === "find" && <Find onGo={(one) => focus([one])} onLead={lead} onClose={() => setOverlay("")} />}
          {overlay === "keys" && <Shortcuts onClose={() => setOverlay("")} />}
          <div className="pfb-said" role="status" aria-live="polite">{said}</div>
        </div>
      </div>
    </CanvasContext.Provider>
  );
}

export function Fit({ onFit, t }) {
  return <ControlButton className="react-flow__controls-fitview" onClick={onFit} title={t("Fit everything in")} aria-label={t("Fit everything in")}><svg viewBox="0 0 24 24" className="pfb-corners"><path d="M3 9V3h6M15 3h6v6M21 15v6h-6M9 21H3v-6" /></svg></ControlButton>;
}

/** The view in which the column of the chosen step, else of the start, can be read; null if everything can. */
export function column(model, box) {
  const all = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { position: { x, y }, width, height } of model.nodes) {
    Object.assign(all, { left: Math.min(all.left, x), top: Math.min(all.top, y), right: Math.max(all.right, x + width), bottom: Math.max(all.bottom, y + height) });
  }
  const wide = (box.width * 0.9) / (all.right - all.left);
  if (Math.min(wide, (box.height * 0.85) / (all.bottom - all.top)) >= READABLE) return null;
  const first = model.node(model.selected[0] ?? ENTRY) ?? model.nodes[0];
  const zoom = Math.min(1, Math.max(READABLE, wide));
  const middle = wide >= READABLE ? (all.left + all.right) / 2 : first.position.x + first.width / 2;
  return { x: box.width / 2 - middle * zoom, y: TOP - first.position.y * zoom, zoom };
}

/** Keys are the canvas's own on it, and where nothing else has the focus: the page around it takes it after a click. */
function near(host, target) {
  return !!host && (host.contains(target) || target.contains(host));
}

/** A note that is resized has whole sizes, and only one place for them. */
function rounded(node) {
  if (!isNote(node) || (node.style.width === node.width && node.style.height === node.height)) return node;
  const size = { width: Math.round(node.width), height: Math.round(node.height) };
  return { ...node, ...size, style: size };
}

function taking(event, act) {
  event.preventDefault();
  act();
}

/** Takes out of the address whose way was shown, so that a connection that comes back does not lead there again. */
function forget() {
  history.replaceState(history.state, "", location.pathname);
}

/** The first step from which somebody could fall off the drawing. */
function unfinished(model) {
  return model.nodes.find((node) => !isNote(node) && outletsOf(node).some(([outlet, , spare]) => !spare && !model.edge(edgeId(node.id, outlet))));
}

function middle(flow, host) {
  const box = host.querySelector(".pfb-flow").getBoundingClientRect();
  return flow.screenToFlowPosition({ x: box.left + box.width / 2, y: box.top + box.height / 2 });
}

/** Where a copy of what is chosen has place: right of it. */
function beside(model) {
  const chosen = model.nodes.filter((node) => node.selected);
  const right = Math.max(...chosen.map((node) => node.position.x + node.width));
  return { x: right + 200, y: Math.min(...chosen.map((node) => node.position.y)) + 20 };
}

/** The place itself, or the next to the right of it where a note covers nothing. */
function free(model, { x, y }) {
  const covers = (left) => model.nodes.some(({ position, width, height }) =>
    left < position.x + width + 20 && position.x < left + 220 && y < position.y + height + 20 && position.y < y + 140);
  let left = x;
  while (covers(left)) left += 40;
  return { x: left, y };
}

/** Brings a new step into view if it is not. */
function reveal(flow, host, node, duration = 200) {
  if (!node || !host) return;
  const box = host.querySelector(".pfb-flow").getBoundingClientRect();
  const at = flow.flowToScreenPosition({ x: node.position.x + node.width / 2, y: node.position.y + node.height / 2 });
  const inside = at.x > box.left + 140 && at.x < box.right - 140 && at.y > box.top + 60 && at.y < box.bottom - 90;
  if (!inside) flow.setCenter(node.position.x + node.width / 2, node.position.y + node.height / 2, { zoom: flow.getZoom(), duration });
}

export function aria(t) {
  return {
    "node.a11yDescription.default": t("Press Enter to choose the step, Enter once more to go into its form, the arrow keys to move it, Delete to delete it."),
    "node.a11yDescription.keyboardDisabled": t("Press Enter to choose the step, Enter once more to go into its form, the arrow keys to move it, Delete to delete it."),
    "node.a11yDescription.ariaLiveMessage": () => t("The step was moved."),
    "edge.a11yDescription.default": t("Press Enter to choose the connection, Delete to delete it."),
    "controls.ariaLabel": t("View"),
    "controls.zoomIn.ariaLabel": t("Zoom in"),
    "controls.zoomOut.ariaLabel": t("Zoom out"),
    "controls.fitView.ariaLabel": t("Fit everything in"),
    "minimap.ariaLabel": t("Map of the journey"),
    "handle.ariaLabel": t("Connection point"),
  };
}
