// Small parts of every page.

import { fill, h, icon } from "./dom.js";
import { ago, exact, stateWord } from "./format.js";

export function badge(state) {
  const [word, tone] = stateWord(state);
  return h("span.badge", { class: tone, "data-state": state }, word);
}

const DOTS = { succeeded: ["ok", "check"], failed: ["bad", "cross"], unknown: ["bad", "question"], running: ["going", "dash"], waiting: ["warn", "clock"], skipped: ["", "dash"], pass: ["ok", "check"], fail: ["bad", "cross"], error: ["bad", "question"], skip: ["", "dash"], undone: ["warn", "back"] };

/** A round mark of a step's or test's state; `number` stands in it while there is nothing else to say. */
export function dot(state, number) {
  const [tone, drawing] = DOTS[state] ?? ["", null];
  return h("span.dot", { class: tone, "aria-hidden": "true" }, drawing ? icon(drawing) : number ?? "");
}

export function time(at) {
  return at ? h("time", { datetime: at, title: exact(at) }, ago(at)) : "–";
}

/** A button that is busy until what it does is done, and says what went wrong. */
export function action(label, props, work) {
  const button = h("button", { type: "button", ...props }, label);
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      await work(button);
    } catch (problem) {
      if (problem.name !== "AbortError") toast(problem.message);
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
      // Disabled, it could not keep the focus.
      if (document.activeElement === document.body && button.isConnected) button.focus();
    }
  });
  return button;
}

export function copyButton(text, what) {
  const label = h("span", {}, "Copy");
  const button = h("button.tiny", { type: "button", "aria-label": `Copy ${what}` }, label);
  button.addEventListener("click", async () => {
    await copy(text);
    label.textContent = "Copied";
    announce(`Copied ${what}`);
    setTimeout(() => { label.textContent = "Copy"; }, 1600);
  });
  return button;
}

/** The clipboard is for secure places only; elsewhere a selection is copied. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { value: text, class: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function copyable(text, what) {
  return h("div.copyable", {}, h("code", {}, text), copyButton(text, what));
}

/** What went wrong, where it stays until it is mended. */
export function note(tone, title, ...more) {
  return h("div.note", { class: tone, role: tone === "bad" ? "alert" : "note" }, h("div", {}, title && h("strong", {}, title), ...more));
}

export function problemNote(problem, again) {
  const faults = problem.errors?.length ? h("ul", {}, problem.errors.map((fault) => h("li", {}, fault.pointer ? h("code", {}, fault.pointer) : null, " ", fault.detail))) : null;
  const button = again && h("div.row", {}, action("Try again", { class: "tiny" }, again));
  return note("bad", problem.message, faults, button);
}

export function empty(title, ...more) {
  return h("div.empty", {}, h("strong", {}, title), ...more);
}

/** A wide table scrolls by itself, by keyboard too. */
export function scroller(label, table) {
  return h("div.scroller", { tabindex: "0", role: "region", "aria-label": `Table: ${label}` }, table);
}

export function json(value, label) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  const more = text.length > 20_000 ? `${text.slice(0, 20_000)}\n… ${text.length - 20_000} characters more; copy it to see all` : text;
  return h("div.stack.tight", {}, h("pre.json", { tabindex: "0", role: "region", "aria-label": label }, more), h("div", {}, copyButton(text, label)));
}

let region, toasts;

/** Says it to screen readers. */
export function announce(text) {
  region ??= document.body.appendChild(h("div.unseen", { "aria-live": "polite" }));
  region.textContent = text;
}

export function toast(text) {
  toasts ??= document.body.appendChild(h("div.toasts", { role: "status" }));
  const line = h("p", {}, text);
  toasts.append(line);
  setTimeout(() => line.remove(), 7000);
}

/** Asks before something is done; `{said}` when it is to be. `ask`: a line to be said with it, which may be left out. */
export function confirm({ title, text, yes, danger = true, no = "Keep it as it is", ask }) {
  return new Promise((answer) => {
    const dialog = h("dialog", { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" });
    const line = ask && h("input", { id: "ask-line", maxlength: 200, autocomplete: "off" });
    const close = (sure) => { dialog.close(); dialog.remove(); answer(sure && { said: line?.value.trim() ?? "" }); };
    const button = h("button.primary", { type: "submit", class: danger ? "danger" : "" }, yes);
    fill(dialog, h("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); close(true); } },
      h("h2", { id: "ask-title" }, title),
      h("div.stack.tight", { id: "ask-text" }, [text].flat().map((line) => h("p", {}, line))),
      line && h("div.field", {}, h("label", { for: "ask-line" }, ask, h("span.muted.small", {}, " optional")), line),
      h("div.row", {}, h("button", { type: "button", autofocus: true, onclick: () => close(false) }, no), button)));
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(false); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Calls `look` now and every `ms` while the page is looked at, until `signal` ends it. */
export function every(ms, signal, look) {
  let timer, busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (signal.aborted || busy) return;
    if (!document.hidden) {
      busy = true;
      await Promise.resolve(look()).catch(() => {});
      busy = false;
    }
    if (!signal.aborted) timer = setTimeout(turn, ms);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); }, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return turn();
}
