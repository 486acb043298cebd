// A real Chromium, and pages of it that remember every complaint.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { EMAIL, LIMIT_MS, PASSWORD } from "./service.mjs";

const TOOLS = path.resolve(import.meta.dirname, "../../.tools/browser/");
const require = createRequire(`${TOOLS}/`);
const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(fs.existsSync);
const AXE = fs.readFileSync(path.join(TOOLS, "node_modules/axe-core/axe.min.js"), "utf8");
// Without these it looks for its maker's hosts at every start.
const QUIET = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu", "--disable-dev-shm-usage"];

export async function launch() {
  if (!CHROMIUM) throw new Error("Chromium is missing: scripts/setup browser installs it");
  const { chromium } = require("playwright-core");
  return chromium.launch({ executablePath: CHROMIUM, args: [...QUIET, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])] });
}

/** A page in a profile of its own. `page.complaints()` are console errors and faults of scripts, but those expected. */
export async function open(browser, base, { expect = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(LIMIT_MS);
  return another(context, base, expect);
}

/** One more tab of the same profile. */
export async function another(context, base, expect = []) {
  const page = await context.newPage();
  const heard = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) heard.push(`${message.text()} ${message.location().url}`); });
  page.on("pageerror", (error) => heard.push(`${error.message}\n${error.stack}`));
  page.expect = expect;
  page.complaints = () => heard.filter((text) => !page.expect.some((known) => text.includes(known)));
  page.base = base;
  await page.goto(`${base}/`);
  return page;
}

export async function signIn(page, email = EMAIL, password = PASSWORD) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { name: /^Welcome/ }).waitFor();
}

export async function visit(page, route) {
  await page.goto(`${page.base}/#${route}`);
}

/** What axe-core finds, as lines. */
export async function accessibility(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap((one) => one.nodes.map((node) => `${one.id} ${node.target} ${node.failureSummary}`));
}
