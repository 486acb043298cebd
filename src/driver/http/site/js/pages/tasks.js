// The tasks there are, each with what a crash, a retry and an undo mean to it.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { span } from "../format.js";
import { atLeast } from "../login.js";
import { json, scroller } from "../ui.js";
import { switcher } from "./flows.js";

const EFFECTS = { pure: "Pure: may run again at will", idempotent: "Idempotent: may run again after a crash", once: "Once: is asked after a crash, never repeated blindly" };

export default async function page({ main, signal, title }) {
  title("Tasks");
  const { data } = await get("/flow-manager/tasks", signal);
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Tasks"), h("p", {}, "What steps are made of.")), switcher("tasks")),
    h("section.panel.flush", { "aria-label": "Tasks" }, data.map(row)));
}

function row(task) {
  const inside = h("div.inside");
  const element = h("details.line-up.task", { "data-task": task.name }, h("summary", {},
    h("span.name", {}, h("strong", {}, task.name), h("span", {}, task.description)), h("span.tag", { title: EFFECTS[task.effect] }, task.effect), task.undoable ? h("span.tag", {}, "undoable") : h("span")), inside);
  element.addEventListener("toggle", () => {
    if (!element.open || inside.childElementCount) return;
    fill(inside, h("p", {}, EFFECTS[task.effect], `. ${task.attempts} ${task.attempts === 1 ? "attempt" : "attempts"} of ${span(task.timeout_s * 1000)} at most.`),
      fields(task), atLeast("operator") && h("div.row", {}, h("a.button", { href: `#/tasks/${task.name}` }, "Run it by itself")),
      h("div.two", {}, h("section", {}, h("h2", {}, "Schema of its input"), json(task.input, `input schema of ${task.name}`)), h("section", {}, h("h2", {}, "Schema of its output"), json(task.output, `output schema of ${task.name}`))));
  });
  return element;
}

function fields(task) {
  const all = Object.entries(task.input?.properties ?? {});
  if (!all.length) return h("p.muted", {}, "It takes no input.");
  const wanted = task.input.required ?? [];
  return scroller(`Input of ${task.name}`, h("table", {}, h("thead", {}, h("tr", {}, ["Input", "Needed", "Meaning"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, all.map(([name, schema]) => h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, wanted.includes(name) ? "yes" : "no"), h("td", {}, schema.description ?? ""))))));
}
