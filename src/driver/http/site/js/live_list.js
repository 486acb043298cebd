// A list that keeps itself up to date and goes back as far as one likes.

import { fill, h } from "./dom.js";
import { action, every, scroller } from "./ui.js";

const LIVE_MS = 2500;

/**
 * `load(cursor)` gives a page, `{data, next_cursor}`; `cells(one)` the cells of its row, changed when `print(one)` does;
 * `to(one)` where a click on it leads. `heads` are names of columns, or `[name, class]`.
 */
export async function liveList({ label, heads, load, cells, print, to, nothing, older, signal }) {
  const rows = h("tbody"), place = h("div"), more = h("div.row");
  const head = (one) => { const [name, look] = [one].flat(); return h("th", { scope: "col", class: look }, name); };
  const table = scroller(label, h("table", {}, h("thead", {}, h("tr", {}, heads.map(head))), rows));
  const known = new Map();
  let newest = [], earlier = [], cursor;

  // Rows are changed in place, so that what has the focus keeps it.
  const draw = () => {
    const all = [...new Map([...newest, ...earlier].map((one) => [one.id, one])).values()];
    if (!all.length) return fill(place, nothing());
    if (place.firstElementChild !== table) fill(place, table);
    all.forEach((one, index) => {
      const row = known.get(one.id) ?? h("tr.goes", { onclick: (event) => { if (!event.target.closest("a")) location.hash = to(one); } });
      known.set(one.id, row);
      const now = JSON.stringify(print(one));
      if (row.dataset.print !== now) {
        const focused = row.contains(document.activeElement);
        row.dataset.print = now;
        fill(row, cells(one));
        if (focused) row.querySelector("a").focus();
      }
      if (rows.children[index] !== row) rows.insertBefore(row, rows.children[index] ?? null);
    });
    while (rows.children.length > all.length) rows.lastElementChild.remove();
  };
  const offer = (next) => {
    cursor = next;
    fill(more, next && action(older, {}, async () => {
      const page = await load(next);
      earlier = [...earlier, ...page.data];
      offer(page.next_cursor);
      draw();
    }));
  };
  const look = async () => {
    const page = await load();
    newest = page.data;
    if (cursor === undefined) offer(page.next_cursor);
    draw();
  };
  await look();
  setTimeout(() => { if (!signal.aborted) every(LIVE_MS, signal, look); }, LIVE_MS);
  return [h("section.panel.flush", { "aria-label": label }, place), more];
}

/** A choice of the list's query: `change(name, value)` is called with what is chosen. */
export function choice(name, label, options, chosen, change) {
  const all = options.some(([value]) => value === chosen) || !chosen ? options : [...options, [chosen, chosen]];
  return h("div.field", {}, h("label", { for: `by-${name}` }, label),
    h("select", { id: `by-${name}`, onchange: (event) => change(name, event.target.value) }, h("option", { value: "" }, "All"),
      all.map(([value, text]) => h("option", { value, selected: chosen === value }, text))));
}

/** Puts a choice into the page's address. */
export function changes(path, query, go) {
  return (name, value) => {
    const now = new URLSearchParams(query);
    if (value) now.set(name, value);
    else now.delete(name);
    go(`${path}${now.size ? `?${now}` : ""}`, true);
  };
}
