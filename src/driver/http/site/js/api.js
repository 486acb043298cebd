// Calls of the service. The access token is kept in memory alone; the refresh token is an HttpOnly cookie that no
// script sees.

/** What went wrong, in words for people. `code` is the service's, or `offline`. */
export class Problem extends Error {
  constructor({ status = 0, code = "offline", detail, errors = [], request_id }) {
    super(detail);
    Object.assign(this, { status, code, errors, request_id });
  }
}

const OFFLINE = "The service cannot be reached. It may be starting again, or your connection is down.";
/** An access token is renewed this long before it ends, in milliseconds, or after three quarters of a short life. */
const RENEW_BEFORE = 60_000;

const held = { token: null, renewAt: 0, renewable: false, onEnded: () => {} };

/** Takes the tokens of a login. `renewable`: the cookie can renew it. */
export function hold(token, expiresIn, renewable) {
  const life = expiresIn * 1000;
  Object.assign(held, { token, renewable, renewAt: Date.now() + life - Math.min(RENEW_BEFORE, life / 4) });
}

export function letGo() {
  Object.assign(held, { token: null, renewAt: 0, renewable: false });
}

/** Called once when the login has ended and cannot be renewed. */
export function whenEnded(call) {
  held.onEnded = call;
}

let renewing = null;

/** Renews the login by the cookie; all that ask at once share one call, and tabs take turns. */
export function renew() {
  const call = async () => {
    const answer = await send("POST", "/auth/refresh", {});
    const login = await answer.json();
    hold(login.access_token, login.expires_in, true);
    return login.user;
  };
  const taking = () => (navigator.locks ? navigator.locks.request("flow-manager.renew", call) : call());
  renewing ??= taking().finally(() => { renewing = null; });
  return renewing;
}

/** Renews a login that ends soon. Whoever is offline keeps it, and hears of that from the call itself. */
async function fresh() {
  if (!held.renewable || Date.now() < held.renewAt) return;
  try {
    await renew();
  } catch (problem) {
    if (problem.status === 401) throw ended(problem);
  }
}

function ended(problem) {
  if (held.token) {
    letGo();
    held.onEnded(problem);
  }
  return problem;
}

async function send(method, path, { body, headers, signal, token }) {
  const all = { ...headers };
  if (token) all.Authorization = `Bearer ${token}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  let answer;
  try {
    const text = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(path, { method, headers: all, body: text, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ detail: OFFLINE });
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const problem = { detail: `The service answered ${answer.status}.`, code: "http", ...said, status: answer.status };
  const wait = Number(answer.headers.get("Retry-After"));
  if (answer.status === 429 && wait) problem.detail += ` Try again in ${wait} s.`;
  throw new Problem(problem);
}

/** The answer as it is, for streams. A token that was ended meanwhile is renewed once. */
export async function open(method, path, options = {}) {
  await fresh();
  const token = held.token;
  try {
    return await send(method, path, { ...options, token });
  } catch (problem) {
    if (problem.status !== 401 || !token) throw problem;
    if (!held.renewable) throw ended(problem);
  }
  try {
    await renew();
  } catch (problem) {
    throw problem.status === 401 ? ended(problem) : problem;
  }
  return send(method, path, { ...options, token: held.token });
}

/** The answer's JSON; null when it has none. */
export async function call(method, path, options) {
  const answer = await open(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, signal) => call("GET", path, { signal });
export const post = (path, body, options) => call("POST", path, { body, ...options });

/** Without a token: the doors. */
export const knock = async (path, body) => (await send("POST", path, { body })).json();

/** Ends the login here and in the service. */
export async function leave() {
  const token = held.token;
  letGo();
  await send("POST", "/auth/logout", { token }).catch(() => {});
}
