// The settings of what is selected.
import { useEffect, useId, useRef, useState } from "react";
import { duplicate, insert, remove, replace, setAttribute, setCondition, unwrap, wrap } from "./edit.js";
import { NETWORKS, SETTINGS, inForce, padding, sides, titleOf, PRODUCT_FIELDS } from "./kinds.js";
import { Icon, ICONS } from "./icons.jsx";
import { Picker } from "./picker.jsx";
import { isRich } from "./rich.js";
import { solid } from "./store.js";
import { attribute, parse } from "./tree.js";

export function Panel({ api, state, defaults, back }) {
  const { store, t } = api;
  const way = store.way();
  const node = way.at(-1) ?? store.body();
  if (!node) return null;
  const read = (one, name) => attribute(one, name, state.source);
  const isBody = way.length === 0 || node.name === "mj-body";
  return (
    <div className="blk-panel">
      <nav className="blk-way" aria-label={t("Where this stands")}>
        {back && api.editable ? <button type="button" className="blk-back" onClick={back}><Icon path={ICONS.plus} />{t("Add blocks")}</button> : null}
        {way.filter((one) => one.name !== "mjml" && one !== node).map((one) => (
          <button key={one.start} type="button" onClick={() => store.select(one.start)}>{titleOf(one, t)}</button>
        ))}
        <b aria-current="true">{titleOf(node, t)}</b>
      </nav>
      {isBody ? null : <Acts api={api} node={node} />}
      <Settings key={`${node.start}/${node.name}`} api={api} node={node} defaults={defaults} read={read} />
      {isBody ? null : <Source key={`s${node.start}`} api={api} node={node} state={state} />}
    </div>
  );
}

function Acts({ api, node }) {
  const { store, t, editable } = api;
  if (!editable) return null;
  const name = titleOf(node, t);
  const act = (title, icon, run, tone = "") => (
    <button type="button" className={`blk-act ${tone}`} title={title} aria-label={title} onClick={run}><Icon path={icon} /></button>
  );
  return (
    <div className="blk-acts" role="group" aria-label={name}>
      {act(t("Move up"), ICONS.up, () => store.shift(-1, t("{name} moved up", { name })))}
      {act(t("Move down"), ICONS.down, () => store.shift(1, t("{name} moved down", { name })))}
      {act(t("Duplicate"), ICONS.copy, () => store.edit(duplicate(store.source, node), "", t("{name} duplicated", { name })))}
      {act(t("Save as a block"), ICONS.save, () => api.keepBlock(node))}
      {act(t("Delete"), ICONS.bin, () => removeNode(api, node), "bad")}
    </div>
  );
}

export function removeNode({ store, t }, node) {
  const gone = remove(store.source, node);
  store.edit({ source: gone.source, at: -1 }, "", t("{name} deleted. Ctrl+Z brings it back.", { name: titleOf(node, t) }));
}

function Settings({ api, node, defaults, read }) {
  const { store, t, editable } = api;
  const set = (name, value) => {
    const now = store.node() ?? store.body();
    store.edit({ ...setAttribute(store.source, now, name, value), at: store.selected < 0 ? -1 : now.start }, `${now.start}/${name}`);
  };
  const rows = (SETTINGS[node.name] ?? []).map(([name, title, kind, more]) => (
    <Field key={name} api={api} title={t(title)} kind={kind} more={more} value={read(node, name)} shown={inForce(node, name, defaults, read)} name={name} set={(value) => set(name, value)} />
  ));
  return (
    <fieldset className="blk-settings" disabled={!editable}>
      <legend className="hidden">{t("Settings")}</legend>
      {node.name === "mj-section" ? <Columns api={api} node={node} /> : null}
      {node.name === "mj-image" ? <Pictures api={api} node={node} /> : null}
      {node.name === "mj-include" ? <Included api={api} path={read(node, "path")} /> : null}
      {node.name === "mj-social" ? <Networks api={api} node={node} read={read} /> : null}
      {node.type === "group" ? <Group api={api} node={node} /> : null}
      {rows}
      {node.type === "element" && node.name !== "mj-body" && node.name !== "mj-column" ? <Condition api={api} node={node} /> : null}
    </fieldset>
  );
}

