// One session for those who look after it: where it is, its attempts, what graders left, and its room.

import { get } from "../api.js";
import { chat } from "../chat.js";
import { fill, h } from "../dom.js";
import { exact, span, spaced } from "../format.js";
import { attempts } from "../hand_in.js";
import { atLeast, login } from "../login.js";
import { badge, every, json, time } from "../ui.js";
import { outputs } from "../workbench.js";
import { story } from "../story.js";
import { short } from "./runs.js";

const LOOK_MS = 5000;

export default async function page({ main, signal, title }, id) {
  const path = `/sessions/${encodeURIComponent(id)}`;
  const operator = atLeast("operator");
  let session = await get(path, signal);
  title(`Session of ${session.lab}`);
  const talk = chat(`session.${session.id}`, signal, "this session");
  const state = h("span"), facts = h("dl.facts-grid"), made = h("div"), tries = h("div"), left = h("div.stack");
  const own = session.learner.id === login.user.id;
  const nothing = own ? undefined : "Nothing was handed in so far.";

  const draw = async () => {
    fill(state, badge(session.status));
    fill(facts, about(session, operator));
    fill(made, outputs(session.outputs));
    const [graded, kept] = await Promise.all([get(`${path}/attempts`, signal), operator ? get(`${path}/evidence`, signal) : { data: [] }]);
    fill(tries, attempts(graded.data, nothing));
    fill(left, kept.data.length > 0 && h("section.panel", {}, h("h2", {}, "What graders left"), kept.data.map(evidence)));
  };
  await draw();
  fill(main, h("div.head", {}, h("div", {}, h("nav.crumbs", { "aria-label": "Where you are" }, h("a", { href: operator ? "#/sessions" : "#/" }, operator ? "Sessions" : "Labs"), "/", h("span", { "aria-current": "page" }, short(session.id))),
    h("div.row", {}, h("h1", {}, session.lab), state))),
  h("section.panel", { "aria-label": "The session" }, facts),
  h("div.lab", {}, h("div.stack", {}, h("section.panel", {}, h("h2", {}, "Attempts"), tries), await story(session, signal), left),
    h("aside", { "aria-label": "Of the session" }, h("section.panel", {}, h("h2", {}, "Outputs"), made), h("section.panel.flush", { "aria-label": "Room of the session" }, h("div.top-line", {}, h("h2", {}, "Room"), talk.here), talk.element))));
  // An owner who looks uses the session, and a page left open is nobody who looks.
  if (own || session.ended_at) return;
  setTimeout(() => every(LOOK_MS, signal, async () => {
    if (session.ended_at) return;
    const now = await get(path, signal);
    const moved = now.status !== session.status;
    session = now;
    if (moved) await draw();
    else fill(facts, about(session, operator));
  }), LOOK_MS);
}

function about(session, operator) {
  const { learner, time: { expires_at } } = session;
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const left = expires_at && new Date(expires_at) - Date.now();
  return [
    fact("Learner", operator ? h("a", { href: `#/sessions?user=${learner.id}` }, learner.name ?? short(learner.id)) : "You"),
    fact("Opened", time(session.created_at)),
    session.ended_at && fact("Ended", time(session.ended_at)),
    expires_at && fact("Its time ends", h("span", { title: exact(expires_at) }, left > 0 ? `in ${span(Math.max(Math.floor(left / 60_000), 1) * 60_000)}` : "now")),
    session.run && fact("Last moved by", h("a", { href: `#/runs/${session.run}` }, `run ${short(session.run)}`)),
    fact("Version of the lab", h("code", {}, session.lab_version.slice(0, 12))),
  ];
}

function evidence(one) {
  return h("details.fold", {}, h("summary", {}, spaced(one.outcome), one.attempt ? `, attempt ${one.attempt}` : ""),
    h("div.stack", {}, one.output && h("pre.json", { tabindex: "0", role: "region", "aria-label": "Output of the grader" }, one.output), json(one.tests, "all tests, hidden ones too")));
}
