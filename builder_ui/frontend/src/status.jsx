// The line that says whether the work is stored: the server's word, unless the page knows better.
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { keeping } from "./keeping.js";
import { post } from "./wire.js";

/** `said` is [text, tone, path of the symbol] as the server has it, `known` the same by what the page knows; `lasting`: nothing on its way changes
 * the server's word, so only a lost connection is said in its place. */
export function Status({ id, name, said, known, lasting, onEvent }) {
  const keeper = keeping(id);
  const state = useSyncExternalStore(keeper.subscribe, keeper.shown);
  const table = useMemo(() => JSON.parse(known), [known]);
  useEffect(() => {
    keeper.ask = onEvent && ((message) => post(onEvent, message));
  }, [keeper, onEvent]);
  const [text, tone, path] = (!(lasting && state === "pending") && table[state]) || JSON.parse(said);
  return (
    <span className={`${name} ${tone}`} role="status">
      <svg className="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={path} /></svg>{text}
    </span>
  );
}
