// What ReactPy loads for the template editor: `bind`, and what it may name. Nothing here needs React.
export { Blocks } from "./blocks.js";
export { Frame } from "./frame.js";
export { bind, Line, Source, Wire } from "./pieces.js";
export { Status } from "./status.js";
