// Machines that sessions and the cluster do not agree about.

import { call, get } from "./api.js";
import { fill, h } from "./dom.js";
import { action, confirm, empty, problemNote, scroller, time } from "./ui.js";

const SAYS = {
  not_in_state: "It runs, and no session will take it down",
  not_in_proxmox: "A session counts on it, and it is gone",
};

/** An element that fills itself: the cluster may take its time, or be away. */
export function orphans(signal) {
  const place = h("section.panel.flush", { "aria-label": "Left behind" }, h("h2", {}, "Left behind"), h("p.muted.pad", {}, "Asking the cluster …"));
  const look = async () => {
    const { data } = await get("/orphans", signal);
    fill(place, h("h2", {}, "Left behind"), data.length ? table(data, look) : empty("Nothing was left behind.", "Machines that sessions and the cluster do not agree about stand here."));
  };
  const tried = () => look().catch((problem) => { if (!signal.aborted) fill(place, h("h2", {}, "Left behind"), h("div.pad", {}, problemNote(problem, tried))); });
  tried();
  return place;
}

function table(all, look) {
  const heads = ["Machine", "What is wrong", "Session", "Found", h("span.unseen", {}, "Remove")];
  const rows = all.map((one) => h("tr", {}, h("td", {}, h("code", {}, String(one.vmid)), " ", one.name ?? "", one.node && h("div.muted.small", {}, `on ${one.node}`)),
    h("td", {}, SAYS[one.kind] ?? one.kind), h("td", {}, one.session ? h("a", { href: `#/sessions/${one.session}` }, `…${one.session.slice(-8)}`) : "–"),
    h("td.nowrap", {}, time(one.found_at)), h("td", {}, remove(one, look))));
  return scroller("Left behind", h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)));
}

function remove(one, look) {
  const name = one.name ?? `machine ${one.vmid}`;
  const gone = one.kind === "not_in_proxmox";
  return action(gone ? "Forget" : "Remove", { class: gone ? "tiny" : "danger tiny", "aria-label": `${gone ? "Forget" : "Remove"} ${name}` }, async () => {
    const ask = gone
      ? { title: `Forget ${name}?`, text: "It is gone already; this list no longer tells of it.", yes: "Forget it", no: "Keep it in the list", danger: false }
      : { title: `Remove ${name} for good?`, text: "The machine is stopped and destroyed, with its disks. This cannot be taken back.", yes: "Remove it", no: "Keep it" };
    if (!await confirm(ask)) return;
    await call("POST", `/orphans/${encodeURIComponent(one.id)}/delete`);
    await look();
  });
}
