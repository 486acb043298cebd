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

test("a paused flow holds its runs, which say by what, and let it go on", async () => {
  const page = await signedIn();
  await visit(page, "/flows");
  await page.getByRole("button", { name: "Pause hello", exact: true }).click();
  await page.getByLabel("Why, for whoever waits").fill("The provider is away.");
  await page.getByRole("button", { name: "Pause it" }).click();
  await page.locator('[data-flow="hello"] .badge[data-state=paused]').waitFor();
  const run = await started("hello", { name: "Ada" });
  await visit(page, "/flows/hello");
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText("A run would be taken and wait until it goes on.").waitFor();
  await visit(page, `/runs/${run.id}`);
  const why = page.locator("[data-part=why]");
  await why.getByText("The flow hello is paused by you, since").waitFor();
  await why.getByText("The provider is away.").waitFor();
  await page.getByRole("button", { name: "Let the flow go on" }).click();
  await shown(page, "succeeded");
  await visit(page, "/flows");
  await page.getByRole("button", { name: "Pause hello", exact: true }).waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("a run that failed says once why", async () => {
  const run = await started({ name: "broken", on_failure: "stop", tasks: [{ name: "call", task: "http_request", input: { method: "GET", url: "http://127.0.0.1:1/" } }] });
  const page = await signedIn();
  await visit(page, `/runs/${run.id}`);
  await shown(page, "failed");
  const sentence = /is not among those that may be called/;
  await page.locator("[data-part=why]").getByText(sentence).waitFor();
  const said = () => page.locator("main").evaluate((main, words) => main.innerText.split(words).length - 1, "is not among those that may be called");
  // The log is the record of all that happened, this too.
  const logged = await page.locator("main > section .log").evaluate((log, words) => log.innerText.split(words).length - 1, "is not among those that may be called");
  assert.equal(await said() - logged, 1);
  await page.locator('[data-step="call"] > summary').click();
  await page.getByRole("region", { name: "Table: Attempts of call" }).getByText(sentence).waitFor();
  assert.equal(await said() - logged, 2, "once more for the attempt that is asked for");
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("sessions of everybody are listed live, found by lab, state and learner, and told of one by one", async () => {
  await service.call("POST", "/auth/register", { email: "grace@example.org", password: "a compiler of one's own", name: "Grace" });
  const login = await service.call("POST", "/login", { email: "grace@example.org", password: "a compiler of one's own" });
  const grace = { Authorization: `Bearer ${login.token}`, Prefer: "wait=120" };
  const page = await signedIn();
  await visit(page, "/sessions");
  await page.getByText("No lab was launched yet.").waitFor();
  await page.getByText("Nothing was left behind.").waitFor();
  await service.call("POST", "/labs/hello-terraform/launch", null, grace);
  const row = page.getByRole("row", { name: /Hello, Terraform/ });
  await row.getByText("Ready").waitFor();
  await page.getByLabel("State").selectOption({ label: "Needs cleaning up" });
  await page.getByText("No session fits.").waitFor();
  await page.getByRole("link", { name: "Show all" }).click();
  await row.getByRole("link", { name: "Grace" }).click();
  await page.getByText("Sessions of one learner.").waitFor();
  await row.getByRole("link", { name: "Hello, Terraform" }).click();
  await page.getByText("Nothing was handed in so far.").waitFor();
  await page.getByRole("definition").filter({ hasText: "Grace" }).waitFor();
  await service.call("POST", "/labs/hello-terraform/submit", null, grace);
  await service.call("POST", "/labs/hello-terraform/finish", null, grace);
  await page.locator("h1 ~ span .badge[data-state=finished]").waitFor();
  await page.locator('[data-attempt="1"]').getByText("75 of 100").waitFor();
  assert.deepEqual(page.complaints(), []);
  await page.context().close();
});

test("what machines are left behind is told of and removed, and a cluster that is away spoils nothing else", async () => {
  const page = await signedIn({ expect: ["503"] });
  const orphan = { id: "0190f3b0-0000-7000-8000-000000000001", kind: "not_in_state", vmid: 9104, name: "fm-web-1", node: "pve", session: null, found_at: new Date().toISOString(), seen_at: new Date().toISOString() };
  let left = [orphan], away = true;
  await page.route("**/orphans", (route) => (away
    ? route.fulfill({ status: 503, json: { detail: "Proxmox VE does not answer.", code: "machines.unavailable" } })
    : route.fulfill({ json: { data: left } })));
  await page.route("**/orphans/*/delete", (route) => { left = []; return route.fulfill({ json: orphan }); });
  await visit(page, "/sessions");
  await page.getByText("Proxmox VE does not answer.").waitFor();
  await page.getByRole("heading", { name: "Sessions" }).waitFor();
  away = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("It runs, and no session will take it down").waitFor();
  await page.getByRole("button", { name: "Remove fm-web-1" }).click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await page.getByText("Nothing was left behind.").waitFor();
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
