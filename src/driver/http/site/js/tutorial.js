// A lab's words, as steps where it has them, each with its check.

import { call, get } from "./api.js";
import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { action, announce, dot, note } from "./ui.js";
import { words } from "./words.js";

/** `session` is null while none is ready: then nothing can be checked. `answers()` is what stands in the form. */
export function tutorial(lab, session, answers = () => ({})) {
  const { tutorial: said } = lab;
  if (!said) return { element: h("p.muted", {}, "This lab comes without words.") };
  if (!said.steps?.length) return { element: words(said) };
  const done = new Set(said.steps.filter((step) => step.done).map((step) => step.step));
  const bar = h("i");
  const count = h("span.muted.small");
  const tell = () => {
    bar.style.width = `${(100 * done.size) / said.steps.length}%`;
    count.textContent = `${done.size} of ${plural(said.steps.length, "step")} done`;
  };
  tell();
  const steps = said.steps.map((step) => one(session, step, answers, (number) => { done.add(number); tell(); }));
  return { element: h("div", {}, session && h("div.steps-done", {}, h("div.bar.thin.ok", { "aria-hidden": "true" }, bar), count), words({ html: said.html }), steps) };
}

function one(session, step, answers, onDone) {
  const mark = h("span");
  const result = h("div", { "aria-live": "polite" });
  const show = (now) => {
    fill(mark, dot(now.done ? "pass" : "pending", step.step), now.done && h("span.unseen", {}, "done"));
    const text = now.message || (now.passed === false ? "Not yet." : "");
    fill(result, text && note(now.passed ? "ok" : "warn", null, h("p", {}, text)));
  };
  show(step);
  const label = step.has_check ? "Check this step" : "Mark as done";
  const button = session && step.check && action(label, { class: "tiny", "aria-label": `${label}: ${step.title}` }, async (pressed) => {
    const now = await look(step, answers());
    const isDone = step.done || now.passed;
    show({ ...now, done: isDone });
    if (isDone) onDone(step.step);
    if (isDone && !step.has_check) pressed.hidden = true;
    announce(`Step ${step.step}: ${now.passed ? "done" : "not yet"}. ${now.message ?? ""}`);
  });
  if (button && step.done && !step.has_check) button.hidden = true;
  return h("section.step", { "data-step": step.step, "aria-label": `Step ${step.step}` }, mark, h("div", {}, h("h2", {}, step.title), words({ html: step.html }), button && h("div.row", {}, button), result));
}

/** A look is a run; it tells in its last output what it found. */
async function look(step, answers) {
  let run = await call("POST", step.check, { body: { answers }, headers: { Prefer: "wait=60" } });
  while (run.finished_at === null) {
    await new Promise((over) => setTimeout(over, 1000));
    run = await get(run.links.self);
  }
  const output = run.tasks.map((task) => task.output).filter((one) => one && "passed" in one).at(-1);
  if (!output) throw new Error(run.error?.detail ?? "It could not be checked.");
  return output;
}
