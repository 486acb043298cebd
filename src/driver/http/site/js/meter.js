// How far a run is: the service's percent and its words, and nothing of our own guessing.

import { h, say } from "./dom.js";
import { between, isOver, span, tone } from "./format.js";

const SAID = /^(.*?)[,;]?\s*((?:about|up to)\s.+?\sleft)\.?$/i;

export class Meter {
  constructor(label) {
    this.number = h("span", {}, "0");
    this.fill = h("i");
    this.bar = h("div.bar", { role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0" }, this.fill);
    this.text = h("p", { "aria-live": "polite", "data-part": "doing" }, "Starting");
    this.left = h("p.muted.small.num", { "data-part": "left" });
    this.elapsed = h("p.muted.small.num", { "data-part": "elapsed" });
    this.element = h("div.meter", {},
      h("div.figures", {}, h("div.percent", {}, this.number, h("small", {}, "%")), h("div.stack.tight", {}, this.left, this.elapsed)),
      this.bar, this.text);
  }

  /** `words`: what is going on; a range of time within them is shown by itself. */
  show(run, words) {
    const percent = Math.max(run.percent, Number(this.number.textContent));
    const over = isOver(run);
    const [, doing, left] = SAID.exec(words) ?? [null, words, ""];
    say(this.number, String(percent));
    this.fill.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.className = `bar ${tone(run)}`;
    say(this.text, doing || words);
    say(this.left, over ? "" : left);
    const passed = span(between(run.started_at ?? run.created_at, run.finished_at));
    say(this.elapsed, over ? `took ${passed}` : `${passed} so far`);
  }
}
