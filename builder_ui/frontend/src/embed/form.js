// A form of the workspace on the customer's site: where its script tag stands, or as a pop-up. Needs nothing but a browser, writes text as text, makes no inline style or
// script, and asks nobody but the server that it comes from.
//
//   <script type="module" src="https://pfadwerk.example/v1/embed/form.js" data-form="newsletter"></script>
//
// What it keeps is in localStorage: that its pop-up was closed, and when, or that it was sent in. No id.

const SERVER = new URL(import.meta.url).origin;
const DAY = 86_400_000;
const UTM = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"];
const LOOKS = `
  :host { display: block; font: inherit; color: inherit; }
  form, .said { max-width: 34em; }
  h2 { font-size: 1.3em; line-height: 1.25; margin: 0 0 .6em; }
  p { margin: 0 0 1em; white-space: pre-line; overflow-wrap: anywhere; }
  .field { display: block; margin: 0 0 1em; }
  .field > label, legend { display: block; font-weight: 600; padding: 0 0 .25em; }
  small { display: block; opacity: .8; padding-top: .25em; }
  label small { display: inline; font-weight: 400; }
  input:not([type=checkbox]), select, textarea { box-sizing: border-box; width: 100%; min-height: 2.75em; padding: .5em .7em; border: 1px solid; border-radius: .4em;
    background: Canvas; color: CanvasText; font: inherit; }
  .tick { display: flex; gap: .7em; align-items: flex-start; padding: .6em 0; }
  .tick input { width: 1.3em; height: 1.3em; flex: none; margin: .1em 0 0; }
  .tick span { white-space: pre-line; }
  fieldset { border: 1px solid color-mix(in srgb, currentColor 40%, transparent); border-radius: .4em; margin: 0 0 1em; padding: .4em 1em; }
  button { min-height: 2.9em; padding: .4em 1.4em; border: 1px solid transparent; border-radius: .4em; background: var(--pfadwerk-button, #1f5fbf);
    color: var(--pfadwerk-button-text, #fff); font: inherit; font-weight: 600; cursor: pointer; }
  :focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
  .wrong { color: #b3261e; font-weight: 600; opacity: 1; }
  [aria-invalid=true] { border-width: 2px; }
  .trap { position: absolute; left: -100vw; }
  dialog { box-sizing: border-box; width: min(36em, calc(100vw - 2em)); max-height: calc(100vh - 2em); overflow: auto; border: 0; border-radius: .6em; padding: 1.5em;
    background: Canvas; color: CanvasText; font: inherit; }
  dialog::backdrop { background: rgb(0 0 0 / .45); }
  .close { float: right; min-height: 2.4em; padding: 0 .6em; background: none; color: inherit; border-color: currentColor; }
  @media (prefers-color-scheme: dark) { .wrong { color: #ff9c93; } }
`;
let numbers = 0;

function make(tag, attributes = {}, ...inside) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false && value !== undefined && value !== "") one.setAttribute(name, value === true ? "" : value);
  one.append(...inside.filter((part) => part || part === 0));
  return one;
}

class Embedded {
  constructor(tag) {
    this.key = tag.dataset.form;
    this.language = tag.dataset.language ?? document.documentElement.lang.slice(0, 2);
    this.id = `pfadwerk-form-${++numbers}`;
    this.host = make("div", { "data-pfadwerk-form": this.key });
    tag.after(this.host);
    this.root = this.host.attachShadow({ mode: "open" });
    const looks = new CSSStyleSheet();
    looks.replaceSync(LOOKS);
    this.root.adoptedStyleSheets = [looks];
  }

  get address() {
    return `${SERVER}/v1/forms/${encodeURIComponent(this.key)}`;
  }

  async run() {
    const answer = await fetch(`${this.address}?language=${encodeURIComponent(this.language)}`, { credentials: "omit" });
    if (!answer.ok) return;
    this.shown = await answer.json();
    this.from(this.shown.wait_seconds);
    this.host.lang = this.shown.language;
    const { popup } = this.shown;
    if (!popup) return this.root.append(this.form());
    if (this.may(popup)) this.wait(popup);
  }

  from(seconds) {
    this.ready = new Promise((done) => setTimeout(done, seconds * 1_000 + 500)); // who is quicker is taken for a program
  }

  // When a pop-up opens

  get kept() {
    try {
      return localStorage.getItem(`pfadwerk.form.${this.key}`) ?? "";
    } catch {
      return ""; // storage is forbidden: it opens once a page
    }
  }

  keep(what) {
    try {
      localStorage.setItem(`pfadwerk.form.${this.key}`, what);
    } catch {
      // as above
    }
  }

  may({ paths, days_between: days }) {
    const here = !paths.length || paths.some((one) => location.pathname.startsWith(one));
    return here && this.kept !== "sent" && Date.now() - Number(this.kept || 0) >= days * DAY;
  }

  wait(popup) {
    const ending = new AbortController();
    const { signal } = ending;
    const open = () => {
      if (signal.aborted) return;
      ending.abort();
      this.open();
    };
    if (popup.after_seconds !== null) setTimeout(open, popup.after_seconds * 1_000);
    if (popup.after_scroll_percent !== null) {
      const look = () => {
        const page = document.documentElement;
        if ((page.scrollTop + page.clientHeight) / page.scrollHeight >= popup.after_scroll_percent / 100) open();
      };
      addEventListener("scroll", look, { passive: true, signal });
    }
    if (popup.on_exit) document.documentElement.addEventListener("mouseleave", (event) => event.clientY <= 0 && open(), { signal });
  }

