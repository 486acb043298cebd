// Lab sessions of everybody, found by the runs that opened them, and what machines were left behind.

import { get, call } from "../api.js";
import { fill, h } from "../dom.js";
import { login } from "../login.js";
import { action, badge, confirm, empty, scroller, time } from "../ui.js";
import { names, short } from "./runs.js";

const AT_ONCE = 25;

export default async function page({ main, signal, title, again }) {
  title("Sessions");
  const people = new Map([...await names(signal), [login.user.id, "Me"]]);
  const place = h("div"), older = h("div.row"), orphans = h("div");
  const rows = h("tbody");
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Sessions"), h("p", {}, "One learner in one lab each, the newest first."))), h("section.panel.flush", { "aria-label": "Sessions" }, place), older, orphans);

  const more = async (cursor) => {
    const answer = await get(`/flow-manager/runs?flow=lab-launch&limit=${AT_ONCE}${cursor ? `&cursor=${cursor}` : ""}`, signal);
    const found = await Promise.all(answer.data.filter((run) => run.input.session).map(async (run) => ({ run, session: await get(`/sessions/${run.input.session}`, signal).catch(() => null) })));
    rows.append(...found.filter((one) => one.session).map((one) => row(one, people)));
    if (!rows.childElementCount) fill(place, empty("No lab was launched yet."));
    else fill(place, scroller("Sessions", h("table", {}, h("thead", {}, h("tr", {}, ["Lab", "State", "Learner", "Opened", "Ended"].map((name) => h("th", { scope: "col" }, name)))), rows)));
    fill(older, answer.next_cursor && action("Show older sessions", {}, () => more(answer.next_cursor)));
  };
  await more();
  await ledger(orphans, signal, again);
}

function row({ run, session }, people) {
  const by = run.caller?.id;
  return h("tr", {}, h("td", {}, h("a", { href: `#/sessions/${session.id}` }, session.lab), h("div.muted.small.mono", {}, short(session.id))), h("td", {}, badge(session.status)),
    h("td", {}, by ? people.get(by) ?? short(by) : "–"), h("td.nowrap", {}, time(session.created_at)), h("td.nowrap", {}, time(session.ended_at)));
}

/** Machines that state and cluster do not agree about; only where the service keeps such a ledger. */
async function ledger(place, signal, again) {
  const paths = (await get("/openapi.json", signal)).paths;
  if (!paths["/orphans"]) return;
  const { data } = await get("/orphans", signal);
  const rows = data.map((orphan) => h("tr", {}, h("td", {}, h("code", {}, String(orphan.vmid ?? orphan.resource ?? short(String(orphan.id)))), " ", orphan.name ?? ""), h("td", {}, words(orphan)), h("td.nowrap", {}, time(orphan.found_at ?? orphan.seen_at ?? orphan.at)),
    h("td", {}, action("Delete", { class: "danger tiny", "aria-label": `Delete ${orphan.name ?? orphan.vmid ?? orphan.id}` }, async () => {
      if (!await confirm({ title: "Delete this for good?", text: "The machine is stopped and destroyed, with its disks. This cannot be taken back.", yes: "Delete it", no: "Keep it" })) return;
      await call("POST", `/orphans/${encodeURIComponent(orphan.id)}/delete`);
      again();
    }))));
  fill(place, h("section.panel.flush", {}, h("h2", {}, "Left behind"), rows.length ? scroller("Left behind", h("table", {}, h("thead", {}, h("tr", {}, ["Machine", "What is wrong", "Found", ""].map((name) => h("th", { scope: "col" }, name || h("span.unseen", {}, "Delete"))))), h("tbody", {}, rows))) : empty("Nothing was left behind.", "What state and cluster disagree about stands here.")));
}

const words = (orphan) => orphan.detail ?? orphan.reason ?? { in_state: "In the state, not in the cluster", in_cluster: "In the cluster, not in any state" }[orphan.kind] ?? String(orphan.kind ?? orphan.status ?? "");
