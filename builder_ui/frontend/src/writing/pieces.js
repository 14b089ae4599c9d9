// The fields of the template editor: lines of text, and sources with line numbers (CodeMirror).
// A source stands in a shadow root: there CodeMirror's styles are constructed sheets, which a strict content security policy allows.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { xml } from "@codemirror/lang-xml";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorSelection, EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, EditorView, MatchDecorator, ViewPlugin, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { desk } from "./desk.js";

const GRACE_MS = 1000;
const FROM_OUTSIDE = Annotation.define();
const holders = new WeakMap();

/** ReactPy calls this twice for one node, and lets go of a node and takes it again whenever it draws around it. */
export function bind(node) {
  const held = holders.get(node) ?? { uses: 0, type: null, shown: null };
  holders.set(node, held);
  held.uses += 1;
  let live = true;
  return {
    create: (type, props) => ({ type, props }),
    render: ({ type, props }) => {
      if (!live) return;
      if (held.type === type) return held.shown.update(props);
      held.shown?.destroy();
      held.type = type;
      held.shown = new type(node, props);
    },
    unmount: () => {
      if (!live) return;
      live = false;
      held.uses -= 1;
      setTimeout(() => {
        if (held.uses > 0 || node.isConnected || holders.get(node) !== held) return;
        holders.delete(node);
        held.shown?.destroy();
      }, GRACE_MS);
    },
  };
}

/** Draws nothing: carries the server's small news to the fields. */
export class Wire {
  constructor(_node, props) { this.update(props); }
  update({ id, session, feed, onEvent }) { desk(id).hear(session, JSON.parse(feed), onEvent); }
  destroy() {}
}

/** What both kinds of field do: keep a text, take the server's where it was put in from outside. */
export class Field {
  constructor(node, props) {
    this.host = node;
    this.desk = desk(props.id);
    this.props = props;
  }

  enter() {
    this.desk.fields.set(this.props.place, this);
    this.desk.mark();
    this.desk.perform();
  }

  leave() {
    if (this.desk.fields.get(this.props.place) === this) this.desk.fields.delete(this.props.place);
  }

  /** Whether the server's text is to replace what stands here; what was typed and not stored yet goes before it. */
  isOld(generation) {
    return generation !== this.props.generation && !this.isMine();
  }

  /** Whether something was typed here that the server has not stored, nor put aside when it set this text. */
  isMine() {
    return this.desk.typed(this.props.place) > Math.max(this.props.settled, this.desk.saved);
  }
}

export class Line extends Field {
  constructor(node, props) {
    super(node, props);
    this.input = document.createElement("input");
    this.output = document.createElement("output");
    node.replaceChildren(this.input, this.output);
    Object.assign(this.input, { type: "text", id: props.field, autocomplete: "off", spellcheck: true, maxLength: props.most });
    this.input.addEventListener("input", () => {
      this.count();
      this.desk.change(this.props.place, this.input.value);
    });
    this.input.addEventListener("focus", () => { this.desk.last = this.props.place; });
    this.input.addEventListener("blur", () => this.desk.flush());
    this.input.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
        event.preventDefault();
        this.desk.save();
      }
    });
    this.place(props);
  }

  update(props) {
    if (props.place !== this.props.place || props.id !== this.props.id) {
      this.leave();
      this.desk = desk(props.id);
      this.place(props);
    } else {
      const before = this.props.generation;
      this.props = props;
      if (this.isOld(before) && this.input.value !== props.initial) this.set(props.initial);
    }
    this.input.disabled = !props.editable;
  }

  place(props) {
    this.props = props;
    this.input.disabled = !props.editable;
    this.set(this.isMine() ? this.desk.texts.get(props.place).text : props.initial);
    this.enter();
  }

  set(text) {
    this.input.value = text;
    this.count();
  }

  count() {
    const length = [...this.input.value].length;
    this.output.textContent = this.props.shown ? `${length} / ${this.props.shown}` : String(length);
    this.output.className = this.props.shown && length > this.props.shown ? "over" : "";
  }

  insert(text) {
    this.input.focus();
    const { selectionStart: from, selectionEnd: to } = this.input;
    this.input.setRangeText(text, from ?? this.input.value.length, to ?? this.input.value.length, "end");
    this.input.dispatchEvent(new Event("input"));
  }

  markWrong() {
    this.input.toggleAttribute("aria-invalid", false);
    if (this.desk.wrong[this.props.place]) this.input.setAttribute("aria-invalid", "true");
  }

  jump(_line, column) {
    this.input.focus();
    this.input.setSelectionRange(column - 1, column - 1);
  }

  destroy() { this.leave(); }
}

const jinja = new MatchDecorator({ regexp: /\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}/g, decoration: Decoration.mark({ class: "cm-jinja" }) });
const jinjaMarks = ViewPlugin.fromClass(
  class {
    constructor(view) { this.decorations = jinja.createDeco(view); }
    update(update) { this.decorations = jinja.updateDeco(update, this.decorations); }
  },
  { decorations: (plugin) => plugin.decorations },
);

