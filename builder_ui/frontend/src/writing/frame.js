// A frame that loads the next picture behind the present one, so that a preview neither flashes nor jumps to its top.
export class Frame {
  constructor(node, props) {
    this.host = node;
    this.shown = null;
    this.next = null;
    this.update(props);
  }

  update({ src, title, sandbox }) {
    if (src === this.src) return;
    this.src = src;
    this.next?.remove();
    this.next = null;
    if (!src) return;
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", sandbox);
    frame.title = title;
    frame.src = src;
    frame.addEventListener("load", () => {
      if (this.next !== frame) return;
      this.next = null;
      frame.contentWindow.scrollTo(0, this.shown?.contentDocument?.scrollingElement?.scrollTop ?? 0);
      this.shown?.remove();
      this.shown = frame;
      frame.removeAttribute("aria-hidden");
      frame.classList.remove("next");
    });
    if (this.shown) {
      frame.classList.add("next");
      frame.setAttribute("aria-hidden", "true");
    }
    this.next = frame;
    this.host.append(frame);
  }

  destroy() {
    this.host.replaceChildren();
  }
}
