// A drawing to look at: any version, two compared, or somebody's way. Chooses and moves the view, changes nothing.
import { Background, Controls, MiniMap, ReactFlow, ReactFlowProvider, applyEdgeChanges, applyNodeChanges, useReactFlow } from "@xyflow/react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { EDGE_TYPES, FIT, FIT_AT_ONCE, Fit, NODE_TYPES, aria, column, speaker, translator } from "./canvas.jsx";
import { isNote } from "./graph.js";
import { Model } from "./model.js";
import { naming } from "./shapes.jsx";
import { CanvasContext, lights, pinboard, useModel } from "./store.js";
import { post } from "./wire.js";

const MINIMAP_FROM = 15;

export function Viewer(props) {
  return (
    <ReactFlowProvider key={props.id}>
      <Sheet {...props} />
    </ReactFlowProvider>
  );
}

function Sheet({ graph, marks, focus, icons: iconsText, texts, quiet, onEvent }) {
  const handler = useRef(onEvent);
  handler.current = onEvent;
  const flow = useReactFlow();
  const host = useRef(null);
  const t = useMemo(() => translator(JSON.parse(texts)), [texts]);
  const icons = useMemo(() => JSON.parse(iconsText), [iconsText]);
  const [model] = useState(() => {
    const made = new Model(() => {});
    made.load(JSON.parse(graph));
    return made;
  });
  const [board] = useState(pinboard);
  useModel(model);
  useEffect(() => board.set("marks", JSON.parse(marks)), [board, marks]);

  // Only a new turn moves the view: news that come by themselves leave it where it is.
  const turn = useRef(0);
  useEffect(() => {
    const [number, id] = JSON.parse(focus);
    if (number === turn.current) return;
    turn.current = number;
    const node = model.node(id);
    if (!node) return;
    model.select([id]);
    flow.setCenter(node.position.x + node.width / 2, node.position.y + node.height / 2, { zoom: Math.max(flow.getZoom(), 0.7), duration: 200 });
  }, [focus, flow, model]);

  const onNodesChange = useCallback((changes) => {
    const kept = changes.filter((change) => change.type === "select");
    if (!kept.length) return;
    model.show(applyNodeChanges(kept, model.nodes), model.edges);
    post(handler.current, { type: "select", ids: model.selectedSteps });
  }, [model]);
  const onEdgesChange = useCallback((changes) => {
    model.show(model.nodes, applyEdgeChanges(changes.filter((change) => change.type === "select"), model.edges));
  }, [model]);
  const begin = useCallback((drawn) => {
    const readable = column(model, host.current.getBoundingClientRect());
    if (readable) drawn.setViewport(readable);
    else drawn.fitView(FIT_AT_ONCE);
  }, [model]);

  const spoken = useMemo(() => aria(t), [t]);
  const named = useMemo(() => naming(t), [t]);
  const act = useMemo(() => ({ light: (one, outlet) => board.set("lit", one ? lights(model, one, outlet) : {}) }), [model, board]);
  const context = useMemo(
    () => ({ model, board, t, icons, quiet, act, editable: false, days: false, said: speaker(), people: () => "" }),
    [model, board, t, icons, quiet, act],
  );
  return (
    <CanvasContext.Provider value={context}>
      <div className="pfb-flow" ref={host}>
        <ReactFlow
          nodes={model.nodes} edges={named(model.nodes, model.edges)} nodeTypes={NODE_TYPES} edgeTypes={EDGE_TYPES}
          onNodesChange={onNodesChange} onEdgesChange={onEdgesChange} onInit={begin}
          onNodeMouseEnter={(_, node) => act.light(node.id)} onNodeMouseLeave={() => act.light(null)}
          nodesDraggable={false} nodesConnectable={false} edgesReconnectable={false} deleteKeyCode={null}
          colorMode="system" minZoom={0.1} maxZoom={1.6} ariaLabelConfig={spoken}
        >
          <Background gap={22} size={1.2} />
          <Controls showInteractive={false} showFitView={false}><Fit onFit={() => flow.fitView(FIT)} t={t} /></Controls>
          {model.nodes.filter((node) => !isNote(node)).length >= MINIMAP_FROM && <MiniMap pannable zoomable ariaLabel={t("Map of the journey")} />}
        </ReactFlow>
      </div>
    </CanvasContext.Provider>
  );
}
