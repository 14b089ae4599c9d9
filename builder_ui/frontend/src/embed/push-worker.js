// The service worker's part of push messages: shows them, opens their address on a click, and tells when the browser changes its subscription.
// On the customer's own site, /pfadwerk-push-worker.js is one line:
//
//   importScripts("https://pfadwerk.example/v1/embed/push-worker.js");
//
// What it gets was encrypted for this browser. The address is a signed link of the installation, so that opening it counts the click; nothing
// else is told to anybody.

(() => {
  const STORE = "pfadwerk-push";
  const PLACE = "/pfadwerk-push.json";

  self.addEventListener("push", (event) => event.waitUntil(show(read(event.data))));
  self.addEventListener("notificationclick", (event) => {
    event.notification.close();
    event.waitUntil(open(event.notification.data?.url));
  });
  self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));

  function read(data) {
    try {
      const message = data.json();
      return message && typeof message === "object" ? message : {};
    } catch {
      return {};
    }
  }

  /** The same message twice takes its own place without a sound; another one with the same tag takes it with one. */
  async function show(message) {
    const text = (name) => (typeof message[name] === "string" ? message[name] : "");
    const tag = text("tag") || text("id");
    const shown = tag ? await self.registration.getNotifications({ tag }) : [];
    const again = shown.some((one) => one.data?.id === text("id"));
    await self.registration.showNotification(text("title") || self.location.host, {
      body: text("text"),
      data: { id: text("id"), url: webAddress(text("url")) },
      ...(tag && { tag, renotify: !again && shown.length > 0, silent: again }),
      ...(webAddress(text("icon")) && { icon: webAddress(text("icon")) }),
      ...(webAddress(text("picture")) && { image: webAddress(text("picture")) }),
      ...(text("button") && { actions: [{ action: "open", title: text("button") }] }),
    });
  }

  async function open(address) {
    await self.clients.openWindow(address || "/");
  }

  /** Browsers that end a subscription without a new one get one here, for the same key. */
  async function renew({ oldSubscription, newSubscription }) {
    const store = await caches.open(STORE);
    const known = await (await store.match(PLACE))?.json();
    const before = oldSubscription?.endpoint ?? known?.endpoint;
    if (!known || !before) return;
    const headers = { authorization: `Basic ${btoa(`${known.key}:`)}`, "content-type": "application/json" };
    const { key } = await (await fetch(`${known.server}/v1/devices/key`, { headers, credentials: "omit" })).json();
    const subscription = newSubscription ?? (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
    const body = JSON.stringify({ before, subscription: subscription.toJSON(), key });
    const answer = await fetch(`${known.server}/v1/devices/renew`, { method: "POST", headers, body, credentials: "omit" });
    if (answer.ok) await store.put(PLACE, new Response(JSON.stringify({ ...known, endpoint: subscription.endpoint })));
  }

  function webAddress(text) {
    try {
      const address = new URL(text);
      return address.protocol === "https:" || address.protocol === "http:" ? address.href : "";
    } catch {
      return "";
    }
  }
})();
