// Dragging by pointer, mouse or finger: a new block from the palette, or one that stands already. Where it would land is told by a line.

const FAR = 5; // pixels, before a press becomes a drag

/** Begins to follow a press. `level`: what is dragged stands among rows or blocks. `drop(start of the holder, index)` is called once, or never. */
export function follow(event, canvas, level, drop) {
  if (event.button !== 0 || !canvas) return;
  const from = [event.clientX, event.clientY];
  const held = event.currentTarget;
  const line = canvas.ownerDocument.createElement("div");
  line.className = "blk-line";
  let on = false;
  let place = null;

  const moved = (next) => {
    if (!on && Math.hypot(next.clientX - from[0], next.clientY - from[1]) < FAR) return;
    if (!on) {
      on = true;
      canvas.closest(".blk").classList.add("dragging");
      canvas.append(line);
    }
    next.preventDefault();
    scroll(canvas, next.clientY);
    place = placeAt(canvas, next.clientX, next.clientY, level);
    draw(line, canvas, place);
  };
  const over = () => {
    held.removeEventListener("pointermove", moved);
    held.removeEventListener("pointerup", dropped);
    held.removeEventListener("pointercancel", over);
    canvas.ownerDocument.removeEventListener("keydown", escape, true);
    canvas.closest(".blk")?.classList.remove("dragging");
    line.remove();
  };
  const dropped = () => {
    over();
    if (!on) return;
    held.addEventListener("click", (click) => { click.preventDefault(); click.stopImmediatePropagation(); }, { capture: true, once: true });
    if (place) drop(place.holder, place.index);
  };
  const escape = (key) => {
    if (key.key !== "Escape") return;
    key.stopPropagation();
    over();
  };
  held.setPointerCapture(event.pointerId); // a quick hand is elsewhere before the first move is told
  held.addEventListener("pointermove", moved);
  held.addEventListener("pointerup", dropped);
  held.addEventListener("pointercancel", over);
  canvas.ownerDocument.addEventListener("keydown", escape, true);
}

function scroll(canvas, y) {
  const view = canvas.closest(".blk-stage");
  const { top, bottom } = view.getBoundingClientRect();
  if (y < top + 40) view.scrollTop -= 12;
  else if (y > bottom - 40) view.scrollTop += 12;
}

/** The nearest place that takes what is dragged: a block goes into a column, else between rows. */
function placeAt(canvas, x, y, level) {
  const inside = ({ left, right, top, bottom }) => x >= left && x <= right && y >= top && y <= bottom;
  const holders = [...canvas.querySelectorAll("[data-takes]")].filter((one) => inside(one.getBoundingClientRect()));
  const wanted = level === "block" ? ["block", "row"] : ["row"];
  for (const takes of wanted) {
    const holder = holders.filter((one) => one.dataset.takes === takes).at(-1);
    if (!holder) continue;
    const children = [...holder.querySelectorAll(":scope > [data-index]")];
    const rects = children.map((one) => one.getBoundingClientRect());
    const edge = takes === "row" && level === "block" ? rects.find((one) => y > one.top + 14 && y < one.bottom - 14) : null;
    const after = children.filter((_, n) => y > (rects[n].top + rects[n].bottom) / 2);
    const last = after.at(-1);
    if (edge && wanted[0] === "block" && takes === "row" && holders.some((one) => one.dataset.takes === "block")) continue;
    return { holder: Number(holder.dataset.holder), index: last ? Number(last.dataset.index) + 1 : Number(children[0]?.dataset.index ?? 0), box: holder, last, first: children[0] };
  }
  return null;
}

function draw(line, canvas, place) {
  line.hidden = !place;
  if (!place) return;
  const base = canvas.getBoundingClientRect();
  const box = place.box.getBoundingClientRect();
  const y = place.last ? place.last.getBoundingClientRect().bottom : place.first ? place.first.getBoundingClientRect().top : box.top + box.height / 2;
  Object.assign(line.style, { left: `${box.left - base.left}px`, width: `${box.width}px`, top: `${y - base.top - 2}px` });
}
