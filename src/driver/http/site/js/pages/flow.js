// A flow to be planned and run by a form of its own, a task by itself, or a definition as JSON.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { plural, span } from "../format.js";
import { SchemaForm } from "../schema_form.js";
import { action, announce, dot, json, note, problemNote } from "../ui.js";
import { track } from "./flows.js";

const OWN = { name: "my-flow", tasks: [{ name: "hello", task: "noop", input: { value: "${input.text}" } }] };

export default async function page(context, name) {
  const { main, signal, title, go } = context;
  const asTask = location.hash.startsWith("#/tasks/");
  const what = asTask ? await aTask(name, signal) : name === "new" ? ownFlow() : await aFlow(name, signal);
  title(what.title);
  const plan = h("div", { "aria-live": "polite" });
  const wrong = h("div");
  const fail = (problem) => {
    const faults = problem.errors ?? [];
    what.blame(faults);
    const left = faults.length && what.shows(faults);
    fill(wrong, left ? h("p.fault", { role: "alert" }, problem.message) : problemNote(problem));
  };
  const asked = async (work) => {
    fill(wrong);
    const request = what.read();
    if (!request) return;
    try {
      await work(request);
    } catch (problem) {
      if (!signal.aborted) fail(problem);
    }
  };
  const see = action("Plan", {}, () => asked(async (request) => {
    const answer = await post("/flow-manager?plan=true", request, { signal });
    what.blame(answer.faults);
    fill(plan, planned(answer));
    announce(answer.faults.length ? `The plan has ${plural(answer.faults.length, "fault")}.` : `The plan has ${plural(answer.steps.length, "step")}.`);
  }));
  const run = action("Run", { class: "primary" }, () => asked(async (request) => {
    const started = await post("/flow-manager", request, { signal, headers: { Prefer: "respond-async" } });
    go(`/runs/${started.id}`);
  }));
  fill(main, h("div.head", {}, h("div", {}, h("nav.crumbs", { "aria-label": "Where you are" }, h("a", { href: asTask ? "#/tasks" : "#/flows" }, asTask ? "Tasks" : "Flows"), "/", h("span", { "aria-current": "page" }, what.title)), h("h1", {}, what.title), h("p", {}, what.description), what.track)),
    h("div.two", {}, h("section.panel.stack", { "aria-label": "Input" }, what.element, wrong, h("div.row", {}, run, see)),
      h("section.panel", { "aria-label": "Plan" }, h("h2", {}, "Plan"), plan)));
  fill(plan, h("p.muted", {}, "Plan shows what would be done, in which order, and what would be taken back. It changes nothing."));
}

async function aFlow(name, signal) {
  const flow = (await get("/flow-manager/flows", signal)).data.find((one) => one.name === name);
  if (!flow) throw Object.assign(new Error("There is no flow of this name that you may run."), { status: 404 });
  const form = new SchemaForm(flow.input ?? {});
  return { title: name, description: flow.description, track: track(flow.tasks), ...formed(form, "/input", (input) => ({ flow: name, input })) };
}

/** A task is run as a flow of one step. */
async function aTask(name, signal) {
  const task = (await get("/flow-manager/tasks", signal)).data.find((one) => one.name === name);
  if (!task) throw Object.assign(new Error("There is no task of this name."), { status: 404 });
  const form = new SchemaForm(task.input);
  return { title: name, description: task.description, ...formed(form, "/flow/tasks/0/input", (input) => ({ flow: { name, tasks: [{ name, task: name, input }] } })) };
}

function formed(form, base, request) {
  return {
    element: form.element,
    read: () => { const value = form.read(); return value && request(value); },
    blame: (faults) => form.blame(faults, base),
    shows: () => true,
  };
}

function ownFlow() {
  const box = (id, label, value, hint) => {
    const area = h("textarea.code", { id, spellcheck: "false", rows: id === "definition" ? 18 : 5, "aria-describedby": `${id}-wrong` }, JSON.stringify(value, null, 2));
    const wrong = h("span.fault", { id: `${id}-wrong`, role: "alert" });
    return { area, wrong, element: h("div.field", {}, h("label", { for: id }, label), area, h("span.hint", {}, hint), wrong) };
  };
  const flow = box("definition", "Definition", OWN, "A flow as JSON: name, tasks, conditions, on_failure …");
  const input = box("own-input", "Input", { text: "hello" }, "What ${input.…} refers to.");
  const parse = (one) => {
    try {
      return JSON.parse(one.area.value || "{}");
    } catch (error) {
      one.wrong.textContent = `This is not JSON: ${error.message}`;
      one.area.focus();
      return null;
    }
  };
  const blame = (faults) => {
    for (const one of [flow, input]) one.wrong.textContent = "";
    for (const fault of faults) (fault.pointer.startsWith("/input") ? input : flow).wrong.textContent += `${fault.pointer}: ${fault.detail} `;
  };
  return {
    title: "A flow of your own", description: "Written here, run once, and kept with its run.", element: h("div.stack", {}, flow.element, input.element), blame, shows: () => true,
    read: () => { blame([]); const [definition, given] = [parse(flow), parse(input)]; return definition && given && { flow: definition, input: given }; },
  };
}

function planned(plan) {
  const undo = plan.undo_order ?? [];
  return h("div.stack", {},
    plan.paused && note("warn", plan.paused.flow ? "The flow is paused." : "The whole service is paused.", h("p.small", {}, "A run would be taken and wait until it goes on.", plan.paused.reason && ` Why: ${plan.paused.reason}`)),
    plan.faults.length ? note("bad", `${plural(plan.faults.length, "fault")}: it would fail.`, h("ul", {}, plan.faults.map((fault) => h("li", {}, h("code", {}, fault.pointer), " ", fault.detail)))) : note("ok", "Nothing speaks against it."),
    h("ol.chain.plan", {}, plan.steps.map((step, index) => h("li", {}, dot("pending", index + 1), h("div", {}, h("strong", {}, step.name), h("p", {}, step.summary),
      h("p.small", {}, [step.task !== step.name && step.task, step.effect, `${plural(step.attempts, "attempt")} of ${span(step.timeout_s * 1000)}`, step.undoable && "can be taken back"].filter(Boolean).join(" · ")),
      ways(step, plan.steps[index + 1]),
      h("details.fold", {}, h("summary.small", {}, "Input"), json(step.input, `input of ${step.name}`)))))),
    undo.length > 0 && h("p.small.muted", {}, plan.on_failure === "stop" ? `If it fails, it stays as it is; this can be taken back then: ${undo.join(", ")}.` : `If it fails, this is taken back, in this order: ${undo.join(", ")}.`),
    plan.concurrency_key && h("p.small.muted", {}, "One run at a time has the key ", h("code", {}, plan.concurrency_key), "; others wait for it."),
    plan.at_once && h("p.small.muted", {}, `At most ${plural(plan.at_once, "run")} of this flow at once; others wait.`));
}

/** Where a step leads, if that is not simply the next one. */
function ways(step, next) {
  const onward = step.on_success === (next?.name ?? "end") ? null : `then ${step.on_success === "end" ? "it ends" : step.on_success}`;
  const failed = step.on_failure === "fail" ? null : `if it fails, ${step.on_failure === "end" ? "it ends" : `goes on with ${step.on_failure}`}`;
  return (onward || failed) && h("p.small", {}, [onward, failed].filter(Boolean).join(" · "));
}
