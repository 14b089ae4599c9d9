// Where the parts of the canvas find each other: the model, the news from the server, and badges by step.
import { createContext, useContext, useSyncExternalStore } from "react";

export const CanvasContext = createContext(null);
export const useCanvas = () => useContext(CanvasContext);

export function useModel(model) {
  return useSyncExternalStore(model.subscribe, model.look);
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

/** Problems and numbers by step; a change redraws the steps it concerns and no others. */
function store() {
  let problems = {};
  let counts = null;
  const listeners = new Map();
  return {
    set(newProblems, newCounts) {
      const touched = new Set([...Object.keys(problems), ...Object.keys(newProblems), ...Object.keys(counts ?? {}), ...Object.keys(newCounts ?? {})]);
      const all = (counts === null) !== (newCounts === null);
      for (const id of Object.keys(newProblems)) if (JSON.stringify(newProblems[id]) === JSON.stringify(problems[id])) newProblems[id] = problems[id];
      for (const id of Object.keys(newCounts ?? {})) if (JSON.stringify(newCounts[id]) === JSON.stringify(counts?.[id])) newCounts[id] = counts[id];
      problems = newProblems;
      counts = newCounts;
      for (const [id, all_] of listeners) if (all || touched.has(id)) for (const listener of all_) listener();
    },
    watch: (id) => (listener) => {
      if (!listeners.has(id)) listeners.set(id, new Set());
      listeners.get(id).add(listener);
      return () => listeners.get(id).delete(listener);
    },
    problems: (id) => problems[id],
    counts: (id) => (counts === null ? null : counts[id] ?? EMPTY),
  };
}

const EMPTY = { waiting: 0, entered: 0, left: {} };
export const badges = store();

export function useProblems(id) {
  return useSyncExternalStore(badges.watch(id), () => badges.problems(id));
}

export function useCounts(id) {
  return useSyncExternalStore(badges.watch(id), () => badges.counts(id));
}
