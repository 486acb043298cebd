// The flows one may run, and the tasks they are made of.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { plural } from "../format.js";
import { atLeast } from "../login.js";
import { action, badge, confirm, empty, note, time, toast } from "../ui.js";

const WHY = "Why, for whoever waits";

export default async function page({ main, signal, title, again }) {
  title("Flows");
  const { data } = await get("/flow-manager/flows", signal);
  const all = await servicePause(data, again, signal);
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Flows"), h("p", {}, "Chains of tasks, run one after another. Each can be planned before it is run.")), switcher("flows")), all,
    h("section.panel.flush", { "aria-label": "Flows" }, data.length ? h("ul.flow-rows", {}, data.map((flow) => row(flow, again))) : empty("There is no flow that you may run.")));
}

/** From flows to tasks and back. */
export function switcher(here) {
  const link = (name, text) => h("a.button", { href: `#/${name}`, "aria-current": here === name ? "page" : null }, text);
  return h("nav.row", { "aria-label": "Flows and tasks" }, link("flows", "Flows"), link("tasks", "Tasks"), atLeast("operator") && link("flows/new", "A flow of your own"));
}

function row(flow, again) {
  return h("li", { "data-flow": flow.name }, h("div", {},
    h("div.row", {}, h("h2", {}, h("a", { href: `#/flows/${encodeURIComponent(flow.name)}` }, flow.name)), flow.paused && badge("paused"), flow.at_once && h("span.tag", {}, `${flow.at_once} at once`)),
    h("p", {}, flow.description), flow.paused && h("p.small", {}, "No new step begins since ", time(flow.paused.since), flow.paused.reason && `: ${flow.paused.reason}`), track(flow.tasks)),
  h("div.row", {}, pausing(flow, again), h("a.button", { href: `#/runs?flow=${encodeURIComponent(flow.name)}`, "aria-label": `Runs of ${flow.name}` }, "Runs"), h("a.button.primary", { href: `#/flows/${encodeURIComponent(flow.name)}`, "aria-label": `Run ${flow.name}` }, "Run")));
}

/** The pause of the whole service: told of when it stands, and offered to operators. */
async function servicePause(flows, again, signal) {
  if (!flows.some((flow) => flow.paused !== undefined) || !atLeast("operator")) return null;
  const { data } = await get("/flow-manager/pauses", signal);
  const whole = data.find((pause) => !pause.flow);
  if (whole) {
    const busy = whole.under_way ? `${plural(whole.under_way, "run")} still under way.` : "Nothing is under way any more.";
    return note("warn", "The whole service is paused: no new step begins.", h("p.small", {}, "Since ", time(whole.since), `. ${whole.reason ? `${whole.reason.replace(/[.!?]*$/, "")}. ` : ""}${busy}`),
      h("div.row", {}, action("Let it go on", { class: "tiny" }, async () => { await post("/flow-manager/resume"); again(); })));
  }
  return h("div.row", {}, action("Pause the whole service", { class: "tiny" }, async () => {
    const text = "Steps under way come to their end; no new step of any run begins until you let it go on. New runs wait.";
    const sure = await confirm({ title: "Pause the whole service?", text, yes: "Pause everything", no: "Leave it", ask: WHY });
    if (!sure) return;
    await post("/flow-manager/pause", sure.said ? { reason: sure.said } : undefined);
    again();
  }));
}

export function track(tasks) {
  return h("div.track", {}, tasks.map((task, index) => [index > 0 && h("span", { "aria-hidden": "true" }, "→"), h("b", { title: task.description }, task.name)]));
}

/** Only of a service that says whether a flow is paused. */
function pausing(flow, again) {
  if (flow.paused === undefined || !atLeast("operator")) return null;
  const path = `/flow-manager/flows/${encodeURIComponent(flow.name)}`;
  if (flow.paused) return action("Go on", { "aria-label": `Let ${flow.name} go on` }, async () => { await post(`${path}/resume`); toast(`${flow.name} goes on.`); again(); });
  return action("Pause", { "aria-label": `Pause ${flow.name}` }, async () => {
    const text = "Steps under way come to their end; no new step begins until you let the flow go on.";
    const sure = await confirm({ title: `Pause ${flow.name}?`, text, yes: "Pause it", no: "Leave it", danger: false, ask: WHY });
    if (!sure) return;
    await post(`${path}/pause`, sure.said ? { reason: sure.said } : undefined);
    toast(`${flow.name} is paused.`);
    again();
  });
}

