// Numbers, times and states in words.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

/** 5 ms, 3.2 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / 1000)} s`;
  const two = (big, bigName, small, smallName) => (small ? `${big} ${bigName} ${small} ${smallName}` : `${big} ${bigName}`);
  if (ms < HOUR) return two(Math.floor(ms / MINUTE), "min", Math.floor((ms % MINUTE) / 1000), "s");
  if (ms < DAY) return two(Math.floor(ms / HOUR), "h", Math.floor((ms % HOUR) / MINUTE), "min");
  return two(Math.floor(ms / DAY), "d", Math.floor((ms % DAY) / HOUR), "h");
}

export function between(start, end) {
  return start ? new Date(end ?? Date.now()) - new Date(start) : null;
}

/** just now, 5 min ago, 21 Nov 14:28. */
export function ago(time) {
  if (!time) return "–";
  const ms = Date.now() - new Date(time);
  if (ms < 5000) return "just now";
  if (ms < MINUTE) return `${Math.floor(ms / 1000)} s ago`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ago`;
  if (ms < 12 * HOUR) return `${Math.floor(ms / HOUR)} h ago`;
  return moment(time);
}

export function moment(time) {
  return new Date(time).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export function exact(time) {
  return new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export function clockTime(time) {
  return new Date(time).toLocaleTimeString("en-GB");
}

/** 75 and 7.5, never 75.0. */
export function points(number) {
  return String(Math.round(number * 100) / 100);
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

const STATES = {
  queued: ["Queued", "going"], running: ["Running", "going"], waiting: ["Waiting", "warn"],
  succeeded: ["Succeeded", "ok"], failed: ["Failed", "bad"], cancelled: ["Cancelled", ""],
  undoing: ["Taking back", "going"], undone: ["Taken back", "warn"], undo_failed: ["Undo failed", "bad"],
  pending: ["Not yet", ""], skipped: ["Left out", ""], unknown: ["Unknown", "bad"],
  launching: ["Launching", "going"], ready: ["Ready", "ok"], grading: ["Grading", "going"],
  finishing: ["Finishing", "going"], finished: ["Finished", ""], dirty: ["Needs cleaning up", "bad"],
  expired: ["Expired", "warn"], paused: ["Paused", "warn"],
  healthy: ["Healthy", "ok"], degraded: ["Degraded", "warn"], unhealthy: ["Unhealthy", "bad"],
  disabled: ["Closed", "bad"], active: ["Active", "ok"],
};

/** [word, tone] of a state of a run, step or session; one that is not known is shown as it is. */
export function stateWord(state) {
  return STATES[state] ?? [String(state), ""];
}

const TONES = { succeeded: "ok", failed: "bad", undo_failed: "bad", undone: "warn", cancelled: "idle", undoing: "warn moving" };

/** The look of a run's bar. */
export const tone = (run) => TONES[run.status] ?? "moving";

const OVER = ["succeeded", "failed", "cancelled", "undone", "undo_failed"];
export const isOver = (run) => OVER.includes(run.status);

/** terraform_apply becomes Terraform apply. */
export function spaced(name) {
  const words = name.replace(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function initials(name) {
  const words = String(name ?? "?").split(/[\s._@-]+/).filter(Boolean);
  return (words.length > 1 ? words[0][0] + words[1][0] : (words[0] ?? "?").slice(0, 2)).toUpperCase();
}

export const nameOf = (user) => user.name || user.username || user.email || "Guest";
