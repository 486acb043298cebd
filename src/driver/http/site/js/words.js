// A lab's words. HTML comes from the service's own sanitizer alone; Markdown of a service that sends none is drawn
// here as elements with text, without ever becoming markup.

import { fill, h } from "./dom.js";

// Browsers that know Trusted Types let nothing else become markup.
const policy = globalThis.trustedTypes?.createPolicy("server-html", { createHTML: (html) => html });

/** `{html}` or `{markdown}` of a lab, as one element. */
export function words({ html, markdown }) {
  const box = h("div.prose");
  if (typeof html !== "string") return fill(box, ...blocks(markdown ?? ""));
  box.innerHTML = policy ? policy.createHTML(html) : html;
  for (const link of box.querySelectorAll("a[href]")) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  // What is wide scrolls by itself, by keyboard too.
  for (const wide of box.querySelectorAll("pre")) {
    wide.tabIndex = 0;
    wide.setAttribute("role", "group");
    wide.setAttribute("aria-label", "Code");
  }
  return box;
}

function blocks(markdown) {
  const made = [];
  const fences = markdown.split(/^```[^\n]*\n([\s\S]*?)^```\s*$/m);
  fences.forEach((part, index) => {
    if (index % 2) made.push(h("pre", { tabindex: "0", role: "group", "aria-label": "Code" }, h("code", {}, part.replace(/\n$/, ""))));
    else for (const block of part.split(/\n\s*\n/)) if (block.trim()) made.push(paragraph(block.trim()));
  });
  return made;
}

function paragraph(block) {
  const heading = /^(#{1,4})\s+(.*)$/.exec(block);
  if (heading) return h(`h${Math.min(heading[1].length + 1, 4)}`, {}, inline(heading[2]));
  const items = block.split(/\n(?=\s*(?:\d+[.)]|[-*])\s)/);
  const mark = /^\s*(\d+[.)]|[-*])\s+/;
  if (items.every((item) => mark.test(item))) {
    return h(/^\s*\d/.test(items[0]) ? "ol" : "ul", {}, items.map((item) => h("li", {}, inline(item.replace(mark, "")))));
  }
  return h("p", {}, inline(block.replace(/\n/g, " ")));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`") && part.length > 2) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**") && part.length > 4) return h("strong", {}, part.slice(2, -2));
    return part;
  });
}
