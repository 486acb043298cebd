// What is handed in: fields as the lab asks for them, or a name and a text each where it does not say.

import { h } from "./dom.js";

/**
 * `element`; `now()` what stands in it; `read()` the same, or undefined with the faults shown; `blame(faults)` puts the
 * service's faults at their fields and gives back those that have none.
 */
export function answersOf(lab) {
  return lab.answers?.length ? new Asked(lab.answers) : new Pairs(named(lab.tutorial?.markdown));
}

class Asked {
  #fields = new Map();

  constructor(asked) {
    this.element = h("div.stack", {}, asked.map((one) => this.#field(one)));
  }

  #field({ name, title, choices, placeholder, optional }) {
    const id = `answer-${name}`;
    const about = { id, name, "aria-describedby": `${id}-wrong`, "aria-required": optional ? null : "true" };
    const control = choices
      ? h("select", about, h("option", { value: "" }, optional ? "Not given" : "Choose"), choices.map((choice) => h("option", { value: choice }, choice)))
      : h("input", { ...about, autocomplete: "off", spellcheck: "false", placeholder: placeholder ?? null });
    const wrong = h("span.fault", { id: `${id}-wrong`, role: "alert" });
    const tell = (text) => {
      wrong.textContent = text;
      control.setAttribute("aria-invalid", String(Boolean(text)));
    };
    this.#fields.set(name, { control, tell, optional });
    return h("div.field", {}, h("label", { for: id }, title, optional && h("span.muted.small", {}, " optional")), control, wrong);
  }

  now() {
    return Object.fromEntries([...this.#fields].map(([name, field]) => [name, field.control.value.trim()]).filter(([, value]) => value));
  }

  read() {
    const value = this.now();
    const missing = [...this.#fields].filter(([name, field]) => !field.optional && !(name in value));
    this.blame(missing.map(([name]) => ({ pointer: `/answers/${name}`, detail: "This answer is missing." })));
    return missing.length ? undefined : value;
  }

  blame(faults) {
    for (const field of this.#fields.values()) field.tell("");
    const at = (fault) => this.#fields.get(fault.pointer?.replace("/answers/", ""));
    for (const fault of faults) at(fault)?.tell(fault.detail);
    faults.map(at).find(Boolean)?.control.focus();
    return faults.filter((fault) => !at(fault));
  }
}

/** Names that a lab's words hold, as `{"word": "…"}`. */
function named(markdown = "") {
  const names = new Set();
  for (const [, object] of markdown.matchAll(/`(\{[^`]*\})`/g)) for (const [, name] of object.matchAll(/"([\w.-]{1,64})"\s*:/g)) names.add(name);
  for (const [, name] of markdown.matchAll(/answers?\s+`([\w.-]{1,64})`/g)) names.add(name);
  // Around them, as a request has it.
  names.delete("answers");
  return [...names];
}

class Pairs {
  #rows = [];

  constructor(names) {
    this.list = h("div.pairs");
    const more = h("button.tiny", { type: "button", onclick: () => this.#add("").focus() }, "Add an answer");
    this.element = h("div.stack.tight", {}, this.list, h("div", {}, more));
    for (const name of names) this.#add(name);
  }

  #add(known) {
    const number = this.#rows.length + 1;
    const value = h("input", { id: `answer-${number}`, name: known || null, autocomplete: "off" });
    if (known) {
      this.#rows.push({ name: () => known, value });
      this.list.append(h("div.field", {}, h("label", { for: value.id }, known), value));
      return value;
    }
    const name = h("input", { "aria-label": `Name of answer ${number}`, placeholder: "name", autocomplete: "off" });
    value.setAttribute("aria-label", `Answer ${number}`);
    value.placeholder = "answer";
    const row = { name: () => name.value.trim(), value };
    const pair = h("div.pair", {}, name, value, h("button.quiet.tiny", { type: "button", "aria-label": `Remove answer ${number}`, onclick: () => { pair.remove(); this.#rows.splice(this.#rows.indexOf(row), 1); } }, "Remove"));
    this.#rows.push(row);
    this.list.append(pair);
    return name;
  }

  now() {
    return Object.fromEntries(this.#rows.map((row) => [row.name(), row.value.value.trim()]).filter(([name, value]) => name && value));
  }

  read() {
    return this.now();
  }

  blame(faults) {
    return faults;
  }
}