const setWrong = StateEffect.define();
const wrongLines = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    let now = marks.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(setWrong)) now = effect.value;
    return now;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const colours = HighlightStyle.define([
  { tag: [tags.tagName, tags.angleBracket], color: "var(--accent)" },
  { tag: tags.attributeName, color: "var(--warn)" },
  { tag: tags.attributeValue, color: "var(--good)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--paper)", color: "var(--ink)", fontSize: "13px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { overflow: "auto", fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--side)", color: "var(--quiet)", border: "none", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent)" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--warn) 22%, transparent)" },
  ".cm-jinja, .cm-jinja span": { color: "var(--bad)", fontWeight: "600" },
  ".cm-wrong": { backgroundColor: "var(--bad-soft)", boxShadow: "inset 3px 0 var(--bad)" },
  ".cm-panels": { backgroundColor: "var(--side)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-panel.cm-search": { padding: "6px 28px 6px 8px" },
  ".cm-textfield": { backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--line-strong)", borderRadius: "4px" },
  ".cm-panel.cm-search button[name=close]": { color: "var(--ink)", fontSize: "18px" },
});

export class Source extends Field {
  constructor(node, props) {
    super(node, props);
    this.readOnly = new Compartment();
    const root = node.shadowRoot ?? node.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(":host { display: block; height: 100%; }");
    this.view = new EditorView({ parent: root, root, state: EditorState.create() });
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    this.place(props);
  }

  extensions(props) {
    return [
      lineNumbers(), foldGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(),
      highlightActiveLineGutter(), highlightSelectionMatches(), search({ top: true }), EditorView.lineWrapping,
      ...(props.language === "mjml" ? [xml(), syntaxHighlighting(colours)] : []),
      jinjaMarks, wrongLines, look, this.readOnly.of(EditorState.readOnly.of(!props.editable)),
      EditorState.phrases.of(JSON.parse(props.phrases)),
      EditorView.contentAttributes.of({ "aria-label": props.label, spellcheck: "false", tabindex: "0" }),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => { this.desk.save(); return true; } },
        ...closeBracketsKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...defaultKeymap, indentWithTab,
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !update.transactions.some((one) => one.annotation(FROM_OUTSIDE))) this.desk.change(this.props.place, update.state.doc.toString());
        if (update.focusChanged) {
          if (update.view.hasFocus) this.desk.last = this.props.place;
          else this.desk.flush();
        }
      }),
    ];
  }

  update(props) {
    const old = this.props;
    if (props.place !== old.place || props.id !== old.id) {
      this.keep();
      this.leave();
      this.desk = desk(props.id);
      return this.place(props);
    }
    this.props = props;
    if (this.isOld(old.generation)) this.set(props.initial);
    if (props.editable !== old.editable) this.view.dispatch({ effects: this.readOnly.reconfigure(EditorState.readOnly.of(!props.editable)) });
    return undefined;
  }

  keep() {
    this.desk.kept.set(this.props.place, { state: this.view.state, generation: this.props.generation });
  }

  place(props) {
    this.props = props;
    const kept = this.desk.kept.get(props.place);
    const text = this.isMine() ? this.desk.texts.get(props.place).text : props.initial;
    this.view.setState(kept ? kept.state : EditorState.create({ doc: text, extensions: this.extensions(props) }));
    if (kept) this.set(text); // it may have been changed as blocks, or on the server
    this.markWrong();
    this.enter();
  }

  set(text) {
    const present = this.view.state.doc;
    if (present.toString() !== text) this.view.dispatch({ changes: { from: 0, to: present.length, insert: text }, annotations: FROM_OUTSIDE.of(true) });
  }

  markWrong() {
    const { doc } = this.view.state;
    const lines = [...new Set(this.desk.wrong[this.props.place] ?? [])].filter((line) => line >= 1 && line <= doc.lines).sort((a, b) => a - b);
    const marks = lines.map((line) => Decoration.line({ class: "cm-wrong" }).range(doc.line(line).from));
    this.view.dispatch({ effects: setWrong.of(Decoration.set(marks)) });
  }

  insert(text) {
    this.view.dispatch(this.view.state.changeByRange((range) => ({
      changes: { from: range.from, to: range.to, insert: text },
      range: EditorSelection.cursor(range.from + text.length),
    })), { scrollIntoView: true });
    this.view.focus();
  }

  jump(line, column) {
    const at = this.view.state.doc.line(Math.min(Math.max(line, 1), this.view.state.doc.lines));
    const place = Math.min(at.from + Math.max(column - 1, 0), at.to);
    this.view.dispatch({ selection: { anchor: place }, effects: EditorView.scrollIntoView(place, { y: "center" }) });
    this.view.focus();
  }

  destroy() {
    this.keep();
    this.leave();
    this.view.destroy();
  }
}
