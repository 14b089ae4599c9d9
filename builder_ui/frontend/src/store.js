// Where the parts of the canvas find each other: the model, the news from the server, and what hangs on single steps.
import { createContext, useContext, useRef, useSyncExternalStore } from "react";
import { called, edgeId, outletsOf } from "./graph.js";

export const CanvasContext = createContext(null);
export const useCanvas = () => useContext(CanvasContext);

export function useModel(model) {
  return useSyncExternalStore(model.subscribe, model.look);
}

/** For each outlet of a step the name of the step it leads to, null where no way leads on yet; only a change of that draws the step anew. */
export function useNext(node) {
  const { model } = useCanvas();
  const last = useRef([]);
  return useSyncExternalStore(model.subscribe, () => {
    const names = outletsOf(node).map(([outlet]) => nameOf(model, edgeId(node.id, outlet)));
    if (names.length !== last.current.length || names.some((name, at) => name !== last.current[at])) last.current = names;
    return last.current;
  });
}

function nameOf(model, edge) {
  const way = model.edge(edge);
  const view = way && model.node(way.target)?.data.view;
  return way ? called(view) : null;
}

const channels = new Map();

/** Between bridge and canvas of one id. News that come before the canvas listens are kept. */
export function channel(id) {
  if (!channels.has(id)) {
    let listener = null;
    let waiting = [];
    channels.set(id, {
      give: (feed) => (listener ? listener(feed) : waiting.push(feed)),
      take: (heard) => {
        listener = heard;
        for (const feed of waiting) heard(feed);
        waiting = [];
        return () => { listener = null; };
      },
    });
  }
  return channels.get(id);
}

/** What is drawn under an id, for the lists beside the drawing: {model, kinds}. */
export const shelf = new Map();

const EMPTY = { waiting: 0, entered: 0, left: {} };

/** Problems, numbers, hints, marks and what is lit up by step or edge; a change redraws those it concerns and no others. */
export function pinboard() {
  const kinds = { problems: {}, counts: null, hints: {}, marks: {}, lit: {}, people: {} };
  let version = null; // whose numbers
  const listeners = new Map();
  const ring = (ids) => {
    for (const id of ids) for (const listener of listeners.get(id) ?? []) listener();
  };
  return {
    get version() {
      return version;
    },
    /** All of a kind; what is as before keeps its identity. */
    set(kind, news) {
      const before = kinds[kind] ?? {};
      const all = (kinds[kind] === null) !== (news === null);
      for (const id of Object.keys(news ?? {})) if (JSON.stringify(news[id]) === JSON.stringify(before[id])) news[id] = before[id];
      kinds[kind] = news;
      const ids = all ? [...listeners.keys()] : [...new Set([...Object.keys(before), ...Object.keys(news ?? {})])];
      ring(ids.filter((id) => all || before[id] !== news?.[id]));
    },
    /** Numbers that differ since the last; `fresh` begins anew, null takes them away. */
    count(news) {
      version = news?.version ?? null;
      if (news === null || news.fresh) return this.set("counts", news && news.nodes);
      kinds.counts = { ...kinds.counts };
      for (const [id, one] of Object.entries(news.nodes)) {
        if (one === null) delete kinds.counts[id];
        else kinds.counts[id] = one;
      }
      return ring(Object.keys(news.nodes));
    },
    watch: (id) => (listener) => {
      if (!listeners.has(id)) listeners.set(id, new Set());
      listeners.get(id).add(listener);
      return () => listeners.get(id).delete(listener);
    },
    get: (kind, id) => (kinds[kind] === null ? null : kinds[kind][id]),
    counts: (id) => (kinds.counts === null ? null : kinds.counts[id] ?? EMPTY),
  };
}

/** What lights up with a step, or with one of its outlets: the ways out or in, and the steps at their other ends. */
export function lights(model, id, outlet = null) {
  const ways = model.edges.filter((edge) => (edge.source === id && (outlet === null || edge.sourceHandle === outlet)) || (edge.target === id && outlet === null));
  return Object.fromEntries(ways.flatMap((edge) => [[edge.id, true], [edge.source, true], [edge.target, true]]));
}

export function usePinned(kind, id) {
  const { board } = useCanvas();
  return useSyncExternalStore(board.watch(id), () => board.get(kind, id));
}

export function useCounts(id) {
  const { board } = useCanvas();
  return useSyncExternalStore(board.watch(id), () => board.counts(id));
}
