// What may follow an outlet: a list that is filled from the drawing when somebody turns to it. The server would send every step with every list.
import { useState } from "react";
import { flushSync } from "react-dom";
import { called, fromStart } from "./graph.js";
import { shelf } from "./store.js";

const CLOSED = { kinds: [], steps: [] };

/** `value` is what was chosen last or follows now, `named` what it is called; `nothing`, `fresh`, `anew` and `old` are the words of the list. */
export function Follow({ canvas, field, step, value, named, nothing, fresh, anew, old, disabled, onEvent }) {
  const [chosen, setChosen] = useState(value);
  const [{ kinds, steps }, setOffered] = useState(CLOSED);
  const open = () => flushSync(() => setOffered(offered(canvas, step, anew)));
  function choose(event) {
    setChosen(event.target.value);
    onEvent?.(event.target.value);
  }
  return (
    <select id={field} value={chosen} disabled={disabled} onPointerDown={open} onFocus={open} onChange={choose}>
      <option value="">{nothing}</option>
      {value && ![...kinds, ...steps].some(([one]) => one === value) && <option value={value}>{named}</option>}
      <optgroup label={fresh}>{options(kinds)}</optgroup>
      <optgroup label={old}>{options(steps)}</optgroup>
    </select>
  );
}

const options = (all) => all.map(([value, name]) => <option key={value} value={value}>{name}</option>);

/** `anew`: how a new step is told apart from one that is there, since a closed list shows no groups. */
function offered(canvas, step, anew) {
  const drawn = shelf.get(canvas);
  if (!drawn) return CLOSED;
  const steps = fromStart(drawn.model.nodes, drawn.model.edges).filter((node) => node.id !== step);
  return { kinds: drawn.kinds.map(({ id, label }) => [`+${id}`, anew.replace("{step}", label)]), steps: steps.map((node) => [node.id, called(node.data.view)]) };
}
