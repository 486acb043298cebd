// A form made from a JSON Schema. What it cannot ask for field by field it takes as JSON. The service checks it all;
// here only what a field itself can tell is told early.

import { fill, h } from "./dom.js";
import { spaced } from "./format.js";

let forms = 0;

/** `read()` gives the value, or undefined with the faults shown; `blame` puts the service's faults at their fields. */
export class SchemaForm {
  #schema;
  #root;
  #fields = new Map();
  #id;

  constructor(schema, { value } = {}) {
    this.#schema = schema ?? {};
    this.#id = `form-${++forms}`;
    this.elsewhere = h("div", { role: "alert" });
    const node = this.#resolve(this.#schema);
    this.#root = this.#make(isForm(node) ? node : {}, "", "Input", value, true);
    this.element = h("div.stack", {}, this.#root.element, this.elsewhere);
  }

  read() {
    this.blame([]);
    const faults = [];
    const value = this.#root.read(faults);
    if (faults.length) {
      this.blame(faults);
      return undefined;
    }
    return value ?? {};
  }

  /** `[{pointer, detail}]`; pointers below `base` are this form's. */
  blame(faults, base = "") {
    const others = [];
    let first = null;
    for (const field of this.#fields.values()) field.tell("");
    for (const { pointer = "", detail } of faults) {
      const field = pointer.startsWith(base) ? this.#nearest(pointer.slice(base.length)) : null;
      if (field) { field.tell(detail); first ??= field; } else others.push(pointer ? `${pointer}: ${detail}` : detail);
    }
    fill(this.elsewhere, others.map((text) => h("p.fault", {}, text)));
    first?.focus();
  }

  #nearest(pointer) {
    for (let at = pointer; at; at = at.slice(0, at.lastIndexOf("/"))) if (this.#fields.has(at)) return this.#fields.get(at);
    return null;
  }

  /** Follows $ref, and takes null out of what may be null. */
  #resolve(schema, depth = 0) {
    if (!schema || typeof schema !== "object" || depth > 20) return {};
    if (schema.$ref?.startsWith("#/")) {
      const target = schema.$ref.slice(2).split("/").reduce((node, key) => node?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], this.#schema);
      const { $ref, ...rest } = schema;
      return { ...this.#resolve(target, depth + 1), ...rest };
    }
    const some = schema.anyOf ?? schema.oneOf;
    const others = some?.filter((one) => one.type !== "null");
    if (some && others.length === 1) {
      const { anyOf, oneOf, ...rest } = schema;
      return { ...this.#resolve(others[0], depth + 1), ...rest, nullable: true };
    }
    if (others?.length && others.every((one) => "const" in one)) return { ...schema, enum: others.map((one) => one.const), nullable: others.length < some.length };
    if (Array.isArray(schema.type)) {
      const types = schema.type.filter((type) => type !== "null");
      return { ...schema, type: types.length === 1 ? types[0] : undefined, nullable: true };
    }
    return schema;
  }

  #make(schema, pointer, label, value, required) {
    const node = this.#resolve(schema);
    if (isForm(node) && (pointer.match(/\//g) ?? []).length < 4) return this.#object(node, pointer, label, value, required);
    return this.#field(node, pointer, label, value, required);
  }

  #object(node, pointer, label, value, required) {
    const parts = Object.entries(node.properties ?? {}).map(([name, schema]) => {
      const wanted = (node.required ?? []).includes(name);
      return [name, this.#make(schema, `${pointer}/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`, name, value?.[name], wanted)];
    });
    const read = (faults) => {
      const inner = [];
      const found = parts.map(([name, part]) => [name, part.read(inner)]).filter(([, one]) => one !== undefined);
      // What may be left out as a whole lacks nothing while it is empty.
      const leftOut = !found.length && !required && inner.every((fault) => fault.missing);
      if (leftOut) return undefined;
      faults.push(...inner);
      return Object.fromEntries(found);
    };
    const inside = parts.map(([, part]) => part.element);
    if (!pointer) return { element: h("div.stack", {}, inside.length ? inside : h("p.muted", {}, "It needs no input.")), read };
    return { element: h("fieldset", {}, h("legend", {}, spaced(label)), node.description && h("span.hint.muted.small", {}, node.description), inside), read };
  }

  #field(node, pointer, label, value, required) {
    const id = `${this.#id}${pointer.replace(/[^\w]/g, "-")}`;
    const { control, read, show } = widget(node, required);
    const first = value ?? node.default;
    if (first !== undefined && first !== null) show(first);
    const wrong = h("span.fault", { id: `${id}-wrong`, role: "alert" });
    const hint = [node.description, limits(node)].filter(Boolean).join(" ");
    const describes = [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" ");
    for (const [key, text] of Object.entries({ id, name: pointer.slice(1), "aria-describedby": describes })) control.setAttribute(key, text);
    if (required) control.setAttribute("aria-required", "true");
    const tell = (text) => {
      wrong.textContent = text;
      control.setAttribute("aria-invalid", String(Boolean(text)));
    };
    this.#fields.set(pointer, { tell, focus: () => control.focus() });
    const element = h("div.field", {}, h("label", { for: id }, spaced(label), required ? "" : h("span.muted.small", {}, " optional")), control, hint && h("span.hint", { id: `${id}-hint` }, hint), wrong);
    return { element, read: (faults) => {
      try {
        const got = read();
        if (got === undefined && required) faults.push({ pointer, detail: "This is needed.", missing: true });
        return got;
      } catch (error) {
        faults.push({ pointer, detail: error.message });
        return undefined;
      }
    } };
  }
}

const isForm = (node) => (node.type === "object" || node.properties) && Object.keys(node.properties ?? {}).length > 0 && !node.anyOf && !node.oneOf;

/** The control, how it is read (undefined: not given), and how a value is shown in it. */
function widget(node, required) {
  const choices = node.enum ?? ("const" in node ? [node.const] : node.type === "boolean" ? [true, false] : null);
  if (choices) {
    const words = (one) => (one === true ? "Yes" : one === false ? "No" : String(one));
    const control = h("select", {}, h("option", { value: "" }, required ? "Choose" : "Not given"), choices.map((one, index) => h("option", { value: String(index) }, words(one))));
    return { control, read: () => (control.value === "" ? undefined : choices[Number(control.value)]), show: (value) => { control.value = String(choices.indexOf(value)); } };
  }
  if (node.type === "integer" || node.type === "number") {
    const control = h("input", { inputmode: node.type === "integer" ? "numeric" : "decimal", autocomplete: "off" });
    return { control, read: () => number(control.value.trim(), node), show: (value) => { control.value = String(value); } };
  }
  if (node.type === "string") {
    const long = (node.maxLength ?? 0) > 300 || node.format === "textarea";
    const kind = { password: "password", email: "email", uri: "url" }[node.format] ?? "text";
    const control = long ? h("textarea", {}) : h("input", { type: node.writeOnly ? "password" : kind, autocomplete: "off" });
    return { control, read: () => (control.value === "" ? undefined : control.value), show: (value) => { control.value = value; } };
  }
  const items = node.type === "array" ? node.items?.type : null;
  const control = h("textarea.code", { spellcheck: "false", placeholder: items === "string" ? "one a line" : node.type === "array" ? "[]" : node.type === "object" ? "{}" : "JSON" });
  if (items === "string") return { control, read: () => { const lines = control.value.split("\n").map((line) => line.trim()).filter(Boolean); return lines.length ? lines : undefined; }, show: (value) => { control.value = value.join("\n"); } };
  return { control, read: () => asJson(control.value.trim()), show: (value) => { control.value = JSON.stringify(value, null, 2); } };
}

function number(text, node) {
  if (text === "") return undefined;
  const value = Number(text);
  if (Number.isNaN(value)) throw new Error("This is not a number.");
  if (node.type === "integer" && !Number.isInteger(value)) throw new Error("This is not a whole number.");
  return value;
}

function asJson(text) {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

function limits(node) {
  const { minimum, maximum } = node;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}.`;
  if (minimum !== undefined) return `${minimum} or more.`;
  return maximum !== undefined ? `${maximum} or less.` : "";
}
