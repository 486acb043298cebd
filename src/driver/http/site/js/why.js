// Why a run is where it is: the service's own sentence, once, and what goes with it.

import { h } from "./dom.js";
import { isOver } from "./format.js";
import { time } from "./ui.js";

const TONES = { failed: "bad", undo_failed: "bad", waiting: "warn", undone: "warn" };

/** `people`: names by the ids of their accounts. */
export function reasonOf(run, why, people) {
  const held = why.blocked_by;
  const tone = held ? "warn" : TONES[run.status] ?? (isOver(run) ? "" : "going");
  const { last_error: wrong } = why;
  const told = wrong && why.sentence.includes(wrong.detail.replace(/\.+$/, ""));
  return h("div.note", { class: tone, "data-part": "why" }, h("div", {},
    h("strong", {}, held?.kind === "paused" ? paused(held, people) : why.sentence),
    wrong && h("p.small", {}, !told && `${wrong.detail} `, h("code", {}, wrong.code)),
    held?.run && h("p.small", {}, h("a", { href: `#/runs/${held.run}` }, "See the run it waits for")),
    held?.kind === "limit" && h("p.small", {}, h("a", { href: `#/runs?${held.flow ? `flow=${encodeURIComponent(held.flow)}&` : ""}status=running` }, "See the runs that go on"))));
}

/** The service says by which id and to the microsecond; people want to know by whom and for how long. */
function paused({ flow, since, by, reason }, people) {
  const who = people.get(by);
  return [flow ? `The flow ${flow} is paused` : "The whole service is paused", who && ` by ${who}`, ", since ", time(since), ": no new step begins.", reason && ` Why: ${reason}`];
}
