// @segment/analytics-next in a browser's window (jsdom): it asks `cdnURL` for its settings, and these name our server for events.
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><title>Shop</title>", { url: "https://shop.example/", pretendToBeVisual: true });
for (const name of ["window", "document", "localStorage", "sessionStorage", "location", "Event", "XMLHttpRequest", "CustomEvent"]) {
  Object.defineProperty(globalThis, name, { value: name === "window" ? window : window[name], configurable: true, writable: true });
}
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
window.fetch = globalThis.fetch;

const { AnalyticsBrowser } = await import("@segment/analytics-next");
const analytics = AnalyticsBrowser.load({ writeKey: process.env.WRITE_KEY, cdnURL: process.env.SERVER });
await analytics.identify("u1", { email: "ada@example.org", plan: "pro" });
await analytics.track("Order Completed", { total: 59.9 });
await analytics.page("Docs", { url: "https://shop.example/docs" });
await analytics.group("acme", { name: "Acme AG" });
await analytics.alias("u1", "anon-1");
process.exit(0);
