// How much time a session has, and more of it.

import { get, post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { span } from "./format.js";
import { action, announce, toast } from "./ui.js";

/** Whoever works in the page uses the session: the service hears of it this often, and of nobody who is away. */
const LOOK_MS = 30_000;
const BECAUSE = { idle: "if nobody uses it", total: "then its time is over" };

/** Null for a session without an end. `over` is called when its time has come. */
export function clock(session, signal, over) {
  let { time } = session;
  if (!time?.expires_at) return null;
  let warned = false, busy = true;
  const text = h("span");
  const more = action("Extend", { class: "tiny", "aria-label": "Extend the time" }, async () => {
    ({ time } = await post(session.links.extend));
    warned = false;
    tick();
    announce(text.textContent);
  });
  const element = h("span.clock", { role: "timer", "aria-label": "Time left" }, icon("clock"), text, more);
  const tick = () => {
    const left = new Date(time.expires_at) - Date.now();
    const soon = left < time.warn_s * 1000;
    const whole = left > 10 * 60_000 ? Math.floor(left / 60_000) * 60_000 : Math.floor(left / 1000) * 1000;
    fill(text, left > 0 ? `${span(whole)} left` : "Time is over");
    element.title = `Until ${new Date(time.expires_at).toLocaleTimeString("en-GB")}, ${BECAUSE[time.because] ?? ""}`;
    element.classList.toggle("soon", soon);
    more.hidden = time.extensions_left === 0;
    more.title = `Adds ${span(time.extend_s * 1000)}; ${time.extensions_left} left`;
    if (soon && left > 0 && !warned) {
      warned = true;
      toast(`This lab ends in ${span(whole)}.${more.hidden ? "" : " Extend it to go on."}`);
    }
    if (left < -1000) { stop(); over(); }
  };
  const look = async () => {
    if (!busy || document.hidden) return;
    busy = false;
    const now = await get(session.links.self, signal).catch(() => null);
    if (now?.time?.expires_at) { ({ time } = now); warned &&= new Date(time.expires_at) - Date.now() < time.warn_s * 1000; tick(); }
    else if (now?.ended_at || now?.time?.expired) { stop(); over(); }
  };
  const timers = [setInterval(tick, 1000), setInterval(look, LOOK_MS)];
  const stop = () => timers.forEach(clearInterval);
  for (const sign of ["pointerdown", "keydown"]) addEventListener(sign, () => { busy = true; }, { signal, passive: true });
  signal.addEventListener("abort", stop);
  tick();
  return element;
}
