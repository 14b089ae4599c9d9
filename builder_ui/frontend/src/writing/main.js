// What ReactPy loads for the template editor: `bind`, and what it may name. Nothing here needs React.
export { Frame } from "./frame.js";
export { bind, Line, Source, Wire } from "./pieces.js";
export { Status } from "./status.js";
