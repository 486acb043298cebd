// Welcome: the labs there are, and how far one is in each.

import { get, post } from "../api.js";
import { art } from "../art.js";
import { fill, h, icon } from "../dom.js";
import { nameOf, points } from "../format.js";
import { login } from "../login.js";
import { action, badge, empty, every } from "../ui.js";

const LEVELS = { beginner: "Beginner", intermediate: "Intermediate", advanced: "Advanced" };
const REFRESH_MS = 5000;

export default async function page({ main, signal, title, go }) {
  title("Labs");
  const list = h("ul.cards", { "aria-label": "Labs" });
  const first = nameOf(login.user).split(/\s/)[0];
  let drawnAs = "";
  const look = async () => {
    const { data } = await get("/labs", signal);
    const now = JSON.stringify(data);
    if (now === drawnAs) return;
    drawnAs = now;
    // What had the focus has it again.
    const held = document.activeElement?.closest?.("[data-lab]")?.dataset.lab;
    fill(list, data.map((lab) => card(lab, go)));
    if (held) list.querySelector(`[data-lab="${CSS.escape(held)}"] button, [data-lab="${CSS.escape(held)}"] a`)?.focus();
    list.replaceWith(data.length ? list : empty("There are no labs yet.", "An operator puts them into config/labs."));
  };
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, `Welcome, ${first}`), h("p", {}, "Choose a lab. It is built for you alone, and taken down when you finish."))), list);
  await look();
  setTimeout(() => { if (!signal.aborted) every(REFRESH_MS, signal, look); }, REFRESH_MS);
}

function card(lab, go) {
  const { session, best: score } = lab;
  const here = `/labs/${lab.name}`;
  const launch = async () => {
    await post(lab.links.launch);
    go(here);
  };
  const label = { launching: "See how far it is", ready: "Go on", grading: "Go on", finishing: "See how far it is", dirty: "Clean up" }[session?.status];
  const button = session
    ? h("a.button", { class: session.status === "ready" ? "primary" : "", href: `#${here}`, "aria-label": `${label}: ${lab.title}` }, label)
    : action("Launch", { class: "primary", "aria-label": `Launch ${lab.title}` }, launch);
  const full = score && score.score >= score.max;
  return h("li.card", { "data-lab": lab.name }, art(lab.name), h("div.body", {},
    h("div.row.apart", {}, h("h2", {}, h("a", { href: `#${here}` }, lab.title)), session && badge(session.status)),
    h("p", {}, lab.summary),
    facts(lab, score && h("li", { title: "Your best score" }, icon("star"), h("span", {}, h("span.unseen", {}, "Your best score: "), `${points(score.score)} of ${points(score.max)}${full ? ", all of it" : ""}`))),
    h("div.row", {}, button)));
}

export function facts(lab, ...more) {
  return h("ul.facts", {}, h("li", {}, icon("clock"), `${lab.minutes} min`), h("li", {}, icon("level"), LEVELS[lab.difficulty] ?? lab.difficulty), more);
}