/** A field that tells what was typed a moment later, and takes what comes from elsewhere while nobody types. */
function Typed({ value, set, ...rest }) {
  const [text, setText] = useState(value);
  const typing = useRef(false);
  useEffect(() => { if (!typing.current) setText(value); }, [value]);
  return (
    <input
      type="text" {...rest} value={text}
      onFocus={() => { typing.current = true; }}
      onChange={({ target }) => { setText(target.value); set(target.value); }}
      onBlur={() => { typing.current = false; setText(value); }}
    />
  );
}

function Field({ api, title, kind, more, value, shown, name, set }) {
  const { t } = api;
  const id = useId();
  const [picking, setPicking] = useState(false);
  const label = <label htmlFor={id}>{title}</label>;
  if (kind === "colour") return <Colour {...{ id, label, title, value, shown, set, t }} />;
  if (kind === "padding") return <Padding {...{ title, value, shown, set, t }} />;
  if (kind === "align") {
    return (
      <div className="blk-field" role="group" aria-label={title}>
        <span>{title}</span>
        <div className="blk-choice">
          {["left", "center", "right"].map((one) => (
            <button key={one} type="button" aria-pressed={shown === one} title={t(ALIGNED[one])} aria-label={t(ALIGNED[one])} onClick={() => set(one)}><Icon path={ICONS[one]} /></button>
          ))}
        </div>
      </div>
    );
  }
  if (kind === "choice") {
    return (
      <div className="blk-field">{label}
        <select id={id} value={value || (more.some(([one]) => one === shown) ? shown : "")} onChange={({ target }) => set(target.value)}>
          {more.map(([one, text]) => <option key={one} value={one}>{t(text)}</option>)}
          {value && !more.some(([one]) => one === value) ? <option value={value}>{value}</option> : null}
        </select>
      </div>
    );
  }
  if (kind === "px") return <div className="blk-field">{label}<Pixels {...{ id, value, shown, set }} /></div>;
  const personal = ["href", "src", "alt", "background-url"].includes(name);
  return (
    <div className="blk-field wide">{label}
      <div className="blk-with">
        <Typed id={id} value={value} placeholder={value ? "" : shown} set={(text) => set(text.trim() === "" ? "" : text)} inputMode={kind === "url" ? "url" : undefined} spellCheck={kind !== "url"} />
        {personal ? <button type="button" className="blk-act" aria-expanded={picking} title={t("Personalise")} aria-label={t("Personalise")} onClick={() => setPicking(!picking)}><Icon path={ICONS.person} /></button> : null}
      </div>
      {picking ? <Picker api={api} put={(text) => set(value + text)} close={() => setPicking(false)} /> : null}
      {name === "alt" ? <small>{t("Read aloud to those who do not see the picture; leave it empty for a decoration.")}</small> : null}
    </div>
  );
}

const ALIGNED = { left: "Align left", center: "Centred", right: "Align right" };

function Pixels({ id, value, shown, set, label }) {
  const isPlain = (text) => /^\d+(\.\d+)?(px)?$/.test(text);
  if (value && !isPlain(value)) return <Typed id={id} value={value} set={set} aria-label={label} />;
  return (
    <span className="blk-unit">
      <input id={id} aria-label={label} type="number" min="0" max="2000" value={value ? parseFloat(value) : ""} placeholder={isPlain(shown) ? String(parseFloat(shown)) : ""} onChange={({ target }) => set(target.value === "" ? "" : `${Math.max(0, Number(target.value))}px`)} />
      <i>px</i>
    </span>
  );
}

function Colour({ id, label, title, value, shown, set, t }) {
  const hex = /^#[0-9a-f]{6}$/i.test(shown) ? shown : /^#[0-9a-f]{3}$/i.test(shown) ? `#${[...shown.slice(1)].map((one) => one + one).join("")}` : "#ffffff";
  return (
    <div className="blk-field">{label}
      <span className="blk-colour">
        <input type="color" aria-label={t("{title}: choose", { title })} value={hex} onChange={({ target }) => set(target.value)} className={shown ? "" : "none"} />
        <Typed id={id} value={value} placeholder={shown || t("none")} set={set} spellCheck={false} />
        {value ? <button type="button" className="blk-act" title={t("As by default")} aria-label={t("{title}: as by default", { title })} onClick={() => set("")}><Icon path={ICONS.close} /></button> : null}
      </span>
    </div>
  );
}

