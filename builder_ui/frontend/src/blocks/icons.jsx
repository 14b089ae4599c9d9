// Line drawings on a 24 × 24 field, our own. What one means stands beside it in words, or is its button's name.
export const ICONS = {
  up: "M12 19V6M6.5 11.5 12 6l5.5 5.5", down: "M12 5v13M6.5 12.5 12 18l5.5-5.5", copy: "M9 9h11v11H9zM5 15H4V4h11v1", bin: "M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13",
  close: "M6 6l12 12M18 6L6 18", plus: "M12 5v14M5 12h14", left: "M4 6h16M4 12h10M4 18h13", center: "M4 6h16M7 12h10M5.5 18h13", right: "M4 6h16M10 12h10M7 18h13",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4.5 21a7.5 7.5 0 0 1 15 0", undo: "M8 5 4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11h-3", redo: "M16 5l4 4-4 4M20 9H10a5.5 5.5 0 0 0 0 11h3",
  grip: "M9 5h.01M15 5h.01M9 12h.01M15 12h.01M9 19h.01M15 19h.01", link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1.6 1.6M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1.6-1.6",
  list: "M9 6h11M9 12h11M9 18h11M4.5 6h.01M4.5 12h.01M4.5 18h.01", numbers: "M10 6h10M10 12h10M10 18h10M4 4.5h1.5V9M4 15h3l-3 4h3", save: "M4 8h5a2.2 2.2 0 1 1 4 0h4v4a2.2 2.2 0 1 1 0 4v4H4z",
  plain: "M5 6h14M12 6v7M4 20 20 4", picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01", code: "M9 7l-5 5 5 5M15 7l5 5-5 5", eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
};

export function Icon({ path }) {
  return <svg className="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={path} /></svg>;
}
