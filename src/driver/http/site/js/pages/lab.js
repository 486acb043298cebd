// One lab, wherever it is: to be launched, on its way, ready to be worked in, or left in need of cleaning up.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { isOver, points, spaced } from "../format.js";
import { watchRun } from "../launching.js";
import { login } from "../login.js";
import { action, announce, badge, confirm, note, time } from "../ui.js";
import { tutorial } from "../tutorial.js";
import { workbench } from "../workbench.js";
import { facts } from "./labs.js";

const WAYS = { "lab-launch": "Building your lab", "lab-reset": "Building your lab anew", "lab-finish": "Taking your lab down" };
const CANCELS = {
  "lab-launch": { title: "Cancel the launch?", text: ["What is being made right now is finished first, which can take a while. Then everything that was made for you is taken down again.", "Nothing of this launch is left, and you can launch the lab again."], yes: "Cancel the launch" },
  "lab-reset": { title: "Cancel the reset?", text: ["What was taken down stays down. What was already built anew is taken down again.", "Your old work in this lab is gone either way."], yes: "Cancel the reset" },
};
/** So many of one's earlier sessions are told of. */
const EARLIER = 5;
const MOVING = ["launching", "finishing"];

export default async function page(context, name) {
  const { main, signal, title } = context;
  const path = `/labs/${encodeURIComponent(name)}`;
  const body = h("div.stack");
  const heads = h("div.head");
  let stage = new AbortController();
  signal.addEventListener("abort", () => stage.abort());

  /** Shows the lab as it is now. `ended`: the run that has just brought it here. */
  async function look(ended) {
    stage.abort();
    stage = new AbortController();
    const lab = await get(path, signal);
    const { session } = lab;
    fill(heads, h("div", {}, h("nav.crumbs", { "aria-label": "Where you are" }, h("a", { href: "#/" }, "Labs"), "/", h("span", { "aria-current": "page" }, lab.title)),
      h("div.row", {}, h("h1", {}, lab.title), session && badge(session.status)), session?.status === "ready" ? null : h("p", {}, lab.summary)));
    if (session && MOVING.includes(session.status) && session.run) return move(lab, await get(session.links.run, signal));
    if (session?.status === "dirty") return dirty(lab, ended);
    title(lab.title);
    if (!session) return start(lab, ended);
    const tools = workbench(lab, { signal: stage.signal, finish: () => finish(lab), reset: () => reset(lab), look: () => look() });
    fill(heads, [...heads.childNodes], tools.actions);
    fill(body, tools.element);
    return tools.ready;
  }

  async function move(lab, run) {
    const inner = { ...context, signal: stage.signal };
    const over = await watchRun(inner, body, run, { title: WAYS[run.flow] ?? spaced(run.flow), cancel: CANCELS[run.flow] });
    if (inner.signal.aborted) return;
    announce({ succeeded: run.flow === "lab-finish" ? "The lab is taken down." : "Your lab is ready." }[over.status] ?? "It did not work.");
    await look(over);
    main.focus({ preventScroll: true });
  }

  async function begin(lab, what) {
    const run = await post(lab.links[what]);
    if (isOver(run)) return look(run);
    stage.abort();
    stage = new AbortController();
    fill(heads, heads.firstElementChild);
    move(lab, run).catch((problem) => { if (!signal.aborted) fill(body, note("bad", problem.message)); });
  }

  function start(lab, ended) {
    const before = h("div");
    earlier(lab, signal).then((element) => fill(before, element)).catch(() => {});
    const button = action(ended?.flow === "lab-launch" || ended?.flow === "lab-reset" ? "Launch again" : "Launch", { class: "primary" }, () => begin(lab, "launch"));
    fill(body, outcome(ended), h("div.lab.before", {},
      lab.tutorial && h("section.panel", { "aria-label": "What you will do" }, tutorial(lab, null).element),
      h("aside", { "aria-label": "Launch" }, h("section.panel.stack", {}, h("h2", {}, "Ready when you are"), facts(lab),
        h("p", {}, "Launching builds the lab for you alone. You see each step of it, and you can leave this page meanwhile."), button), before)));
  }

  function dirty(lab, ended) {
    title(lab.title);
    fill(body, outcome(ended), h("section.panel.stack", {}, note("warn", "Something of your last session may be left.", h("p.small", {}, "Finish takes it down. Reset takes it down and builds the lab anew.")),
      h("div.row", {}, action("Finish", { class: "primary" }, () => finish(lab)), action("Reset", {}, () => reset(lab)))));
  }

  async function finish(lab) {
    const text = ["Everything that was built for you is taken down, and files you made in it are gone.", "Your attempts and your grade are kept."];
    if (await confirm({ title: `Finish ${lab.title}?`, text, yes: "Finish the lab", no: "Not yet" })) await begin(lab, "finish");
  }

  async function reset(lab) {
    const text = ["Everything is taken down and built anew, as a new session. What you did in the lab is gone.", "Attempts you handed in so far are kept with the old session."];
    if (await confirm({ title: `Reset ${lab.title}?`, text, yes: "Reset the lab", no: "Keep my work" })) await begin(lab, "reset");
  }

  fill(main, heads, body);
  await look();
}

/** One's sessions of this lab so far, where their attempts still are; null before the first. */
async function earlier(lab, signal) {
  const { data } = await get(`/sessions?lab=${encodeURIComponent(lab.name)}&user=${login.user.id}&limit=${EARLIER}`, signal);
  if (!data.length) return null;
  const best = lab.best && h("p", {}, "Your best: ", h("strong", {}, `${points(lab.best.score)} of ${points(lab.best.max)} points`));
  return h("section.panel.stack", {}, h("h2", {}, "Your sessions so far"), best,
    h("ul.story", {}, data.map((one) => h("li.row.apart", {}, h("a", { href: `#/sessions/${one.id}` }, time(one.created_at)), badge(one.status)))));
}

/** What became of the run that has just ended, if that is worth a word. */
function outcome(run) {
  if (!run) return null;
  if (run.status === "succeeded") return run.flow === "lab-finish" ? note("ok", "The lab is finished.", h("p.small", {}, "Everything is taken down. Your attempts are kept.")) : null;
  const log = h("p.small", {}, h("a", { href: `#/runs/${run.id}` }, "See what happened, with the log"));
  if (run.status === "cancelled") return note("warn", "The launch was cancelled, and what was made is taken down.", log);
  const failed = run.flow === "lab-finish" ? "The lab could not be taken down." : "The launch did not work; what was made is taken down.";
  return note("bad", run.status === "undo_failed" ? "The launch did not work, and not all of it could be taken down." : failed, run.error && h("p", {}, run.error.detail), log);
}
