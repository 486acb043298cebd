// The lab at work: its words on one side; connection details, handing in, attempts and the room on the other.

import { get } from "./api.js";
import { chat } from "./chat.js";
import { clock } from "./clock.js";
import { fill, h } from "./dom.js";
import { spaced } from "./format.js";
import { attempts, handIn } from "./hand_in.js";
import { action, copyable, json } from "./ui.js";
import { tutorial } from "./tutorial.js";

export function workbench(lab, { signal, finish, reset, look }) {
  const { session } = lab;
  const time = clock(session, signal, look);
  const history = h("div");
  const refresh = async () => fill(history, attempts((await get(session.links.attempts, signal)).data));
  const { form, answers } = handIn(lab, signal, refresh);
  const actions = h("div.row", {}, time, action("Reset", {}, reset), action("Finish", { class: "danger" }, finish));
  const element = h("div.lab", {},
    h("section.panel", { "aria-label": "Tutorial" }, tutorial(lab, session, answers).element),
    h("aside", { "aria-label": "Your lab" },
      h("section.panel", {}, h("h2", {}, "Your lab"), outputs(session.outputs)),
      h("section.panel", {}, h("h2", {}, "Hand in"), form),
      h("section.panel", {}, h("h2", {}, "Your attempts"), history),
      rooms(lab, signal)));
  return { element, actions, ready: refresh() };
}

export function outputs(all) {
  const list = Object.entries(all ?? {});
  if (!list.length) return h("p.muted", {}, "This lab shows nothing to connect to.");
  return h("dl.outputs", {}, list.map(([name, value]) => h("div", {}, h("dt", {}, spaced(name)), h("dd", {}, shown(name, value)))));
}

function shown(name, value) {
  if (value !== null && typeof value === "object") return json(value, spaced(name));
  const text = String(value);
  if (!/^https?:\/\/[^\s]+$/.test(text)) return copyable(text, spaced(name));
  const box = copyable(text, spaced(name));
  box.querySelector("code").replaceChildren(h("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text));
  return box;
}

/** Two rooms, of which one is followed at a time: everyone's in this lab, and one's own, where operators can help. */
function rooms(lab, signal) {
  const all = { [`lab.${lab.name}`]: "Everyone here", [`session.${lab.session.id}`]: "Me and operators" };
  const place = h("div");
  let leaving = new AbortController();
  signal.addEventListener("abort", () => leaving.abort());
  const tabs = Object.entries(all).map(([room, name]) => h("button", { type: "button", "data-room": room, "aria-pressed": "false", onclick: () => enter(room) }, name));
  const here = h("span");
  const enter = (room) => {
    leaving.abort();
    leaving = new AbortController();
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.room === room));
    const talk = chat(room, leaving.signal, all[room]);
    fill(place, talk.element);
    fill(here, talk.here);
  };
  enter(Object.keys(all)[0]);
  return h("section.panel.flush", { "aria-label": "Rooms" }, h("div.top-line", {}, h("h2", {}, "Room"), here), h("div.row", { class: "room-tabs" }, h("div.segmented.grow", { role: "group", "aria-label": "Which room" }, tabs)), place);
}

