// The kinds of block: what a new one is, what it is called, which of its attributes people set, and what MJML takes where none is said.
// `words` are of the person who edits, `own` of the language of the mail.

export const HOLDS_ROWS = new Set(["mj-body", "mj-wrapper"]);
export const ROWS = new Set(["mj-section", "mj-wrapper", "mj-hero"]);
export const HOLDS_BLOCKS = new Set(["mj-column", "mj-hero"]);

/** MJML's own defaults of what the picture of a block shows. Source: the MJML documentation, version 4. */
const FONT = "Ubuntu, Helvetica, Arial, sans-serif";
export const DEFAULTS = {
  "mj-body": { width: "600px" },
  "mj-section": { padding: "20px 0", "text-align": "center" },
  "mj-wrapper": { padding: "20px 0" },
  "mj-column": { "vertical-align": "top" },
  "mj-hero": { padding: "0px", "vertical-align": "top", "background-color": "#ffffff" },
  "mj-text": { padding: "10px 25px", "font-size": "13px", "line-height": "1", color: "#000000", align: "left", "font-family": FONT },
  "mj-button": {
    padding: "10px 25px", "inner-padding": "10px 25px", "background-color": "#414141", color: "#ffffff", "border-radius": "3px", align: "center",
    "font-size": "13px", "font-weight": "normal", "line-height": "120%", "font-family": FONT,
  },
  "mj-image": { padding: "10px 25px", align: "center" },
  "mj-divider": { padding: "10px 25px", "border-color": "#000000", "border-width": "4px", "border-style": "solid", width: "100%", align: "center" },
  "mj-spacer": { height: "20px", padding: "0" },
  "mj-social": { padding: "10px 25px", align: "center", "icon-size": "20px", mode: "horizontal" },
};

export const NETWORKS = ["facebook", "instagram", "linkedin", "pinterest", "snapchat", "tumblr", "vimeo", "web", "x", "xing", "youtube"];
const COLOURS = {
  facebook: "#3b5998", instagram: "#3f729b", linkedin: "#0077b5", pinterest: "#bd081c", snapchat: "#fffa54", tumblr: "#344356", vimeo: "#53b4e7",
  web: "#4bada9", x: "#000000", xing: "#296366", youtube: "#eb3323",
};
export const colourOf = (name) => COLOURS[name.replace("-noshare", "")] ?? "#5a6577";

const column = (inside, more = "") => `<mj-column${more}>\n  ${inside.replace(/\n/g, "\n  ")}\n</mj-column>`;
export const section = (inside, more = "") => `<mj-section${more}>\n  ${inside.replace(/\n/g, "\n  ")}\n</mj-section>`;
const columns = (count) => section(Array(count).fill("<mj-column></mj-column>").join("\n"));

