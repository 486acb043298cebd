// All runs one may see, live and filtered.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { between, isOver, span, stateWord, tone } from "../format.js";
import { changes, choice, liveList } from "../live_list.js";
import { atLeast, login } from "../login.js";
import { badge, empty, time } from "../ui.js";

const STATES = ["queued", "running", "waiting", "succeeded", "failed", "cancelled", "undoing", "undone", "undo_failed"];
const PAGE = 30;

export default async function page({ main, signal, query, title, go }) {
  title("Runs");
  const operator = atLeast("operator");
  const load = (cursor) => {
    const wanted = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    for (const name of ["flow", "status", "caller"]) if (query.get(name)) wanted.set(name, query.get(name));
    return get(`/flow-manager/runs?${wanted}`, signal);
  };
  const [{ data: flows }, users] = await Promise.all([get("/flow-manager/flows", signal), names(signal)]);
  const people = new Map(users);
  if (query.get("caller") && !people.has(query.get("caller"))) people.set(query.get("caller"), short(query.get("caller")));
  people.set(login.user.id, "Me");
  const change = changes("/runs", query, go);
  const one = (name, label, options) => choice(name, label, options, query.get(name), change);
  const nothing = () => (query.size
    ? empty("No run fits.", h("a", { href: "#/runs" }, "Show all"))
    : empty("Nothing has run yet.", h("a", { href: "#/flows" }, "Run a flow")));
  const list = await liveList({
    label: "Runs", signal, load, nothing, older: "Show older runs", to: (run) => `/runs/${run.id}`,
    heads: ["Flow", "State", "How far", operator && ["Started by", "hide-narrow"], "Started", ["Took", "hide-narrow num"]].filter(Boolean),
    // What tells how long ago it was goes on.
    print: (run) => [run.status, run.percent, isOver(run) ? Math.floor(Date.now() / 60_000) : Math.floor(Date.now() / 1000)],
    cells: (run) => cells(run, operator, people),
  });
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Runs"), h("p", {}, operator ? "Everyone's, the newest first. The list keeps itself up to date." : "Yours, the newest first.")), h("a.button.primary", { href: "#/flows" }, "Run a flow")),
    h("div.filters", {}, one("flow", "Flow", flows.map((flow) => [flow.name, flow.name])), one("status", "State", STATES.map((state) => [state, stateWord(state)[0]])),
      operator && one("caller", "Started by", [...people])),
    list);
}

export const short = (id) => `…${id.slice(-8)}`;

/** Names of accounts, for those who may know them. */
export async function names(signal) {
  if (!atLeast("admin")) return [];
  const { data } = await get("/users?limit=200", signal);
  return data.map((user) => [user.id, user.name || user.username || user.email]);
}

/** Who started a run: schedules and events are nobody's. */
export function starter(caller, people) {
  if (!caller) return "–";
  return caller.role === "system" ? "The service" : people.get(caller.id) ?? h("code", {}, short(caller.id));
}

function cells(run, operator, people) {
  const bar = h("i");
  bar.style.width = `${run.percent}%`;
  return [
    h("td", {}, h("a", { href: `#/runs/${run.id}` }, run.flow), h("div.muted.small.mono", {}, short(run.id))),
    h("td", {}, badge(run.status)),
    h("td", {}, h("div.far", {}, h("div.bar.thin", { class: tone(run), "aria-hidden": "true" }, bar), h("span.small.num", {}, `${run.percent} %`))),
    operator && h("td.hide-narrow", {}, starter(run.caller, people)),
    h("td.nowrap", {}, time(run.created_at)),
    h("td.num.nowrap.hide-narrow", {}, span(between(run.started_at, run.finished_at))),
  ].filter(Boolean);
}