function Padding({ title, value, shown, set, t }) {
  const four = sides(value || shown || "0");
  if (!four) return <div className="blk-field wide"><span>{title}</span><Typed value={value} set={set} aria-label={title} /></div>;
  const names = ["Top", "Right", "Bottom", "Left"];
  return (
    <div className="blk-field wide" role="group" aria-label={title}>
      <span>{title}</span>
      <div className="blk-four">
        {four.map((one, n) => (
          <label key={names[n]}>{t(names[n])}
            <input type="number" min="0" max="400" value={one} onChange={({ target }) => set(padding(four.map((old, m) => (m === n ? Math.max(0, Number(target.value) || 0) : old))))} />
          </label>
        ))}
      </div>
    </div>
  );
}

/** How many columns a row has; what stands in one that goes joins the one before it. */
function Columns({ api, node }) {
  const { store, t } = api;
  const columns = node.children.filter(({ name }) => name === "mj-column");
  const others = solid(node).length !== columns.length;
  if (others || !columns.length) return null;
  const set = (count) => {
    let made = { source: store.source, at: node.start };
    for (let n = columns.length; n < count; n += 1) made = again(made, node, (row) => insert(made.source, row, solid(row).length, "<mj-column></mj-column>"));
    for (let n = columns.length; n > count; n -= 1) {
      made = again(made, node, (row) => {
        const last = solid(row).at(-1);
        const text = made.source.slice(last.inner, last.innerEnd).trim();
        const gone = remove(made.source, last);
        if (!text) return gone;
        const before = solid(findAt(gone.source, row.start)).at(-1);
        return insert(gone.source, before, solid(before).length, text, true);
      });
    }
    store.edit({ source: made.source, at: node.start }, "", t("{count} columns", { count }));
  };
  return (
    <div className="blk-field" role="group" aria-label={t("Columns")}>
      <span>{t("Columns")}</span>
      <div className="blk-choice">
        {[1, 2, 3, 4].map((count) => <button key={count} type="button" aria-pressed={columns.length === count} onClick={() => columns.length !== count && set(count)}>{count}</button>)}
      </div>
    </div>
  );
}

const findAt = (source, start) => {
  const walk = (node) => (node.start === start && node.type === "element" ? node : node.children?.filter((one) => one.start <= start && start < one.end).map(walk).find(Boolean));
  return walk({ ...parse(source), start: -1 });
};
const again = (made, node, edit) => ({ source: edit(findAt(made.source, node.start)).source, at: node.start });

function Included({ api, path }) {
  const { t, partials } = api;
  const key = path.replace(/^\s*partial:/, "").trim();
  const name = partials.find(([one]) => one === key)?.[1] ?? key;
  return (
    <p className="blk-note">{t("This is the saved block “{name}”. It is changed in one place, for every mail that uses it.", { name })} <a href={`/ui/templates/${encodeURIComponent(key)}`}>{t("Change the saved block")}</a></p>
  );
}

