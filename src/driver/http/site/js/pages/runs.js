// All runs one may see, live and filtered.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { between, isOver, span } from "../format.js";
import { atLeast, login } from "../login.js";
import { action, badge, empty, every, scroller, time } from "../ui.js";

const STATES = ["queued", "running", "waiting", "succeeded", "failed", "cancelled", "undoing", "undone", "undo_failed"];
const PAGE = 30;
const LIVE_MS = 2500;

export default async function page({ main, signal, query, title, go }) {
  title("Runs");
  const operator = atLeast("operator");
  const wanted = () => {
    const all = new URLSearchParams({ limit: String(PAGE) });
    for (const name of ["flow", "status", "caller"]) if (query.get(name)) all.set(name, query.get(name));
    return all;
  };
  const [{ data: flows }, users] = await Promise.all([get("/flow-manager/flows", signal), names(signal)]);
  const change = (name, value) => {
    const now = new URLSearchParams(query);
    if (value) now.set(name, value);
    else now.delete(name);
    go(`/runs${now.size ? `?${now}` : ""}`, true);
  };
  const choice = (name, label, options) => h("div.field", {}, h("label", { for: `by-${name}` }, label),
    h("select", { id: `by-${name}`, onchange: (event) => change(name, event.target.value) }, h("option", { value: "" }, "All"),
      options.map(([value, text]) => h("option", { value, selected: query.get(name) === value }, text))));
  const people = new Map(users);
  if (query.get("caller") && !people.has(query.get("caller"))) people.set(query.get("caller"), short(query.get("caller")));
  people.set(login.user.id, "Me");

  const rows = h("tbody");
  const older = h("div.row");
  const place = h("div");
  const table = scroller("Runs", h("table", {}, h("thead", {}, h("tr", {}, ["Flow", "State", "How far", operator && "Started by", "Started", "Took"].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))), rows));
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Runs"), h("p", {}, operator ? "Everyone's, the newest first. The list keeps itself up to date." : "Yours, the newest first.")), h("a.button.primary", { href: "#/flows" }, "Run a flow")),
    h("div.filters", {}, choice("flow", "Flow", flows.map((flow) => [flow.name, flow.name])), choice("status", "State", STATES.map((state) => [state, state.replace("_", " ")])),
      operator && choice("caller", "Started by", [...people])),
    h("section.panel.flush", { "aria-label": "Runs" }, place), older);

  // Rows are changed in place, so that what has the focus keeps it.
  const known = new Map();
  let more = [], cursor;
  const draw = (newest) => {
    const all = [...new Map([...newest, ...more].map((run) => [run.id, run])).values()];
    if (!all.length) return fill(place, empty("No run fits.", query.size ? h("a", { href: "#/runs" }, "Show all") : h("a", { href: "#/flows" }, "Run a flow")));
    if (place.firstElementChild !== table) fill(place, table);
    all.forEach((run, index) => {
      const row = known.get(run.id) ?? h("tr.goes", { onclick: (event) => { if (!event.target.closest("a")) go(`/runs/${run.id}`); } });
      known.set(run.id, row);
      const print = JSON.stringify([run.status, run.percent, isOver(run) || Math.floor(Date.now() / 1000)]);
      if (row.dataset.print !== print) {
        const focused = row.contains(document.activeElement);
        row.dataset.print = print;
        fill(row, cells(run, operator, people));
        if (focused) row.querySelector("a").focus();
      }
      if (rows.children[index] !== row) rows.insertBefore(row, rows.children[index] ?? null);
    });
    while (rows.children.length > all.length) rows.lastElementChild.remove();
  };
  let newest = [];
  await every(LIVE_MS, signal, async () => {
    const answer = await get(`/flow-manager/runs?${wanted()}`, signal);
    newest = answer.data;
    if (cursor === undefined) offer(answer.next_cursor);
    draw(newest);
  });

  function offer(next) {
    cursor = next;
    fill(older, next && action("Show older runs", {}, async () => {
      const answer = await get(`/flow-manager/runs?${wanted()}&cursor=${next}`, signal);
      more = [...more, ...answer.data];
      offer(answer.next_cursor);
      draw(newest);
    }));
  }
}

export const short = (id) => `…${id.slice(-8)}`;

/** Names of accounts, for those who may know them. */
export async function names(signal) {
  if (!atLeast("admin")) return [];
  const { data } = await get("/users?limit=200", signal);
  return data.map((user) => [user.id, user.name || user.username || user.email]);
}

function cells(run, operator, people) {
  const bar = h("i");
  bar.style.width = `${run.percent}%`;
  const tone = run.status === "succeeded" ? "ok" : isOver(run) ? "bad" : "moving";
  const by = run.caller?.id;
  return [
    h("td", {}, h("a", { href: `#/runs/${run.id}` }, run.flow), h("div.muted.small.mono", {}, short(run.id))),
    h("td", {}, badge(run.status)),
    h("td", {}, h("div.far", {}, h("div.bar.thin", { class: tone, "aria-hidden": "true" }, bar), h("span.small.num", {}, `${run.percent} %`))),
    operator && h("td", {}, by ? people.get(by) ?? short(by) : "–"),
    h("td.nowrap", {}, time(run.created_at)),
    h("td.num.nowrap", {}, span(between(run.started_at, run.finished_at))),
  ].filter(Boolean);
}
