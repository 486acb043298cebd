// What can be done about a run now, as `why` says.

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { isOver } from "./format.js";
import { atLeast } from "./login.js";
import { action, confirm, toast } from "./ui.js";

export function actions(run, why, context, refresh) {
  const can = (what) => why.can_do.some((call) => call.split("?")[0].endsWith(`/${what}`));
  const force = why.can_do.some((call) => call.includes("force=true")) || (atLeast("operator") && run.cause === "cancel" && !isOver(run));
  const todo = async (path, words) => {
    await post(`${run.links.self}/${path}`);
    toast(words);
    await refresh();
  };
  return [
    !isOver(run) && can("cancel") && action("Cancel", { class: "danger" }, async () => {
      const text = ["The step under way is told to stop and has its grace to do so.", "Then every step that can be taken back is taken back, the last first."];
      if (await confirm({ title: "Cancel this run?", text, yes: "Cancel the run", no: "Let it go on" })) await todo("cancel", "It is being cancelled.");
    }),
    force && action("Cancel by force", { class: "danger" }, async () => {
      const text = ["No grace is granted: a program and all it started are killed at once.", "What a machine that is gone was doing is given up; what is left there stays."];
      if (await confirm({ title: "Cancel by force?", text, yes: "Cancel by force", no: "No" })) await todo("cancel?force=true", "It is being cancelled by force.");
    }),
    can("resume") && action(why.blocked_by?.flow ? "Let the flow go on" : "Let all go on", { class: "primary" }, async () => {
      const { flow } = why.blocked_by ?? {};
      await post(flow ? `/flow-manager/flows/${encodeURIComponent(flow)}/resume` : "/flow-manager/resume");
      toast("It goes on.");
      await refresh();
    }),
    can("retry") && action("Retry from …", {}, () => askRetry(run, context)),
    atLeast("operator") && can("undo") && action("Take back", {}, async () => {
      const text = "Every step that can be taken back is taken back, the last first. The run ends as taken back.";
      if (await confirm({ title: "Take this run back?", text, yes: "Take it back", no: "Leave it" })) await todo("undo", "It is being taken back.");
    }),
  ];
}

/** Asks from which step; the new run is shown. */
function askRetry(run, { go }) {
  const reached = run.tasks.filter((task) => task.attempt > 0 || task.status !== "pending");
  const failed = run.error?.step ?? reached[0]?.name;
  const select = h("select", { id: "retry-from" }, reached.map((task) => h("option", { value: task.name, selected: task.name === failed }, task.name)));
  const wrong = h("div", { role: "alert" });
  const dialog = h("dialog", { "aria-labelledby": "retry-title" });
  const close = () => { dialog.close(); dialog.remove(); };
  const begin = h("button.primary", { type: "submit" }, "Start the new run");
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    begin.disabled = true;
    try {
      const made = await post(`${run.links.self}/retry?from=${encodeURIComponent(select.value)}`);
      close();
      go(`/runs/${made.id}`);
    } catch (problem) {
      begin.disabled = false;
      fill(wrong, h("p.fault", {}, problem.message));
    }
  } }, h("h2", { id: "retry-title" }, "Retry this run"), h("p", {}, "A new run begins at this step and takes over the outputs of the steps before it."),
    h("div.field", {}, h("label", { for: "retry-from" }, "From step"), select), wrong,
    h("div.row", {}, h("button", { type: "button", onclick: close }, "Leave it"), begin));
  fill(dialog, form);
  dialog.addEventListener("cancel", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
