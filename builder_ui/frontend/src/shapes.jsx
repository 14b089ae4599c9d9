// What stands on the canvas: a step, the entry, a note, and the way from one step to the next.
import { BaseEdge, EdgeLabelRenderer, Handle, NodeResizer, Position, getSmoothStepPath } from "@xyflow/react";
import { memo, useEffect, useRef, useState } from "react";
import { through } from "./courses.js";
import { called, ENTRY, edgeId, labelled, outletsOf } from "./graph.js";
import { useCanvas, useCounts, useNext, usePinned } from "./store.js";

export function Icon({ name }) {
  const { icons } = useCanvas();
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={icons[name] ?? icons.circle} />
    </svg>
  );
}

function Card({ node, selected, className, children }) {
  const { quiet } = useCanvas();
  const { view } = node.data;
  const problems = usePinned("problems", node.id);
  const mark = usePinned("marks", node.id);
  const lit = usePinned("lit", node.id);
  const people = usePinned("people", node.id);
  const counts = useCounts(node.id);
  const tone = mark ? `pfb-marked pfb-t-${mark.tone}` : quiet ? "pfb-dim" : "";
  return (
    <div className={`pfb-card ${className} ${tone} ${counts ? "pfb-counted" : ""} ${labelled(node) ? "pfb-many" : ""} ${lit ? "pfb-lit" : ""} ${problems ? `pfb-${problems.severity}` : ""}`}>
      {children}
      <div className="pfb-card-body">
        <span className={`pfb-card-icon pfb-g-${view.group}`}><Icon name={view.icon} /></span>
        <span className="pfb-card-text">
          <span className="pfb-card-kind">{view.label}<Hint id={node.id} group={view.group} /></span>
          <b className="pfb-card-name">{called(view)}</b>
          <span className="pfb-card-summary" title={view.summary}>{view.summary}</span>
        </span>
      </div>
      {problems && (
        <span className="pfb-badge" title={problems.text}>
          <Icon name="alert" />{problems.said}
        </span>
      )}
      {people?.length > 0 && <People people={people} />}
      {mark?.sign && <span className="pfb-sign" title={mark.said}><span aria-hidden="true">{mark.sign}</span><i className="hidden">{mark.said}</i></span>}
      {mark?.lines.length > 0 && <Lines lines={mark.lines} />}
      {counts && <Figures node={node} counts={counts} />}
      <Outlets node={node} counts={counts} selected={selected} />
    </div>
  );
}

/** Who else is at this step now. */
function People({ people }) {
  const names = people.map(({ name }) => name).join(", ");
  return (
    <span className="pfb-here" title={names}>
      {people.slice(0, 3).map(({ initials, tone }, place) => <span key={place} className={`pfb-person pfb-p${tone}`} aria-hidden="true">{initials}</span>)}
      <i className="hidden">{names}</i>
    </span>
  );
}

function Lines({ lines }) {
  return <ul className="pfb-lines" title={lines.join("\n")}>{lines.slice(-2).map((line, place) => <li key={place}>{line}</li>)}</ul>;
}

/** When a contact gets here at the earliest; on messages unless hints are switched off. */
function Hint({ id, group }) {
  const { days } = useCanvas();
  const hint = usePinned("hints", id);
  if (!hint || !days || group !== "messages") return null;
  return <span className="pfb-hint" title={hint[1]}> · {hint[0]}<i className="hidden">. {hint[1]}</i></span>;
}

