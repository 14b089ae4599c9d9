// ReactPy's side of the bargain. It calls `bind` twice for one node; a second root there would mount everything twice.
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const GRACE_MS = 1000;
const roots = new WeakMap(); // node -> {root, uses}

export function bind(node) {
  let held = roots.get(node);
  if (!held) {
    held = { root: createRoot(node), uses: 0 };
    roots.set(node, held);
  }
  held.uses += 1;
  let live = true;
  return {
    create: (type, props, children) => createElement(type, props, ...(children || [])),
    render: (element) => live && held.root.render(element),
    // ReactPy lets go of a node and takes it again whenever it draws around it; only a node that is really gone is given up.
    unmount: () => {
      if (!live) return;
      live = false;
      held.uses -= 1;
      setTimeout(() => {
        if (held.uses > 0 || node.isConnected || roots.get(node) !== held) return;
        roots.delete(node);
        held.root.unmount();
      }, GRACE_MS);
    },
  };
}
