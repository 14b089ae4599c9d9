// The line that says whether the text is stored: the server's word, unless the page knows better.
import { keeping } from "../keeping.js";
import { post } from "../wire.js";

const SVG = "http://www.w3.org/2000/svg";

/** The same line as the canvas's (`status.jsx`), without React. */
export class Status {
  constructor(node, props) {
    this.line = document.createElement("span");
    this.line.setAttribute("role", "status");
    this.symbol = document.createElementNS(SVG, "path");
    const field = document.createElementNS(SVG, "svg");
    for (const [name, value] of [["class", "icon"], ["viewBox", "0 0 24 24"], ["aria-hidden", "true"]]) field.setAttribute(name, value);
    field.append(this.symbol);
    this.text = document.createTextNode("");
    this.line.append(field, this.text);
    node.replaceChildren(this.line);
    this.keeper = keeping(props.id);
    this.end = this.keeper.subscribe(() => this.draw());
    this.update(props);
  }

  update(props) {
    this.props = props;
    this.keeper.ask = props.onEvent && ((message) => post(props.onEvent, message));
    this.draw();
  }

  draw() {
    const { name, said, known, lasting } = this.props;
    const state = this.keeper.shown();
    const [text, tone, path] = (!(lasting && state === "pending") && JSON.parse(known)[state]) || JSON.parse(said);
    this.line.className = `${name} ${tone}`;
    this.symbol.setAttribute("d", path);
    if (this.text.data !== text) this.text.data = text;
  }

  destroy() { this.end(); }
}
