// What the events of a run tell: attempts, undos, lines, how far it is. The page draws from it.

export class RunModel {
  /** Steps by name: `{attempts, undos}`. */
  steps = new Map();
  /** `{step, text, kind, milestone}`: what programs wrote and the milestones between. */
  lines = [];
  message = "";
  /** Of the step under way. */
  percent = 0;
  last = 0;
  status = null;

  /** True when the run itself should be looked at again. */
  take(event) {
    this.last = event.id;
    const step = event.step ? this.step(event.step) : null;
    const attempt = step && this.#attempt(step, event);
    const [kind, what] = event.type.split(".");
    if (event.type === "output") {
      for (const text of event.data?.lines ?? []) this.lines.push({ step: event.step, text: plain(text), kind: looksBad(text) ? "err" : "" });
      return false;
    }
    if (event.type === "progress") {
      if (event.data?.message) this.message = event.data.message;
      if (typeof event.data?.percent === "number") this.percent = event.data.percent;
      if (attempt && this.message) attempt.message = this.message;
      return false;
    }
    if (kind === "run") {
      this.status = what;
      this.#mark(event, `The run is ${what.replace("_", " ")}`);
    } else if (kind === "undo") {
      this.#undo(step, event, what);
    } else {
      this.#move(attempt, event, what);
    }
    return true;
  }

  step(name) {
    if (!this.steps.has(name)) this.steps.set(name, { name, attempts: [], undos: [] });
    return this.steps.get(name);
  }

  #attempt(step, event) {
    let attempt = step.attempts.find((one) => one.attempt === event.attempt);
    if (!attempt && !event.type.startsWith("undo")) {
      attempt = { attempt: event.attempt, started_at: event.at, status: "running" };
      step.attempts.push(attempt);
    }
    return attempt;
  }

  #move(attempt, event, what) {
    const { code, detail, next_attempt_at } = event.data ?? {};
    if (what === "started") {
      Object.assign(attempt, { started_at: attempt.started_at ?? event.at, status: "running" });
      this.percent = 0;
      this.message = "";
      return this.#mark(event, `${event.step} started${event.attempt > 1 ? `, attempt ${event.attempt}` : ""}`);
    }
    attempt.status = what === "retrying" ? "failed" : what;
    attempt.finished_at ??= event.at;
    if (code) attempt.error = { code, detail };
    if (next_attempt_at) attempt.next_attempt_at = next_attempt_at;
    this.#mark(event, `${event.step} ${what}${code ? `: ${code}, ${detail}` : ""}`, what === "succeeded" ? "mark" : "err");
  }

  #undo(step, event, what) {
    const { code, detail } = event.data ?? {};
    if (what === "started") step.undos.push({ started_at: event.at, status: "running" });
    else {
      const undo = step.undos.at(-1) ?? step.undos[step.undos.push({ started_at: event.at }) - 1];
      Object.assign(undo, { finished_at: event.at, status: what, error: code ? { code, detail } : undefined });
    }
    this.#mark(event, `${event.step}: undo ${what}${code ? `: ${code}, ${detail}` : ""}`, what === "failed" ? "err" : "mark");
  }

  #mark(event, text, kind = "mark") {
    this.lines.push({ step: event.step, text: `— ${text}`, kind, milestone: true });
  }
}

// Colours and cursor movements of terminals.
const ESCAPES = /\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]/g;
const plain = (text) => String(text).replace(ESCAPES, "");
const looksBad = (text) => /^\s*(\S+: )?(error|fatal|panic)\b/i.test(text);
