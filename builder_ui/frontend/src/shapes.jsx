// What stands on the canvas: a step, the entry, and the way from one to the next.
import { BaseEdge, EdgeLabelRenderer, Handle, Position, getSmoothStepPath } from "@xyflow/react";
import { memo } from "react";
import { ENTRY, edgeId, labelled, outletsOf, through } from "./graph.js";
import { useCanvas, useCounts, useModel, useProblems } from "./store.js";

export function Icon({ name }) {
  const { icons } = useCanvas();
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={icons[name] ?? icons.circle} />
    </svg>
  );
}

function Card({ node, className, children }) {
  const { t } = useCanvas();
  const { view } = node.data;
  const problems = useProblems(node.id);
  const counted = useCounts(node.id);
  const counts = node.id === ENTRY ? null : counted;
  return (
    <div className={`pfb-card ${className} ${problems ? `pfb-${problems.severity}` : ""}`}>
      {children}
      <div className="pfb-card-body">
        <span className={`pfb-card-icon pfb-g-${view.group}`}><Icon name={view.icon} /></span>
        <span className="pfb-card-text">
          <span className="pfb-card-kind">{view.label}</span>
          <b className="pfb-card-name">{view.name || view.label}</b>
          <span className="pfb-card-summary" title={view.summary}>{view.summary}</span>
        </span>
      </div>
      {problems && (
        <span className="pfb-badge" title={problems.text}>
          <Icon name="alert" />{problems.count === 1 ? t("1 problem") : t("{count} problems", { count: problems.count })}
        </span>
      )}
      {counts && (
        <span className="pfb-counts">
          <span title={t("waiting here now")}><Icon name="hourglass" />{counts.waiting}<i className="hidden"> {t("waiting here now")}</i></span>
          <span title={t("entered so far")}><Icon name="people" />{counts.entered}<i className="hidden"> {t("entered so far")}</i></span>
        </span>
      )}
      <Outlets node={node} counts={counts} />
    </div>
  );
}

function Outlets({ node, counts }) {
  const { model, t, act, editable } = useCanvas();
  useModel(model);
  const outlets = outletsOf(node);
  const many = labelled(node);
  return outlets.map(([outlet, label, spare], place) => {
    const x = `${((place + 0.5) * 100) / outlets.length}%`;
    const open = !model.edge(edgeId(node.id, outlet));
    const left = counts?.left[outlet];
    return (
      <span key={outlet}>
        {many && (
          <span className="pfb-outlet" style={{ left: x, maxWidth: `${100 / outlets.length}%` }}>
            {label}{left !== undefined && <b> {left}</b>}
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

export const Step = memo(function Step({ id, data, selected }) {
  const { editable } = useCanvas();
  return (
    <Card node={{ id, data }} className={selected ? "pfb-selected" : ""}>
      <Handle type="target" position={Position.Top} isConnectable={editable} />
    </Card>
  );
});

export const Entry = memo(function Entry({ id, data, selected }) {
  return <Card node={{ id, data }} className={`pfb-entry ${selected ? "pfb-selected" : ""}`} />;
});

export const Way = memo(function Way({ id, sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, markerEnd, selected, data }) {
  const { t, act, editable } = useCanvas();
  const { model } = useCanvas();
  const via = model.laid ? data?.via : null;
  const [straight, middleX, middleY] = getSmoothStepPath({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition, borderRadius: 10 });
  const path = via ? through([[sourceX, sourceY], ...via, [targetX, targetY]]) : straight;
  const [x, y] = via ? via[0] : [middleX, middleY];
  return (
    <>
      <BaseEdge id={id} path={path} markerEnd={markerEnd} interactionWidth={24} />
      {editable && (
        <EdgeLabelRenderer>
          <button
            type="button"
            data-way={id}
            className={`pfb-plus nodrag nopan ${selected ? "pfb-selected" : ""}`}
            style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
            aria-label={t("Add a step here")}
            title={t("Add a step here")}
            onClick={(event) => act.menu(event, { edge: id })}
          >+</button>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
