// The mail as blocks: a picture near enough to work on. What mail programs show is beside it, from the renderer itself.
import { useEffect, useRef } from "react";
import { ROWS, colourOf, inForce, titleOf } from "./kinds.js";
import { Icon, ICONS } from "./icons.jsx";
import { Writing } from "./writing.jsx";
import { duplicate } from "./edit.js";
import { follow } from "./drag.js";
import { isRich } from "./rich.js";
import { removeNode } from "./panel.jsx";
import { solid } from "./store.js";
import { attribute } from "./tree.js";

const HTML_BOXES = new Set(["mj-raw", "mj-table", "mj-navbar", "mj-accordion", "mj-carousel"]);

export function Canvas({ api, state, defaults, canvas }) {
  const { store, t } = api;
  const body = store.body();
  const see = { api, state, defaults, read: (node, name) => attribute(node, name, state.source) };
  see.in = (node, name) => branded(inForce(node, name, defaults, see.read), api.brand);
  const isMail = body.name === "mj-body";
  return (
    <div ref={canvas} className="blk-mail" style={{ backgroundColor: isMail ? plainColour(see.in(body, "background-color")) || "#ffffff" : "#ffffff" }} onClick={() => store.select(-1)}>
      <div className="blk-page" style={{ maxWidth: isMail ? see.in(body, "width") : "600px" }}>
        <Holder see={see} node={body} className="blk-rows" />
        {solid(body).length ? null : <p className="blk-first">{t("Drag a block here, or press one in the list.")}</p>}
      </div>
    </div>
  );
}

/** With the workspace's own colours, fonts and logo, which every mail is filled in with. */
const branded = (text, brand) => text.replace(/\{\{\s*brand\.(\w+)\s*\}\}/g, (whole, name) => brand[name] || whole);

