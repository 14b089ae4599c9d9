// The inbox of a logged-in person on the customer's site. Needs nothing but a browser, writes text as text, makes no inline style or script
// (a strict Content-Security-Policy has to allow this script's origin in script-src and connect-src, and nothing else), and opens web
// addresses only.
//
//   import { openInbox } from "https://pfadwerk.example/v1/embed/inbox.js";
//   openInbox({ key: "pfb_…", token: async () => (await fetch("/my/inbox-token")).text(), place: document.querySelector("#inbox") });

const WORDS = {
  en: { title: "Messages", empty: "No messages", dismiss: "Dismiss", open: "Open" },
  de: { title: "Nachrichten", empty: "Keine Nachrichten", dismiss: "Ausblenden", open: "Öffnen" },
};
const LOOKS = `
  :host { display: block; font: inherit; color: inherit; }
  ul { list-style: none; margin: 0; padding: 0; }
  li { position: relative; padding: .75em 2.5em .75em .9em; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
  li.unread { box-shadow: inset 3px 0 currentColor; }
  h3, p { margin: 0 0 .3em; font-size: 1em; overflow-wrap: anywhere; }
  p { white-space: pre-wrap; }
  .dismiss { position: absolute; top: .5em; right: .4em; border: 0; background: none; font: inherit; color: inherit; cursor: pointer; }
`;
const FIRST_PAUSE = 3_000;
const LONGEST_PAUSE = 60_000;
const MOST_SHOWN = 50;
const READ_PIXELS = 150; // of a message taller than twice the view, half is never on the screen
const STEPS = Array.from({ length: 51 }, (_, step) => step / 100); // up to half of the message; at each one it is measured

/**
 * Shows the messages of the person that the token is for, and new ones as they come in.
 * key: a browser key. token: a function that asks the site's own server for a contact token. place: the element that holds the inbox;
 * without one nothing is drawn. words: other texts. onChange({messages, unread}): told of every change.
 * Returns { read(id), dismiss(id), close() }.
 */
export function openInbox(settings) {
  const inbox = new Inbox(settings);
  inbox.run();
  return { read: (id) => inbox.read(id), dismiss: (id) => inbox.dismiss(id), close: () => inbox.close() };
}

class Inbox {
  constructor({ key, token, place = null, server = new URL(import.meta.url).origin, words = {}, onChange = () => {} }) {
    Object.assign(this, { key, askForToken: token, server, onChange });
    this.words = { ...(WORDS[document.documentElement.lang.slice(0, 2)] ?? WORDS.en), ...words };
    this.messages = [];
    this.unread = 0;
    this.newest = 0;
    this.token = "";
    this.ending = new AbortController();
    this.view = place ? new View(place, this) : null;
  }