/** The numbers of a card: each leads to the contacts behind it. */
function Figures({ node, counts }) {
  const { t, said } = useCanvas();
  const entry = node.id === ENTRY;
  const sum = (reasons) => (reasons ?? []).reduce((all, [, , count]) => all + count, 0);
  const inWords = (reasons) => reasons.map(([, text, count]) => `${said(count)} ${text}`).join(", ");
  const sentences = (reasons) => reasons.map(([, text, count]) => `${text} (${said(count)})`).join(", ");
  const skipped = sum(counts.skipped);
  const refused = sum(counts.refused);
  const share = (part, whole) => (whole ? ` (${said(part / whole, "percent")})` : "");
  return (
    <span className="pfb-counts nodrag nopan">
      <Figure node={node} what="waiting" icon="hourglass" count={counts.waiting} text={entry ? t("in the journey now") : t("waiting here now")} />
      <Figure node={node} what="entered" icon="people" count={counts.entered} text={t("entered so far")} />
      {entry && counts.ended > 0 && <Figure node={node} what="ended" icon="flag" count={counts.ended} text={t("finished")} />}
      {entry && counts.goal > 0 && (
        <Figure node={node} what="goal" icon="check" count={counts.goal} shown={said(counts.goal / counts.entered, "percent")} text={`${t("at the goal")}: ${said(counts.goal)}`} />
      )}
      {counts.sent > 0 && <Figure node={node} what="sent" icon="mail" count={counts.sent} text={t("sent")} />}
      {counts.sent > 0 && (
        <Figure node={node} what="opened" icon="mail-open" count={counts.opened ?? 0} shown={said((counts.opened ?? 0) / counts.sent, "percent")} text={`${t("opened")}: ${said(counts.opened ?? 0)}${share(counts.opened ?? 0, counts.sent)}`} />
      )}
      {counts.sent > 0 && (
        <Figure node={node} what="clicked" icon="link" count={counts.clicked ?? 0} shown={said((counts.clicked ?? 0) / counts.sent, "percent")} text={`${t("clicked")}: ${said(counts.clicked ?? 0)}${share(counts.clicked ?? 0, counts.sent)}`} />
      )}
      {skipped > 0 && <Figure node={node} what="skipped" icon="ban" count={skipped} tone="warn" text={`${t("Not sent:")} ${inWords(counts.skipped)}`} />}
      {counts.failed > 0 && <Figure node={node} what="failed" icon="alert" count={counts.failed} tone="bad" text={t("failed")} />}
      {counts.bounced > 0 && <Figure node={node} what="bounced" icon="alert" count={counts.bounced} tone="bad" text={t("bounced")} />}
      {refused > 0 && <Figure node={node} what="refused" icon="ban" count={refused} tone="warn" text={`${t("Not enrolled:")} ${sentences(counts.refused)}`} />}
    </span>
  );
}

function Figure({ node, what, icon, count, shown, text, tone = "", outlet = "" }) {
  const { said, people } = useCanvas();
  const name = text.includes(":") ? text : `${said(count)} ${text}`;
  return (
    <a className={tone} href={people(node.id, what, outlet)} title={name} aria-label={name} draggable={false} onClick={(event) => event.stopPropagation()} onKeyDown={(event) => event.key === "Enter" && event.stopPropagation()}>
      {icon && <Icon name={icon} />}{shown ?? said(count, "short")}
    </a>
  );
}

function Outlets({ node, counts, selected }) {
  const { t, act, editable, said } = useCanvas();
  const next = useNext(node);
  const outlets = outletsOf(node);
  const many = labelled(node);
  const all = Object.values(counts?.left ?? {}).reduce((sum, one) => sum + one, 0);
  return outlets.map(([outlet, label, spare], place) => {
    const x = `${((place + 0.5) * 100) / outlets.length}%`;
    const open = next[place] === null;
    const left = counts?.left[outlet] ?? 0;
    return (
      <span key={outlet}>
        {many && (
          <span
            className="pfb-outlet" style={{ left: x, maxWidth: `${100 / outlets.length}%` }} title={label}
            onMouseEnter={() => act.light?.(node.id, outlet)} onMouseLeave={() => act.light?.(node.id)}
          >
            <Outlet node={node} outlet={outlet} label={label} next={next[place]} selected={selected} />
            {counts && node.id !== ENTRY && (
              <b> <Figure node={node} what="left" outlet={outlet} count={left} shown={left ? `${said(left, "short")} · ${said(left / all, "percent")}` : "0"} text={`${label}: ${said(left)}`} /></b>
            )}
          </span>
        )}
        <Handle type="source" id={outlet} position={Position.Bottom} style={{ left: x }} isConnectable={editable} />
        {editable && open && (
          <button
            type="button"
            className={`pfb-plus pfb-open nodrag nopan ${spare ? "pfb-spare" : ""}`}
            style={{ left: x }}
            aria-label={t("Add a step after “{outlet}”", { outlet: label })}
            title={t("Add a step after “{outlet}”", { outlet: label })}
            onClick={(event) => { event.stopPropagation(); act.menu(event, { from: node.id, outlet }); }}
          >+</button>
        )}
      </span>
    );
  });
}

