// Every page, in light and dark, on a phone and a desktop: what axe-core says, whether it is too wide, and a picture.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { accessibility, launch, open, signIn, visit } from "./browser.mjs";
import { Service, until } from "./service.mjs";

const PICTURES = path.resolve(import.meta.dirname, "../../target/screenshots");
/** The narrowest and the one between are held to their width alone: what axe-core looks at is the same there. */
const SIZES = [[320, 640], [390, 844], [820, 1180], [1440, 900]];
const JUDGED = [390, 1440];
const ADMIN = "ada@example.org";
let service, browser, token;

before(async () => {
  fs.mkdirSync(PICTURES, { recursive: true });
  service = await Service.start();
  service.addUser(ADMIN, "admin");
  token = `Bearer ${await service.token(ADMIN)}`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await service?.remove();
});

async function look(page, name) {
  await page.mouse.move(0, 0);
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of JUDGED.includes(width) ? ["light", "dark"] : ["light"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const at = `${name}, ${width} px, ${colorScheme}`;
      // Colours go over into one another; axe would measure what is in between.
      await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {}))));
      if (JUDGED.includes(width)) assert.deepEqual(await accessibility(page), [], at);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${at}: wider than the window`);
      await page.screenshot({ path: path.join(PICTURES, `${name}-${width}-${colorScheme}.png`) });
    }
  }
}

const call = (method, at, body, headers) => service.call(method, at, body, { Authorization: token, ...headers });

test("the doors", async () => {
  const page = await open(browser, service.base);
  await look(page, "sign-in");
  await page.getByRole("button", { name: "Make an account" }).click();
  await look(page, "register");
  await page.getByRole("button", { name: "I have an account" }).click();
  await page.getByRole("button", { name: "Only chat, by a name" }).click();
  await look(page, "guest");
  await visit(page, "/sign-in?refused=oidc.denied");
  await page.reload();
  await page.getByText("You did not agree there").waitFor();
  await look(page, "sign-in-refused");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a learner's pages", async () => {
  const page = await open(browser, service.base);
  await signIn(page, ADMIN);
  await look(page, "labs");
  await visit(page, "/labs/hello-terraform");
  await page.getByRole("button", { name: "Launch" }).waitFor();
  await look(page, "lab-before");
  await call("POST", "/labs/slow-servers/launch");
  await visit(page, "/labs/slow-servers");
  await until("something is made", async () => Number(await page.getByRole("progressbar").getAttribute("aria-valuenow")) > 5);
  await page.locator("summary").filter({ hasText: "Log" }).click();
  await look(page, "launching");
  await call("POST", "/labs/hello-terraform/launch", null, { Prefer: "wait=120" });
  await call("POST", "/labs/hello-terraform/submit", { answers: { word: "00000000" } }, { Prefer: "wait=120" });
  await call("POST", "/room/lab.hello-terraform", { text: "has anybody found the word?" });
  await visit(page, "/labs/hello-terraform");
  await page.locator('[data-attempt="1"]').waitFor();
  await page.getByText("has anybody found the word?").waitFor();
  await look(page, "lab");
  await page.getByRole("button", { name: "Finish" }).click();
  await look(page, "confirm");
  await page.getByRole("button", { name: "Not yet" }).click();
  await call("POST", "/room/lobby", { text: "hello, everybody" });
  await visit(page, "/rooms/lobby");
  await page.getByText("hello, everybody").waitFor();
  await look(page, "room");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("an operator's pages", async () => {
  const broken = await call("POST", "/flow-manager", { flow: { name: "broken", tasks: [
    { name: "make", task: "create_directory", input: { lab: "for-a-while" } }, { name: "nap", task: "sleep", input: { seconds: 0.5 } },
    { name: "call", task: "http_request", input: { method: "GET", url: "http://127.0.0.1:1/" } }] } });
  await call("POST", "/flow-manager", { flow: "data-report" });
  const page = await open(browser, service.base);
  await signIn(page, ADMIN);
  await visit(page, "/runs");
  await page.getByRole("cell", { name: /^broken/ }).waitFor();
  await look(page, "runs");
  await visit(page, `/runs/${broken.id}`);
  await page.locator("h1 ~ span .badge[data-state=undone]").waitFor();
  await page.locator('[data-step="call"] > summary').click();
  await look(page, "run");
  const name = "a-name-that-is-as-long-as-a-name-can-well-be-and-a-little-longer".slice(0, 63);
  const long = await call("POST", "/flow-manager", { flow: { name, on_failure: "stop", tasks: [{ name, task: "http_request", input: { method: "GET", url: `http://127.0.0.1:1/${name}` } }] } });
  await visit(page, `/runs/${long.id}`);
  await page.locator("h1 ~ span .badge[data-state=failed]").waitFor();
  await page.locator(".line-up > summary").click();
  await look(page, "run-long-names");
  await visit(page, "/runs?status=undo_failed");
  await page.getByText("No run fits.").waitFor();
  await look(page, "runs-none");
  await visit(page, "/nowhere");
  await page.getByRole("heading", { name: "Not found" }).waitFor();
  await look(page, "not-found");
  await call("POST", "/flow-manager/flows/hello/pause", { reason: "The provider is away until noon." });
  const held = await call("POST", "/flow-manager", { flow: "hello" }, { Prefer: "respond-async" });
  await visit(page, `/runs/${held.id}`);
  await page.getByText("The flow hello is paused").waitFor();
  await look(page, "run-paused");
  await visit(page, "/flows");
  await page.getByRole("link", { name: "Run hello" }).waitFor();
  await look(page, "flows");
  await call("POST", "/flow-manager/flows/hello/resume");
  await visit(page, "/flows/data-report");
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText("Nothing speaks against it.").waitFor();
  await look(page, "flow");
  await visit(page, "/flows/new");
  await page.getByLabel("Definition").waitFor();
  await look(page, "flow-new");
  await visit(page, "/tasks");
  await page.locator('[data-task="process_data"] > summary').click();
  await look(page, "tasks");
  await visit(page, "/tasks/process_data");
  await page.getByLabel("Rows").waitFor();
  await look(page, "task");
  await visit(page, "/sessions");
  await page.getByRole("row", { name: /Hello, Terraform/ }).waitFor();
  await look(page, "sessions");
  await page.getByRole("link", { name: /^Hello, Terraform/ }).click();
  await page.locator('[data-attempt="1"]').waitFor();
  await look(page, "session");
  await visit(page, "/users");
  await page.getByRole("cell", { name: ADMIN }).first().waitFor();
  await look(page, "users");
  await visit(page, "/health");
  await page.getByRole("heading", { name: "Database" }).waitFor();
  await look(page, "health");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});
