// The whole journey as a picture: an SVG written from the graph itself, and a PNG drawn from that. Always light, whatever the screen is.
import { Position, getSmoothStepPath } from "@xyflow/react";
import { through } from "./courses.js";
import { called, ENTRY, isNote, labelled, outletsOf } from "./graph.js";

const MARGIN = 40;
const TITLE = 44;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif';
const INK = "#1a2230";
const QUIET = "#5a6577";
const LINE = "#8b96a6";
const GROUPS = { time: ["#fcf0da", "#885206"], messages: ["#e2f4e9", "#17703f"], code: ["#3356cc", "#ffffff"], entry: ["#3356cc", "#ffffff"] };
const OTHERS = ["#e8edfc", "#3356cc"];
const PAPERS = { yellow: ["#fff3bf", "#e3c95c"], green: ["#d8f5dd", "#8ccf9a"], blue: ["#dbe9ff", "#93b4e8"] };
const MOST_PIXELS = 120_000_000;
const LONGEST_SIDE = 16_000;

const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "");

/** Measures as the browser does; what is drawn elsewhere may differ by a pixel. */
function ruler() {
  const pen = document.createElement("canvas").getContext("2d");
  return (text, size, weight = 400) => {
    pen.font = `${weight} ${size}px ${FONT}`;
    return pen.measureText(text).width;
  };
}

/** The text in at most `most` lines of `width`; what does not fit ends in dots. */
function wrapped(text, width, most, measure) {
  const lines = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/\s+/)) {
      const longer = line ? `${line} ${word}` : word;
      if (measure(longer) <= width || !line) line = longer;
      else {
        lines.push(line);
        line = word;
      }
    }
    lines.push(line);
  }
  const shown = lines.slice(0, most);
  if (lines.length > most) shown[most - 1] += " …";
  return shown.map((line) => cut(line, width, measure));
}

function cut(text, width, measure) {
  if (measure(text) <= width) return text;
  let shown = text;
  while (shown && measure(`${shown}…`) > width) shown = shown.slice(0, -1);
  return `${shown.trimEnd()}…`;
}

function box(nodes, edges) {
  const bends = edges.flatMap((edge) => edge.data?.corners ?? []).map(([x]) => x);
  const left = Math.min(...nodes.map((node) => node.position.x), ...bends);
  const top = Math.min(...nodes.map((node) => node.position.y));
  const right = Math.max(...nodes.map((node) => node.position.x + node.width), ...bends);
  const bottom = Math.max(...nodes.map((node) => node.position.y + node.height));
  const [x, y] = [Math.floor(left - MARGIN), Math.floor(top - MARGIN - TITLE)]; // whole pixels: a picture that is squeezed by a part of one is blurred
  return { x, y, width: Math.ceil(right + MARGIN) - x, height: Math.ceil(bottom + MARGIN) - y };
}

const word = (x, y, text, { size = 12, fill = INK, weight = 400, anchor = "start" } = {}) =>
  `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" font-weight="${weight}" text-anchor="${anchor}">${escaped(text)}</text>`;

/** The journey as the text of an SVG file, with its size. */
export function drawn(model, { name, icons, hint, days }) {
  const measure = ruler();
  const { x, y, width, height } = box(model.nodes, model.edges);
  const notes = model.nodes.filter(isNote).map((node) => paper(node, measure));
  const ways = model.edges.map((edge) => way(edge, measure)).filter(Boolean);
  const cards = model.nodes.filter((node) => !isNote(node)).map((node) => card(node, { icons, measure, hint: days ? hint(node.id) : null }));
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${x} ${y} ${width} ${height}" font-family='${FONT}' role="img">`,
    `<title>${escaped(name)}</title>`,
    '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#8b96a6"/></marker></defs>',
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="#ffffff"/>`,
    word(x + MARGIN, y + MARGIN, cut(name, width - 2 * MARGIN, (text) => measure(text, 20, 600)), { size: 20, weight: 600 }),
    ...notes,
    ...ways,
    ...cards,
    "</svg>",
  ].join("\n");
  return { svg, width, height };
}

function paper(node, measure) {
  const { position: { x, y }, width, height, data } = node;
  const [fill, stroke] = PAPERS[data.color];
  const most = Math.max(1, Math.floor((height - 20) / 17));
  const lines = wrapped(data.text, width - 24, most, (text) => measure(text, 12.5));
  const text = lines.map((line, place) => word(x + 12, y + 22 + place * 17, line, { size: 12.5 })).join("");
  return `<g><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" fill="${fill}" stroke="${stroke}"/>${text}</g>`;
}