  async run() {
    for (let pause = FIRST_PAUSE; !this.ending.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        await this.load();
        const began = Date.now();
        await this.follow();
        if (Date.now() - began > LONGEST_PAUSE) pause = FIRST_PAUSE;
      } catch (error) {
        if (this.ending.signal.aborted) return;
      }
      await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
    }
  }

  async ask(path, options = {}, again = true) {
    this.token ||= await this.askForToken();
    const headers = { ...options.headers, authorization: `Basic ${btoa(`${this.key}:`)}`, "x-contact-token": this.token };
    const answer = await fetch(`${this.server}/v1/in-app/${path}`, { ...options, headers, credentials: "omit", signal: this.ending.signal });
    if (answer.status === 401 && again) {
      this.token = "";
      return this.ask(path, options, false);
    }
    if (!answer.ok) throw new Error(`inbox: ${answer.status}`);
    return answer;
  }

  async load() {
    const found = await (await this.ask(`messages?limit=${MOST_SHOWN}`)).json();
    this.messages = found.messages;
    this.unread = found.unread;
    this.newest = Math.max(this.newest, found.newest);
    this.changed();
  }

  async follow() {
    const answer = await this.ask("stream", { headers: { "last-event-id": String(this.newest) } });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const frames = (text + value).split("\n\n");
      text = frames.pop();
      for (const frame of frames) this.hear(frame);
    }
  }

  hear(frame) {
    const data = frame.split("\n").find((line) => line.startsWith("data: "));
    if (!data) return;
    const message = JSON.parse(data.slice(6));
    this.newest = Math.max(this.newest, message.id);
    if (this.messages.some((one) => one.id === message.id)) return;
    this.messages = [message, ...this.messages].slice(0, MOST_SHOWN);
    this.unread += message.read ? 0 : 1;
    this.changed();
  }

  async read(id) {
    const message = this.messages.find((one) => one.id === id);
    if (!message || message.read) return;
    message.read = true;
    this.unread = Math.max(0, this.unread - 1);
    this.changed();
    await this.ask(`messages/${id}/read`, { method: "POST", keepalive: true }).catch(() => {}); // told again after the next load
  }

  async dismiss(id) {
    const message = this.messages.find((one) => one.id === id);
    if (!message) return;
    this.messages = this.messages.filter((one) => one !== message);
    this.unread = Math.max(0, this.unread - (message.read ? 0 : 1));
    this.changed();
    await this.ask(`messages/${id}/dismiss`, { method: "POST", keepalive: true }).catch(() => this.load().catch(() => {}));
  }

  changed() {
    this.view?.draw();
    this.onChange({ messages: this.messages, unread: this.unread });
  }

  close() {
    this.ending.abort();
    this.view?.close();
  }
}

class View {
  constructor(place, inbox) {
    this.inbox = inbox;
    this.root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
    this.items = new Map();
    this.drawn = false;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(LOOKS);
    this.root.adoptedStyleSheets = [sheet];
    this.seen = new IntersectionObserver((entries) => entries.filter(wasRead).forEach((one) => inbox.read(Number(one.target.dataset.id))), { threshold: STEPS });
  }

  draw() {
    const { messages, words } = this.inbox;
    const before = this.items;
    this.items = new Map(messages.map((message) => [message.id, this.items.get(message.id) ?? this.item(message)]));
    for (const [id, item] of before) if (!this.items.has(id)) this.seen.unobserve(item);
    for (const message of messages) this.mark(this.items.get(message.id), message.read);
    if (this.drawn && String([...before.keys()]) === String([...this.items.keys()])) return; // whoever stands in the list with the keyboard stays there
    this.drawn = true;
    const list = made("ul", { "aria-label": words.title });
    list.append(...this.items.values());
    this.root.replaceChildren(messages.length ? list : made("p", {}, words.empty));
  }

  /** What a load brings back as unread, since telling failed, is observed anew: that alone makes the browser report it again. */
  mark(item, read) {
    item.className = read ? "" : "unread";
    if (read) this.seen.unobserve(item);
    else this.seen.observe(item);
  }

  item({ id, parts }) {
    const { inbox } = this;
    const item = made("li", { "data-id": id });
    item.append(made("h3", {}, parts.title ?? ""), made("p", {}, parts.text ?? ""));
    const address = webAddress(parts.url);
    if (address) {
      const link = made("a", { href: address, rel: "noopener noreferrer" }, parts.button || inbox.words.open);
      link.addEventListener("click", () => inbox.read(id));
      item.append(link);
    }
    const button = made("button", { type: "button", class: "dismiss", "aria-label": inbox.words.dismiss, title: inbox.words.dismiss }, "×");
    button.addEventListener("click", () => inbox.dismiss(id));
    item.append(button);
    return item;
  }

  close() {
    this.seen.disconnect();
    this.root.replaceChildren();
  }
}

/** Whether half of a message, or `READ_PIXELS` of it, are on the screen. */
function wasRead({ isIntersecting, intersectionRatio, intersectionRect }) {
  return isIntersecting && (intersectionRatio >= 0.5 || intersectionRect.height >= READ_PIXELS);
}

/** The address, if it is one of a website; anything else (javascript:, data:, nonsense) is none. */
export function webAddress(text) {
  try {
    const address = new URL(text);
    return address.protocol === "https:" || address.protocol === "http:" ? address.href : "";
  } catch {
    return "";
  }
}

function made(tag, attributes, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
