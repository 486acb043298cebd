// Who is signed in.

import { hold, knock, leave, letGo, renew, whenEnded } from "./api.js";

/** Says that a cookie may be there, so that strangers are not asked for one. No token is ever stored with it. */
const BEEN_HERE = "flow-manager.been-here";
/** A guest's token: of this tab alone, good for rooms and nothing else, and gone with the tab. */
const GUEST = "flow-manager.guest";
/** The way to the provider was begun by somebody of whom no cookie was known. */
const TRYING = "flow-manager.trying";
const ROLES = ["anonymous", "learner", "operator", "admin", "system"];

export const login = { user: null, ended: null };
let changed = () => {};

export function onChange(call) {
  changed = call;
}

export function atLeast(role) {
  return ROLES.indexOf(login.user?.role) >= ROLES.indexOf(role);
}

export const isGuest = () => login.user?.role === "anonymous";

function become(user, ended = null) {
  Object.assign(login, { user, ended });
  changed();
}

whenEnded((problem) => {
  sessionStorage.removeItem(GUEST);
  localStorage.removeItem(BEEN_HERE);
  become(null, problem.code === "auth.token_revoked" || problem.code === "auth.refresh_invalid"
    ? "Your sign-in was ended. Sign in again to go on."
    : "Your sign-in has expired. Sign in again to go on.");
});

/** After a load: the cookie, or a guest's token of this tab. `refused`: back from the provider, with nothing. */
export async function resume(refused) {
  if (refused && sessionStorage.getItem(TRYING)) localStorage.removeItem(BEEN_HERE);
  sessionStorage.removeItem(TRYING);
  const guest = JSON.parse(sessionStorage.getItem(GUEST) ?? "null");
  if (guest && guest.ends > Date.now()) {
    hold(guest.token, (guest.ends - Date.now()) / 1000, false);
    login.user = guest.user;
    return;
  }
  sessionStorage.removeItem(GUEST);
  if (!localStorage.getItem(BEEN_HERE)) return;
  for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
    try {
      login.user = await renew();
      return;
    } catch (problem) {
      if (problem.status && problem.status < 500) return localStorage.removeItem(BEEN_HERE);
      await new Promise((over) => setTimeout(over, pause));
    }
  }
}

export async function signIn(email, password) {
  const granted = await knock("/auth/login", { email, password });
  hold(granted.access_token, granted.expires_in, true);
  localStorage.setItem(BEEN_HERE, "yes");
  become(granted.user);
}

export async function register(email, password, name) {
  await knock("/auth/register", { email, password, ...(name ? { name } : {}) });
  await signIn(email, password);
}

export async function signInAsGuest(username) {
  const granted = await knock("/login", username ? { username } : {});
  hold(granted.token, granted.expires_in, false);
  const ends = Date.now() + granted.expires_in * 1000;
  sessionStorage.setItem(GUEST, JSON.stringify({ token: granted.token, user: granted.user, ends }));
  become(granted.user);
}

/** The provider sends the browser back with the cookie set. */
export function goToProvider() {
  if (!localStorage.getItem(BEEN_HERE)) sessionStorage.setItem(TRYING, "yes");
  localStorage.setItem(BEEN_HERE, "yes");
  location.assign("/auth/google");
}

export async function signOut() {
  sessionStorage.removeItem(GUEST);
  localStorage.removeItem(BEEN_HERE);
  await leave();
  letGo();
  become(null);
}
