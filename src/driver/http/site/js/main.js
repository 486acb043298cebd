// The frame: who is signed in, the menu, and which page is shown.

import { fill, h } from "./dom.js";
import { initials, nameOf } from "./format.js";
import { atLeast, isGuest, login, onChange, resume, signOut } from "./login.js";
import { action, announce, problemNote } from "./ui.js";

/** Pages are fetched when they are first looked at. `role`: the least that may; `nav`: its place in the menu. */
const PAGES = [
  { path: /^\/sign-in$/, role: "anonymous", under: "/", load: () => ({ default: ({ go }) => go("/", true) }) },
  { path: /^\/$/, role: "learner", nav: "Labs", home: "/", load: () => import("./pages/labs.js") },
  { path: /^\/labs\/([^/]+)$/, role: "learner", under: "/", load: () => import("./pages/lab.js") },
  { path: /^\/rooms\/([^/]+)$/, role: "anonymous", nav: "Rooms", home: "/rooms/lobby", load: () => import("./pages/room.js") },
  { path: /^\/runs$/, role: "learner", nav: "Runs", home: "/runs", load: () => import("./pages/runs.js") },
  { path: /^\/runs\/([^/]+)$/, role: "learner", under: "/runs", load: () => import("./pages/run.js") },
  { path: /^\/flows$/, role: "learner", nav: "Flows", home: "/flows", load: () => import("./pages/flows.js") },
  { path: /^\/flows\/([^/]+)$/, role: "learner", under: "/flows", load: () => import("./pages/flow.js") },
  { path: /^\/tasks$/, role: "learner", under: "/flows", load: () => import("./pages/tasks.js") },
  { path: /^\/tasks\/([^/]+)$/, role: "operator", under: "/flows", load: () => import("./pages/flow.js") },
  { path: /^\/sessions$/, role: "operator", nav: "Sessions", home: "/sessions", load: () => import("./pages/sessions.js") },
  { path: /^\/sessions\/([^/]+)$/, role: "learner", under: "/sessions", load: () => import("./pages/session.js") },
  { path: /^\/users$/, role: "admin", nav: "Users", home: "/users", load: () => import("./pages/users.js") },
  { path: /^\/health$/, role: "operator", nav: "Health", home: "/health", load: () => import("./pages/health.js") },
];

const app = document.getElementById("app");
let leaving = new AbortController();
let shown = 0;
const SLOW_MS = 400;

/** `#/runs?flow=hello` is the path `/runs` and its query. */
function place() {
  const [path, query] = (location.hash.slice(1) || "/").split("?");
  return { path: path || "/", query: new URLSearchParams(query) };
}

async function show({ keepFocus = false } = {}) {
  const mine = ++shown;
  leaving.abort();
  leaving = new AbortController();
  const { path, query } = place();
  const main = h("main", { id: "content", tabindex: "-1" });
  const page = PAGES.find((one) => one.path.test(path));
  const context = { signal: leaving.signal, query, main, go, again: () => show({ keepFocus: true }), title: (text) => titled(text, mine) };
  if (!login.user) {
    document.title = "Sign in · Flow Manager";
    const door = await import("./pages/sign_in.js");
    if (mine !== shown) return;
    fill(app, main);
    door.default(context);
    return;
  }
  if (isGuest() && !path.startsWith("/rooms/")) return go("/rooms/lobby", true);
  fill(app, top(page), main);
  // On a phone the menu is wider than the window.
  app.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  // Only what takes its time is worth a word.
  const slow = setTimeout(() => { if (!main.childElementCount) fill(main, h("p.boot", { role: "status" }, "Loading …")); }, SLOW_MS);
  if (!keepFocus) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
  try {
    if (!page) return missing(main, "There is no such page.");
    if (!atLeast(page.role)) return missing(main, `This page is for ${page.role}s.`);
    const parts = page.path.exec(path).slice(1).map(decodeURIComponent);
    const module = await page.load();
    if (mine === shown) await module.default(context, ...parts);
  } catch (problem) {
    if (mine !== shown || problem.name === "AbortError") return;
    document.title = "Not there · Flow Manager";
    fill(main, h("h1", {}, problem.status === 404 ? "Not found" : "This did not work"), problemNote(problem, () => show()));
  } finally {
    clearTimeout(slow);
  }
}

function missing(main, text) {
  document.title = "Not found · Flow Manager";
  fill(main, h("h1", {}, "Not found"), h("p", {}, text, " ", h("a", { href: "#/" }, "To the labs")));
}

function titled(text, mine) {
  if (mine !== shown) return;
  const full = `${text} · Flow Manager`;
  if (document.title === full) return;
  document.title = full;
  announce(text);
}

export function go(path, replace = false) {
  if (replace) location.replace(`#${path}`);
  else location.hash = path;
}

function top(page) {
  const here = page?.home ?? page?.under;
  const pages = PAGES.filter((one) => one.nav && atLeast(one.role) && (!isGuest() || one.nav === "Rooms"));
  const links = pages.map((one) => h("a", { href: `#${one.home}`, "aria-current": one.home === here ? "page" : null }, one.nav));
  const version = new URL(".", import.meta.url).pathname.replace(/js\/$/, "");
  return h("header.top", {}, h("div", {},
    h("a.brand", { href: "#/" }, h("img", { src: `${version}icon.svg`, alt: "", width: 28, height: 28 }), "Flow Manager"),
    h("nav.nav", { "aria-label": "Pages" }, links),
    whoMenu()));
}

function whoMenu() {
  const { user } = login;
  const name = nameOf(user);
  const schemes = ["auto", "light", "dark"].map((scheme) => h("button", { type: "button", "aria-pressed": String(scheme === theme()), onclick: (event) => choose(scheme, event.currentTarget) }, scheme[0].toUpperCase() + scheme.slice(1)));
  const menu = h("details.who", {},
    h("summary", {}, h("span.face", { "aria-hidden": "true" }, initials(name)), h("span.unseen", {}, "Your account, "), h("span.name.small", {}, name)),
    h("div.menu", {},
      h("div", {}, h("strong", {}, name), h("p.muted.small", {}, [user.email !== name && user.email, user.role].filter(Boolean).join(" · "))),
      h("div.segmented", { role: "group", "aria-label": "Colours" }, schemes),
      action("Sign out", {}, signOut)));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.firstElementChild.focus(); }
  });
  menu.addEventListener("focusout", (event) => {
    if (menu.open && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  return menu;
}

const THEME = "flow-manager.theme";
const theme = () => localStorage.getItem(THEME) ?? "auto";

function choose(scheme, button) {
  if (scheme === "auto") localStorage.removeItem(THEME);
  else localStorage.setItem(THEME, scheme);
  dress();
  for (const one of button.parentElement.children) one.setAttribute("aria-pressed", String(one === button));
}

function dress() {
  const scheme = theme();
  if (scheme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = scheme;
}

dress();
addEventListener("hashchange", () => show());
addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.who[open]")) if (!menu.contains(event.target)) menu.open = false;
  // A link to the content must not change the page's address.
  if (event.target.closest?.("a.skip")) { event.preventDefault(); document.getElementById("content").focus(); }
});
await resume(place().path === "/sign-in" && place().query.has("refused"));
onChange(() => show());
await show();
