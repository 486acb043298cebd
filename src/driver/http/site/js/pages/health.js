// The service's parts and how they are.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { spaced } from "../format.js";
import { badge, every } from "../ui.js";

const LOOK_MS = 5000;
const SAYS = { healthy: "Every part does what it should.", degraded: "A part is away; the rest goes on.", unhealthy: "The service cannot do its work." };

export default async function page({ main, signal, title }) {
  title("Health");
  const state = h("span"), says = h("p"), parts = h("div.parts-grid");
  fill(main, h("div.head", {}, h("div", {}, h("div.row", {}, h("h1", {}, "Health"), state), says)), parts);
  await every(LOOK_MS, signal, async () => {
    const health = await get("/health", signal).catch((problem) => ({ status: "unhealthy", components: {}, said: problem.message }));
    fill(state, badge(health.status));
    fill(says, health.said ?? SAYS[health.status] ?? "");
    fill(parts, Object.entries(health.components ?? {}).map(([name, part]) => h("section.panel", { "data-part": name, "aria-label": spaced(name) },
      h("div.row.apart", {}, h("h2", {}, spaced(name)), badge(part.status)), h("p.muted.small", {}, part.detail ?? ""),
      h("p.muted.small.num", {}, typeof part.latency_ms === "number" ? `answered in ${part.latency_ms < 10 ? part.latency_ms.toFixed(1) : Math.round(part.latency_ms)} ms` : ""))));
  });
}
