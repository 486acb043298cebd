// A log that stays smooth however long it is: only the lines in sight are elements.

import { h, fill } from "./dom.js";

/** As the style sheet has it. */
const LINE_PX = 20;
/** Browsers lay out no higher elements; more lines than that are told of and are in the download. */
const MOST_LINES = 400_000;
const AROUND = 20;

/** `name`: of the file to download. `lines` is an array of `{text, kind}` that only grows. */
export class Log {
  #lines;
  #drawn = -1;
  #frame = 0;
  #follows = true;
  #top = 0;

  constructor(lines, name, label = "Log") {
    this.#lines = lines;
    this.body = h("div.lines");
    this.view = h("div.view", { tabindex: "0", role: "region", "aria-label": label }, this.body);
    this.count = h("span", {}, "Nothing yet");
    this.tail = h("button.tiny", { type: "button", "aria-pressed": "true", onclick: () => this.#follow(!this.#follows) }, "Following");
    const download = h("button.tiny", { type: "button", onclick: () => this.#download(name) }, "Download");
    this.element = h("div.log", {}, h("div.bar-top", {}, this.count, h("span.row", {}, this.tail, download)), this.view);
    this.view.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = this.view;
      // Only a reader scrolls up: lines that are added and frames that change never do.
      if (scrollTop < this.#top - 1 && clientHeight) this.#follow(false);
      else if (scrollTop + clientHeight > scrollHeight - LINE_PX * 2) this.#follow(true, false);
      this.#top = scrollTop;
      this.#soon();
    }, { passive: true });
    new ResizeObserver(() => this.#soon(true)).observe(this.view);
  }

  /** Lines were added. */
  grew() {
    this.#soon(true);
  }

  /** It came into sight: at its end. */
  shown() {
    this.#top = 0;
    this.#follow(true);
  }

  #soon(force) {
    if (force) this.#drawn = -1;
    this.#frame ||= requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #follow(on, jump = true) {
    if (this.#follows === on && !jump) return;
    this.#follows = on;
    this.tail.setAttribute("aria-pressed", String(on));
    this.tail.textContent = on ? "Following" : "Follow";
    if (on && jump) this.#soon(true);
  }

  #draw() {
    const total = Math.min(this.#lines.length, MOST_LINES);
    this.count.textContent = `${total.toLocaleString("en-GB")} ${total === 1 ? "line" : "lines"}${total < this.#lines.length ? ", the rest is in the download" : ""}`;
    this.body.style.height = `${total * LINE_PX + 12}px`;
    if (this.#follows) this.view.scrollTop = total * LINE_PX;
    const first = Math.max(0, Math.floor(this.view.scrollTop / LINE_PX) - AROUND);
    const shown = Math.ceil((this.view.clientHeight || 320) / LINE_PX) + 2 * AROUND;
    if (first === this.#drawn) return;
    this.#drawn = first;
    const rows = this.#lines.slice(first, Math.min(first + shown, total)).map((line, index) => {
      const row = h("div.line", { class: line.kind }, h("i", { "aria-hidden": "true" }, String(first + index + 1)), h("span", {}, line.text || " "));
      row.style.top = `${(first + index) * LINE_PX + 6}px`;
      return row;
    });
    fill(this.body, rows.length ? rows : h("p.none", {}, "Nothing was written so far."));
  }

  #download(name) {
    const text = this.#lines.map((line) => line.text).join("\n");
    const link = h("a", { href: URL.createObjectURL(new Blob([text, "\n"], { type: "text/plain" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
