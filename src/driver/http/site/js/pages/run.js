// One run as a timeline: each step with its attempts, input, output, undo and what its programs wrote; why it is
// where it is; and what can be done about it.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { followRun } from "../follow.js";
import { between, isOver, span } from "../format.js";
import { gathered } from "../launching.js";
import { Log } from "../log.js";
import { atLeast, login } from "../login.js";
import { Meter } from "../meter.js";
import { actions } from "../run_actions.js";
import { RunModel } from "../run_model.js";
import { Timeline } from "../timeline.js";
import { badge, copyButton, every, json, note, time } from "../ui.js";
import { reasonOf } from "../why.js";
import { names, short, starter } from "./runs.js";

const WHY_MS = 3000;

export default async function page(context, id) {
  const { main, signal, title } = context;
  let run = await get(`/flow-manager/runs/${encodeURIComponent(id)}`, signal);
  let why = null;
  const model = new RunModel();
  const people = new Map([...await names(signal), [login.user.id, "you"]]);
  const meter = new Meter("The run");
  const timeline = new Timeline(run, model);
  const log = new Log(model.lines, `${run.flow}-${run.id}.log`, "Log of the run");
  const state = h("span"), tools = h("div.row"), reason = h("div", { "aria-live": "polite" }), facts = h("dl.facts-grid");
  const retried = h("span");

  fill(main,
    h("div.head", {}, h("div", {}, h("nav.crumbs", { "aria-label": "Where you are" }, h("a", { href: "#/runs" }, "Runs"), "/", h("span", { "aria-current": "page" }, short(run.id))),
      h("div.row", {}, h("h1", {}, run.flow), state, retried)), tools),
    reason,
    h("section.panel.stack", { "aria-label": "How far it is" }, meter.element, h("hr"), facts),
    h("section.panel.flush", {}, h("h2", {}, "Steps"), timeline.element),
    h("section.panel", {}, h("h2", {}, "Log"), log.element),
    h("section.panel", {}, h("h2", {}, "Input"), Object.keys(run.input ?? {}).length ? json(run.input, "the run's input") : h("p.muted", {}, "It was given nothing.")));

  let drawnActions = "";
  const draw = () => {
    title(`${run.flow}, ${run.status.replace("_", " ")}`);
    fill(state, badge(run.status));
    fill(retried, run.parent_id && h("a.small", { href: `#/runs/${run.parent_id}` }, "retry of an earlier run"));
    const step = run.tasks.find((task) => task.status === "running");
    meter.show(run, isOver(run) ? "" : model.message || step?.name || "");
    timeline.draw(run);
    fill(facts, about(run, people));
    // A button that is in use is not changed for another.
    const can = `${run.status} ${why?.can_do}`;
    if (why && can !== drawnActions && !tools.querySelector("[aria-busy=true]")) {
      drawnActions = can;
      fill(tools, actions(run, why, context, refresh));
    }
  };
  let said = "";
  const sentence = () => {
    // A live region would say again what it has said.
    const now = JSON.stringify([why.sentence, why.blocked_by, run.status]);
    if (said === now) return;
    said = now;
    fill(reason, reasonOf(run, why, people));
  };
  async function refresh() {
    [run, why] = await Promise.all([get(run.links.self, signal), get(run.links.why, signal)]);
    draw();
    sentence();
  }
  await refresh();
  const soon = gathered(refresh, signal);
  setTimeout(() => every(WHY_MS, signal, async () => {
    if (isOver(run)) return;
    why = await get(run.links.why, signal);
    sentence();
    draw();
  }), WHY_MS);
  const ticking = setInterval(() => { if (!isOver(run)) draw(); }, 1000);
  signal.addEventListener("abort", () => clearInterval(ticking));

  // A run that is over may be taken back later: then it goes on, and so does the page.
  for (let after = 0; !signal.aborted; after = model.last) {
    await followRun(run.id, { signal, after, onEvent: (event) => {
      const matters = model.take(event);
      log.grew();
      timeline.grew();
      if (matters) soon();
      else draw();
    } }).catch((problem) => { if (!signal.aborted) fill(reason, note("bad", problem.message)); });
    if (signal.aborted) return;
    await refresh().catch(() => {});
    await new Promise((over) => {
      const looking = setInterval(() => { if (signal.aborted || !isOver(run)) { clearInterval(looking); over(); } }, 500);
    });
  }
}

function about(run, people) {
  const by = run.caller;
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return [
    fact("Run", h("span.row", {}, h("code", {}, short(run.id)), copyButton(run.id, "the run's id"))),
    by && fact("Started by", [starter(by, people), by.role !== "system" && ` (${by.role})`]),
    fact("Created", time(run.created_at)),
    fact("Waited", span(between(run.created_at, run.started_at ?? (isOver(run) ? run.finished_at : null)))),
    fact("Took", span(between(run.started_at, run.finished_at))),
    run.cause && fact("Ended by", run.cause),
    run.flow_id && fact("Label", run.flow_id),
    /^lab-/.test(run.flow) && run.input?.lab && fact("Lab", h("a", { href: `#/labs/${encodeURIComponent(run.input.lab)}` }, run.input.lab)),
    run.input?.session && atLeast("operator") && fact("Session", h("a", { href: `#/sessions/${run.input.session}` }, short(run.input.session))),
  ];
}
