// Handing in: answers as the lab asks for them, and the attempts with their points.

import { get, post } from "./api.js";
import { fill, h } from "./dom.js";
import { plural, points, span } from "./format.js";
import { followRun } from "./follow.js";
import { SchemaForm } from "./schema_form.js";
import { announce, dot, note, problemNote, scroller } from "./ui.js";

/** `{form, answers}`: `answers()` is what stands in it. `onGraded` is called after each attempt. */
export function handIn(lab, signal, onGraded) {
  const answers = lab.answers ? new SchemaForm(lab.answers, { name: "answer" }) : new Pairs(named(lab.tutorial?.markdown));
  const wrong = h("div");
  const button = h("button.primary", { type: "submit" }, "Hand in");
  const form = h("form.stack", { novalidate: true, "aria-label": "Hand in" }, answers.element, wrong, h("div.row", {}, button, h("span.muted.small", { "data-part": "grading", "aria-live": "polite" })));
  const says = form.querySelector("[data-part=grading]");
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
      if (!signal.aborted) { answers.blame?.(problem.errors ?? [], "/answers"); fill(wrong, problemNote(problem)); }
    } finally {
      says.textContent = "";
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
  return { form, answers: () => answers.read() ?? {} };
}

async function graded(lab, answers, signal, says) {
  const run = await post(`/labs/${lab.name}/submit`, { answers }, { signal, headers: { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) } });
  await followRun(run.id, { signal, onEvent: (event) => { if (event.data?.message) says.textContent = event.data.message; } });
  const over = await get(`/flow-manager/runs/${run.id}`, signal);
  if (over.status !== "succeeded") throw Object.assign(new Error(over.error?.detail ?? "It could not be graded."), { errors: [] });
}

/** A lab that does not say what it asks for shows it in its words, as `{"word": "…"}`. */
function named(markdown = "") {
  const names = new Set();
  for (const [, object] of markdown.matchAll(/`(\{[^`]*\})`/g)) for (const [, name] of object.matchAll(/"([\w.-]{1,64})"\s*:/g)) names.add(name);
  for (const [, name] of markdown.matchAll(/answers?\s+`([\w.-]{1,64})`/g)) names.add(name);
  // Around them, as a request has it.
  names.delete("answers");
  return [...names];
}

/** Answers of a lab without a schema: a name and a text each. */
class Pairs {
  #rows = [];

  constructor(names) {
    this.list = h("div.pairs");
    const more = h("button.tiny", { type: "button", onclick: () => this.#add("").focus() }, "Add an answer");
    this.element = h("div.stack.tight", {}, this.list, h("div", {}, more));
    for (const name of names) this.#add(name);
  }

  #add(known) {
    const number = this.#rows.length + 1;
    const value = h("input", { id: `answer-${number}`, name: known || null, autocomplete: "off" });
    if (known) {
      this.#rows.push({ name: () => known, value });
      this.list.append(h("div.field", {}, h("label", { for: value.id }, known), value));
      return value;
    }
    const name = h("input", { "aria-label": `Name of answer ${number}`, placeholder: "name", autocomplete: "off" });
    value.setAttribute("aria-label", `Answer ${number}`);
    value.placeholder = "answer";
    const row = { name: () => name.value.trim(), value };
    const pair = h("div.pair", {}, name, value, h("button.quiet.tiny", { type: "button", "aria-label": `Remove answer ${number}`, onclick: () => { pair.remove(); this.#rows.splice(this.#rows.indexOf(row), 1); } }, "Remove"));
    this.#rows.push(row);
    this.list.append(pair);
    return name;
  }

  read() {
    return Object.fromEntries(this.#rows.map((row) => [row.name(), row.value.value.trim()]).filter(([name, value]) => name && value));
  }
}

/** The history, the newest first and open. */
export function attempts(list) {
  if (!list.length) return h("p.muted", {}, "You have not handed in yet. You may hand in as often as you like.");
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
