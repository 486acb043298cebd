// What happened in a session, one line a thing, where the service tells it.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { clockTime, exact, points, span, spaced, stateWord } from "./format.js";

const WAIT_S = 25;
const AGAIN_MS = 3000;
/** What a program wrote and how far it is stand in the run's own log. */
const LEFT_OUT = ["output", "progress"];

/** Null where the service keeps no timeline. It stays up to date until `signal` ends it. */
export async function story(session, signal) {
  const path = session.links.timeline;
  if (!path) return null;
  const list = h("ol.story", { "aria-label": "What happened" });
  let after = 0, done = false;
  const more = async (wait) => {
    const answer = await get(`${path}?after=${after}&wait=${wait}`, signal);
    list.append(...answer.entries.filter((entry) => !LEFT_OUT.includes(entry.type)).map(line));
    done = answer.done;
    return after !== (after = answer.after);
  };
  while (await more(0));
  (async () => {
    while (!signal.aborted && !done) {
      const went = !document.hidden && await more(WAIT_S).catch(() => false);
      if (!went) await new Promise((over) => setTimeout(over, AGAIN_MS));
    }
  })();
  return h("section.panel", {}, h("h2", {}, "What happened"), h("div.story-box", { tabindex: "0", role: "region", "aria-label": "Timeline of the session" }, list));
}

function line(entry) {
  const [title, said] = told(entry);
  return fill(h("li", { "data-type": entry.type }), h("time.muted.small.num", { datetime: entry.at, title: exact(entry.at) }, clockTime(entry.at)),
    h("div", {}, entry.run ? h("a", { href: `#/runs/${entry.run}` }, title) : h("strong", {}, title), said && h("p.small.muted", {}, said)));
}

/** Title and words of an entry. */
function told({ type, step, data }) {
  const [kind, what] = type.split(".");
  if (type === "sign_in") return ["Signed in", data.door && `by ${data.door}`];
  if (type === "grade") return [`Attempt ${data.attempt}`, `${points(data.score)} of ${points(data.max)} points`];
  if (type === "room.message") return [data.from?.name ?? data.from ?? "Room", data.text];
  if (type === "session.warning") return ["Warned that the end is near", data.because];
  if (type === "session.extended") return ["Extended", `by ${span(data.by_s * 1000)}, ${data.extensions_left} left`];
  if (type === "machine.task") return [`${data.machine ?? data.vmid}: ${data.task}`, data.exit ?? data.status];
  if (type === "step.passed" || type === "step.open") return [`Step ${data.step} of the tutorial: ${what === "passed" ? "done" : "not yet"}`, data.message];
  if (kind === "session") return [`Session ${stateWord(what)[0].toLowerCase()}`, null];
  if (kind === "run") return [`${data?.flow ?? "Run"} ${stateWord(what)[0].toLowerCase()}`, null];
  return [`${step ? spaced(step) : ""} ${kind === "undo" ? `undo ${what}` : what ?? ""}`.trim(), data?.detail];
}
