// What ReactPy loads: `bind`, and the components it may name.
import "@xyflow/react/dist/style.css";
import "./canvas.css";

export { bind } from "./bind.js";
export { Bridge, Canvas } from "./canvas.jsx";
export { Follow } from "./follow.jsx";
export { Viewer } from "./viewer.jsx";
export { Status } from "./status.jsx";
