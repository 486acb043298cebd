// The steps of a run, one below the other, each with a bar of when it ran and what is to be known of it inside.

import { fill, h, icon } from "./dom.js";
import { clockTime, isOver, plural, span } from "./format.js";
import { Log } from "./log.js";
import { badge, dot, json, note, scroller } from "./ui.js";

export class Timeline {
  #rows = new Map();

  constructor(run, model) {
    this.model = model;
    this.axis = h("span");
    this.element = h("div", { "data-part": "timeline" }, h("div.axis", { "aria-hidden": "true" }, this.axis), run.tasks.map((task, index) => {
      const row = new Row(task.name, index, model, run);
      this.#rows.set(task.name, row);
      return row.element;
    }));
  }

  draw(run) {
    const from = Date.parse(run.started_at ?? run.created_at);
    const ends = [...this.model.steps.values()].flatMap((step) => [...step.attempts, ...step.undos].map((one) => Date.parse(one.finished_at ?? 0)));
    const to = isOver(run) ? Math.max(Date.parse(run.finished_at), ...ends) : Math.max(Date.now(), ...ends);
    const length = Math.max(to - from, 1);
    fill(this.axis, run.started_at && [0, 1, 2, 3, 4].map((quarter) => h("i", {}, quarter ? span((length * quarter) / 4) : "0")));
    for (const task of run.tasks) this.#rows.get(task.name)?.draw(task, { from, length });
  }

  grew() {
    for (const row of this.#rows.values()) row.grew();
  }
}

class Row {
  #print = "";
  #log = null;
  #written = [];
  #taken = 0;

  constructor(name, index, model, run) {
    Object.assign(this, { name, index, model, run });
    this.mark = h("span");
    this.bars = h("span.gantt", { "aria-hidden": "true" });
    this.took = h("span.small.num");
    this.says = h("span");
    this.inside = h("div.inside");
    this.element = h("details.line-up", { "data-step": name },
      h("summary", {}, this.mark, h("span.name", {}, h("strong", {}, name), this.says), this.bars, this.took, h("span.turn", { "aria-hidden": "true" }, icon("turn"))), this.inside);
    this.element.addEventListener("toggle", () => { this.#print = ""; this.#fill(); if (this.element.open) this.#log?.shown(); });
  }

  draw(task, scale) {
    this.task = task;
    const told = this.model.steps.get(this.name) ?? { attempts: [], undos: [] };
    const state = task.undo === "done" ? "undone" : task.undo === "running" ? "running" : task.status;
    const undo = { running: "being taken back", done: "taken back", failed: "undo failed", pending: "will be taken back" }[task.undo];
    const words = [task.task !== task.name && task.task, task.attempt > 1 && `attempt ${task.attempt}`, undo].filter(Boolean).join(" · ");
    if (this.mark.dataset.state !== state) { this.mark.dataset.state = state; fill(this.mark, dot(state, this.index + 1), h("span.unseen", {}, state.replace("undone", "taken back"))); }
    this.says.textContent = words || task.status;
    this.took.textContent = task.duration_ms !== null ? span(task.duration_ms) : task.status === "running" ? `${task.percent} %` : "";
    fill(this.bars, [...told.attempts.map((one) => strip(one, scale)), ...told.undos.map((one) => strip(one, scale, "undo"))]);
    this.#fill(told);
  }

  /** Only when it is open, and something is new: what is read or selected in it stays as it is. */
  #fill(told = this.model.steps.get(this.name) ?? { attempts: [], undos: [] }) {
    if (!this.element.open || !this.task) return;
    const print = JSON.stringify([this.task.status, this.task.attempt, this.task.undo, this.task.output, told]);
    if (print === this.#print) return;
    this.#print = print;
    this.#log ??= new Log(this.#written, `${this.run.flow}-${this.name}.log`, `What ${this.name} wrote`);
    this.grew();
    const { task } = this;
    const both = [["Input", task.input], ["Output", task.output]].filter(([, value]) => value !== undefined && value !== null);
    fill(this.inside,
      // The attempts say it too.
      task.error && !told.attempts.some((one) => one.error) && note("bad", task.error.detail, h("p.small.mono", {}, task.error.code)),
      told.attempts.length > 0 && tries("Attempts", told.attempts, this.name),
      told.undos.length > 0 && tries("Undo", told.undos, this.name),
      both.length > 0 && h("div.two", {}, both.map(([label, value]) => h("section", {}, h("h3", {}, label), json(value, `${label.toLowerCase()} of ${this.name}`)))),
      this.#written.length > 0 && h("section", {}, h("h3", { class: "muted small" }, plural(this.#written.length, "line"), " written"), this.#log.element),
      !told.attempts.length && h("p.muted", {}, { skipped: "The way of this run left it out.", pending: "Its turn has not come." }[task.status] ?? "Nothing is known of it."));
  }

  grew() {
    const { lines } = this.model;
    let more = false;
    for (; this.#taken < lines.length; this.#taken += 1) {
      const line = lines[this.#taken];
      if (line.step === this.name && !line.milestone) { this.#written.push(line); more = true; }
    }
    if (more) this.#log?.grew();
  }
}

const TONES = { succeeded: "ok", done: "undo", failed: "bad", unknown: "bad", running: "going", waiting: "warn" };

function strip(one, { from, length }, kind) {
  const start = Date.parse(one.started_at), end = Date.parse(one.finished_at ?? 0) || Math.max(Date.now(), start);
  const bar = h("i", { class: one.status === "failed" ? "bad" : kind ?? TONES[one.status] ?? "" });
  const left = Math.min(Math.max((100 * (start - from)) / length, 0), 99.4);
  bar.style.left = `${left}%`;
  bar.style.width = `${Math.min((100 * (end - start)) / length, 100 - left)}%`;
  return bar;
}

function tries(title, list, name) {
  const rows = list.map((one, index) => h("tr", {},
    h("td.num", {}, String(one.attempt ?? index + 1)), h("td", {}, badge(one.status === "done" ? "succeeded" : one.status)),
    h("td.nowrap", {}, one.started_at ? clockTime(one.started_at) : "–"), h("td.num.nowrap", {}, one.finished_at ? span(Date.parse(one.finished_at) - Date.parse(one.started_at)) : "…"),
    h("td", {}, one.error ? [one.error.detail, h("div.muted.small.mono", {}, one.error.code)] : one.message ?? "", one.next_attempt_at && h("span.muted", {}, ` Again at ${clockTime(one.next_attempt_at)}.`))));
  return scroller(`${title} of ${name}`, h("table", {}, h("caption.unseen", {}, `${title} of ${name}`), h("thead", {}, h("tr", {}, [title === "Undo" ? "Undo" : "Attempt", "State", "Began", "Took", "What it said"].map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)));
}