/** The name of a way out; where one leads on, pressing it leads to the step there. Tab stops at those of the chosen step: at all it would take for ever. */
function Outlet({ node, outlet, label, next, selected }) {
  const { t, model, act } = useCanvas();
  if (next === null || !act.go) return <bdi>{label}</bdi>;
  const to = () => model.edge(edgeId(node.id, outlet))?.target;
  return (
    <button
      type="button" className="pfb-outlet-name" tabIndex={selected ? 0 : -1} aria-label={t("“{outlet}” leads to “{step}”", { outlet: label, step: next })} onFocus={(event) => { event.stopPropagation(); act.light(node.id, outlet); }}
      onKeyDown={(event) => event.key === "Enter" && event.stopPropagation()} onClick={(event) => { event.stopPropagation(); act.go(to()); }}
    ><bdi>{label}</bdi></button>
  );
}

export const Step = memo(function Step({ id, data, selected }) {
  const { editable } = useCanvas();
  return (
    <Card node={{ id, data }} selected={selected} className={selected ? "pfb-selected" : ""}>
      <Handle type="target" position={Position.Top} isConnectable={editable} />
    </Card>
  );
});

export const Entry = memo(function Entry({ id, data, selected }) {
  return <Card node={{ id, data }} selected={selected} className={`pfb-entry ${selected ? "pfb-selected" : ""}`} />;
});

const COLOR_NAMES = [["yellow", "Yellow"], ["green", "Green"], ["blue", "Blue"]];
const SMALLEST = { width: 120, height: 70 };
const LARGEST = 1200;

/** A paper with a text; its text is committed when it is left, so that undo takes whole thoughts back. */
export const Note = memo(function Note({ id, data, selected, width, height }) {
  const { t, model, act, editable } = useCanvas();
  const [text, setText] = useState(data.text);
  const field = useRef(null);
  const known = useRef(data.text); // what was there when one began to write
  useEffect(() => {
    if (document.activeElement === field.current && text !== known.current) return;
    known.current = data.text;
    setText(data.text);
  }, [data.text]);
  /** Two who write on one note at once are both on it. */
  const commit = () => {
    if (!editable || text === known.current) return;
    const whole = data.text === known.current ? text : `${data.text}\n${text}`.slice(0, 2000);
    known.current = whole;
    setText(whole);
    model.editNote(id, { text: whole });
  };
  const size = (by) => {
    const to = (side, least) => Math.round(Math.min(LARGEST, Math.max(least, side * by)));
    model.editNote(id, { width: to(width, SMALLEST.width), height: to(height, SMALLEST.height) });
  };
  function press(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    commit();
    event.currentTarget.closest(".react-flow__node")?.focus();
  }
  return (
    <div className={`pfb-note pfb-n-${data.color} ${selected ? "pfb-selected" : ""}`}>
      {editable && (
        <NodeResizer
          isVisible={selected} minWidth={SMALLEST.width} minHeight={SMALLEST.height} maxWidth={LARGEST} maxHeight={LARGEST}
          onResizeStart={act.resizing.start} onResizeEnd={act.resizing.stop}
        />
      )}
      {editable && selected && (
        <div className="pfb-note-bar nodrag nopan" role="toolbar" aria-label={t("Editing")}>
          {COLOR_NAMES.map(([color, text]) => (
            <button
              key={color} type="button" className={`pfb-n-${color}`} aria-pressed={color === data.color} aria-label={t(text)} title={t(text)}
              onClick={() => model.editNote(id, { color })}
            >{color === data.color ? "✓" : ""}</button>
          ))}
          <button type="button" onClick={() => size(1.2)} aria-label={t("Larger")} title={t("Larger")}>+</button>
          <button type="button" onClick={() => size(1 / 1.2)} aria-label={t("Smaller")} title={t("Smaller")}>−</button>
          <button type="button" onClick={() => model.remove([id], [])} aria-label={t("Delete")} title={t("Delete")}>×</button>
        </div>
      )}
      <textarea
        ref={field} className={selected ? "nodrag nopan nowheel" : ""} value={text} maxLength={2000} readOnly={!editable} aria-label={t("Note")}
        placeholder={t("Write something …")} onChange={(event) => setText(event.target.value)} onBlur={commit} onKeyDown={press}
      />
    </div>
  );
});