/** The palette: [key, title, icon, level, write]. A `row` stands in the body, a `block` in a column. */
export const PALETTE = [
  ["text", "Text", "M5 6h14M12 6v13M9 19h6", "block", ({ own }) => `<mj-text font-size="16px" line-height="1.5">${own["Write your text here."]}</mj-text>`],
  ["heading", "Heading", "M6 5v14M18 5v14M6 12h12", "block", ({ own }) => `<mj-text font-size="28px" font-weight="700" line-height="1.25">${own.Headline}</mj-text>`],
  ["button", "Button", "M4 8h16v8H4zM8 12h8", "block", ({ own }) => `<mj-button href="https://www.example.com/" background-color="#3356cc" border-radius="6px" font-size="16px" font-weight="600" inner-padding="13px 26px">${own["Read on"]}</mj-button>`],
  ["image", "Picture", "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01", "block", () => `<mj-image src="https://www.example.com/picture.png" alt="" />`],
  ["divider", "Divider", "M4 12h16M8 7h8M8 17h8", "block", () => `<mj-divider border-width="1px" border-color="#d7dce3" />`],
  ["spacer", "Spacer", "M5 5h14M5 19h14M12 8v8M9.5 10 12 7.5 14.5 10M9.5 14l2.5 2.5 2.5-2.5", "block", () => `<mj-spacer height="24px" />`],
  ["social", "Social links", "M8 12a3 3 0 1 0-3 3 3 3 0 0 0 3-3zM19 6a3 3 0 1 0-3 3 3 3 0 0 0 3-3zM19 18a3 3 0 1 0-3 3 3 3 0 0 0 3-3zM7.7 10.7l5.6-3.4M7.7 13.3l5.6 3.4", "block", () => `<mj-social icon-size="24px" mode="horizontal">\n  ${["facebook", "instagram", "youtube"].map((one) => `<mj-social-element name="${one}-noshare" href="https://www.${one}.com/" alt="${one[0].toUpperCase()}${one.slice(1)}"></mj-social-element>`).join("\n  ")}\n</mj-social>`],
  ["html", "HTML", "M9 7l-5 5 5 5M15 7l5 5-5 5", "block", () => `<mj-raw>\n  <p>HTML</p>\n</mj-raw>`],
  ["columns1", "1 column", "M6 4h12v16H6z", "row", () => columns(1)],
  ["columns2", "2 columns", "M4 4h7v16H4zM13 4h7v16h-7z", "row", () => columns(2)],
  ["columns3", "3 columns", "M3 4h5v16H3zM9.5 4h5v16h-5zM16 4h5v16h-5z", "row", () => columns(3)],
  ["columns4", "4 columns", "M2.5 4h4v16h-4zM7.5 4h4v16h-4zM12.5 4h4v16h-4zM17.5 4h4v16h-4z", "row", () => columns(4)],
  ["hero", "Hero", "M3 5h18v14H3zM8 10h8M10 14h4", "row", ({ own }) => `<mj-hero mode="fluid-height" background-color="#1f2a44" padding="48px 24px">\n  <mj-text align="center" color="#ffffff" font-size="34px" font-weight="700" line-height="1.2">${own.Headline}</mj-text>\n  <mj-text align="center" color="#e6e9f2" font-size="16px" line-height="1.5">${own["Write your text here."]}</mj-text>\n  <mj-button href="https://www.example.com/" background-color="#ffffff" color="#1f2a44" border-radius="6px" font-size="16px" font-weight="600" inner-padding="13px 26px">${own["Read on"]}</mj-button>\n</mj-hero>`],
  ["products", "Product list", "M4 4h6v6H4zM4 14h6v6H4zM13 6h7M13 9h4M13 16h7M13 19h4", "row", products],
  ["footer", "Footer", "M4 5h16v14H4zM4 15h16M8 17h8", "row", ({ own }) => section(column(`<mj-text align="center" font-size="13px" line-height="1.5" color="#5a6577">{{ sender.name|default("") }}<br />{{ sender.address|default("") }}</mj-text>\n<mj-text align="center" font-size="13px" line-height="1.5" color="#5a6577"><a href="{{ unsubscribe_url }}">${own.Unsubscribe}</a> · <a href="{{ preferences_url }}">${own["Choose what you receive"]}</a> · <a href="{{ view_url }}">${own["View in the browser"]}</a></mj-text>`))],
];

/** Which property of an item is shown where; a list of products names them as its shop does. */
export const PRODUCT_FIELDS = { name: "name", price: "price", image: "image_url", link: "url" };

/** A row for each item of a list in the event. `list` is a path such as `products` or `cart.items`. */
export function products({ own }, list = "products", fields = PRODUCT_FIELDS, currency = "EUR") {
  const item = (name) => `item.${fields[name]}|default("")`;
  const picture = `{% if ${item("image")} %}<mj-image src="{{ item.${fields.image} }}" alt="{{ ${item("name")} }}" padding="0" />{% endif %}`;
  const words = `<mj-text font-size="16px" font-weight="600" line-height="1.4">{{ ${item("name")} }}</mj-text>\n<mj-text font-size="15px" line-height="1.4">{{ item.${fields.price}|default(0)|money("${currency}") }}</mj-text>\n{% if ${item("link")} %}<mj-button align="left" href="{{ item.${fields.link} }}">${own["Take a look"]}</mj-button>{% endif %}`;
  const row = section(`${column(picture, ' width="30%"')}\n${column(words, ' width="70%"')}`, ' padding="8px 0"');
  return `{% for item in trigger.${list}|default([]) %}\n${row}\n{% endfor %}`;
}

const PADDING = ["padding", "Padding", "padding"];
const ALIGN = ["align", "Horizontal alignment", "align"];
const link = (title = "Link") => ["href", title, "url"];

