// Lab sessions of everybody, live and filtered, and what machines were left behind.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { span, stateWord } from "../format.js";
import { changes, choice, liveList } from "../live_list.js";
import { orphans } from "../orphans.js";
import { badge, empty, time } from "../ui.js";
import { short } from "./runs.js";

const STATES = ["launching", "ready", "grading", "finishing", "dirty", "finished", "failed", "expired"];
const PAGE = 25;

export default async function page({ main, signal, query, title, go }) {
  title("Sessions");
  const load = (cursor) => {
    const wanted = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    for (const name of ["lab", "status", "user"]) if (query.get(name)) wanted.set(name, query.get(name));
    return get(`/sessions?${wanted}`, signal);
  };
  const { data: labs } = await get("/labs", signal);
  const titles = new Map(labs.map((lab) => [lab.name, lab.title]));
  const change = changes("/sessions", query, go);
  const nothing = () => (query.size
    ? empty("No session fits.", h("a", { href: "#/sessions" }, "Show all"))
    : empty("No lab was launched yet.", "Each launch is a session: one learner in one lab."));
  const list = await liveList({
    label: "Sessions", signal, load, nothing, older: "Show older sessions", to: (session) => `/sessions/${session.id}`,
    heads: ["Lab", "State", "Learner", "Opened", "Until"],
    print: (session) => [session.status, session.time, session.ended_at, Math.floor(Date.now() / 60_000)],
    cells: (session) => cells(session, titles),
  });
  const only = query.get("user") && h("p.filter-said", {}, "Sessions of one learner. ", h("a", { href: "#/sessions" }, "Show everybody's"));
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Sessions"), h("p", {}, "One learner in one lab each, the newest first. The list keeps itself up to date."))),
    h("div.filters", {}, choice("lab", "Lab", [...titles], query.get("lab"), change), choice("status", "State", STATES.map((state) => [state, stateWord(state)[0]]), query.get("status"), change), only),
    list, orphans(signal));
}

function cells(session, titles) {
  const { learner } = session;
  return [
    h("td", {}, h("a", { href: `#/sessions/${session.id}` }, titles.get(session.lab) ?? session.lab), h("div.muted.small.mono", {}, short(session.id))),
    h("td", {}, badge(session.status)),
    h("td", {}, h("a.plain", { href: `#/sessions?user=${learner.id}` }, learner.name ?? short(learner.id))),
    h("td.nowrap", {}, time(session.created_at)),
    h("td.nowrap", {}, until(session)),
  ];
}

function until({ ended_at, time: { expires_at } }) {
  if (ended_at) return h("span.muted", {}, "ended ", time(ended_at));
  if (!expires_at) return "–";
  const left = new Date(expires_at) - Date.now();
  return left > 0 ? `${span(Math.max(Math.floor(left / 60_000), 1) * 60_000)} left` : "its time is over";
}