function Networks({ api, node, read }) {
  const { store, t } = api;
  const found = node.children.filter(({ name }) => name === "mj-social-element");
  const set = (one, name, value) => store.edit({ ...setAttribute(store.source, one, name, value), at: node.start }, `${one.start}/${name}`);
  return (
    <div className="blk-networks">
      {found.map((one, n) => (
        <div key={one.start} role="group" aria-label={t("Link {number}", { number: n + 1 })}>
          <select aria-label={t("Network")} value={read(one, "name").replace("-noshare", "")} onChange={({ target }) => set(one, "name", `${target.value}-noshare`)}>
            {NETWORKS.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
          <Typed aria-label={t("Link")} value={read(one, "href")} set={(text) => set(one, "href", text)} spellCheck={false} />
          <button type="button" className="blk-act" aria-label={t("Remove the link")} title={t("Remove the link")} onClick={() => store.edit({ source: remove(store.source, one).source, at: node.start })}><Icon path={ICONS.close} /></button>
        </div>
      ))}
      <button type="button" className="button" onClick={() => store.edit({ source: insert(store.source, node, solid(node).length, '<mj-social-element name="web-noshare" href="https://www.example.com/" alt="Web"></mj-social-element>').source, at: node.start })}>{t("Add a link")}</button>
    </div>
  );
}

/** A condition or a loop around blocks. */
function Group({ api, node }) {
  const { store, t } = api;
  const list = node.tag === "for" ? node.condition.match(/^item in trigger\.([\w.]+)\|default\(\[\]\)$/)?.[1] : null;
  const set = (condition) => {
    const now = store.node();
    const next = setCondition(store.source, now, condition);
    if (next) store.edit(next, `${now.start}/condition`);
  };
  const rule = node.tag === "if" ? api.rules[node.condition] : null;
  return (
    <>
      {list !== null && list !== undefined ? <Products api={api} node={node} list={list} /> : null}
      {rule ? (
        <div className="blk-rule">
          <b>{t("Shown only to these contacts:")}</b>
          <p>{rule.said}</p>
          {rule.holds === null ? null : <small>{t(rule.holds ? "Shown in the preview." : "Not shown in the preview.")}</small>}
        </div>
      ) : null}
      {node.tag === "if" && api.editable ? <button type="button" className="button" onClick={() => api.askRule(node)}>{t(rule ? "Change the rule" : "Edit as a rule")}</button> : null}
      {rule ? null : <div className="blk-field wide"><span>{t(node.tag === "for" ? "Repeated for (Jinja)" : "Condition (Jinja)")}</span>
        <Typed aria-label={t(node.tag === "for" ? "Repeated for (Jinja)" : "Condition (Jinja)")} value={node.condition} set={(text) => text.trim() && set(text)} spellCheck={false} />
      </div>}
      {node.branches ? <p className="blk-note">{t("There is an “else” in here; see the source.")}</p> : (
        <button type="button" className="button" onClick={() => store.edit(unwrap(store.source, node), "", t("Always shown"))}>{t(node.tag === "for" ? "Show it once" : "Always show it")}</button>
      )}
    </>
  );
}

/** Which list of the event the products come from, and what their fields are called there. */
function Products({ api, node, list }) {
  const { store, t } = api;
  const text = store.source.slice(node.inner, node.innerEnd);
  const found = (pattern, or) => text.match(pattern)?.[1] ?? or;
  const fields = {
    name: found(/>\{\{ item\.([\w.]+)\|default\(""\) \}\}</, PRODUCT_FIELDS.name), price: found(/item\.([\w.]+)\|default\(0\)\|money/, PRODUCT_FIELDS.price),
    image: found(/src="\{\{ item\.([\w.]+) \}\}"/, PRODUCT_FIELDS.image), link: found(/href="\{\{ item\.([\w.]+) \}\}"/, PRODUCT_FIELDS.link),
  };
  const currency = found(/money\("(\w+)"\)/, "EUR");
  const draw = (nextList, nextFields, nextCurrency) => {
    const now = store.node();
    let inside = store.source.slice(now.inner, now.innerEnd);
    for (const key of Object.keys(fields)) if (nextFields[key] !== fields[key]) inside = inside.replaceAll(new RegExp(`\\bitem\\.${fields[key].replaceAll(".", "\\.")}(?![\\w.])`, "g"), `item.${nextFields[key]}`);
    if (nextCurrency !== currency) inside = inside.replaceAll(`money("${currency}")`, `money("${nextCurrency}")`);
    const open = `{% for item in trigger.${nextList}|default([]) %}`;
    store.edit({ source: store.source.slice(0, now.start) + open + inside + store.source.slice(now.innerEnd), at: now.start }, `${now.start}/products`);
  };
  const clean = (value) => value.replace(/[^\w.]/g, "").replace(/^\.+|\.+$/g, "");
  const row = (title, value, set) => <div className="blk-field"><span>{title}</span><Typed aria-label={title} value={value} spellCheck={false} set={(next) => /^[A-Za-z_]/.test(clean(next)) && set(clean(next))} /></div>;
  return (
    <div className="blk-products">
      {row(t("List in the event"), list, (next) => draw(next, fields, currency))}
      {row(t("Name"), fields.name, (next) => draw(list, { ...fields, name: next }, currency))}
      {row(t("Price"), fields.price, (next) => draw(list, { ...fields, price: next }, currency))}
      {row(t("Picture"), fields.image, (next) => draw(list, { ...fields, image: next }, currency))}
      {row(t("Link"), fields.link, (next) => draw(list, { ...fields, link: next }, currency))}
      {row(t("Currency"), currency, (next) => /^[A-Z]{3}$/.test(next.toUpperCase()) && draw(list, fields, next.toUpperCase()))}
    </div>
  );
}

const RULE = "rule";

/** Makes a block depend on a condition. */
function Condition({ api, node }) {
  const { store, t, groups } = api;
  const id = useId();
  const above = store.way().at(-2);
  if (above?.type === "group" && above.tag === "if") return <button type="button" className="button" onClick={() => store.select(above.start)}>{t("Shown only if …")}</button>;
  const add = (condition) => condition === RULE ? api.askRule(node) : condition && store.edit(wrap(store.source, node, `{% if ${condition} %}`, "{% endif %}"), "", t("Shown only if a condition holds"));
  return (
    <div className="blk-field wide"><label htmlFor={id}>{t("Show this block")}</label>
      <select id={id} value="" onChange={({ target }) => add(target.value)}>
        <option value="">{t("always")}</option>
        <option value={RULE}>{t("by a rule …")}</option>
        <optgroup label={t("if a value is there")}>
          {groups.slice(0, 1).flatMap(([, entries]) => entries).map(([path, name]) => <option key={path} value={`${path}|default("")`}>{name}</option>)}
        </optgroup>
      </select>
    </div>
  );
}

/** The newest pictures of the library; one that is chosen brings its words along. */
function Pictures({ api, node }) {
  const { store, t, pictures } = api;
  const choose = ({ url, alt }) => {
    const shown = setAttribute(store.source, node, "src", url);
    const now = findAt(shown.source, node.start);
    store.edit(alt ? setAttribute(shown.source, now, "alt", alt) : shown, "", t("Picture chosen"));
  };
  return (
    <div className="blk-field wide" role="group" aria-label={t("Picture library")}>
      <span>{t("Picture library")}</span>
      {pictures.length ? (
        <div className="blk-pictures">
          {pictures.map((one) => (
            <button key={one.id} type="button" title={one.name} aria-label={one.alt || one.name} onClick={() => choose(one)}><img src={one.small} alt="" loading="lazy" /></button>
          ))}
        </div>
      ) : null}
      <a href="/ui/pictures" target="_blank" rel="noreferrer">{t("Add pictures to the library")}</a>
    </div>
  );
}

/** What a block says in the source. Whatever no setting offers is changed here. */
function Source({ api, node, state }) {
  const { store, t, editable } = api;
  const text = state.source.slice(node.start, node.end);
  const id = useId();
  const [draft, setDraft] = useState(null);
  const [bad, setBad] = useState(false);
  const known = SETTINGS[node.name] || node.type === "group" || node.name === "mj-include";
  useEffect(() => { setDraft(null); setBad(false); }, [text]);
  const keep = () => {
    if (draft === null || draft === text) return;
    try {
      parse(draft);
    } catch {
      setBad(true);
      return;
    }
    store.edit({ source: replace(store.source, store.node(), draft).source, at: draft.trim() ? node.start : -1 });
  };
  return (
    <details className="blk-source" open={!known || (node.name === "mj-text" && !isRich(state.source.slice(node.inner, node.innerEnd)))}>
      <summary>{t("Source of this block")}</summary>
      <label className="hidden" htmlFor={id}>{t("Source of this block")}</label>
      <textarea id={id} spellCheck={false} rows={Math.min(14, Math.max(4, text.split("\n").length + 1))} readOnly={!editable} value={draft ?? text} aria-invalid={bad} onChange={({ target }) => { setDraft(target.value); setBad(false); }} onBlur={keep} />
      {bad ? <p className="blk-bad" role="alert">{t("This does not fit together: each tag and each {% if %} has to end.")}</p> : null}
    </details>
  );
}
