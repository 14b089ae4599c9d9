// ReactPy's side of the bargain. It calls `bind` twice for one node; a second root there would mount everything twice.
import { createElement } from "react";
import { createRoot } from "react-dom/client";

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
    unmount: () => {
      if (!live) return;
      live = false;
      held.uses -= 1;
      // After the present rendering: React refuses to unmount a root while it renders.
      setTimeout(() => {
        if (held.uses > 0 || roots.get(node) !== held) return;
        roots.delete(node);
        held.root.unmount();
      });
    },
  };
}
