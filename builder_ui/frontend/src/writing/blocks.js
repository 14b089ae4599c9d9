// A mail as blocks. The editor itself is a module of its own, which is fetched when somebody opens this view; here it is tied to the page's texts.
import { desk } from "./desk.js";
import { Field } from "./pieces.js";
import { post } from "../wire.js";

export class Blocks extends Field {
  constructor(node, props) {
    super(node, props);
    this.place(props);
  }

  place(props) {
    this.props = props;
    this.desk = desk(props.id);
    this.shown = null;
    this.calls = [];
    this.turn = (this.turn ?? 0) + 1; // another language may be opened before the module is there
    this.enter();
    this.begin(this.turn);
  }

  async begin(turn) {
    let module;
    try {
      module = await import(this.props.module);
    } catch {
      this.host.textContent = this.props.failed;
      return;
    }
    if (turn !== this.turn) return;
    const { desk } = this;
    const { place } = this.props;
    const inside = document.createElement("div");
    this.host.replaceChildren(inside);
    if (!desk.pasts.has(place)) desk.pasts.set(place, { undo: [], redo: [], what: "", when: 0 });
    this.shown = module.mount(inside, {
      source: this.text(), past: desk.pasts.get(place), editable: this.props.editable, texts: this.props.texts, rules: desk.rules,
      changed: (text) => { desk.last = place; desk.change(place, text); },
      flush: () => desk.flush(),
      save: () => desk.save(),
      send: (message) => { desk.flush(); post(desk.onEvent, message); },
    });
    for (const call of this.calls) call(this.shown);
    this.calls = [];
  }

  text() {
    return this.isMine() ? this.desk.texts.get(this.props.place).text : this.props.initial;
  }

  /** Now, or once the editor is there. */
  do(call) {
    if (this.shown) call(this.shown);
    else this.calls.push(call);
  }

  update(props) {
    const old = this.props;
    if (props.place !== old.place || props.id !== old.id) {
      this.destroy();
      this.place(props);
      return;
    }
    this.props = props;
    if (this.isOld(old.generation)) this.do((shown) => shown.take(props.initial));
    if (props.texts !== old.texts || props.editable !== old.editable) this.do((shown) => shown.update(props));
  }

  insert(text) { this.do((shown) => shown.insert(text)); }
  jump(line, column) { this.do((shown) => shown.jump(line, column)); }
  include({ key, name, level }) { this.do((shown) => shown.include(key, name, level)); }
  rule(condition) { this.do((shown) => shown.rule(condition)); }
  markRules(rules) { this.do((shown) => shown.rules(rules)); }
  markWrong() {}

  destroy() {
    this.turn += 1;
    this.leave();
    this.shown?.destroy();
    this.shown = null;
  }
}
