// The doors: a password, the provider, a new account, a name for the chat.

import { fill, h } from "../dom.js";
import { goToProvider, login, register, signIn, signInAsGuest } from "../login.js";
import { note } from "../ui.js";

const features = (document.querySelector("meta[name=flow-manager]")?.content ?? "").split(" ");
const icon = document.querySelector("link[rel=icon]")?.href;

export default function page({ main }) {
  const doors = { "sign-in": passwordDoor, register: registerDoor, guest: guestDoor };
  const open = (name) => {
    const ended = name === "sign-in" && login.ended ? note("warn", login.ended) : null;
    fill(main, h("div.door", {}, h("div.mark", {}, h("img", { src: icon, alt: "", width: 52, height: 52 }), h("h1", {}, TITLES[name])), ended, h("div.panel.stack", {}, doors[name](open))));
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

function googleMark() {
  return h("strong", { "aria-hidden": "true" }, "G");
}
