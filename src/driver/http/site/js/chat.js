// A room: what was said, what is being said, and a line to say something.

import { call, get, post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { followRoom } from "./follow.js";
import { clockTime, initials, moment, plural } from "./format.js";
import { login } from "./login.js";
import { every, toast } from "./ui.js";

/** Of a long history only so much is shown. */
const MOST_SHOWN = 500;

/** An element that follows the room until `signal` ends it. */
export function chat(room, signal, title) {
  const path = `/room/${encodeURIComponent(room)}`;
  const said = h("div.said", { role: "log", tabindex: "0", "aria-label": `What is said in ${title}` });
  const nothing = h("p.muted.small", {}, "Nothing was said so far.");
  const here = h("span.muted.small");
  const field = h("input", { "aria-label": `Say something in ${title}`, placeholder: "Say something", maxlength: 4000, autocomplete: "off", required: true });
  const button = h("button.primary", { type: "submit" }, "Send");
  const form = h("form", {}, field, button);
  fill(said, nothing);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text || button.disabled) return;
    button.disabled = true;
    try {
      await post(path, { text }, { signal });
      field.value = "";
    } catch (problem) {
      if (!signal.aborted) toast(problem.errors?.[0]?.detail ?? problem.message);
    } finally {
      button.disabled = false;
      field.focus();
    }
  });

  const onMessage = (message) => {
    const atEnd = said.scrollTop + said.clientHeight > said.scrollHeight - 60;
    nothing.remove();
    said.append(drawn(message, path));
    while (said.childElementCount > MOST_SHOWN) said.firstElementChild.remove();
    if (atEnd || message.from.id === login.user?.id) said.scrollTop = said.scrollHeight;
  };
  followRoom(room, { onMessage, signal }).catch((problem) => {
    if (!signal.aborted) fill(said, h("p.fault", {}, problem.message));
  });
  every(15_000, signal, async () => {
    const { users } = await get(`${path}/who`, signal);
    here.textContent = users.length ? `${plural(users.length, "person", "people")} here` : "";
    here.title = users.map((user) => user.name).join(", ");
  });
  return { element: h("div.chat", {}, said, form), here };
}

function drawn(message, path) {
  const { from, text, at } = message;
  const today = new Date(at).toDateString() === new Date().toDateString();
  const when = h("time", { datetime: at }, today ? clockTime(at).slice(0, 5) : moment(at));
  if (from.kind === "system") return h("article.system", {}, text, " ", when);
  const article = h("article", {});
  const mine = from.id === login.user?.id;
  const remove = mine && h("button.quiet.tiny", { type: "button", "aria-label": `Delete “${text.slice(0, 60)}”`, title: "Delete", onclick: async () => {
    try {
      await call("DELETE", `${path}/${message.id}`);
      article.remove();
    } catch (problem) {
      toast(problem.message);
    }
  } }, icon("cross"));
  const kind = from.kind === "registered" ? null : h("span.tag", {}, from.kind === "temporary" ? "guest" : from.kind);
  fill(article, h("span.face", { "aria-hidden": "true" }, initials(from.name)), h("div", {}, h("header", {}, h("strong", {}, from.name), kind, when, remove), h("p", {}, text)));
  return article;
}