const CROSSING = ["", "pfb-c1", "pfb-c2", "pfb-c3"];

/** Whether a reckoned course still fits: while a card is dragged it does not. */
const fits = (data, x, y, toX, toY) =>
  data?.corners && Math.abs(data.ends[0][0] - x) < 2 && Math.abs(data.ends[0][1] - y) < 9 && Math.abs(data.ends[1][0] - toX) < 2 && Math.abs(data.ends[1][1] - toY) < 9;

export const Way = memo(function Way({ id, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, markerEnd, selected, data }) {
  const { t, act, editable } = useCanvas();
  const mark = usePinned("marks", id);
  const lit = usePinned("lit", id);
  const reckoned = fits(data, sourceX, sourceY, targetX, targetY);
  const [straight, middleX, middleY] = getSmoothStepPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, borderRadius: 10 });
  const [x0, x1] = reckoned ? [data.ends[0][0], data.ends[1][0]] : [];
  const path = reckoned ? through([[x0, sourceY], ...data.corners, [x1, targetY]]) : straight;
  const [x, y] = reckoned ? data.plus : [middleX, middleY];
  const place = { transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` };
  const name = reckoned ? data.name : null;
  const tone = mark ? `pfb-t-${mark.tone}` : reckoned ? CROSSING[data.tone] : "";
  return (
    <>
      <BaseEdge id={id} path={path} markerEnd={markerEnd} interactionWidth={24} className={`pfb-way ${tone} ${lit ? "pfb-lit" : ""}`} />
      {name && (
        <EdgeLabelRenderer>
          <span className={`pfb-way-name ${tone} ${lit ? "pfb-lit" : ""}`} style={{ transform: `translate(-50%, -50%) translate(${name.x}px, ${name.y}px)` }} aria-hidden="true"><bdi>{name.text}</bdi></span>
        </EdgeLabelRenderer>
      )}
      {mark?.sign && (
        <EdgeLabelRenderer>
          <span className={`pfb-way-sign pfb-t-${mark.tone}`} style={place} title={mark.said}>{mark.sign}</span>
        </EdgeLabelRenderer>
      )}
      {editable && (
        <EdgeLabelRenderer>
          <button
            type="button"
            data-way={id}
            className={`pfb-plus nodrag nopan ${selected ? "pfb-selected" : ""}`}
            style={place}
            aria-label={t("Add a step here")}
            title={t("Add a step here")}
            onClick={(event) => act.menu(event, { edge: id })}
          >+</button>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

/** Edges with names in the reader's language; what is as before keeps its identity. */
export function naming(t) {
  const known = new Map();
  let last = [];
  return (nodes, edges) => {
    const byId = new Map(nodes.map((node) => [node.id, node.data]));
    const all = edges.map((edge) => {
      const [from, to] = [byId.get(edge.source), byId.get(edge.target)];
      const before = known.get(edge.id);
      if (before && before.edge === edge && before.from === from && before.to === to) return before.named;
      const outlet = from?.view.outlets?.find(([name]) => name === edge.sourceHandle)?.[1] ?? "";
      const ariaLabel = t("From “{step}”, {outlet}, to “{next}”", { step: called(from?.view), outlet, next: called(to?.view) });
      const named = { ...edge, ariaLabel };
      known.set(edge.id, { edge, from, to, named });
      return named;
    });
    // The same list while a card is dragged: React Flow takes every line in anew when it is another.
    if (all.length !== last.length || all.some((edge, at) => edge !== last[at])) last = all;
    return last;
  };
}
