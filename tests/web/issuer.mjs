// The certified OpenID Connect provider of the tests of the service, as a process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

import { freePort } from "./service.mjs";

const ROOT = path.resolve(import.meta.dirname, "../..");

export class Issuer {
  /** `redirectUri`: where it sends browsers back to. */
  static async start(redirectUri) {
    const modules = path.join(ROOT, ".tools/provider");
    if (!fs.existsSync(modules)) throw new Error("the provider is missing: scripts/setup installs it");
    const port = await freePort();
    // Its imports are looked for from the working directory on; it ends with its standard input.
    const code = fs.readFileSync(path.join(ROOT, "tests/provider/provider.mjs"), "utf8");
    const issuer = Object.assign(new Issuer(), { base: `http://127.0.0.1:${port}` });
    issuer.process = spawn(process.execPath, ["--input-type=module", "-e", code],
      { cwd: modules, env: { ...process.env, PROVIDER: JSON.stringify({ port, redirectUri }) }, stdio: ["pipe", "pipe", "ignore"] });
    const lines = readline.createInterface(issuer.process.stdout);
    const ready = new Promise((over) => { lines.on("line", (line) => { if (line === "ready") over(true); }); });
    const ended = once(issuer.process, "exit").then(() => false);
    if (!await Promise.race([ready, ended])) throw new Error("the provider does not start");
    return issuer;
  }

  async end() {
    if (this.process.exitCode !== null) return;
    const over = once(this.process, "exit");
    this.process.stdin.end();
    await over;
  }
}
