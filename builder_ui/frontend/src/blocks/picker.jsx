// What can be filled in for each reader, with what stands there if it is missing.
import { useState } from "react";

const CODE = /^coupon\("[^"]*"\)/; // a coupon code: what stands there if none is left is up to its pool

/** Whether something else can stand where a value is missing: not for links and codes. */
const falls = (path) => !CODE.test(path) && !(/_url$/.test(path) && !path.includes("."));

/** A value as templates write it. */
export const written = (path, fallback) => (falls(path) ? `{{ ${path}|default("${fallback.replace(/["\\{}%#]/g, "")}") }}` : `{{ ${path} }}`);

/** What a piece of Jinja is called for people. */
export function named(node, titles, t) {
  if (node.kind === "block") return node.inner.startsWith("for ") ? `↻ ${node.inner.slice(4)}` : node.inner.startsWith("if ") ? `? ${t("if")} ${short(node.inner.slice(3), titles)}` : node.inner;
  if (node.kind === "comment") return "…";
  return short(node.inner, titles);
}

function short(inner, titles) {
  const [path] = inner.match(CODE) ?? inner.match(/^[\w.]+/) ?? [""];
  const title = titles.get(path) ?? path;
  return title || (inner.length > 28 ? `${inner.slice(0, 27)}…` : inner);
}

export function Picker({ api, put, close }) {
  const { t, groups } = api;
  const [path, setPath] = useState("");
  const [fallback, setFallback] = useState("");
  const insert = () => {
    if (!path) return;
    put(written(path, fallback), path);
    close();
  };
  return (
    <div className="blk-picker" role="group" aria-label={t("Personalise")} onKeyDown={(event) => event.key === "Escape" && (event.stopPropagation(), close())}>
      <label>{t("Value")}
        <select autoFocus value={path} onChange={({ target }) => setPath(target.value)}>
          <option value="">{t("Choose …")}</option>
          {groups.map(([title, entries]) => (
            <optgroup key={title} label={title}>{entries.map(([one, name]) => <option key={one} value={one}>{name}</option>)}</optgroup>
          ))}
        </select>
      </label>
      <label>{t("If it is missing")}
        <input type="text" disabled={!falls(path)} value={fallback} maxLength={100} onChange={({ target }) => setFallback(target.value)} onKeyDown={(event) => event.key === "Enter" && (event.preventDefault(), insert())} />
      </label>
      <button type="button" className="button main" disabled={!path} onClick={insert}>{t("Insert")}</button>
    </div>
  );
}
