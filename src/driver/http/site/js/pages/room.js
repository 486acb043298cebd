// A room by itself; guests come here.

import { chat } from "../chat.js";
import { fill, h } from "../dom.js";

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

export default function page({ main, signal, title, go }, room) {
  title(room);
  const field = h("input", { id: "room", value: room, autocomplete: "off", maxlength: 64, pattern: "[A-Za-z0-9._\\-]{1,64}", title: "Letters, digits, dot, dash and underscore" });
  const form = h("form.row", { onsubmit: (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (NAME.test(name)) go(`/rooms/${name}`);
    else field.setAttribute("aria-invalid", "true");
  } }, h("label", { for: "room" }, "Room"), h("span.grow", {}, field), h("button", { type: "submit" }, "Join"));
  const talk = chat(room, signal, `room ${room}`);
  fill(main, h("div.stack.room-page", {}, h("div.head", {}, h("div", {}, h("h1", {}, room), h("p", {}, "What is said here stays for a while: whoever comes later can read it.")), form),
    h("section.panel.flush", { "aria-label": `Room ${room}` }, h("div.top-line", {}, h("h2", {}, "What is said"), talk.here), talk.element)));
}
