// A service of the built program with a state directory of its own, on a free port.

import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "../..");
const PROGRAM = process.env.BROWSER_TEST_PROGRAM ?? path.join(ROOT, "target/debug/flow-manager");
/** Of anything that is waited for. */
export const LIMIT_MS = 120_000;
export const EMAIL = "user3784mail@gmail.com";
export const PASSWORD = "aFtg&89M";

export class Service {
  /** `settings` may be made of the address that it will have. */
  static async start(settings = {}) {
    const work = fs.mkdtempSync(path.join(os.tmpdir(), "flow-browser-"));
    // A root's PostgreSQL runs as another user, who has to get through.
    fs.chmodSync(work, 0o755);
    const config = path.join(work, "config");
    fs.cpSync(path.join(ROOT, "config"), config, { recursive: true });
    fs.cpSync(path.join(import.meta.dirname, "labs"), path.join(config, "labs"), { recursive: true });
    const service = Object.assign(new Service(), { work, port: await freePort() });
    service.base = `http://127.0.0.1:${service.port}`;
    const more = typeof settings === "function" ? await settings(service.base) : settings;
    service.env = { ...process.env, FLOW_DEMO: "true", FLOW_SERVER_PORT: String(service.port), FLOW_STATE_DIR: path.join(work, "state"), FLOW_CONFIG_DIR: config, ...more };
    await service.begin();
    return service;
  }

  async begin() {
    const log = fs.openSync(path.join(this.work, "log"), "a");
    this.process = spawn(PROGRAM, ["serve"], { env: this.env, cwd: this.work, stdio: ["ignore", log, log] });
    fs.closeSync(log);
    this.over = once(this.process, "exit");
    await until("the service is ready", async () => {
      if (this.process.exitCode !== null) throw Object.assign(new Error(`the service did not start:\n${this.log()}`), { final: true });
      return (await fetch(`${this.base}/readyz`).catch(() => null))?.ok;
    });
  }

  async end(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.over;
  }

  async restart(signal) {
    await this.end(signal);
    await this.begin();
  }

  async remove() {
    await this.end();
    fs.rmSync(this.work, { recursive: true, force: true });
  }

  log() {
    return fs.readFileSync(path.join(this.work, "log"), "utf8").split("\n").slice(-30).join("\n");
  }

  /** An account, made beside the running service. */
  addUser(email, role) {
    execFileSync(PROGRAM, ["user", "add", "--email", email, "--role", role, "--password-stdin"], { env: this.env, cwd: this.work, input: `${PASSWORD}\n`, stdio: ["pipe", "ignore", "pipe"] });
  }

  async token(email = EMAIL) {
    return (await this.call("POST", "/login", { email, password: PASSWORD })).token;
  }

  async call(method, at, body, headers = {}) {
    const answer = await fetch(this.base + at, { method, headers: { ...headers, ...(body ? { "Content-Type": "application/json" } : {}) }, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }
}

/** Asks until it is so. */
export async function until(what, ask, ms = LIMIT_MS) {
  const end = Date.now() + ms;
  for (let last; ;) {
    try {
      const found = await ask();
      if (found) return found;
    } catch (error) {
      if (error.final) throw error;
      last = error;
    }
    if (Date.now() > end) throw new Error(`it did not come to this: ${what}`, { cause: last });
    await new Promise((over) => setTimeout(over, 50));
  }
}

export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
