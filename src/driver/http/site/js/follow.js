// Follows streams of server-sent events, by fetch because EventSource sends no token. Comes back by itself after a
// drop, a sleep or a restart of the service, from the last event seen, so that none is lost and none comes twice.

import { get, open } from "./api.js";
import { fill, h } from "./dom.js";

/** The service says something at least every 15 s; after this silence the connection is taken for dead. */
const SILENCE_MS = 40_000;
/** A page nobody looks at gives its connection back: browsers have six for all tabs of a service. */
const HIDDEN_MS = 10_000;
const POLL_MS = 4000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;

/** The events of a run from `after` on; resolves after the last. */
export function followRun(id, { after = 0, onEvent, signal }) {
  const path = `/flow-manager/runs/${id}/events`;
  return follow({
    signal, last: after,
    open: (last, signal) => open("GET", path, { signal, headers: { Accept: "text/event-stream", "Last-Event-ID": String(last) } }),
    poll: async (last, signal) => {
      const { events, done } = await get(`${path}?after=${last}`, signal);
      return { events: events.map((event) => ({ id: event.id, type: event.type, data: event })), done };
    },
    isLast: (event) => event.type === "end",
    onEvent: (event) => { if (event.id) onEvent(event.data); },
  });
}

/** The messages of a room, its history first. */
export function followRoom(name, { onMessage, onLink, signal }) {
  return follow({
    signal, last: 0, onLink,
    open: (last, signal) => open("GET", `/room/${encodeURIComponent(name)}?timeout=600&after=${last}`, { signal, headers: { Accept: "text/event-stream" } }),
    isLast: () => false,
    onEvent: (event) => { if (event.data?.id) onMessage(event.data); },
  });
}

async function follow(how) {
  let { last } = how;
  let pause = FIRST_PAUSE_MS;
  const me = Symbol("link");
  const take = (event) => {
    const number = Number(event.id ?? event.data?.id ?? 0);
    if (number && number <= last) return;
    if (number) last = number;
    how.onEvent(event);
  };
  how.signal.addEventListener("abort", () => found(me));
  while (!how.signal.aborted) {
    try {
      if (how.poll && document.hidden) {
        const { events, done } = await how.poll(last, how.signal);
        events.forEach(take);
        found(me);
        if (done) return;
        await sleep(POLL_MS, how.signal);
        continue;
      }
      if (await listen(how, () => last, take, () => { pause = FIRST_PAUSE_MS; found(me); how.onLink?.(true); })) return;
    } catch (problem) {
      if (how.signal.aborted) return;
      if (problem.status && problem.status < 500 && problem.status !== 429) throw problem;
      if (problem.lost !== false) { lost(me); how.onLink?.(false); }
    }
    await sleep(pause, how.signal);
    pause = Math.min(pause * 1.7, LONGEST_PAUSE_MS);
  }
}

/** One connection; true when its last event has come. Its clean end before that is no fault: it is opened anew. */
async function listen(how, last, take, opened) {
  const stop = new AbortController();
  const end = () => stop.abort();
  how.signal.addEventListener("abort", end);
  let silence = setTimeout(end, SILENCE_MS), unseen;
  const seen = () => {
    clearTimeout(unseen);
    if (document.hidden) unseen = setTimeout(end, HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", seen);
  seen();
  try {
    const answer = await how.open(last(), stop.signal);
    opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MS);
      for (const event of parser.read(value)) {
        if (how.isLast(event)) { stop.abort(); return true; }
        if (event.type !== "cut") take(event);
      }
    }
  } catch (problem) {
    if (stop.signal.aborted && document.hidden) problem = Object.assign(new Error("hidden"), { lost: false });
    throw problem;
  } finally {
    clearTimeout(silence);
    clearTimeout(unseen);
    how.signal.removeEventListener("abort", end);
    document.removeEventListener("visibilitychange", seen);
  }
}

/** Server-sent events out of text that comes in any pieces. */
export class Parser {
  #rest = "";
  #event = {};

  read(text) {
    const events = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#event.data !== undefined) events.push({ ...this.#event, data: parsed(this.#event.data) });
        this.#event = {};
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") this.#event.data = this.#event.data === undefined ? value : `${this.#event.data}\n${value}`;
      else if (field === "event") this.#event.type = value;
      else if (field === "id") this.#event.id = value;
    }
    return events;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Ends early when the page is looked at again or the network is back: then it is worth a try. */
function sleep(ms, signal) {
  return new Promise((over) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", done);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      over();
    };
    const timer = setTimeout(done, ms);
    document.addEventListener("visibilitychange", done);
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

// The note that something is being tried again, while any stream is broken for more than a moment.
const broken = new Set();
let line, timer;

function lost(who) {
  broken.add(who);
  timer ??= setTimeout(() => {
    timer = null;
    if (!broken.size) return;
    line ??= document.body.appendChild(h("p.link-lost", { role: "status" }));
    line.hidden = false;
    fill(line, "The connection is lost. Trying again; nothing will be missed.");
  }, 800);
}

function found(who) {
  broken.delete(who);
  if (!broken.size && line) { line.hidden = true; fill(line); }
}
