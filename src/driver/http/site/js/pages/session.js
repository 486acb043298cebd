// One session for those who look after it: where it is, its attempts, what graders left, and its room.

import { get } from "../api.js";
import { chat } from "../chat.js";
import { fill, h } from "../dom.js";
import { exact, spaced } from "../format.js";
import { attempts } from "../hand_in.js";
import { atLeast } from "../login.js";
import { badge, json, time } from "../ui.js";
import { outputs } from "../workbench.js";
import { story } from "../story.js";
import { short } from "./runs.js";

export default async function page({ main, signal, title }, id) {
  const path = `/sessions/${encodeURIComponent(id)}`;
  const [session, tries] = await Promise.all([get(path, signal), get(`${path}/attempts`, signal)]);
  const evidence = atLeast("operator") ? (await get(`${path}/evidence`, signal)).data : [];
  title(`Session of ${session.lab}`);
  const talk = chat(`session.${session.id}`, signal, "this session");
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  fill(main, h("div.head", {}, h("div", {}, h("nav.crumbs", { "aria-label": "Where you are" }, h("a", { href: atLeast("operator") ? "#/sessions" : "#/" }, atLeast("operator") ? "Sessions" : "Labs"), "/", h("span", { "aria-current": "page" }, short(session.id))),
    h("div.row", {}, h("h1", {}, session.lab), badge(session.status)))),
  h("section.panel", { "aria-label": "The session" }, h("dl.facts-grid", {}, fact("Opened", time(session.created_at)), fact("Ended", time(session.ended_at)),
    session.time?.expires_at && fact("Its time ends", exact(session.time.expires_at)),
    session.run && fact("Last moved by", h("a", { href: `#/runs/${session.run}` }, `run ${short(session.run)}`)), fact("Version of the lab", h("code", {}, session.lab_version.slice(0, 12))))),
  h("div.lab", {}, h("div.stack", {}, h("section.panel", {}, h("h2", {}, "Attempts"), attempts(tries.data)), await story(session, signal),
    evidence.length > 0 && h("section.panel", {}, h("h2", {}, "What graders left"), evidence.map((one) => h("details.fold", {}, h("summary", {}, spaced(one.outcome), one.attempt ? `, attempt ${one.attempt}` : ""), h("div.stack", {}, one.output && h("pre.json", { tabindex: "0", role: "region", "aria-label": "Output of the grader" }, one.output), json(one.tests, "all tests, hidden ones too")))))),
  h("aside", { "aria-label": "Of the session" }, h("section.panel", {}, h("h2", {}, "Outputs"), outputs(session.outputs)), h("section.panel.flush", { "aria-label": "Room of the session" }, h("div.top-line", {}, h("h2", {}, "Room"), talk.here), talk.element))));
}
