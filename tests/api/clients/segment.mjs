// @segment/analytics-node, as its documentation begins.
import { Analytics } from "@segment/analytics-node";

const analytics = new Analytics({ writeKey: process.env.WRITE_KEY, host: process.env.SERVER, path: "/v1/batch" });
analytics.on("error", (error) => { console.error(error); process.exitCode = 1; });
analytics.identify({ userId: "u1", traits: { email: "ada@example.org", plan: "pro" } });
analytics.track({ userId: "u1", event: "Order Completed", properties: { total: 59.9 } });
analytics.page({ userId: "u1", name: "Docs", properties: { url: "https://shop.example/docs" } });
analytics.group({ userId: "u1", groupId: "acme", traits: { name: "Acme AG" } });
analytics.alias({ previousId: "anon-1", userId: "u1" });
await analytics.closeAndFlush();