/** What people set of a component: [attribute, title, kind, further]. */
export const SETTINGS = {
  "mj-body": [["background-color", "Background", "colour"], ["width", "Width", "px"]],
  "mj-section": [["background-color", "Background", "colour"], ["background-url", "Background picture", "url"], ["border-radius", "Round corners", "px"], ["full-width", "Full width", "choice", [["", "No"], ["full-width", "Yes"]]], PADDING],
  "mj-wrapper": [["background-color", "Background", "colour"], ["background-url", "Background picture", "url"], ["border-radius", "Round corners", "px"], PADDING],
  "mj-column": [["width", "Width", "size"], ["background-color", "Background", "colour"], ["vertical-align", "Vertical alignment", "choice", [["", "Top"], ["middle", "Middle"], ["bottom", "Bottom"]]], ["border-radius", "Round corners", "px"], PADDING],
  "mj-hero": [["background-color", "Background", "colour"], ["background-url", "Background picture", "url"], ["vertical-align", "Vertical alignment", "choice", [["", "Top"], ["middle", "Middle"], ["bottom", "Bottom"]]], PADDING],
  "mj-text": [["font-size", "Text size", "px"], ["color", "Text colour", "colour"], ["font-weight", "Weight", "choice", [["", "Normal"], ["600", "Semi-bold"], ["700", "Bold"]]], ALIGN, ["line-height", "Line height", "text"], ["container-background-color", "Background", "colour"], PADDING],
  "mj-button": [link(), ["background-color", "Button colour", "colour"], ["color", "Text colour", "colour"], ["font-size", "Text size", "px"], ["border-radius", "Round corners", "px"], ["width", "Width", "size"], ALIGN, ["inner-padding", "Padding inside", "padding"], PADDING],
  "mj-image": [["src", "Address of the picture", "url"], ["alt", "Alternative text", "text"], link(), ["width", "Width", "px"], ["border-radius", "Round corners", "px"], ALIGN, PADDING],
  "mj-divider": [["border-color", "Colour", "colour"], ["border-width", "Thickness", "px"], ["border-style", "Style", "choice", [["", "Solid"], ["dashed", "Dashed"], ["dotted", "Dotted"]]], ["width", "Width", "size"], PADDING],
  "mj-spacer": [["height", "Height", "px"]],
  "mj-social": [["icon-size", "Size of the symbols", "px"], ALIGN, ["mode", "Arrangement", "choice", [["horizontal", "Side by side"], ["vertical", "One below the other"]]], PADDING],
};

const TITLES = {
  "mj-body": "The whole mail", "mj-section": "Row", "mj-wrapper": "Group of rows", "mj-column": "Column", "mj-hero": "Hero", "mj-text": "Text",
  "mj-button": "Button", "mj-image": "Picture", "mj-divider": "Divider", "mj-spacer": "Spacer", "mj-social": "Social links", "mj-raw": "HTML",
  "mj-include": "Saved block", "mj-group": "Columns side by side", "mj-table": "Table", "mj-navbar": "Navigation", "mj-accordion": "Accordion", "mj-carousel": "Carousel",
};

/** What a node is called for people. */
export function titleOf(node, t) {
  if (node.type === "group") return t(node.tag === "for" ? "Repeated" : "Shown only if");
  if (node.type === "comment") return t("Comment");
  if (node.type === "jinja") return "Jinja";
  return TITLES[node.name] ? t(TITLES[node.name]) : `<${node.name}>`;
}

/** The defaults that the head of a mail sets: tag -> attribute -> value, classes likewise. */
export function defaultsIn(root, read) {
  const tags = {};
  const classes = {};
  const mail = root.children.find(({ name }) => name === "mjml");
  const head = mail?.children.find(({ name }) => name === "mj-head");
  for (const holder of head?.children.filter(({ name }) => name === "mj-attributes") ?? []) {
    for (const one of holder.children) {
      if (one.type !== "element") continue;
      const said = Object.fromEntries([...one.attributes.keys()].map((name) => [name, read(one, name)]));
      if (one.name === "mj-class") classes[said.name] = { ...classes[said.name], ...said };
      else tags[one.name] = { ...tags[one.name], ...said };
    }
  }
  return { tags, classes };
}

/** What is in force for an attribute of a node: its own word, its classes', the head's, MJML's. */
export function inForce(node, name, defaults, read) {
  const own = read(node, name);
  if (own) return own;
  for (const one of read(node, "mj-class").split(/\s+/).filter(Boolean)) if (defaults.classes[one]?.[name]) return defaults.classes[one][name];
  return defaults.tags[node.name]?.[name] ?? (defaults.tags["mj-all"]?.[name] || DEFAULTS[node.name]?.[name] || "");
}

/** The four sides of a padding in px, as CSS reads it: "10px 25px" -> [10, 25, 10, 25]; null if it says something else. */
export function sides(text) {
  const parts = text.trim().split(/\s+/).map((one) => (/^\d+(\.\d+)?(px)?$/.test(one) ? parseFloat(one) : NaN));
  if (!text.trim() || parts.length > 4 || parts.some(Number.isNaN)) return null;
  const [top, right = top, bottom = top, left = right] = parts;
  return [top, right, bottom, left];
}

/** The shortest way to write four sides. */
export function padding([top, right, bottom, left]) {
  const px = (n) => (n ? `${n}px` : "0");
  if (left !== right) return [top, right, bottom, left].map(px).join(" ");
  if (bottom !== top) return [top, right, bottom].map(px).join(" ");
  return right === top ? px(top) : `${px(top)} ${px(right)}`;
}