/** Colours and lengths as the mail says them; what else comes out of Jinja is not known yet. */
const plainColour = (text) => (/^(#[0-9a-f]{3,8}|[a-z]+|rgba?\([\d\s,.%]+\))$/i.test(text) ? text : undefined);
const plainSize = (text) => (/^[\d.]+(px|%|em)?( [\d.]+(px|%|em)?){0,3}$/.test(text) ? text.replace(/(^|\s)(\d+(?:\.\d+)?)(?=\s|$)/g, "$1$2px") : undefined);

function paddingOf(see, node) {
  const style = { padding: plainSize(see.in(node, "padding")) };
  for (const [side, name] of [["padding-top", "paddingTop"], ["padding-right", "paddingRight"], ["padding-bottom", "paddingBottom"], ["padding-left", "paddingLeft"]]) {
    const one = see.in(node, side);
    if (one) style[name] = plainSize(one);
  }
  if (!style.paddingTop && !style.paddingRight && !style.paddingBottom && !style.paddingLeft) return style;
  const [top, right = top, bottom = top, left = right] = (style.padding ?? "0px").split(" ");
  return { paddingTop: style.paddingTop ?? top, paddingRight: style.paddingRight ?? right, paddingBottom: style.paddingBottom ?? bottom, paddingLeft: style.paddingLeft ?? left };
}

function Holder({ see, node, className, style, children }) {
  const { store } = see.api;
  const takes = store.takes(node);
  return (
    <div className={className} style={style} data-holder={takes ? node.start : undefined} data-takes={takes || undefined}>
      {solid(node).map((one, index) => <Block key={index} see={see} node={one} index={index} level={takes} />)}
      {children}
    </div>
  );
}

function Block({ see, node, index, level }) {
  const { api, state } = see;
  const { store, t, editable } = api;
  const here = useRef(null);
  const chosen = state.selected === node.start;
  const name = titleOf(node, t);
  useEffect(() => {
    if (chosen) here.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  if (node.type === "comment") return null;
  const dragged = ROWS.has(node.name) || (level === "row" && node.name !== "mj-include") ? "row" : "block";
  const writes = ["mj-text", "mj-button"].includes(node.name) && isRich(state.source.slice(node.inner, node.innerEnd));
  const keys = (event) => {
    if (event.target !== here.current) return;
    const mod = event.ctrlKey || event.metaKey;
    const done = () => { event.preventDefault(); event.stopPropagation(); };
    if (event.key === "Enter" && writes && editable) { done(); store.write(node.start); }
    else if (event.key === "Enter") { done(); store.select(node.start); api.toPanel(); }
    else if (!editable) return;
    else if (event.altKey && event.key === "ArrowUp") { done(); store.select(node.start); store.shift(-1, t("{name} moved up", { name })); }
    else if (event.altKey && event.key === "ArrowDown") { done(); store.select(node.start); store.shift(1, t("{name} moved down", { name })); }
    else if (event.key === "Delete" || event.key === "Backspace") { done(); removeNode(api, node); }
    else if (mod && event.key.toLowerCase() === "d") { done(); store.edit(duplicate(store.source, node), "", t("{name} duplicated", { name })); }
  };
  return (
    <div
      ref={here} className={`blk-one ${dragged}${chosen ? " chosen" : ""}${node.type === "group" ? " group" : ""}`} data-index={index} data-start={node.start} role="group" tabIndex={0} aria-label={name}
      aria-current={chosen ? "true" : undefined} onKeyDown={keys} onFocus={(event) => event.target === here.current && state.selected !== node.start && store.select(node.start)}
      onClick={(event) => {
        event.stopPropagation();
        if (event.target.closest("button, input, select")) return;
        if (chosen && writes && editable && state.editing !== node.start) store.write(node.start);
        else if (!chosen) store.select(node.start);
      }}
      onDoubleClick={(event) => { if (writes && editable) { event.stopPropagation(); store.write(node.start); } }}
    >
      <span className="blk-tag" aria-hidden="true">{name}</span>
      {editable ? (
        <button type="button" className="blk-grip" tabIndex={-1} aria-label={t("Drag: {name}", { name })} title={t("Drag: {name}", { name })} onPointerDown={(event) => { store.select(node.start); drag(event, api, node, dragged); }}>
          <Icon path={ICONS.grip} />
        </button>
      ) : null}
      <div className="blk-bar" />
      <Shape see={see} node={node} editing={editable && state.editing === node.start && writes} rich={writes} />
    </div>
  );
}

function drag(event, api, node, level) {
  const { store, t } = api;
  follow(event, api.canvas.current, level, (start, index) => {
    const holder = api.holderAt(start);
    const now = store.node();
    if (holder && now) store.moveTo(now, holder, index, t("{name} moved", { name: titleOf(node, t) }));
  });
}

function Shape({ see, node, editing, rich }) {
  const { state, api } = see;
  const { t } = api;
  if (node.type === "jinja") return <p className="blk-jinja">{state.source.slice(node.start, node.end)}</p>;
  if (node.type === "group") return <Group see={see} node={node} />;
  if (node.torn) return <Opaque see={see} node={node} />;
  switch (node.name) {
    case "mj-section": return <Section see={see} node={node} />;
    case "mj-wrapper": return <Holder see={see} node={node} className="blk-rows" style={{ ...paddingOf(see, node), backgroundColor: plainColour(see.in(node, "background-color")) }} />;
    case "mj-hero": return <Hero see={see} node={node} />;
    case "mj-group": return <Columns see={see} node={node} />;
    case "mj-column": return <Column see={see} node={node} count={1} />;
    case "mj-text": return rich ? <Text see={see} node={node} editing={editing} /> : <Opaque see={see} node={node} />;
    case "mj-button": return rich ? <Button see={see} node={node} editing={editing} /> : <Opaque see={see} node={node} />;
    case "mj-image": return <Image see={see} node={node} />;
    case "mj-divider": return <Divider see={see} node={node} />;
    case "mj-spacer": return <div className="blk-spacer" style={{ height: plainSize(see.in(node, "height")) }}><span>{see.in(node, "height")}</span></div>;
    case "mj-social": return <Social see={see} node={node} />;
    case "mj-include": return <Include see={see} node={node} />;
    default: return <Opaque see={see} node={node} title={HTML_BOXES.has(node.name) ? "" : t("no block of its own")} />;
  }
}

const COLUMN_KINDS = new Set(["mj-column", "mj-group"]);

function Section({ see, node }) {
  const picture = see.in(node, "background-url");
  const style = {
    ...paddingOf(see, node), backgroundColor: plainColour(see.in(node, "background-color")), borderRadius: plainSize(see.in(node, "border-radius")),
    textAlign: see.in(node, "text-align"), border: see.in(node, "border") || undefined,
    backgroundImage: isAddress(picture) ? `url("${encodeURI(decode(picture))}")` : undefined, backgroundSize: "cover", backgroundPosition: "center",
  };
  return <div className="blk-section" style={style}><Columns see={see} node={node} /></div>;
}

const isAddress = (text) => (text.startsWith(`${window.location.origin}/`) && !/[\s"{}]/.test(text)) || /^https:\/\/[^\s"{}]+$/.test(text) || /^\/[^\s"{}/][^\s"{}]*$/.test(text);
const decode = (text) => { try { return decodeURI(text); } catch { return text; } };

function Columns({ see, node }) {
  const count = node.children.filter(({ name }) => COLUMN_KINDS.has(name)).length;
  return (
    <div className="blk-columns">
      {solid(node).map((one, index) => (COLUMN_KINDS.has(one.name) && !one.torn ? <Column key={index} see={see} node={one} count={count} /> : <div key={index} className="blk-odd"><Block see={see} node={one} index={index} level="" /></div>))}
    </div>
  );
}

function Column({ see, node, count }) {
  const { store, t } = see.api;
  const chosen = see.state.selected === node.start;
  const width = plainSize(see.in(node, "width")) ?? `${100 / count}%`;
  const style = { flexBasis: width, maxWidth: width, ...paddingOf(see, node), backgroundColor: plainColour(see.in(node, "background-color")), borderRadius: plainSize(see.in(node, "border-radius")), alignSelf: { middle: "center", bottom: "flex-end" }[see.in(node, "vertical-align")] };
  if (node.name === "mj-group") return <div className="blk-column" style={style}><Columns see={see} node={node} /></div>;
  const empty = solid(node).length === 0;
  return (
    <div className={`blk-column${chosen ? " chosen" : ""}`} style={style} onClick={(event) => { if (event.target === event.currentTarget || event.target.closest(".blk-empty")) { event.stopPropagation(); store.select(node.start); } }}>
      <Holder see={see} node={node} className="blk-blocks">
        {empty ? <button type="button" className="blk-empty" aria-label={t("Empty column")} onClick={() => store.select(node.start)}>{t("Drop a block here")}</button> : null}
      </Holder>
    </div>
  );
}

function Hero({ see, node }) {
  const picture = see.in(node, "background-url");
  const style = {
    ...paddingOf(see, node), backgroundColor: plainColour(see.in(node, "background-color")), minHeight: plainSize(see.in(node, "height")),
    backgroundImage: isAddress(picture) ? `url("${encodeURI(decode(picture))}")` : undefined, backgroundSize: "cover", backgroundPosition: "center",
    justifyContent: { middle: "center", bottom: "flex-end" }[see.in(node, "vertical-align")],
  };
  return <Holder see={see} node={node} className="blk-blocks blk-hero" style={style} />;
}

function fontOf(see, node) {
  return {
    color: plainColour(see.in(node, "color")), fontSize: plainSize(see.in(node, "font-size")), fontFamily: see.in(node, "font-family").replace(/[^\w\s,'"-]/g, ""), fontWeight: see.in(node, "font-weight") || undefined,
    fontStyle: see.in(node, "font-style") || undefined, lineHeight: lineHeight(see.in(node, "line-height")), textTransform: see.in(node, "text-transform") || undefined, letterSpacing: plainSize(see.in(node, "letter-spacing")),
  };
}

const lineHeight = (text) => (/^\d+(\.\d+)?(px|%|em)?$/.test(text) ? text : undefined);

function Text({ see, node, editing }) {
  const style = { ...paddingOf(see, node), ...fontOf(see, node), textAlign: see.in(node, "align"), backgroundColor: plainColour(see.in(node, "container-background-color")) };
  return <div style={style}><Writing api={see.api} node={node} inner={see.state.source.slice(node.inner, node.innerEnd)} editing={editing} label={see.api.t("Text")} /></div>;
}

function Button({ see, node, editing }) {
  const width = plainSize(see.in(node, "width"));
  const style = {
    ...fontOf(see, node), backgroundColor: plainColour(see.in(node, "background-color")), borderRadius: plainSize(see.in(node, "border-radius")), padding: plainSize(see.in(node, "inner-padding")), width,
    border: see.in(node, "border") || undefined, textAlign: see.in(node, "text-align") || "center",
  };
  return (
    <div style={{ ...paddingOf(see, node), textAlign: see.in(node, "align") }}>
      <div className="blk-button" style={style}><Writing api={see.api} node={node} inner={see.state.source.slice(node.inner, node.innerEnd)} editing={editing} line label={see.api.t("Button")} /></div>
    </div>
  );
}

function Image({ see, node }) {
  const src = see.in(node, "src");
  const alt = see.in(node, "alt");
  const { t } = see.api;
  return (
    <div style={{ ...paddingOf(see, node), textAlign: see.in(node, "align") }}>
      {isAddress(src) && !src.startsWith("https://www.example.com/")
        ? <img src={src} alt={alt} style={{ width: plainSize(see.in(node, "width")) ?? "100%", borderRadius: plainSize(see.in(node, "border-radius")) }} />
        : <div className="blk-picture"><Icon path={ICONS.picture} /><span>{picturePath(src) || picturePath(alt) || alt || t("Choose a picture")}</span></div>}
    </div>
  );
}

/** What a value out of Jinja is called: `{{ item.image_url }}` -> item.image_url; empty for a text. */
const picturePath = (text) => text.match(/^\{\{\s*([\w.]+)/)?.[1] ?? "";

function Divider({ see, node }) {
  const width = plainSize(see.in(node, "width")) ?? "100%";
  return (
    <div style={paddingOf(see, node)}>
      <div style={{ width, margin: "0 auto", borderTopStyle: see.in(node, "border-style"), borderTopWidth: plainSize(see.in(node, "border-width")), borderTopColor: plainColour(see.in(node, "border-color")) }} />
    </div>
  );
}

function Social({ see, node }) {
  const size = plainSize(see.in(node, "icon-size")) ?? "20px";
  const found = node.children.filter(({ name }) => name === "mj-social-element");
  const justifyContent = { left: "flex-start", right: "flex-end" }[see.in(node, "align")] ?? "center";
  const flexDirection = see.in(node, "mode") === "vertical" ? "column" : "row";
  return (
    <div className="blk-social" style={{ ...paddingOf(see, node), justifyContent, flexDirection }}>
      {found.map((one) => {
        const name = see.read(one, "name") || "web";
        return <span key={one.start} style={{ width: size, height: size, backgroundColor: colourOf(name) }}>{name[0].toUpperCase()}</span>;
      })}
    </div>
  );
}

function Include({ see, node }) {
  const { t, partials } = see.api;
  const key = see.read(node, "path").replace(/^\s*partial:/, "").trim();
  const found = partials.find(([one]) => one === key);
  return <div className="blk-saved"><Icon path={ICONS.save} /><b>{found?.[1] ?? key}</b><small>{found ? t("Saved block") : t("There is no such saved block.")}</small></div>;
}

function Group({ see, node }) {
  const { api } = see;
  const { t, titles } = api;
  const rule = node.tag === "if" ? api.rules[node.condition] : null;
  const of = rule?.said ?? named(node.condition, titles);
  return (
    <>
      <p className={`blk-when ${node.tag}`}><Icon path={node.tag === "for" ? ICONS.redo : ICONS.eye} />{t(node.tag === "for" ? "For each: {of}" : node.tag === "if" ? "Only if: {of}" : "{of}", { of })}{rule && rule.holds !== null ? <small>{t(rule.holds ? "Shown in the preview." : "Not shown in the preview.")}</small> : null}</p>
      {node.torn ? <Opaque see={see} node={node} /> : <Holder see={see} node={node} className="blk-inside" />}
    </>
  );
}

function named(condition, titles) {
  const value = condition.match(/^([\w.]+)\|default\(""\)$/)?.[1];
  const list = condition.match(/^\w+ in ([\w.]+)(\|default\(\[\]\))?$/)?.[1];
  return titles.get(value) ?? value ?? list ?? condition;
}

function Opaque({ see, node, title }) {
  const text = see.state.source.slice(node.start, node.end);
  return (
    <div className="blk-opaque">
      <b><Icon path={ICONS.code} />{titleOf(node, see.api.t)}</b>{title ? <small>{title}</small> : null}
      <code>{text.length > 400 ? `${text.slice(0, 400)}…` : text}</code>
    </div>
  );
}
