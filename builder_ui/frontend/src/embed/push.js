// Push messages on the customer's site. Asks for permission when somebody clicks, never by itself; subscribes; registers the browser for the
// person whom the contact token names. A strict Content-Security-Policy has to allow this script's origin in script-src and connect-src, and
// nothing else.
//
//   import { pushButton } from "https://pfadwerk.example/v1/embed/push.js";
//   pushButton(document.querySelector("#push"), { key: "pfb_…", token: async () => (await fetch("/my/contact-token")).text() });

const STORE = "pfadwerk-push"; // where the service worker finds what it needs when no page is open (src/embed/push-worker.js)
const PLACE = "/pfadwerk-push.json";

/** Whether this browser can show push messages at all. Safari on an iPhone can only for sites on the home screen. */
export function canPush() {
  return "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis;
}

/**
 * Makes a button switch push messages on and off. It is hidden where the browser cannot show any, and disabled where the person has blocked
 * them; `data-push` says off, on, blocked or failed, for the page's own words and styles.
 * Returns { refresh() }.
 */
export function pushButton(button, settings) {
  const push = new Push(settings);
  const show = (state) => {
    button.dataset.push = state;
    button.hidden = state === "missing";
    button.disabled = state === "blocked";
    button.setAttribute("aria-pressed", String(state === "on"));
    settings.onChange?.(state);
  };
  const refresh = () => push.state().then(show, () => show("failed"));
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      show(button.dataset.push === "on" ? await push.off() : await push.on());
    } catch {
      show("failed");
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  refresh();
  return { refresh };
}

/**
 * key: a browser key. token: a function that asks the site's own server for a contact token. worker: the address of the service worker on the
 * site, "/pfadwerk-push-worker.js" unless said. app: what people call the site. consent: {purpose, wording}, logged with the registration.
 */
class Push {
  constructor({ key, token, worker = "/pfadwerk-push-worker.js", server = new URL(import.meta.url).origin, app = location.origin, consent = null }) {
    Object.assign(this, { key, askForToken: token, worker, server, app, consent });
  }

  /** missing, blocked, off or on. Who is on registers again, quietly: that keeps the device, and mends a subscription for a former key. */
  async state() {
    if (!canPush()) return "missing";
    if (Notification.permission === "denied") return "blocked";
    const registration = await navigator.serviceWorker.getRegistration(this.worker);
    const subscription = registration && (await registration.pushManager.getSubscription());
    if (!subscription || Notification.permission !== "granted") return "off";
    await this.register(registration, null);
    return "on";
  }

  /** Called by a click: browsers show the question then, and some only then. */
  async on() {
    if ((await Notification.requestPermission()) !== "granted") return Notification.permission === "denied" ? "blocked" : "off";
    await navigator.serviceWorker.register(this.worker);
    await this.register(await navigator.serviceWorker.ready, this.consent);
    return "on";
  }

  async off() {
    const registration = await navigator.serviceWorker.getRegistration(this.worker);
    const subscription = registration && (await registration.pushManager.getSubscription());
    if (subscription) {
      await this.ask("devices/remove", { address: subscription.endpoint });
      await subscription.unsubscribe();
    }
    await (await caches.open(STORE)).delete(PLACE);
    return "off";
  }

  async register(registration, consent) {
    const { key } = await (await this.fetch("devices/key")).json();
    const subscription = await subscribed(registration.pushManager, key);
    const language = document.documentElement.lang;
    const device = { type: "web", subscription: subscription.toJSON(), key, app: this.app, ...(language && { language }), ...(consent && { consent }) };
    await this.ask("devices", device);
    const known = { server: this.server, key: this.key, endpoint: subscription.endpoint };
    await (await caches.open(STORE)).put(PLACE, new Response(JSON.stringify(known), { headers: { "content-type": "application/json" } }));
  }

  async ask(path, body) {
    const headers = { "content-type": "application/json", "x-contact-token": await this.askForToken() };
    return this.fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  async fetch(path, options = {}) {
    const headers = { ...options.headers, authorization: `Basic ${btoa(`${this.key}:`)}` };
    const answer = await fetch(`${this.server}/v1/${path}`, { ...options, headers, credentials: "omit" });
    if (!answer.ok) throw new Error(`push: ${answer.status}`);
    return answer;
  }
}

/** The browser's subscription for this key; one for another key is given up, since a browser has one at a time. */
async function subscribed(manager, key) {
  const wanted = bytes(key);
  const present = await manager.getSubscription();
  if (present && same(present.options.applicationServerKey, wanted)) return present;
  await present?.unsubscribe();
  return manager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted });
}

function same(buffer, wanted) {
  const present = buffer ? new Uint8Array(buffer) : [];
  return present.length === wanted.length && wanted.every((byte, place) => byte === present[place]);
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}