const TONES = [LINE, "#2f6fb3", "#8a4fb0", "#1f7f78"];

function way({ id, data }, measure) {
  if (!data) return "";
  const { ends: [from, to], corners, tone, name } = data;
  const [around] = getSmoothStepPath({
    sourceX: from[0], sourceY: from[1], targetX: to[0], targetY: to[1], sourcePosition: Position.Bottom, targetPosition: Position.Top, borderRadius: 10,
  });
  const line = `<path data-way="${escaped(id)}" d="${corners ? through([from, ...corners, to]) : around}" fill="none" stroke="${TONES[tone]}" stroke-width="1.8" marker-end="url(#end)"/>`;
  return name ? line + plate(name, TONES[tone], measure) : line;
}

/** The name of an outlet on its line. */
function plate({ text, x, y }, stroke, measure) {
  const shown = cut(text, 110, (one) => measure(one, 10.5));
  const width = measure(shown, 10.5) + 12;
  return `<rect x="${x - width / 2}" y="${y - 8}" width="${width}" height="16" rx="8" fill="#ffffff" stroke="${stroke}"/>${word(x, y + 3.5, shown, { size: 10.5, anchor: "middle" })}`;
}

function card(node, { icons, measure, hint }) {
  const { position: { x, y }, width, data: { view } } = node;
  const [soft, strong] = GROUPS[view.group] ?? OTHERS;
  const room = width - 62;
  const kind = hint && view.group === "messages" ? `${view.label} · ${hint[0]}` : view.label;
  const summary = wrapped(view.summary, room, 2, (text) => measure(text, 12));
  const outlets = outletsOf(node);
  const labels = labelled(node)
    ? outlets.map(([, label], place) => {
      const part = width / outlets.length;
      return word(x + part * (place + 0.5), y + node.height - 9, cut(label, part - 8, (text) => measure(text, 11)), { size: 11, fill: QUIET, anchor: "middle" });
    })
    : [];
  return [
    "<g>",
    `<rect x="${x}" y="${y}" width="${width}" height="${node.height}" rx="10" fill="${node.id === ENTRY ? "#e8edfc" : "#ffffff"}" stroke="#c7ced8"/>`,
    `<rect x="${x + 11}" y="${y + 10}" width="30" height="30" rx="8" fill="${soft}"/>`,
    `<path transform="translate(${x + 17} ${y + 16}) scale(.75)" d="${escaped(icons[view.icon] ?? icons.circle)}" fill="none" stroke="${strong}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>`,
    word(x + 50, y + 20, cut(kind, room, (text) => measure(text, 10.5)), { size: 10.5, fill: QUIET }),
    word(x + 50, y + 36, cut(called(view), room, (text) => measure(text, 13, 620)), { size: 13, weight: 620 }),
    ...summary.map((line, place) => word(x + 50, y + 53 + place * 16, line, { size: 12, fill: QUIET })),
    ...labels,
    "</g>",
  ].join("");
}

/** Hands the picture over as a file, named after the journey and the day. */
export async function download(kind, model, what) {
  const made = drawn(model, what);
  const file = kind === "png" ? await painted(made) : new Blob([made.svg], { type: "image/svg+xml" });
  if (!file) return;
  const now = new Date();
  const day = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${what.key}-${day}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Twice as fine as the screen, as far as a browser can paint. */
async function painted({ svg, width, height }) {
  const scale = Math.min(2, LONGEST_SIDE / Math.max(width, height), Math.sqrt(MOST_PIXELS / (width * height)));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
