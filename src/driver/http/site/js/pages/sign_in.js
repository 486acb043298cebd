// The doors: a password, the provider, a new account, a name for the chat.

import { drawn, fill, h } from "../dom.js";
import { goToProvider, login, register, signIn, signInAsGuest } from "../login.js";
import { note } from "../ui.js";

const features = (document.querySelector("meta[name=flow-manager]")?.content ?? "").split(" ");
const icon = document.querySelector("link[rel=icon]")?.href;

/** Why one comes back from the provider and is not signed in, by the service's codes. */
const REFUSED = {
  "oidc.denied": "You did not agree there, so nobody is signed in. Try again, or come in another way.",
  "oidc.attempt_missing": "That sign-in was begun elsewhere, or took too long. Begin it again here.",
  "oidc.state_mismatch": "That was the answer to another sign-in. Begin it again here.",
  "oidc.code_refused": "That sign-in was used already, or took too long. Begin it again here.",
  "oidc.id_token_invalid": "What the provider answered cannot be trusted. Begin again; if it stays so, tell an operator.",
  "oidc.unavailable": "The provider cannot be reached right now. Try again in a while, or come in another way.",
  "oidc.not_configured": "There is no provider to sign in with here. Come in another way.",
  "auth.account_gone": "This account is closed. An admin can open it again.",
};
const NOT_DONE = "The sign-in did not come to its end. Begin it again here.";

export default function page({ main, query }) {
  const doors = { "sign-in": passwordDoor, register: registerDoor, guest: guestDoor };
  const refused = query.get("refused");
  const open = (name) => {
    const said = refused ? REFUSED[refused] ?? NOT_DONE : login.ended;
    fill(main, h("div.door", {}, h("div.mark", {}, h("img", { src: icon, alt: "", width: 52, height: 52 }), h("h1", {}, TITLES[name])),
      name === "sign-in" && said && h("div", { role: "alert" }, note("warn", said)), h("div.panel.stack", {}, doors[name](open))));
    main.querySelector("input")?.focus();
  };
  open("sign-in");
}

const TITLES = { "sign-in": "Sign in to Flow Manager", register: "Make an account", guest: "Join the chat" };

function passwordDoor(open) {
  const email = input("email", "E-mail", { type: "email", autocomplete: "username", required: true });
  const password = input("password", "Password", { type: "password", autocomplete: "current-password", required: true });
  const ask = form("Sign in", [email, password], () => signIn(email.value(), password.value()));
  return [
    (features.includes("google") || features.includes("provider")) && [h("button.wide", { type: "button", onclick: goToProvider }, features.includes("google") && googleMark(), features.includes("google") ? "Continue with Google" : "Continue with your organisation"), h("div.or", {}, "or")],
    ask,
    h("div.row.apart.small", {},
      features.includes("signup") ? link("Make an account", () => open("register")) : h("span"),
      link("Only chat, by a name", () => open("guest"))),
  ];
}

function registerDoor(open) {
  const name = input("name", "Name", { autocomplete: "name", maxlength: 200 }, "Optional; what others see.");
  const email = input("email", "E-mail", { type: "email", autocomplete: "username", required: true });
  const password = input("password", "Password", { type: "password", autocomplete: "new-password", required: true, minlength: 8 }, "8 characters at least, and none that everybody tries first.");
  return [
    form("Make the account", [name, email, password], () => register(email.value(), password.value(), name.value())),
    h("div.row.small", {}, link("I have an account", () => open("sign-in"))),
  ];
}

function guestDoor(open) {
  const name = input("username", "Your name", { autocomplete: "nickname", maxlength: 32, pattern: "[A-Za-z0-9._\\-]+" }, "Letters, digits, dot, dash and underscore. Without one you are anonymous.");
  return [
    form("Join", [name], () => signInAsGuest(name.value())),
    h("p.muted.small", {}, "A name is yours for this tab, and for rooms only. Labs need an account."),
    h("div.row.small", {}, link("Sign in instead", () => open("sign-in"))),
  ];
}

function input(name, label, props, hint) {
  const field = h("input", { id: name, name, "aria-describedby": hint ? `${name}-hint` : null, ...props });
  const element = h("div.field", {}, h("label", { for: name }, label), field, hint && h("span.hint", { id: `${name}-hint` }, hint));
  return { element, field, value: () => (props.type === "password" ? field.value : field.value.trim()) };
}

function link(label, onclick) {
  return h("button.quiet.tiny", { type: "button", onclick }, label);
}

function form(label, inputs, work) {
  const wrong = h("div", { role: "alert" });
  const button = h("button.primary", { type: "submit" }, label);
  const element = h("form", { novalidate: true }, inputs.map((one) => one.element), wrong, button);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const bad = inputs.find((one) => !one.field.checkValidity());
    for (const one of inputs) one.field.setAttribute("aria-invalid", String(one === bad));
    if (bad) {
      fill(wrong, h("p.fault", {}, bad.field.validationMessage));
      return bad.field.focus();
    }
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    fill(wrong);
    try {
      await work();
      login.ended = null;
    } catch (problem) {
      fill(wrong, h("p.fault", {}, words(problem)));
      inputs.at(-1).field.focus();
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
  return element;
}

function words(problem) {
  if (problem.code === "auth.refused") return "This e-mail address and password do not go together.";
  if (problem.code === "auth.name_taken") return "Somebody has this name right now. Choose another.";
  if (problem.code === "user.email_taken") return "There is an account with this address already.";
  const first = problem.errors?.[0]?.detail;
  return first ? `${problem.message} ${first}` : problem.message;
}

/** Google's own mark, in its own colours, as it asks for. */
function googleMark() {
  const part = (fill, d) => drawn("path", { fill, d });
  return drawn("svg", { viewBox: "0 0 48 48", width: 20, height: 20, "aria-hidden": "true" },
    part("#EA4335", "M24 9.5c3.54 0 6.71 1.22 9.21 3.6l6.85-6.85C35.9 2.38 30.47 0 24 0 14.62 0 6.51 5.38 2.56 13.22l7.98 6.19C12.43 13.72 17.74 9.5 24 9.5z"),
    part("#4285F4", "M46.98 24.55c0-1.57-.15-3.09-.38-4.55H24v9.02h12.94c-.58 2.96-2.26 5.48-4.78 7.18l7.73 6c4.51-4.18 7.09-10.36 7.09-17.65z"),
    part("#FBBC05", "M10.53 28.59c-.48-1.45-.76-2.99-.76-4.59s.27-3.14.76-4.59l-7.98-6.19C.92 16.46 0 20.12 0 24c0 3.88.92 7.54 2.56 10.78l7.97-6.19z"),
    part("#34A853", "M24 48c6.48 0 11.93-2.13 15.89-5.81l-7.73-6c-2.15 1.45-4.92 2.3-8.16 2.3-6.26 0-11.57-4.22-13.47-9.91l-7.98 6.19C6.51 42.62 14.62 48 24 48z"));
}
