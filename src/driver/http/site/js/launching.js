// A lab on its way: being built, taken down or built anew. Everything shown is the service's own word.

import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { followRun } from "./follow.js";
import { isOver, spaced, span } from "./format.js";
import { Log } from "./log.js";
import { Meter } from "./meter.js";
import { RunModel } from "./run_model.js";
import { action, confirm, dot, every, note } from "./ui.js";

/** How long a run says nothing before the service is asked why. */
const QUIET_MS = 3000;

let flows = null;

/** What the steps of a flow are for, by their names. */
async function descriptions(flow) {
  flows ??= get("/flow-manager/flows").catch(() => ({ data: [] }));
  const known = (await flows).data.find((one) => one.name === flow);
  return new Map((known?.tasks ?? []).map((task) => [task.name, task.description]));
}

/**
 * Shows the run until it is over and resolves with it as it ended. `cancel`: what is asked before a cancel,
 * `{title, text, yes}`; none where it cannot be.
 */
export async function watchRun(context, box, run, { title, cancel }) {
  const { signal } = context;
  const model = new RunModel();
  const meter = new Meter(title);
  const chain = h("ol.chain", { "aria-label": "Steps" });
  const log = new Log(model.lines, `${run.flow}-${run.id}.log`, "Log of the run");
  const asked = h("div");
  const said = await descriptions(run.flow);
  let sentence = "", heard = Date.now();

  const button = cancel && action("Cancel", { class: "danger" }, async () => {
    if (!await confirm({ no: "Go on", ...cancel })) return;
    run = await post(`/flow-manager/runs/${run.id}/cancel`);
    fill(asked, note("warn", "It is being cancelled.", h("p.small", {}, "What is under way comes to its end first; then all of it is taken back.")));
    draw();
  });
  const fold = h("details.fold", {}, h("summary", {}, "Log"), log.element);
  fold.addEventListener("toggle", () => { if (fold.open) log.shown(); });
  fill(box, h("div.launch", {}, h("section.panel.stack", { "data-run": run.id },
    h("div.row.apart", {}, h("h2", {}, title), button), meter.element, asked, chain, fold)));

  const draw = () => {
    meter.show(run, doing(run, model, said, sentence));
    if (button) button.hidden = isOver(run) || run.status === "undoing";
    fill(chain, run.tasks.map((task, index) => link(task, index, said)));
    context.title(isOver(run) ? title : `${run.percent} % ${title}`);
  };
  const look = async () => {
    run = await get(`/flow-manager/runs/${run.id}`, signal);
    draw();
  };
  const soon = gathered(look, signal);
  draw();
  every(1000, signal, async () => {
    if (isOver(run)) return;
    if (Date.now() - heard > QUIET_MS || run.status === "queued" || run.status === "waiting") {
      sentence = plainly(await get(`/flow-manager/runs/${run.id}/why`, signal));
    }
    draw();
  });
  await followRun(run.id, {
    signal,
    onEvent: (event) => {
      heard = Date.now();
      sentence = "";
      model.take(event);
      log.grew();
      soon();
    },
  });
  if (!signal.aborted) await look();
  return run;
}

/** Calls `look` soon, once for all that asked meanwhile. */
export function gathered(look, signal, ms = 150) {
  let timer = null;
  return () => {
    timer ??= setTimeout(() => {
      timer = null;
      if (!signal.aborted) look().catch(() => {});
    }, ms);
  };
}

function doing(run, model, said, sentence) {
  if (run.status === "succeeded") return "Done.";
  if (isOver(run)) return run.error?.detail ?? "It is over.";
  if (run.status === "undoing") return "Taking back what was made.";
  if (run.status !== "running" && sentence) return sentence;
  const step = run.tasks.find((task) => task.status === "running");
  return model.message || sentence || (step && (said.get(step.name) ?? spaced(step.name))) || "Starting";
}

/** Who paused it and since when is for operators. */
function plainly({ sentence, blocked_by: held }) {
  if (held?.kind !== "paused") return sentence;
  return `This is paused for now, and goes on by itself afterwards.${held.reason ? ` Why: ${held.reason}` : ""}`;
}

function link(task, index, said) {
  const state = task.undo === "done" ? "undone" : task.undo === "running" ? "running" : task.status;
  const words = { undone: "taken back", running: task.undo === "running" ? "being taken back" : `${task.percent} %`, failed: "failed", waiting: "waits", unknown: "unknown", skipped: "left out" }[state] ?? "";
  const done = state === "succeeded";
  return h("li", { class: done ? "done" : state, "data-step": task.name, "data-status": state }, dot(state, index + 1),
    h("div", {}, said.get(task.name) ?? spaced(task.name), h("span.unseen", {}, `, ${done ? "done" : words || "not yet"}`)),
    h("span.muted.small.num", { "aria-hidden": "true" }, done && task.duration_ms !== null ? span(task.duration_ms) : words));
}