  open() {
    const { words } = this.shown;
    const close = make("button", { type: "button", class: "close", "aria-label": words.close }, "×");
    this.dialog = make("dialog", { "aria-labelledby": `${this.id}-title` }, close, this.form());
    close.addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      if (this.kept !== "sent") this.keep(String(Date.now()));
      this.dialog.remove();
    });
    this.root.append(this.dialog);
    this.dialog.showModal();
    this.element.elements[0]?.focus();
  }

  // The form

  form() {
    const { form, words } = this.shown;
    this.element = make(
      "form",
      { "aria-labelledby": `${this.id}-title`, novalidate: true },
      make("h2", { id: `${this.id}-title` }, form.title),
      form.intro && make("p", {}, form.intro),
      make("div", { role: "alert", class: "alert" }),
      ...form.fields.map((one) => this.field(one)),
      make("div", { class: "trap", "aria-hidden": "true" }, make("input", { name: "website", tabindex: "-1", autocomplete: "off" })),
      ...form.boxes.flatMap((box) => this.box(box)),
      make("button", {}, form.button),
      form.mailed && make("p", {}, make("small", {}, words.mailed)),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    return this.element;
  }

  field(one) {
    const id = `${this.id}-${one.name}`;
    const notes = [make("small", { id: `${id}-wrong`, class: "wrong" }), one.help && make("small", { id: `${id}-help` }, one.help)];
    const about = { name: one.name, "aria-describedby": `${id}-wrong${one.help ? ` ${id}-help` : ""}`, required: one.required };
    const called = [one.label, !one.required && make("small", {}, ` ${this.shown.words.optional}`)];
    if (one.input === "checkbox") {
      return make("div", {}, make("label", { class: "tick" }, make("input", { ...about, type: "checkbox", value: "yes" }), make("span", {}, ...called)), ...notes);
    }
    if (one.input === "choices") {
      const boxes = one.choices.map(([value, label]) => make("label", { class: "tick" }, make("input", { name: one.name, type: "checkbox", value }), make("span", {}, label)));
      return make("fieldset", { "aria-describedby": about["aria-describedby"] }, make("legend", {}, ...called), ...boxes, ...notes);
    }
    return make("div", { class: "field" }, make("label", { for: id }, ...called), this.control(one, { ...about, id }), ...notes);
  }

  control(one, about) {
    if (one.input === "textarea") return make("textarea", { ...about, rows: 4, maxlength: one.longest });
    if (one.input === "choice") {
      return make("select", about, make("option", { value: "" }), ...one.choices.map(([value, label]) => make("option", { value }, label)));
    }
    const number = one.input === "number";
    return make("input", { ...about, type: number ? "text" : one.input, inputmode: number && "decimal", autocomplete: one.fill, maxlength: one.longest });
  }

  box(box) {
    const { words } = this.shown;
    const topics = box.topics.flatMap(([key, label, description]) => [
      make("input", { type: "hidden", name: "shown", value: `topic.${key}` }),
      make("label", { class: "tick" }, make("input", { type: "checkbox", name: `topic.${key}`, value: "yes" }), make("span", {}, label, description && make("small", {}, description))),
    ]);
    const wrong = make("small", { id: `${this.id}-${box.key}-wrong`, class: "wrong" });
    const input = make("input", { type: "checkbox", name: box.key, value: "yes", required: box.required, "aria-describedby": wrong.id });
    return [
      topics.length > 0 && make("fieldset", {}, make("legend", {}, words.topics), ...topics),
      make("div", {}, make("label", { class: "tick" }, input, make("span", {}, box.wording)), wrong),
    ];
  }

  // Sending

  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      this.answer(await this.post());
    } catch {
      this.alert(this.shown.words.failed);
    } finally {
      this.sending = false;
    }
  }

  async post(again = true) {
    await this.ready;
    const said = new URLSearchParams(new FormData(this.element));
    const given = new URLSearchParams(location.search);
    for (const name of UTM) if (given.get(name)) said.set(name, given.get(name));
    const visitor = globalThis.pfadwerk?.visitor?.() ?? {};
    const more = { ticket: this.shown.ticket, language: this.shown.language, page: location.href, referrer: document.referrer, ...visitor };
    for (const [name, value] of Object.entries(more)) if (value) said.set(name, value);
    const answer = await fetch(this.address, { method: "POST", body: said, credentials: "omit" });
    const told = await answer.json();
    if (told.state === "stale" && again) {
      this.shown.ticket = told.ticket;
      this.from(told.wait_seconds);
      return this.post(false);
    }
    return told;
  }

  answer(told) {
    for (const one of this.element.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
    for (const one of this.element.querySelectorAll(".wrong")) one.textContent = "";
    if (told.state === "done") return this.done(told);
    const names = Object.keys(told.wrong ?? {});
    for (const name of names) {
      const note = this.root.getElementById(`${this.id}-${name}-wrong`);
      if (note) note.textContent = told.wrong[name];
      for (const one of this.element.elements) if (one.name === name) one.setAttribute("aria-invalid", "true");
    }
    this.alert(told.message ?? this.shown.words.failed);
    [...this.element.elements].find((one) => one.name === names[0])?.focus();
  }

  alert(text) {
    this.element.querySelector(".alert").replaceChildren(make("p", { class: "wrong" }, text));
  }

  done(told) {
    this.keep("sent");
    this.host.dispatchEvent(new CustomEvent("pfadwerk:sent", { bubbles: true, detail: { form: this.key } }));
    if (told.redirect) return location.assign(told.redirect);
    const said = make("div", { class: "said", role: "status", tabindex: "-1" }, make("h2", { id: `${this.id}-title` }, told.title), make("p", {}, told.message));
    this.element.replaceWith(said);
    said.focus();
  }
}

for (const tag of document.querySelectorAll("script[data-form]")) if (tag.src === import.meta.url) new Embedded(tag).run().catch(() => {});
