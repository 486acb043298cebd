// An operator's way: a flow from its form, a run and its story, an undo, users.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, open, signIn, visit } from "./browser.mjs";
import { Service, until } from "./service.mjs";

const ADMIN = "ada@example.org";
/** A step that can be taken back, and one that takes its time. */
const SLOW = { name: "slow", tasks: [{ name: "make", task: "create_directory", input: { lab: "for-a-while" } }, { name: "nap", task: "sleep", input: { seconds: 600 } }] };
let service, browser, token;

before(async () => {
  service = await Service.start();
  service.addUser(ADMIN, "admin");
  token = `Bearer ${await service.token()}`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await service?.remove();
});

async function signedIn(options) {
  const page = await open(browser, service.base, options);
  await signIn(page);
  return page;
}

const started = (flow, input) => service.call("POST", "/flow-manager", { flow, input }, { Authorization: token, Prefer: "respond-async" });
const shown = (page, status) => page.locator(`h1 ~ span .badge[data-state=${status}]`).waitFor();

test("a fault of the input is shown at its field; a plan changes nothing; a run is watched to its end", async () => {
  const page = await signedIn({ expect: ["422"] });
  await visit(page, "/flows");
  await page.getByRole("link", { name: "Run data-report", exact: true }).click();
  const top = page.getByLabel("Top");
  await top.fill("99");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("greater than the maximum of 50").waitFor();
  assert.equal(await top.getAttribute("aria-invalid"), "true");
  assert.equal(await page.evaluate(() => document.activeElement.name), "top");
  await top.fill("three");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("This is not a number.").waitFor();
  await top.fill("3");
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText("Nothing speaks against it.").waitFor();
  assert.equal(await page.locator(".plan > li").count(), 3);
  await page.getByText("this is taken back, in this order: store.").waitFor();
  assert.deepEqual((await service.call("GET", "/flow-manager/runs?flow=data-report", null, { Authorization: token })).data, []);

  await page.getByRole("button", { name: "Run", exact: true }).click();
  await shown(page, "succeeded");
  const store = page.locator('[data-step="store"]');
  await store.locator("summary").first().click();
  await store.getByText("generation_by_state").first().waitFor();
  await store.getByRole("heading", { name: "Input" }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a cancel is asked for, and the undo of what was made is seen", async () => {
  const run = await started(SLOW);
  const page = await signedIn();
  await visit(page, `/runs/${run.id}`);
  await page.locator("[data-part=why]").waitFor();
  await shown(page, "waiting");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Let it go on" }).click();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await shown(page, "cancelled");
  const make = page.locator('[data-step="make"]');
  await make.getByText("taken back").first().waitFor();
  await make.locator("summary").first().click();
  await make.getByRole("region", { name: "Table: Undo of make" }).waitFor();

  await page.getByRole("button", { name: "Retry from …" }).click();
  await page.getByLabel("From step").selectOption("make");
  await page.getByRole("button", { name: "Start the new run" }).click();
  await page.getByRole("link", { name: "retry of an earlier run" }).waitFor();
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await page.getByRole("button", { name: "Cancel the run" }).click();
  await shown(page, "cancelled");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a run that succeeded is taken back, and the page goes on with it", async () => {
  const run = await started("data-report", {});
  const page = await signedIn();
  await visit(page, `/runs/${run.id}`);
  await shown(page, "succeeded");
  await page.getByRole("button", { name: "Take back" }).click();
  await page.getByRole("button", { name: "Take it back" }).click();
  await shown(page, "undone");
  await page.locator('[data-step="store"]').getByText("taken back").first().waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("the list of runs is live, and filtered by flow, state and user", async () => {
  const page = await signedIn();
  await visit(page, "/runs?flow=hello");
  await page.getByText("No run fits.").waitFor();
  await started("hello", { name: "Ada" });
  await page.getByRole("cell", { name: /^hello/ }).waitFor();
  await page.getByLabel("State").selectOption("failed");
  await page.getByText("No run fits.").waitFor();
  await visit(page, "/runs");
  await page.getByLabel("Started by").selectOption({ label: "Me" });
  await page.getByRole("cell", { name: /^hello/ }).waitFor();
  assert.equal(await page.getByRole("cell", { name: /^user-onboard/ }).count(), 0, "runs of the system are among mine");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a flow of one's own, with its faults in place", async () => {
  const page = await signedIn({ expect: ["422"] });
  await visit(page, "/flows/new");
  const definition = page.getByLabel("Definition");
  await definition.fill("{");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("This is not JSON").waitFor();
  await definition.fill(JSON.stringify({ name: "x", tasks: [{ name: "one", task: "nope" }] }));
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("no task is called").first().waitFor();
  await definition.fill(JSON.stringify({ name: "mine", tasks: [{ name: "one", task: "noop", input: { value: "${input.text}" } }] }));
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await shown(page, "succeeded");
  await visit(page, "/tasks/process_data");
  await page.getByLabel("Rows").fill('[{"a": 1}, {"a": 2}]');
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await shown(page, "succeeded");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("an admin changes a role and closes an account", async () => {
  await service.call("POST", "/auth/register", { email: "tim@example.org", password: "a web of documents", name: "Tim" });
  const page = await open(browser, service.base);
  await signIn(page, ADMIN);
  await visit(page, "/users");
  await page.getByLabel("Role of Tim").selectOption("operator");
  await page.getByRole("button", { name: "Change the role" }).click();
  await page.getByText("Tim is operator now.").waitFor();
  await page.getByRole("button", { name: "Close the account of Tim" }).click();
  await page.getByRole("button", { name: "Close it" }).click();
  await page.getByRole("button", { name: "Open the account of Tim" }).waitFor();
  await visit(page, "/health");
  await page.getByRole("heading", { name: "Database" }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("why a run waits is said in a sentence, until it goes on", async () => {
  const page = await signedIn();
  const run = await started({ name: "nap", tasks: [{ name: "sleep", task: "sleep", input: { seconds: 2 } }] });
  await visit(page, `/runs/${run.id}`);
  await until("why says that it waits", async () => /wait/i.test(await page.locator("[data-part=why]").textContent()));
  await shown(page, "succeeded");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});
