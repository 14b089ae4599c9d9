// Pages and events of a site, for those who allowed it. Keeps one first-party cookie, and only while they do; asks nobody but the server that it comes from.
//
//   <script type="module" src="https://pfadwerk.example/v1/embed/site.js" data-key="pfb_…"></script>
//
// pfadwerk.consent(true) when somebody agrees, pfadwerk.consent(false) when they do not, or no longer. Before and without that nothing is kept and nothing is sent. A browser with
// Global Privacy Control or Do Not Track is never followed, whatever was agreed.

const SERVER = new URL(import.meta.url).origin;
const tag = [...document.querySelectorAll("script[data-key]")].find((one) => one.src === import.meta.url);
const NAME = "pfadwerk_id";
const SECONDS = 395 * 86_400; // thirteen months. Source: CNIL, guidelines on cookies and other trackers
const UTM = ["source", "medium", "campaign", "term", "content"];
const refused = navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";
const domain = tag?.dataset.domain ? `; domain=${tag.dataset.domain}` : "";
let token = takeToken();

// The token of a link that was followed goes out of the address at once, so that nobody copies it along.
function takeToken() {
  const url = new URL(location.href);
  const found = url.searchParams.get("pfw") ?? "";
  if (found) {
    url.searchParams.delete("pfw");
    history.replaceState(history.state, "", url);
  }
  return found;
}

function id() {
  return document.cookie.split("; ").find((one) => one.startsWith(`${NAME}=`))?.slice(NAME.length + 1) ?? "";
}

// `randomUUID` is there on https only.
const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

function keep(value, seconds) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${NAME}=${value}; path=/; max-age=${seconds}; samesite=lax${secure}${domain}`;
}

function campaign(query) {
  const given = UTM.map((name) => [name === "campaign" ? "name" : name, query.get(`utm_${name}`)]).filter(([, value]) => value);
  return given.length ? { campaign: Object.fromEntries(given) } : {};
}

function send(call) {
  if (refused || !id() || !tag) return;
  const here = { url: location.href, path: location.pathname, title: document.title, referrer: document.referrer };
  const context = { page: here, locale: navigator.language, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, ...campaign(new URLSearchParams(location.search)) };
  const body = { writeKey: tag.dataset.key, anonymousId: id(), messageId: fresh(), context, ...(token ? { token } : {}), ...call };
  token = "";
  fetch(`${SERVER}/v1/site`, { method: "POST", body: JSON.stringify(body), keepalive: true, credentials: "omit" }).catch(() => {});
}

const page = () => send({ type: "page", properties: { url: location.href, path: location.pathname, title: document.title, referrer: document.referrer } });

globalThis.pfadwerk = {
  /** Whether the browser is followed now. */
  consent(given) {
    if (!given || refused) {
      keep("", 0);
      return false;
    }
    if (!id()) {
      keep(fresh(), SECONDS);
      page();
    }
    return true;
  },
  page,
  track: (event, properties = {}) => send({ type: "track", event, properties }),
  /** For forms: whose submission it is. */
  visitor: () => (id() && !refused ? { anonymous_id: id() } : {}),
};

if (refused) keep("", 0);
else if (id()) page();
