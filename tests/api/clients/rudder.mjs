// @rudderstack/rudder-sdk-node, as its documentation begins.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const analytics = new RudderAnalytics(process.env.WRITE_KEY, { dataPlaneUrl: process.env.SERVER, flushAt: 20 });
analytics.identify({ userId: "u1", traits: { email: "ada@example.org", plan: "pro" } });
analytics.track({ userId: "u1", event: "Order Completed", properties: { total: 59.9 } });
analytics.page({ userId: "u1", name: "Docs", properties: { url: "https://shop.example/docs" } });
analytics.group({ userId: "u1", groupId: "acme", traits: { name: "Acme AG" } });
analytics.alias({ previousId: "anon-1", userId: "u1" });
await new Promise((resolve, reject) => analytics.flush((error) => (error ? reject(error) : resolve())));
process.exit(0);
