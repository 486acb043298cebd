// Handing in: answers as the lab asks for them, and the attempts with their points.

import { answersOf } from "./answers.js";
import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { plural, points, span } from "./format.js";
import { followRun } from "./follow.js";
import { announce, dot, note, problemNote, scroller } from "./ui.js";

/** `{form, answers}`: `answers()` is what stands in it. `onGraded` is called after each attempt. */
export function handIn(lab, signal, onGraded) {
  const answers = answersOf(lab);
  const wrong = h("div");
  const button = h("button.primary", { type: "submit" }, "Hand in");
  const form = h("form.stack", { novalidate: true, "aria-label": "Hand in" }, answers.element, wrong, h("div.row", {}, button, h("span.muted.small", { "data-part": "grading", "aria-live": "polite" })));
  const says = form.querySelector("[data-part=grading]");
  const refused = (problem) => {
    const { errors = [] } = problem;
    const elsewhere = answers.blame(errors);
    // What stands at its field is not said again.
    if (!errors.length || elsewhere.length) fill(wrong, problemNote({ message: problem.message, errors: elsewhere }));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const value = answers.read();
    if (value === undefined) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    fill(wrong);
    try {
      says.textContent = "The grader is looking …";
      await graded(lab, value, signal, says);
      await onGraded();
    } catch (problem) {
      if (!signal.aborted) refused(problem);
    } finally {
      says.textContent = "";
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
  return { form, answers: () => answers.now() };
}

async function graded(lab, answers, signal, says) {
  const run = await post(`/labs/${lab.name}/submit`, { answers }, { signal, headers: { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) } });
  await followRun(run.id, { signal, onEvent: (event) => { if (event.data?.message) says.textContent = event.data.message; } });
  const over = await get(`/flow-manager/runs/${run.id}`, signal);
  if (over.status !== "succeeded") throw Object.assign(new Error(over.error?.detail ?? "It could not be graded."), { errors: [] });
}

/** The history, the newest first and open. */
export function attempts(list, nothing = "You have not handed in yet. You may hand in as often as you like.") {
  if (!list.length) return h("p.muted", {}, nothing);
  const newest = list.at(-1);
  announce(`Attempt ${newest.attempt}: ${points(newest.score)} of ${points(newest.max)} points`);
  return h("div.stack", {}, [...list].reverse().map((attempt) => one(attempt, attempt === newest)));
}

function one(attempt, open) {
  const full = attempt.score >= attempt.max;
  const share = attempt.max ? Math.round((100 * attempt.score) / attempt.max) : 0;
  const bar = h("i");
  bar.style.width = `${share}%`;
  const details = h("details.fold.attempt", { open, "data-attempt": attempt.attempt },
    h("summary", {}, h("span", {}, `Attempt ${attempt.attempt}`), h("span.badge", { class: full ? "ok" : attempt.score > 0 ? "warn" : "bad" }, `${points(attempt.score)} of ${points(attempt.max)}`), attempt.counts && h("span.tag", {}, "counts")),
    h("div.stack.tight", {}, h("div.bar.thin", { class: full ? "ok" : "warn", "aria-hidden": "true" }, bar),
      attempt.feedback && note(full ? "ok" : "warn", null, h("p", {}, attempt.feedback)),
      attempt.tests.length ? scroller(`Tests of attempt ${attempt.attempt}`, table(attempt)) : null,
      h("p.muted.small", {}, `Graded in ${span(attempt.duration_ms)}, ${plural(attempt.tests.length, "test")}.`)));
  return details;
}

const OUTCOMES = { pass: "passed", fail: "not passed", skip: "left out", error: "could not be told" };

function table(attempt) {
  const rows = attempt.tests.map((test) => h("tr", {},
    h("td", {}, dot(test.status), h("span.unseen", {}, OUTCOMES[test.status] ?? test.status)),
    h("td", {}, test.name || test.id, test.message && h("p", {}, test.message)),
    h("td.num.nowrap", {}, `${points(test.points)} / ${points(test.max)}`)));
  return h("table.tests", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span.unseen", {}, "Outcome")), h("th", { scope: "col" }, "Test"), h("th.num", { scope: "col" }, "Points"))),
    h("tbody", {}, rows), h("tfoot", {}, h("tr", {}, h("td"), h("td", {}, "In all"), h("td.num.nowrap", {}, `${points(attempt.score)} / ${points(attempt.max)}`))));
}
